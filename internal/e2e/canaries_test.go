package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/core/access"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/telemetry/tracetest"
)

// How many people the canaries are, and which.
var (
	canaryPeople = flag.Int("canaries.people", 3, "payees, payers and cards of each kind among the canaries")
	canarySeed   = flag.Uint64("canaries.seed", 7, "seed of the canaries")
	canaryServer = flag.Bool("canaries.postgres", false, "run Temporal's server of production on PostgreSQL, not the development server on SQLite")
)

// canaries are texts that may be in no place where somebody reads who has no business
// with them, by what they are.
type canaries struct {
	random *rand.Rand
	hidden map[string]string
}

func (c *canaries) keep(what, text string) string {
	c.hidden[fmt.Sprintf("%s %d", what, len(c.hidden)+1)] = text
	return text
}

func (c *canaries) digits(n int) string {
	var text strings.Builder
	for range n {
		text.WriteString(strconv.Itoa(c.random.IntN(10)))
	}
	return text.String()
}

// word are letters and digits that nobody else writes.
func (c *canaries) word(n int) string {
	const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	text := make([]byte, n)
	for i := range text {
		text[i] = letters[c.random.IntN(len(letters))]
	}
	return string(text)
}

func (c *canaries) name() string {
	rare := []rune("龘靐齉爩麤灪龖厵癵驫麷鱻爨籲滟")
	text := make([]rune, 4)
	for i := range text {
		text[i] = rare[c.random.IntN(len(rare))]
	}
	return c.keep("name", string(text))
}

func (c *canaries) phone() string { return c.keep("phone", "139"+c.digits(8)) }

func (c *canaries) mail() string { return c.keep("mail", c.word(16)) + "@example.com" }

func (c *canaries) idCard() string { return c.keep("identity card", "110105"+c.digits(11)+"X") }

func (c *canaries) card() string { return c.keep("bank card", "622202"+c.digits(13)) }

func (c *canaries) openID() string { return c.keep("openid", "o"+c.word(27)) }

func (c *canaries) buyerID() string { return c.keep("buyer id", "2088"+c.digits(12)) }

func (c *canaries) ip() string {
	return c.keep("address", fmt.Sprintf("198.51.%d.%d", 100+c.random.IntN(100), 100+c.random.IntN(100)))
}

// spellings are the ways in which a text can lie somewhere: as it is, escaped, in
// hexadecimal (as dumps write bytes) and in base64, wherever in a longer text it begins.
func spellings(text string) []string {
	escaped := strconv.QuoteToASCII(text)
	all := []string{text, escaped[1 : len(escaped)-1], url.QueryEscape(text), hex.EncodeToString([]byte(text)),
		strings.ToUpper(hex.EncodeToString([]byte(text)))}
	for shift := range 3 {
		coded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), text...))
		all = append(all, coded[4*((shift+2)/3):len(coded)-4])
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return len(s) < 8 && s != text })
}

// in names the canaries that are found in a text.
func (c *canaries) in(text []byte) (found []string) {
	for _, what := range slices.Sorted(maps.Keys(c.hidden)) {
		for _, spelling := range spellings(c.hidden[what]) {
			if bytes.Contains(text, []byte(spelling)) {
				found = append(found, what)
				break
			}
		}
	}
	return found
}

// notebook is a place where many write.
type notebook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notebook) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notebook) bytes() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return bytes.Clone(n.text.Bytes())
}

// mine is a world in which canaries go about, and the places where they are looked for.
type mine struct {
	*world
	*canaries
	logs, answers, hooks *notebook
	keeps                keptTemporal
	// planted is the event that was leaked into on purpose.
	planted string
}

func newMine(t *testing.T) *mine {
	t.Helper()
	m := &mine{canaries: &canaries{random: rand.New(rand.NewPCG(*canarySeed, 0)), hidden: map[string]string{}},
		logs: &notebook{}, answers: &notebook{}, hooks: &notebook{}}
	start := keptInSQLite
	if *canaryServer {
		start = keptInPostgreSQL
	}
	m.world = newWorld(t, unguarded, func(w *world) {
		m.keeps = start(w.ctx, t, t.TempDir())
		w.temporalAt = m.keeps.address
		w.collector = tracetest.New(t)
		w.log = slog.New(slog.NewJSONHandler(m.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	m.secrets()
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.Header.Write(m.hooks)
		_, _ = io.Copy(m.hooks, r.Body)
	}))
	t.Cleanup(hook.Close)
	endpoint := m.ask("POST", "/v1/webhook_endpoints", map[string]any{"url": hook.URL}, once)
	m.keep("signing secret", field(t, endpoint, "secret"))
	m.keep("signing secret", field(t, m.ask("POST", "/v1/webhook_endpoints/"+field(t, endpoint, "id")+"/rotate_secret", nil, once), "secret"))
	m.dispatch()
	return m
}

// dispatch starts a sender of webhooks.
func (m *mine) dispatch() {
	dispatcher := event.NewDispatcher(m.openPool(), event.DispatcherOptions{Log: m.log, Box: m.box(), Traces: m.traces,
		Guard: event.NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil)})
	ctx, cancel := context.WithCancel(m.ctx)
	var running sync.WaitGroup
	running.Go(func() { dispatcher.Run(ctx) })
	m.Cleanup(func() { cancel(); running.Wait() })
}

// secrets are canaries that the platform has already.
func (m *mine) secrets() {
	m.Helper()
	m.keep("API key", m.seed.APIKey)
	m.keep("operator's key", m.seed.OperatorKey)
	master, err := os.ReadFile(m.channels.MasterKeyFile)
	require.NoError(m, err)
	m.keep("master key", strings.TrimSpace(string(master)))
	for _, account := range []string{m.seed.Alipay.ChannelAccountID, m.seed.WeChatPay.ChannelAccountID} {
		c, err := app.CurrentCredentials(m.ctx, m.db.DB, m.box(), m.seed.TenantID, account)
		require.NoError(m, err)
		lines := strings.Fields(c.PrivateKey)
		m.keep("private key", strings.Trim(lines[len(lines)/2], "-"))
		if c.APIv3Key != "" {
			m.keep("APIv3 key", c.APIv3Key)
		}
	}
}

// once marks an answer that shows a secret, which is not looked through.
const once = true

// ask sends a request and keeps the answer, whatever it is.
func (m *mine) ask(method, path string, body any, shown ...bool) []byte {
	m.Helper()
	return m.askAs(m.seed.APIKey, method, path, body, shown...)
}

func (m *mine) askAs(key, method, path string, body any, shown ...bool) []byte {
	m.Helper()
	var content io.Reader = http.NoBody
	if body != nil {
		encoded, err := json.Marshal(body)
		require.NoError(m, err)
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(m.ctx, method, m.apis[m.number.Load()%2]+path, content)
	require.NoError(m, err)
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Idempotency-Key", m.ref("canary"))
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(m, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(m, err)
	if len(shown) == 0 {
		_ = response.Header.Write(m.answers)
		_, err = m.answers.Write(answer)
		require.NoError(m, err)
	}
	return answer
}

func field(t *testing.T, answer []byte, name string) string {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal(answer, &object), "%s", answer)
	text, ok := object[name].(string)
	require.True(t, ok, "%s", answer)
	return text
}

// people send canaries wherever the platform takes what is personal, right and wrong.
func (m *mine) people() {
	m.Helper()
	for i := range *canaryPeople {
		account := m.phone()
		if i%2 == 1 {
			account = m.mail()
		}
		m.payee(account, m.name())
		m.payers()
		m.redirected()
		m.mistakes()
	}
}

func (m *mine) payee(account, name string) {
	m.Helper()
	ref := m.ref("payee")
	merchant := field(m.T, m.ask("POST", "/v1/merchants", map[string]any{"reference": ref, "name": ref, "settlement": "T0",
		"payout_account": map[string]any{"channel": "alipay", "account": account, "name": name}}), "id")
	order := m.order(wechatpay, 9000)
	order.MerchantID = merchant
	p := m.paymentIs(m.post(order).ID, client.PaymentStatusAwaitingPayer)
	m.pay(p, false)
	m.paymentIs(p.ID, client.PaymentStatusSucceeded)
	m.topUp(9000)
	out := m.withdraw(merchant, 9000)
	m.await("the end of the withdrawal", func() (bool, any) {
		w := m.withdrawal(out.ID)
		return w.Status != client.WithdrawalStatusProcessing, w
	})
	m.ask("GET", "/v1/withdrawals/"+out.ID, nil)
	m.ask("GET", "/v1/merchants", nil)
	admin := m.newAdmin()
	m.askAs(admin, "POST", "/v1/merchants/"+merchant+"/unmask_payee", map[string]any{"reason": "a look"}, once)
	if m.number.Load()%2 == 0 {
		m.ask("POST", "/v1/merchants/"+merchant+"/forget_payee", map[string]any{"reason": "asked"})
	}
}

// newAdmin is a person who may look at payees.
func (m *mine) newAdmin() (key string) {
	m.Helper()
	require.NoError(m, m.db.DB.AsSystem(m.ctx, func(tx pgx.Tx) error {
		who, err := access.Create(m.ctx, tx, m.seed.TenantID, access.Principal{Kind: access.Operator, Name: "ops", Roles: []access.Role{access.Admin}})
		if err != nil {
			return err
		}
		made, secret, err := tenant.CreateKey(m.ctx, tx, m.seed.TenantID, tenant.NewKey{Name: "ops", Scopes: []string{tenant.AllScopes}})
		if err != nil {
			return err
		}
		key = m.keep("API key", secret)
		return access.BindKey(m.ctx, tx, m.seed.TenantID, made.ID, who.ID)
	}))
	return key
}

// payers are paying: some to the end, some not.
func (m *mine) payers() {
	m.Helper()
	for provider, method := range map[string]client.PaymentMethod{
		wechatpay: {Product: client.ProductJsapi, PayerID: ptr(m.openID())},
		alipay:    {Product: client.ProductJsapi, PayerID: ptr(m.buyerID())},
	} {
		order := m.order(provider, 700)
		method.Channel = client.Channel(provider)
		order.Method = &method
		p := m.post(order)
		if provider == alipay { // WeChat Pay does not know these payers, and says so in an error
			p = m.paymentIs(p.ID, client.PaymentStatusAwaitingPayer)
			m.pay(p, false)
			m.paymentIs(p.ID, client.PaymentStatusSucceeded)
		}
		m.ask("GET", "/v1/payments/"+p.ID, nil)
		m.ask("GET", "/v1/payments/"+p.ID+"/timeline", nil)
	}
	order := m.order(wechatpay, 800)
	order.Method = &client.PaymentMethod{Channel: client.Channel(wechatpay), Product: client.ProductWap, PayerIP: ptr(m.ip()),
		ReturnURL: ptr("https://shop.example.com/back")}
	m.paymentIs(m.post(order).ID, client.PaymentStatusAwaitingPayer)
	order = m.order(alipay, 900)
	order.Method = &client.PaymentMethod{Channel: client.Channel(alipay), Product: client.ProductBarcode,
		AuthCode: ptr(m.keep("code", m.codeOn(alipay, "pay")))}
	m.paymentIs(m.post(order).ID, client.PaymentStatusSucceeded)
}

// redirected is a refund that goes to a card.
func (m *mine) redirected() {
	m.Helper()
	r := m.abnormal(100)
	m.ask("POST", "/v1/refunds/"+r.ID+"/redirect", map[string]any{"to": "payer_card",
		"card": map[string]any{"bank": "ICBC_DEBIT", "number": m.card(), "holder": m.name()}})
	m.refundIs(r.ID, client.RefundStatusSucceeded)
	m.ask("GET", "/v1/refunds/"+r.ID, nil)
}

// mistakes are requests that are refused: no answer repeats what was wrong.
func (m *mine) mistakes() {
	m.Helper()
	merchant := func(account, name string) map[string]any {
		return map[string]any{"reference": m.ref("wrong"), "name": "n", "settlement": "T0",
			"payout_account": map[string]any{"channel": "alipay", "account": account, "name": name}}
	}
	m.ask("POST", "/v1/merchants", merchant(m.idCard(), m.name()))
	m.ask("POST", "/v1/merchants", merchant("13800138000", m.name()+"\n"))
	m.ask("POST", "/v1/payments", map[string]any{"merchant_id": m.shop.id, "reference": m.ref("wrong"), "subject": "s",
		"amount": map[string]any{"amount": 1, "currency": "CNY"},
		"method": map[string]any{"channel": "wechatpay", "product": "wap", "payer_ip": "999." + m.ip()}})
	m.ask("POST", "/v1/refunds/"+id.New(id.Refund)+"/redirect", map[string]any{"to": "payer_card",
		"card": map[string]any{"bank": "ICBC_DEBIT", "number": "x" + m.card(), "holder": m.name()}})
	m.askAs(m.keep("API key", "sk_test_"+m.word(40)), "GET", "/v1/payments", nil)
}

// reconcile downloads the day's bills, which name payers.
func (m *mine) reconcile(date string) {
	m.Helper()
	m.moveClock(noonOf(m.now(), 1))
	daily := m.daily(date)
	m.dailyIsDone(daily.ID)
	for _, r := range m.reconciliations(daily.ID) {
		m.ask("GET", "/v1/reconciliations/"+r.ID+"/discrepancies", nil)
	}
	require.Equal(m, int64(2), m.count(`select count(*) from bill_files where sealed and length(raw) > 500`))
}

// places are all where canaries are looked for.
func (m *mine) places() map[string]func() []byte {
	places := map[string]func() []byte{
		"logs":         m.logs.bytes,
		"answers":      m.answers.bytes,
		"webhooks":     m.hooks.bytes,
		"metrics":      m.measured,
		"traces":       m.collector.Bytes,
		"audit log":    func() []byte { return m.ask("GET", "/v1/audit_entries?limit=100", nil) },
		"audit export": func() []byte { return m.ask("GET", "/v1/audit_entries?format=csv", nil) },
		"database":     func() []byte { return dumpOf(m.ctx, m.T, m.db.URL) },
	}
	maps.Copy(places, m.keeps.places)
	return places
}

// measured is what Prometheus would fetch.
func (w *world) measured() (all []byte) {
	for _, metrics := range w.metrics {
		w := httptest.NewRecorder()
		metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		all = append(all, w.Body.Bytes()...)
	}
	return all
}

// Secrets and personal data that go through the platform, right and wrong, are nowhere
// in the clear: not in logs, metrics, traces, answers, webhooks, the audit log and its export, nor
// in what either database holds. The search is shown to find each of them in each place.
func TestCanariesAreNowhere(t *testing.T) {
	m := newMine(t)
	date := m.day()
	m.people()
	m.reconcile(date)
	m.await("webhooks", func() (bool, any) {
		return bytes.Count(m.hooks.bytes(), []byte("payment.succeeded")) > 3, len(m.hooks.bytes())
	})
	require.NotContains(t, string(m.hooks.bytes()), "Traceparent", "a tenant's system learns nothing of our traces")
	m.collector.Require("webhook", "suanpan.webhook.outcome", "delivered")
	require.GreaterOrEqual(t, len(m.hidden), 50)
	places := m.places()
	for _, place := range slices.Sorted(maps.Keys(places)) {
		text := places[place]()
		require.NotEmpty(t, text, place)
		found := m.in(text)
		require.Empty(t, found, place)
		t.Logf("%d canaries, none in %d bytes of the %s", len(m.hidden), len(text), place)
	}
	m.plant()
	for _, place := range slices.Sorted(maps.Keys(places)) {
		m.await("the planted canary in the "+place, func() (bool, any) {
			found := m.in(places[place]())
			return slices.ContainsFunc(found, func(what string) bool { return strings.HasPrefix(what, "planted") }), found
		})
	}
	for _, table := range []string{"webhook_attempts", "webhook_deliveries"} { // or the judgement finds it too
		_, err := m.db.Pool.Exec(m.ctx, `delete from `+table+` where event_id = $1`, m.planted)
		require.NoError(t, err)
	}
	_, err := m.db.Pool.Exec(m.ctx, `delete from events where id = $1`, m.planted)
	require.NoError(t, err)
}

// plant leaks one canary in every place, as a mistake in the code would.
func (m *mine) plant() {
	m.Helper()
	leak := m.keep("planted", "leak"+m.word(20))
	m.planted = id.New(id.Event)
	m.log.Debug("a mistake", "payee", leak)
	m.metrics[0].Channels.Refused("alipay", leak, "breaker")
	_, call := m.traces.Call(m.ctx, "alipay", "chn_A", "prepay")
	call.Answered("failed", leak, "", false)
	call.End()
	m.ask("GET", "/v1/payments?reference="+leak, nil)
	_, err := m.answers.Write([]byte(leak))
	require.NoError(m, err)
	_, err = m.db.Pool.Exec(m.ctx, `update merchants set reference = $2 where id = $1`, m.shop.agent, leak)
	require.NoError(m, err)
	// Past the check of event.Emit, which takes ids and statuses only.
	_, err = m.db.Pool.Exec(m.ctx, `
		with told as (insert into events (tenant_id, id, type, object_id, sequence, data)
		  values ($1, $2, 'payment.closed', $3, 1, jsonb_build_object('name', $4::text)) returning tenant_id, id)
		insert into webhook_deliveries (tenant_id, event_id, endpoint_id)
		select t.tenant_id, t.id, e.id from told t join webhook_endpoints e on e.tenant_id = t.tenant_id`,
		m.seed.TenantID, m.planted, id.New(id.Payment), leak)
	require.NoError(m, err)
	m.played = true // this one is not ours to replay
	plain, err := temporal.Dial(temporal.Options{HostPort: m.core.TemporalAddress, Namespace: m.core.TemporalNamespace})
	require.NoError(m, err)
	defer plain.Close()
	_, err = plain.ExecuteWorkflow(m.ctx, temporal.StartWorkflowOptions{ID: "planted", TaskQueue: "nobody",
		Memo: map[string]any{"note": leak}}, "Planted", leak)
	require.NoError(m, err)
	require.NoError(m, plain.TerminateWorkflow(m.ctx, "planted", "", "shown"))
}
