package e2e_test

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/sandbox/keys"
)

var (
	attacks    = flag.Int("attacks", 1200, "how many notifications TestForgedNotifications sends")
	attackSeed = flag.Uint64("attack-seed", 1, "draws them")
)

// attackers is how many connections attack at once.
const attackers = 16

// fate is what must become of an attack.
type fate int

const (
	// refused: "send again", and no row anywhere.
	refused fate = iota
	// audited: "send again" and an audit row, because the provider signed it.
	audited
	// repeated: it is a true one that came before: whatever the answer, no effect.
	repeated
)

// attack is one request and what must become of it.
type attack struct {
	kept
	method string
	fate   fate
}

// class is one way to attack; make draws an attack.
type class struct {
	name string
	make func(f *forger) attack
}

// target is a trade that attackers know everything about.
type target struct {
	number, refund string
	fen            int64
	provider, path string
}

// scene is what an attacker can know and have at most: all trades, every
// notification ever sent, and orders of the attacker's own that the provider
// signs. Only the provider's keys are not the attacker's; classes that use them
// stand for what the provider would sign about somebody else's order.
type scene struct {
	*world
	keys *keys.Keys
	// alipayKey is the provider's too.
	alipayKey *rsa.PrivateKey
	foreign   *rsa.PrivateKey
	apiV3Key  string
	// targets and genuine are by provider, strangers' are another tenant's.
	targets   map[string][]target
	genuine   map[string][]kept
	strangers map[string][]kept
	stranger  map[string]target
	accounts  []string
}

// forger draws one attack.
type forger struct {
	*scene
	*mathrand.Rand
	provider string
}

// TestForgedNotifications: none of them is believed, and afterwards every row
// that could have changed is what it was.
func TestForgedNotifications(t *testing.T) {
	w := newWorld(t)
	s := w.openScene()
	var classes []class
	for _, provider := range []string{alipay, wechatpay} {
		for _, c := range slices.Concat(commonClasses(), map[string][]class{alipay: alipayClasses(), wechatpay: wechatClasses()}[provider]) {
			classes = append(classes, class{provider + ": " + c.name, func(f *forger) attack {
				f.provider = provider
				return c.make(f)
			}})
		}
	}
	order := make([]int, *attacks)
	for i := range order {
		order[i] = i % len(classes)
	}
	mathrand.New(mathrand.NewPCG(*attackSeed, 0)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })

	before, audit := s.everything(), s.auditRows()
	tally := newTally(classes)
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: attackers}}
	defer web.CloseIdleConnections()
	began := time.Now()
	var next atomic.Int64
	var calls sync.WaitGroup
	for range attackers {
		calls.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(order) {
					return
				}
				f := &forger{scene: s, Rand: mathrand.New(mathrand.NewPCG(*attackSeed, uint64(i)+1))}
				a := classes[order[i]].make(f)
				sent := time.Now()
				status, answer, err := a.strike(web, s.apis[i%2])
				tally.note(classes[order[i]].name, a, status, answer, time.Since(sent), err)
			}
		})
	}
	calls.Wait()
	took := time.Since(began)
	t.Log(tally.report(*attackSeed, took))
	require.Empty(t, tally.wrong, "attacks that did not end as they must")
	w.await("every notification is handled", func() (bool, any) {
		n := w.count(`select count(*) from notifications where handled_at is null`)
		return n == 0, n
	})
	require.Equal(t, before, s.everything(), "the rows before and after")
	left := s.auditRows() - audit
	require.LessOrEqual(t, left, int64(tally.audited), "audit rows")
	require.GreaterOrEqual(t, left, int64(tally.audited-tally.slow), "audit rows, but of those given up because the machine is busy")
	for _, c := range classes {
		require.Positive(t, tally.sent[c.name], "every class was tried: %s", c.name)
	}
	for _, provider := range []string{alipay, wechatpay} {
		require.Positive(t, tally.acked[provider+": "+commonClasses()[0].name], "true ones are not refused")
	}
}

// openScene makes payments in every state at both providers, for two tenants.
func (w *world) openScene() *scene {
	w.Helper()
	w.topUp(10_000_000)
	s := &scene{world: w, targets: map[string][]target{}, genuine: map[string][]kept{}, strangers: map[string][]kept{}, stranger: map[string]target{}}
	s.loadKeys()
	var all []client.Payment
	for i, provider := range []string{alipay, wechatpay} {
		p := w.offered(provider, 1100+int64(i))
		if provider == alipay {
			w.scan(p)
		}
		all = append(all, p)
	}
	w.expire(all...)
	for i, provider := range []string{alipay, wechatpay} {
		paid, back, open := w.paid(provider, 8800+int64(i)), w.paid(provider, 6600+int64(i)), w.offered(provider, 5500+int64(i))
		w.refundIs(w.refund(back, 600).ID, client.RefundStatusSucceeded)
		for _, p := range []client.Payment{all[i], paid, back, open} {
			s.targets[provider] = append(s.targets[provider], s.targetOf(p))
		}
	}
	ours, shop := w.api, w.shop
	seed := w.seedTenant("stranger.json")
	w.api = w.clientOf(seed.APIKey)
	w.shop.id = w.newMerchant("stranger", nil, client.SettlementT0)
	for _, provider := range []string{alipay, wechatpay} {
		s.stranger[provider] = s.targetOf(w.paid(provider, 7700))
	}
	w.api, w.shop = ours, shop
	s.accounts = []string{w.seed.Alipay.ChannelAccountID, w.seed.WeChatPay.ChannelAccountID,
		seed.Alipay.ChannelAccountID, seed.WeChatPay.ChannelAccountID}
	w.await("the notifications", func() (bool, any) {
		return w.count(`select count(*) from notifications where handled_at is not null`) >= 8, len(w.notices.about(""))
	})
	for _, k := range w.notices.about("") {
		provider := strings.Split(k.path, "/")[2]
		if strings.HasSuffix(k.path, w.seed.Alipay.ChannelAccountID) || strings.HasSuffix(k.path, w.seed.WeChatPay.ChannelAccountID) {
			s.genuine[provider] = append(s.genuine[provider], k)
		} else {
			s.strangers[provider] = append(s.strangers[provider], k)
		}
	}
	for _, provider := range []string{alipay, wechatpay} {
		require.GreaterOrEqual(w, len(s.genuine[provider]), 3, "two payments' and a refund's")
		require.NotEmpty(w, s.strangers[provider])
	}
	return s
}

func (s *scene) targetOf(p client.Payment) target {
	s.Helper()
	found := target{number: s.numberOf(p.ID), fen: p.Amount.Amount, provider: string(p.Method.Channel),
		path: "/notify/" + string(p.Method.Channel) + "/" + *p.ChannelAccountID}
	rows, err := s.db.Pool.Query(s.ctx, `select number from refunds where payment_id = $1`, p.ID)
	require.NoError(s, err)
	defer rows.Close()
	for rows.Next() {
		require.NoError(s, rows.Scan(&found.refund))
	}
	return found
}

// loadKeys takes the provider's keys out of the sandbox, and the merchant's key
// that opens WeChat Pay's messages out of its books.
func (s *scene) loadKeys() {
	s.Helper()
	var err error
	s.keys, err = keys.LoadOrCreate(filepath.Join(s.sandboxDir, "keys"))
	require.NoError(s, err)
	s.alipayKey = s.keys.Alipay().Key
	s.foreign, err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(s, err)
	journal, err := os.ReadFile(filepath.Join(s.sandboxDir, "journal.jsonl"))
	require.NoError(s, err)
	_, after, found := bytes.Cut(journal, []byte(`"id":"`+s.seed.WeChatPay.MchID+`"`))
	require.True(s, found, "the merchant is in the sandbox's books")
	_, after, found = bytes.Cut(after, []byte(`"api_v3_key":"`))
	require.True(s, found)
	s.apiV3Key = string(after[:32])
}

// everything is what an accepted attack or a second effect would change.
func (s *scene) everything() map[string]string {
	s.Helper()
	found := map[string]string{}
	for name, rows := range map[string]string{
		"notifications": `select id, kind, number, amount, state from notifications`,
		"payments":      `select id, status, amount, refunded, refunding, paid_at, closed_at from payments`,
		"attempts":      `select id, number, status, paid_at, channel_trade_no from attempts`,
		"refunds":       `select id, status, refunded_at from refunds`,
		"late money":    `select * from late_receipts`,
		"workflows":     `select workflow_id from workflow_starts`,
		"entries":       `select * from entries`,
		"postings":      `select * from postings`,
		"balances":      `select * from ledger_accounts`,
		"holds":         `select * from holds`,
		"events":        `select id, type from events`,
	} {
		var digest string
		var count int64
		err := s.db.Pool.QueryRow(s.ctx,
			`select count(*), coalesce(md5(string_agg(r::text, E'\n' order by r::text)), '') from (`+rows+`) r`).Scan(&count, &digest)
		require.NoError(s, err, name)
		found[name] = fmt.Sprint(count, " rows ", digest)
	}
	ours, err := json.Marshal(s.ourMoney())
	require.NoError(s, err)
	theirs, err := json.Marshal(s.theirMoney())
	require.NoError(s, err)
	found["our money"], found["theirs"] = string(ours), string(theirs)
	return found
}

func (s *scene) auditRows() int64 {
	s.Helper()
	return s.count(`select coalesce(sum(times), 0)::bigint from refused_notifications`)
}

// strike sends the attack to an instance.
func (a attack) strike(web *http.Client, base string) (int, []byte, error) {
	request, err := http.NewRequest(cmp.Or(a.method, http.MethodPost), base+a.path, bytes.NewReader(a.body))
	if err != nil {
		return 0, nil, err
	}
	request.Header = a.header.Clone()
	response, err := web.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// tally counts what became of the attacks.
type tally struct {
	mu      sync.Mutex
	sent    map[string]int
	acked   map[string]int
	names   []string
	audited int
	// slow are those to be audited that took so long that they may have been given up.
	slow  int
	wrong []string
	waits []time.Duration
}

func newTally(classes []class) *tally {
	t := &tally{sent: map[string]int{}, acked: map[string]int{}}
	for _, c := range classes {
		t.names = append(t.names, c.name)
	}
	return t
}

func (t *tally) note(name string, a attack, status int, answer []byte, wait time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent[name]++
	t.waits = append(t.waits, wait)
	acknowledged := err == nil && (status < 300 || strings.Contains(string(answer), "success"))
	if acknowledged {
		t.acked[name]++
	}
	if a.fate == audited {
		t.audited++
		if wait >= time.Second {
			t.slow++
		}
	}
	if (err != nil || acknowledged && a.fate != repeated) && len(t.wrong) < 20 {
		t.wrong = append(t.wrong, fmt.Sprintf("%s: answered %d %.80q %v to %s %.300q", name, status, answer, err, a.path, a.body))
	}
}

func (t *tally) report(seed uint64, took time.Duration) string {
	slices.Sort(t.waits)
	var b strings.Builder
	fmt.Fprintf(&b, "%d attacks of %d classes, seed %d, in %s (%.0f a second); %d left an audit row\n", len(t.waits), len(t.names), seed,
		took.Round(time.Second/10), float64(len(t.waits))/took.Seconds(), t.audited)
	fmt.Fprintf(&b, "answers: median %s, 99 %% %s, longest %s\n", t.waits[len(t.waits)/2].Round(time.Microsecond),
		t.waits[len(t.waits)*99/100].Round(time.Microsecond), t.waits[len(t.waits)-1].Round(time.Microsecond))
	for _, name := range t.names {
		fmt.Fprintf(&b, "  %-48s %6d", name, t.sent[name])
		if t.acked[name] > 0 {
			fmt.Fprintf(&b, "  (%d true ones again, answered as such)", t.acked[name])
		}
		b.WriteString("\n")
	}
	return b.String()
}
