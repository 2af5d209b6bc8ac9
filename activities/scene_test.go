package activities_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/activities"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// provider answers what a test tells it to and counts what it was asked. before,
// when set, runs inside every call: it stands for what happens meanwhile.
type provider struct {
	mu       sync.Mutex
	before   func()
	prepaid  channel.Prepaid
	trade    channel.Trade
	closed   channel.Answer
	refunded channel.RefundState
	// byCode answers PayByCode, cancelled CancelTrade.
	byCode    channel.Trade
	cancelled channel.Cancelled
	codes     []channel.CodeOrder
	paidOut   channel.TransferState
	// redirected answers RedirectRefund.
	redirected channel.RefundState
	redirects  []channel.AbnormalRefund
	bill       channel.BillResult
	billErr    error
	asked      map[string]int
	refunds    []channel.RefundOrder
	payouts    []channel.TransferOrder
}

func (p *provider) note(what string) {
	p.mu.Lock()
	p.asked[what]++
	before := p.before
	p.mu.Unlock()
	if before != nil {
		before()
	}
}

func (p *provider) Name() string { return "alipay" }

func (p *provider) Offers() []channel.Offer { return everything() }

// everything is what the providers of these tests offer.
func everything() []channel.Offer {
	return []channel.Offer{
		{Product: channel.ProductQR, Action: channel.ActionQRCode},
		{Product: channel.ProductBarcode, Action: channel.ActionNone, Needs: []channel.Need{channel.NeedAuthCode}},
	}
}

func (p *provider) PayByCode(_ context.Context, order channel.CodeOrder) (channel.Trade, error) {
	p.note("pay by code")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes = append(p.codes, order)
	trade := p.byCode
	trade.Number = order.Number
	return trade, nil
}

func (p *provider) CancelTrade(context.Context, string) (channel.Cancelled, error) {
	p.note("cancel")
	return p.cancelled, nil
}

func (p *provider) Prepay(context.Context, channel.PrepayOrder) (channel.Prepaid, error) {
	p.note("prepay")
	return p.prepaid, nil
}

func (p *provider) QueryTrade(_ context.Context, number string) (channel.Trade, error) {
	p.note("query")
	trade := p.trade
	trade.Number = number
	return trade, nil
}

func (p *provider) CloseTrade(context.Context, string) (channel.Answer, error) {
	p.note("close")
	return p.closed, nil
}

func (p *provider) Refund(_ context.Context, order channel.RefundOrder) (channel.RefundState, error) {
	p.note("refund")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refunds = append(p.refunds, order)
	return p.refunded, nil
}

func (p *provider) QueryRefund(context.Context, channel.RefundOrder) (channel.RefundState, error) {
	p.note("refund query")
	return p.refunded, nil
}

func (p *provider) RedirectRefund(_ context.Context, refund channel.AbnormalRefund) (channel.RefundState, error) {
	p.note("redirect")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.redirects = append(p.redirects, refund)
	return p.redirected, nil
}

func (p *provider) Transfer(_ context.Context, order channel.TransferOrder) (channel.TransferState, error) {
	p.note("transfer")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.payouts = append(p.payouts, order)
	return p.paidOut, nil
}

func (p *provider) QueryTransfer(context.Context, string) (channel.TransferState, error) {
	p.note("transfer query")
	return p.paidOut, nil
}

func (p *provider) FetchTradeBill(context.Context, string) (channel.BillResult, error) {
	p.note("bill")
	return p.bill, p.billErr
}

func (p *provider) ReadNotification(context.Context, *http.Request, []byte) (channel.Notification, error) {
	return channel.Notification{}, nil
}

func (p *provider) Acknowledge(http.ResponseWriter, bool) {}

// scene is one tenant with a merchant, and a provider that obeys the test.
type scene struct {
	*testing.T
	db       *pgtest.Database
	tenant   string
	merchant string
	account  tenant.ChannelAccount
	provider *provider
	steps    app.Steps
	box      *secret.Box
}

// newBox seals under a master key of this test.
func newBox(t *testing.T) *secret.Box {
	t.Helper()
	masters, err := secret.ParseMasters(secret.NewMasterKeyText())
	require.NoError(t, err)
	box, err := secret.NewBox(masters)
	require.NoError(t, err)
	return box
}

// till takes payments at the account of the scene.
func (s *scene) till() payment.Till {
	return payment.Till{Box: s.box, Offers: func(string) []channel.Offer { return everything() }}
}

type oneProvider struct{ *provider }

func (o oneProvider) Adapter(context.Context, tenant.ChannelAccount) (channel.Adapter, error) {
	return o.provider, nil
}

func newScene(t *testing.T) *scene {
	t.Helper()
	t.Parallel()
	s := &scene{T: t, db: pgtest.New(t), provider: &provider{asked: map[string]int{}}}
	s.box = newBox(t)
	s.steps = app.NewSteps(s.db.DB, oneProvider{s.provider}, s.box, app.NotifyURL("https://pay.example.com"))
	require.NoError(t, s.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		created, err := tenant.Create(t.Context(), tx, "A tenant", tenant.LicensedReserve)
		if err != nil {
			return err
		}
		s.tenant = created.ID
		// These payments bring the tenant nothing and cost it the provider's fee.
		if err := ledger.ApproveStakeAdvance(t.Context(), tx, s.tenant, money.CNY, 100000, "test"); err != nil {
			return err
		}
		s.account, err = tenant.AddChannelAccount(t.Context(), tx, s.tenant, tenant.ChannelAccount{
			Channel: "alipay", Name: "Alipay", FeeBasisPoints: 60, FeeReturned: true})
		if err != nil {
			return err
		}
		return tenant.SetProducts(t.Context(), tx, s.tenant, s.account.ID, []tenant.ProductChange{{Product: "barcode", Status: tenant.ProductOpened}})
	}))
	s.do(func(ctx context.Context, tx pgx.Tx) error {
		m, err := party.Create(ctx, tx, s.box, s.tenant, party.NewMerchant{Reference: "shop", Name: "Shop", Settlement: "T0",
			PayoutAccount: &party.PayoutAccount{Channel: "alipay", Account: "boss@example.com", Name: "张小明"}})
		s.merchant = m.ID
		return err
	})
	t.Cleanup(s.judge)
	return s
}

// judge checks every invariant of the books and of what they are about.
func (s *scene) judge() {
	if s.Failed() {
		return
	}
	require.NoError(s, s.db.DB.Snapshot(context.Background(), func(tx pgx.Tx) error {
		report, err := ledger.Check(context.Background(), tx, app.Invariants(), ledger.VerifyOptions{})
		require.True(s, report.Sound, "%+v", report)
		return err
	}))
}

func (s *scene) do(fn func(ctx context.Context, tx pgx.Tx) error) {
	s.Helper()
	require.NoError(s, s.db.DB.InTenant(s.Context(), s.tenant, func(tx pgx.Tx) error { return fn(s.Context(), tx) }))
}

func (s *scene) ref(objectID string) accept.Ref { return accept.Ref{Tenant: s.tenant, ID: objectID} }

func (s *scene) count(sql string, args ...any) (n int64) {
	s.Helper()
	require.NoError(s, s.db.Pool.QueryRow(s.Context(), sql, args...).Scan(&n))
	return n
}

// events are how many the object has.
func (s *scene) events(objectID string) int64 {
	s.Helper()
	return s.count(`select count(*) from events where object_id = $1`, objectID)
}

func (s *scene) entries(kind string) int64 {
	s.Helper()
	return s.count(`select count(*) from entries where kind = $1`, kind)
}

func succeeded() channel.Answer { return channel.Answer{Outcome: channel.Succeeded, Code: "10000"} }

func unknown() channel.Answer {
	return channel.Answer{Outcome: channel.Unknown, Code: channel.CodeBadSignature}
}

func paidTrade(fen int64) channel.Trade {
	return channel.Trade{Answer: succeeded(), State: channel.TradePaid, ChannelTradeNo: "T1", Amount: money.Fen(fen), PaidAt: time.Now()}
}

// order is a request for 10.00 yuan by the method; nil lets the payer choose.
func (s *scene) order(m *payment.Method, within time.Duration) accept.Ref {
	s.Helper()
	n := payment.New{ID: id.New(id.Payment), MerchantID: s.merchant, Reference: id.Number(), Subject: "tea",
		Amount: money.Fen(1000), Method: m, ExpiresIn: within}
	s.do(func(ctx context.Context, tx pgx.Tx) error { return payment.Create(ctx, tx, s.tenant, n, s.till()) })
	return s.ref(n.ID)
}

func qr() *payment.Method { return &payment.Method{Channel: "alipay", Product: channel.ProductQR} }

const authCode = "281234567890123456"

func barcode() *payment.Method {
	return &payment.Method{Channel: "alipay", Product: channel.ProductBarcode, AuthCode: authCode}
}

// newPayment is a payment of 10.00 yuan that nobody has prepared yet.
func (s *scene) newPayment() accept.Ref { s.Helper(); return s.order(qr(), time.Hour) }

// attempt is the newest attempt of a payment.
func (s *scene) attempt(in accept.Ref) accept.Ref {
	s.Helper()
	var attemptID string
	require.NoError(s, s.db.Pool.QueryRow(s.Context(), `select id from attempts where payment_id = $1 order by position desc limit 1`, in.ID).Scan(&attemptID))
	return s.ref(attemptID)
}

// add adds an attempt to a payment.
func (s *scene) add(in accept.Ref, m *payment.Method) accept.Ref {
	s.Helper()
	s.do(func(ctx context.Context, tx pgx.Tx) error {
		_, err := payment.AddAttempt(ctx, tx, s.tenant, in.ID, *m, s.till())
		return err
	})
	return s.attempt(in)
}

func (s *scene) cancel(in accept.Ref) {
	s.Helper()
	s.do(func(ctx context.Context, tx pgx.Tx) error { return payment.RequestCancel(ctx, tx, s.tenant, in.ID) })
}

// offered is a payment that waits for its payer.
func (s *scene) offered() accept.Ref {
	s.Helper()
	in := s.newPayment()
	s.provider.prepaid = channel.Prepaid{Answer: succeeded(), Action: channel.Action{Type: channel.ActionQRCode, QRCode: "https://qr.example.com/1"}}
	state, err := s.steps.Payments.PrepareAttempt(s.Context(), s.attempt(in))
	require.NoError(s, err)
	require.Equal(s, "awaiting_payer", state.Status)
	return in
}

func (s *scene) paid() accept.Ref {
	s.Helper()
	in := s.offered()
	s.provider.trade = paidTrade(1000)
	state, err := s.steps.Payments.QueryAttempt(s.Context(), s.attempt(in))
	require.NoError(s, err)
	require.Equal(s, "succeeded", state.Status)
	return in
}

// later lets the time of every payment pass, with the grace.
func (s *scene) later() {
	s.Helper()
	_, err := s.db.Pool.Exec(s.Context(), `update business_clock set ahead = ahead + interval '2 hours'`)
	require.NoError(s, err)
}

func (s *scene) newRefund(paymentID string, fen int64) accept.Ref {
	s.Helper()
	n := refund.New{ID: id.New(id.Refund), PaymentID: paymentID, Reference: id.Number(), Amount: money.Fen(fen), Reason: "returned"}
	s.do(func(ctx context.Context, tx pgx.Tx) error { return refund.Create(ctx, tx, s.tenant, n) })
	return s.ref(n.ID)
}

func (s *scene) newWithdrawal(fen int64) accept.Ref {
	s.Helper()
	n := payout.New{ID: id.New(id.Withdrawal), MerchantID: s.merchant, Reference: id.Number(), Amount: money.Fen(fen)}
	s.do(func(ctx context.Context, tx pgx.Tx) error { return payout.Create(ctx, tx, s.tenant, n) })
	return s.ref(n.ID)
}

// together makes n calls of the provider wait for each other: whoever calls has
// read its row before anybody has booked.
func (s *scene) together(n int) {
	var all sync.WaitGroup
	all.Add(n)
	s.provider.before = func() {
		all.Done()
		all.Wait()
	}
}

// zombies runs a step twice at the same time, as when the first attempt lives on
// after its timeout, and returns both states.
func zombies[S any](s *scene, step func(context.Context, accept.Ref) (S, error), in accept.Ref) (states [2]S) {
	s.Helper()
	s.together(2)
	var running sync.WaitGroup
	var errs [2]error
	for i := range states {
		running.Go(func() { states[i], errs[i] = step(s.Context(), in) })
	}
	running.Wait()
	s.provider.before = nil
	require.NoError(s, errs[0])
	require.NoError(s, errs[1])
	return states
}

// twice runs a step two times and wants the same state.
func twice[S any](s *scene, step func(context.Context, accept.Ref) (S, error), in accept.Ref) S {
	s.Helper()
	first, err := step(s.Context(), in)
	require.NoError(s, err)
	second, err := step(s.Context(), in)
	require.NoError(s, err)
	return sameState(s, first, second)
}

// sameState compares states but for the provider's code, which the repetition of
// a finished step did not ask for.
func sameState[S any](s *scene, first, second S) S {
	s.Helper()
	if a, ok := any(first).(activities.PaymentState); ok {
		b := any(second).(activities.PaymentState)
		a.ChannelCode, b.ChannelCode = "", ""
		require.Equal(s, a, b)
		return second
	}
	if a, ok := any(first).(activities.MovingState); ok {
		b := any(second).(activities.MovingState)
		a.ChannelCode, b.ChannelCode = "", ""
		require.Equal(s, a, b)
		return second
	}
	require.Equal(s, first, second)
	return second
}
