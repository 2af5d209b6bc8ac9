//go:build slow

package event

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

// The size of the run, and what decides it.
var (
	killEvents = flag.Int("hooks.events", 240, "events sent by senders that are killed")
	killKills  = flag.Int("hooks.kills", 3, "senders killed with SIGKILL")
	killSeed   = flag.Uint64("hooks.seed", 7, "decides which sender is killed when")
)

// faults are what half of the receivers do until they recover.
func faults() []string {
	return []string{"5xx", "timeout", "reset", "slow", "410", "redirect", "wrong certificate", "huge answer", "flaky", "busy"}
}

// receiver is an endpoint's other side. It holds every message against the
// reference library of Standard Webhooks and against what came before.
type receiver struct {
	tenant, endpoint, fault string
	noun                    string
	well                    atomic.Bool
	canary                  string
	mu                      sync.Mutex
	secrets                 []string
	bytes                   map[string][32]byte // of each message, the first time
	taken                   map[string]int      // how often 2xx was answered
	messages, rotating      int
	wrong                   []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender was killed while it wrote
	}
	accept := r.judge(req, body)
	if accept {
		return // 200
	}
	switch r.fault {
	case "5xx", "flaky":
		http.Error(w, "trouble", http.StatusBadGateway)
	case "timeout":
		<-req.Context().Done()
	case "reset":
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	case "slow":
		<-time.After(1200 * time.Millisecond)
		w.WriteHeader(http.StatusServiceUnavailable)
	case "410":
		w.WriteHeader(http.StatusGone)
	case "redirect":
		http.Redirect(w, req, r.canary, http.StatusTemporaryRedirect)
	case "huge answer":
		w.WriteHeader(http.StatusInternalServerError)
		for chunk := make([]byte, 32<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	case "busy":
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}
}

// judge records a message and says whether it is taken.
func (r *receiver) judge(req *http.Request, body []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages++
	messageID, verified := req.Header.Get("webhook-id"), 0
	for _, secret := range r.secrets {
		reference, err := webhooks.NewWebhook(secret)
		if err == nil && reference.Verify(body, req.Header) == nil {
			verified++
		}
	}
	if verified == 0 {
		r.wrong = append(r.wrong, messageID+" does not verify")
	}
	if verified == 2 {
		r.rotating++
	}
	sum := sha256.Sum256(body)
	if first, known := r.bytes[messageID]; known && first != sum {
		r.wrong = append(r.wrong, messageID+" has other bytes")
	}
	r.bytes[messageID] = sum
	accept := r.fault == "" || r.well.Load() || r.fault == "flaky" && r.messages%2 == 0
	if accept {
		r.taken[messageID]++
	}
	return accept
}

// world is the receivers, the senders and what was done to them.
type world struct {
	*testing.T
	db        *pgtest.Database
	receivers []*receiver
	roots     string
	random    *rand.Rand
	senders   []*exec.Cmd
	canary    atomic.Int64
}

func TestWebhooksUnderKills(t *testing.T) {
	t.Parallel()
	w := &world{T: t, db: pgtest.New(t), random: rand.New(rand.NewPCG(*killSeed, *killSeed))}
	began := time.Now()
	w.receive()
	for range 2 {
		w.senders = append(w.senders, w.sender())
	}
	t.Cleanup(func() {
		for _, s := range w.senders {
			_ = s.Process.Kill()
			_ = s.Wait()
		}
	})
	// The receivers recover after two thirds of the kills.
	for n := range *killKills {
		w.emit(*killEvents*n / *killKills, *killEvents*(n+1) / *killKills)
		w.progress()
		w.kill()
		switch n {
		case *killKills / 2:
			w.rotate()
		case *killKills * 2 / 3:
			w.recover()
		}
	}
	w.settle()
	w.judge(time.Since(began))
}

// receive opens ten healthy receivers and ten with faults, five to a tenant.
func (w *world) receive() {
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { w.canary.Add(1) }))
	w.Cleanup(canary.Close)
	nouns := []string{"payment", "refund", "withdrawal", "hold", "transfer"}
	var tenant string
	for n := range 20 {
		if n%5 == 0 {
			tenant = newTenant(w.T, w.db)
		}
		r := &receiver{tenant: tenant, noun: nouns[n%5], canary: canary.URL, bytes: map[string][32]byte{}, taken: map[string]int{}}
		if n%2 == 1 {
			r.fault = faults()[n/2]
		}
		server := httptest.NewUnstartedServer(r)
		if r.fault == "wrong certificate" {
			w.certify(server, r)
		} else {
			server.Start()
		}
		w.Cleanup(func() { server.CloseClientConnections(); server.Close() })
		endpoint, secret := newEndpoint(w.T, w.db, tenant, NewEndpoint{URL: server.URL, Types: []Pattern{Pattern(r.noun + ".*")}})
		r.endpoint, r.secrets = endpoint.ID, []string{secret}
		w.receivers = append(w.receivers, r)
	}
}

// certify has a receiver show a certificate for another name until it is well.
func (w *world) certify(server *httptest.Server, r *receiver) {
	bad := selfSigned(w.T)
	var good tls.Certificate
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		shown := bad
		if r.well.Load() {
			shown = good
		}
		return &tls.Config{Certificates: []tls.Certificate{shown}, MinVersion: tls.VersionTLS12}, nil
	}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a refused handshake is what is wanted
	server.StartTLS()
	good = server.TLS.Certificates[0]
	w.roots = filepath.Join(w.TempDir(), "roots.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(w, os.WriteFile(w.roots, text, 0o600))
}

func (w *world) sender() *exec.Cmd {
	sender := exec.Command(os.Args[0], killedArg, w.db.URL, w.roots)
	sender.Stderr = os.Stderr
	require.NoError(w, sender.Start())
	return sender
}

// emit records the events from the first to before the last, a hundred at a time,
// of few objects, so that their sequences grow.
func (w *world) emit(first, last int) {
	types := map[string]Type{"payment": PaymentSucceeded, "refund": RefundFailed, "withdrawal": WithdrawalSucceeded,
		"hold": HoldPlaced, "transfer": TransferSucceeded}
	objects := map[string]string{}
	for at := first; at < last; at += 100 {
		news := map[string][]News{}
		for n := at; n < min(at+100, last); n++ {
			r := w.receivers[n%len(w.receivers)]
			key := fmt.Sprint(r.noun, n%(37*len(w.receivers)))
			if objects[key] == "" {
				objects[key] = id.New(id.Prefix(r.noun[:3]))
			}
			news[r.tenant] = append(news[r.tenant], News{Type: types[r.noun], ObjectID: objects[key]})
		}
		for tenant, list := range news {
			require.NoError(w, w.db.DB.InTenant(w.Context(), tenant, func(tx pgx.Tx) error { return Tell(w.Context(), tx, tenant, list...) }))
		}
	}
}

// progress waits until the senders have delivered something more, and then for a
// random moment in the middle of what they do.
func (w *world) progress() {
	before := w.count(`select count(*) from webhook_attempts`)
	require.Eventually(w, func() bool { return w.count(`select count(*) from webhook_attempts`) > before }, time.Minute, 20*time.Millisecond)
	<-time.After(time.Duration(w.random.IntN(400)) * time.Millisecond)
}

func (w *world) kill() {
	i := w.random.IntN(len(w.senders))
	require.NoError(w, w.senders[i].Process.Kill())
	_ = w.senders[i].Wait()
	w.senders[i] = w.sender()
}

func (w *world) rotate() {
	for _, r := range w.receivers {
		// Held while the new one is made, so that no message is judged by the old list.
		r.mu.Lock()
		require.NoError(w, w.db.DB.InTenant(w.Context(), r.tenant, func(tx pgx.Tx) error {
			fresh, err := RotateSecret(w.Context(), tx, box(), r.tenant, r.endpoint)
			r.secrets = append(r.secrets, fresh)
			return err
		}))
		r.mu.Unlock()
	}
}

// recover makes every receiver well. The one that answered 410 is made active by its
// tenant, who also asks for what it missed.
func (w *world) recover() {
	for _, r := range w.receivers {
		if r.fault != "410" {
			r.well.Store(true)
			continue
		}
		require.Eventually(w, func() bool { return endpointNow(w.T, w.db, r.tenant, r.endpoint).Status == EndpointDisabled },
			time.Minute, 50*time.Millisecond)
		require.Len(w, told(w.T, w.db, r.tenant, WebhookEndpointDisabled), 1)
		r.well.Store(true) // not before, or it never answers 410 to a sender that comes late
		_, err := change(w.T, w.db, r.tenant, r.endpoint, EndpointChange{Status: new(EndpointActive)})
		require.NoError(w, err)
		require.NoError(w, w.db.DB.InTenant(w.Context(), r.tenant, func(tx pgx.Tx) error {
			_, err := StartRedelivery(w.Context(), tx, r.tenant, NewRedelivery{EndpointID: r.endpoint,
				CreatedFrom: time.Now().Add(-24 * time.Hour), CreatedTo: time.Now().Add(time.Hour), Scope: RedeliverMissed})
			return err
		}))
	}
}

// settle waits until nothing is left to do, as the sweep and the senders do it.
func (w *world) settle() {
	require.Eventually(w, func() bool {
		advance(w.T, w.db)
		return w.count(`select (select count(*) from webhook_redeliveries where status = 'running') +
			(select count(*) from webhook_deliveries where status = 'pending')`) == 0
	}, time.Minute+time.Duration(*killEvents)*50*time.Millisecond, 200*time.Millisecond)
}

func (w *world) count(sql string) (n int) {
	require.NoError(w, w.db.Pool.QueryRow(w.Context(), sql).Scan(&n))
	return n
}

// judge compares what was recorded with what arrived, endpoint by endpoint.
func (w *world) judge(took time.Duration) {
	events, repeats, twice, messages, rotating := 0, 0, 0, 0, 0
	for _, r := range w.receivers {
		rows, err := w.db.Pool.Query(w.Context(), `select id from events where tenant_id = $1 and type like $2 || '.%'`, r.tenant, r.noun)
		require.NoError(w, err)
		wanted, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(w, err)
		r.mu.Lock()
		require.Empty(w, r.wrong, r.fault)
		require.Len(w, r.taken, len(wanted), "%s: every event and no other", r.fault)
		for _, eventID := range wanted {
			require.Positive(w, r.taken[eventID], "%s: %s never arrived", r.fault, eventID)
			twice += r.taken[eventID] - 1
		}
		events, messages, rotating = events+len(wanted), messages+r.messages, rotating+r.rotating
		repeats += r.messages - len(r.bytes)
		r.mu.Unlock()
	}
	require.Equal(w, *killEvents, events)
	require.Zero(w, w.count(`select count(*) from webhook_deliveries where status <> 'delivered'`))
	require.Zero(w, w.canary.Load(), "a redirect was followed")
	require.Zero(w, w.count(`select count(*) from (
		select 1 from events group by tenant_id, object_id having count(*) <> max(sequence)) gaps`))
	if *killKills >= 10 {
		require.Positive(w, twice, "no sender was killed between a 2xx and its record")
	}
	w.Logf("seed %d: %d events, %d senders killed, %s; %d messages, all verified by the reference library, %d with two signatures; "+
		"%d repetitions with the same id and bytes, %d of them after a 2xx; every event arrived at its endpoint (faults: %s)",
		*killSeed, events, *killKills, took.Round(time.Second), messages, rotating, repeats, twice, strings.Join(faults(), ", "))
}

// selfSigned is a certificate for a name that is nobody's, signed by nobody.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"other.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(cryptorand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
