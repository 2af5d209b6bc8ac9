package wechatpay

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
)

// certified is a platform certificate of a test.
type certified struct {
	key    *rsa.PrivateKey
	serial string
	text   string
}

func certify(t *testing.T, key *rsa.PrivateKey, serial int64, until time.Time) certified {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "Tenpay.com sign"},
		NotBefore: time.Now().Add(-time.Hour).Add(time.Duration(serial) * time.Second), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return certified{key, fmt.Sprintf("%X", serial), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

func list(t *testing.T, all ...certified) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(testAPIKey))
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	entries := []map[string]any{}
	for _, c := range all {
		entries = append(entries, map[string]any{"serial_no": c.serial, "encrypt_certificate": map[string]string{
			"algorithm": "AEAD_AES_256_GCM", "nonce": gcmNonce, "associated_data": "certificate",
			"ciphertext": base64.StdEncoding.EncodeToString(gcm.Seal(nil, []byte(gcmNonce), []byte(c.text), []byte("certificate"))),
		}})
	}
	text, err := json.Marshal(map[string]any{"data": entries})
	require.NoError(t, err)
	return string(text)
}

// world is a provider in certificate mode: what it lists and what signs.
type world struct {
	mu       sync.Mutex
	listed   []certified
	signs    certified
	fetches  int
	spoil    func(http.ResponseWriter)
	clock    time.Time
	listText func(*testing.T) string
	// refusal, when set, is the answer to all but those who ask for the list; it names
	// the certificate refusedBy, when set, instead of the one that signs.
	refusal, refusedBy string
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

// certificateMode opens an adapter that trusts what w lists, and, with both, the
// public key too.
func certificateMode(t *testing.T, w *world, both bool) *Adapter {
	t.Helper()
	w.clock = time.Now()
	g, _ := serve(t, func(out http.ResponseWriter, r request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		body := `{"appid":"` + testApp + `","mchid":"` + testMch + `","out_trade_no":"` + testTrade + `","trade_state":"NOTPAY"}`
		if strings.HasPrefix(r.URI, "/v3/certificates") {
			w.fetches++
			body = list(t, w.listed...)
			if w.listText != nil {
				body = w.listText(t)
			}
		}
		refused := w.refusal != "" && !strings.HasPrefix(r.URI, "/v3/certificates")
		if refused {
			body = w.refusal
		}
		seal(out.Header(), body, w.signs.key, w.signs.serial, time.Now())
		if w.spoil != nil {
			w.spoil(out)
		}
		if refused {
			if w.refusedBy != "" {
				out.Header().Set("Wechatpay-Serial", w.refusedBy)
			}
			out.WriteHeader(http.StatusBadRequest)
		}
		_, _ = out.Write([]byte(body))
	})
	cfg := testConfig(t, g.URL+"/wechatpay")
	cfg.PlatformCertificates = true
	if !both {
		cfg.PublicKey, cfg.PublicKeyID = "", ""
	}
	a, err := New(cfg)
	require.NoError(t, err)
	a.platform.now = w.now
	return a
}

func outcome(t *testing.T, a *Adapter) channel.Answer {
	t.Helper()
	got, err := a.QueryTrade(t.Context(), testTrade)
	require.NoError(t, err)
	return got.Answer
}

// beforeARotation is a process that follows the first certificate; nobody has heard of
// the second yet.
func beforeARotation(t *testing.T) (w *world, a *Adapter, first, second certified) {
	t.Helper()
	later := time.Now().AddDate(1, 0, 0)
	first, second = certify(t, testKeys().wechat, 0x11, later), certify(t, testKeys().stranger, 0x22, later)
	w = &world{listed: []certified{first}, signs: first}
	a = certificateMode(t, w, false)
	require.Equal(t, channel.Succeeded, outcome(t, a).Outcome)
	return w, a, first, second
}

// TestCertificatesAreFollowed through a whole rotation: nothing fails while both
// are in force, and the new list is fetched by the unknown serial.
func TestCertificatesAreFollowed(t *testing.T) {
	t.Parallel()
	w, a, first, second := beforeARotation(t)
	require.Equal(t, channel.Succeeded, outcome(t, a).Outcome)
	require.Equal(t, 1, w.fetches, "once is enough")

	w.set(func() { w.listed = []certified{first, second} })
	require.Equal(t, channel.Succeeded, outcome(t, a).Outcome)
	require.Equal(t, 1, w.fetches)
	w.set(func() { w.signs = second })
	require.Equal(t, channel.Succeeded, outcome(t, a).Outcome, "0 failures during the switch, however young the list is")
	require.Equal(t, 2, w.fetches)
	w.set(func() { w.signs = first })
	require.Equal(t, channel.Succeeded, outcome(t, a).Outcome, "both are good")
	require.Equal(t, 2, w.fetches)
}

// A process that slept through a rotation names a retired certificate. It is refused, and
// that fails no payment: the answer's own serial says that the list was old.
func TestARotationThatWasSleptThrough(t *testing.T) {
	t.Parallel()
	w, a, _, second := beforeARotation(t)
	prepaid := func() channel.Answer {
		got, err := a.Prepay(t.Context(), prepayOrder())
		require.NoError(t, err)
		return got.Answer
	}

	w.set(func() {
		w.listed, w.signs = []certified{second}, second
		w.refusal = `{"code":"PARAM_ERROR","message":"Wechatpay-Serial"}`
	})
	slept := prepaid()
	require.Equal(t, channel.Unknown, slept.Outcome)
	require.Equal(t, channel.CodeNoAnswer, slept.Code)
	require.Equal(t, second.serial, a.platform.GetNewestSerial(t.Context()), "the next call names the new one")
	require.Equal(t, 2, w.fetches)

	require.Equal(t, channel.Failed, prepaid().Outcome, "a refusal under a certificate that is known is one")
	w.set(func() { w.refusedBy = "99" })
	require.Equal(t, channel.Failed, prepaid().Outcome, "and one under a name that is on no list, once that was looked at")
	require.Equal(t, 3, w.fetches)
	w.set(func() { w.listText = func(*testing.T) string { return "not now" } })
	require.Equal(t, channel.Unknown, prepaid().Outcome, "while the list cannot be had, nobody can tell")
}

// TestUnknownSerialsDoNotFlood: anybody can name a serial in a notification.
func TestUnknownSerialsDoNotFlood(t *testing.T) {
	t.Parallel()
	first := certify(t, testKeys().wechat, 0x11, time.Now().AddDate(1, 0, 0))
	w := &world{listed: []certified{first}, signs: first}
	a := certificateMode(t, w, false)
	require.Equal(t, channel.Succeeded, outcome(t, a).Outcome)
	body := envelope(t, "TRANSACTION.SUCCESS", "transaction", tradeNotice, testAPIKey)
	notify := func(serial string) error {
		request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, testNotify, nil)
		seal(request.Header, body, testKeys().wechat, serial, time.Now())
		_, err := a.ReadNotification(t.Context(), request, []byte(body))
		return err
	}
	require.NoError(t, notify(first.serial))
	for i := range 50 {
		require.Error(t, notify(fmt.Sprintf("AB%02d", i)))
	}
	require.Equal(t, 1+3, w.fetches, "three at once")
	w.set(func() { w.clock = w.clock.Add(21 * time.Second) })
	for i := range 50 {
		require.Error(t, notify(fmt.Sprintf("AB%02d", i)))
		require.Error(t, notify("PUB_KEY_ID_1"))
	}
	require.Equal(t, 1+3+1, w.fetches, "and one in twenty seconds")
	require.NoError(t, notify(first.serial))
}

// TestAListIsBelievedOnlyWhole: whoever signs it must be in it, and every entry
// must open. Without a list nothing is sent at all.
func TestAListIsBelievedOnlyWhole(t *testing.T) {
	t.Parallel()
	later := time.Now().AddDate(1, 0, 0)
	first, stranger := certify(t, testKeys().wechat, 0x11, later), certify(t, testKeys().stranger, 0x22, later)
	expired := certify(t, testKeys().wechat, 0x33, time.Now().Add(-time.Minute))
	for name, w := range map[string]*world{
		"signed by one that is not listed": {listed: []certified{first}, signs: stranger},
		"signed by another's key":          {listed: []certified{first}, signs: certified{testKeys().stranger, first.serial, ""}},
		"not signed":                       {listed: []certified{first}, signs: first, spoil: func(w http.ResponseWriter) { w.Header().Del("Wechatpay-Signature") }},
		"a probe": {listed: []certified{first}, signs: first, spoil: func(w http.ResponseWriter) {
			w.Header().Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+w.Header().Get("Wechatpay-Signature"))
		}},
		"another's serial": {listed: []certified{{first.key, "99", first.text}}, signs: certified{first.key, "99", ""}},
		"empty":            {signs: first},
		"no list":          {signs: first, listText: func(*testing.T) string { return `{"data":1}` }},
	} {
		a := certificateMode(t, w, false)
		got := outcome(t, a)
		require.Equal(t, channel.Unknown, got.Outcome, name)
		require.Equal(t, channel.CodeNotSent, got.Code, name)
		require.NotContains(t, got.Message, testAPIKey)
		for range 9 {
			_ = outcome(t, a)
		}
		require.Equal(t, 3, w.fetches, "%s: three at once", name)
	}
	w := &world{listed: []certified{expired}, signs: expired}
	require.Equal(t, channel.CodeBadSignature, outcome(t, certificateMode(t, w, false)).Code, "one that is not in force signs nothing")
}

// TestBothKindsOfKey, as while a merchant changes over: calls name the public
// key, and notifications under a certificate are read too.
func TestBothKindsOfKey(t *testing.T) {
	t.Parallel()
	first := certify(t, testKeys().stranger, 0x11, time.Now().AddDate(1, 0, 0))
	public := certified{testKeys().wechat, testKeyID, ""}
	w := &world{listed: []certified{first}, signs: public}
	a := certificateMode(t, w, true)
	require.Equal(t, channel.Succeeded, outcome(t, a).Outcome)
	require.Zero(t, w.fetches, "the public key suffices")
	body := envelope(t, "TRANSACTION.SUCCESS", "transaction", tradeNotice, testAPIKey)
	for serial, key := range map[string]*rsa.PrivateKey{first.serial: first.key, testKeyID: testKeys().wechat} {
		request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, testNotify, nil)
		seal(request.Header, body, key, serial, time.Now())
		_, err := a.ReadNotification(t.Context(), request, []byte(body))
		require.NoError(t, err, serial)
	}
	require.Equal(t, 1, w.fetches)
	w.set(func() { w.signs = first })
	require.Equal(t, channel.Succeeded, outcome(t, a).Outcome)
}

// TestCardsAreSealedForTheCertificateInForce.
func TestCardsAreSealedForTheCertificateInForce(t *testing.T) {
	t.Parallel()
	first := certify(t, testKeys().wechat, 0x11, time.Now().AddDate(1, 0, 0))
	w := &world{listed: []certified{first}, signs: first}
	a := certificateMode(t, w, false)
	require.NoError(t, a.platform.ensure(t.Context()))
	sealed, err := a.encrypt(t.Context(), testCard)
	require.NoError(t, err)
	sent := opened(t, map[string]any{"bank_account": sealed})
	require.Equal(t, "sealed "+testCard, sent["bank_account"])
}
