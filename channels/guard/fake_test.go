package guard

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/internal/telemetry"
	"github.com/suanpan/suanpan/money"
)

// What must appear in no record, metric or log.
const (
	canaryPayer   = "CANARYpayer"
	canaryCode    = "CANARYcode"
	canaryName    = "CANARYname"
	canaryAccount = "CANARYaccount"
	canaryText    = "CANARYtext"
)

const number = "01K0000000000000000000000A"

// fake is a provider with every ability. answer decides each call.
type fake struct {
	channel.Notifier
	name   string
	answer func(ctx context.Context, op channel.Operation) (channel.Answer, error)

	mu    sync.Mutex
	calls []channel.Operation
}

func (f *fake) call(ctx context.Context, op channel.Operation) (channel.Answer, error) {
	f.mu.Lock()
	f.calls = append(f.calls, op)
	f.mu.Unlock()
	if f.answer == nil {
		return channel.Answer{Outcome: channel.Succeeded, Code: "OK", Message: canaryText}, nil
	}
	return f.answer(ctx, op)
}

func (f *fake) called() []channel.Operation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]channel.Operation(nil), f.calls...)
}

func (f *fake) Name() string {
	if f.name == "" {
		return "alipay"
	}
	return f.name
}
func (f *fake) Offers() []channel.Offer { return nil }

func (f *fake) Prepay(ctx context.Context, _ channel.PrepayOrder) (channel.Prepaid, error) {
	a, err := f.call(ctx, channel.OpPrepay)
	return channel.Prepaid{Answer: a, Action: channel.Action{Type: channel.ActionJSAPI, URL: canaryText,
		QRCode: canaryText, Params: map[string]string{"sign": canaryText}}}, err
}

func (f *fake) trade(ctx context.Context, op channel.Operation) (channel.Trade, error) {
	a, err := f.call(ctx, op)
	return channel.Trade{Answer: a, State: channel.TradePaid, Number: number, ChannelTradeNo: "2026", Amount: money.Fen(100), PaidAt: time.Unix(1, 0)}, err
}

func (f *fake) QueryTrade(ctx context.Context, _ string) (channel.Trade, error) {
	return f.trade(ctx, channel.OpQueryTrade)
}

func (f *fake) CloseTrade(ctx context.Context, _ string) (channel.Answer, error) {
	return f.call(ctx, channel.OpCloseTrade)
}

func (f *fake) refund(ctx context.Context, op channel.Operation) (channel.RefundState, error) {
	a, err := f.call(ctx, op)
	return channel.RefundState{Answer: a, Number: number, ChannelRefundNo: "5030", Amount: money.Fen(7)}, err
}

func (f *fake) Refund(ctx context.Context, _ channel.RefundOrder) (channel.RefundState, error) {
	return f.refund(ctx, channel.OpRefund)
}

func (f *fake) QueryRefund(ctx context.Context, _ channel.RefundOrder) (channel.RefundState, error) {
	return f.refund(ctx, channel.OpQueryRefund)
}

func (f *fake) RedirectRefund(ctx context.Context, _ channel.AbnormalRefund) (channel.RefundState, error) {
	return f.refund(ctx, channel.OpRedirectRefund)
}

func (f *fake) FetchTradeBill(ctx context.Context, _ string) (channel.BillResult, error) {
	a, err := f.call(ctx, channel.OpFetchTradeBill)
	return channel.BillResult{Answer: a, State: channel.BillReady, Bill: channel.Bill{Raw: []byte(canaryText)}}, err
}

func (f *fake) FetchFundBill(ctx context.Context, _ string) (channel.FundBillResult, error) {
	a, err := f.call(ctx, channel.OpFetchFundBill)
	return channel.FundBillResult{Answer: a, State: channel.BillReady, Bill: channel.FundBill{Raw: []byte(canaryText)}}, err
}

func (f *fake) PayByCode(ctx context.Context, _ channel.CodeOrder) (channel.Trade, error) {
	return f.trade(ctx, channel.OpPayByCode)
}

func (f *fake) CancelTrade(ctx context.Context, _ string) (channel.Cancelled, error) {
	a, err := f.call(ctx, channel.OpCancelTrade)
	return channel.Cancelled{Answer: a, Refunded: true}, err
}

func (f *fake) AuthorizeURL(returnTo, _ string) (string, error) {
	return "https://auth/" + returnTo, nil
}

func (f *fake) FindPayer(ctx context.Context, _ string) (channel.Payer, error) {
	a, err := f.call(ctx, channel.OpFindPayer)
	return channel.Payer{Answer: a, ID: canaryPayer}, err
}

func (f *fake) Transfer(ctx context.Context, _ channel.TransferOrder) (channel.TransferState, error) {
	a, err := f.call(ctx, channel.OpTransfer)
	return channel.TransferState{Answer: a, Number: number, Amount: money.Fen(5), Fee: money.Fen(1)}, err
}

func (f *fake) QueryTransfer(ctx context.Context, _ string) (channel.TransferState, error) {
	a, err := f.call(ctx, channel.OpQueryTransfer)
	return channel.TransferState{Answer: a}, err
}

// everyCall makes each call of an adapter with all abilities, with canaries in
// every field that may hold personal data or a secret, and returns the answers.
func everyCall(t *testing.T, a channel.Adapter) map[channel.Operation]channel.Answer {
	t.Helper()
	ctx, got := t.Context(), map[channel.Operation]channel.Answer{}
	var errs []error
	keep := func(op channel.Operation, answer channel.Answer, err error) {
		got[op] = answer
		errs = append(errs, err)
	}
	order := channel.RefundOrder{Number: number, TradeNumber: number, Amount: money.Fen(7), TradeAmount: money.Fen(100), Reason: canaryText}
	prepaid, err := a.Prepay(ctx, channel.PrepayOrder{Number: number, Amount: money.Fen(100), Subject: canaryText, Product: channel.ProductJSAPI,
		PayerID: canaryPayer, PayerIP: canaryAccount, ReturnURL: canaryText, NotifyURL: canaryText, ExpiresAt: time.Unix(9, 0)})
	keep(channel.OpPrepay, prepaid.Answer, err)
	trade, err := a.QueryTrade(ctx, number)
	keep(channel.OpQueryTrade, trade.Answer, err)
	answer, err := a.CloseTrade(ctx, number)
	keep(channel.OpCloseTrade, answer, err)
	refund, err := a.Refund(ctx, order)
	keep(channel.OpRefund, refund.Answer, err)
	refund, err = a.QueryRefund(ctx, order)
	keep(channel.OpQueryRefund, refund.Answer, err)
	bill, err := a.FetchTradeBill(ctx, "2026-11-24")
	keep(channel.OpFetchTradeBill, bill.Answer, err)
	if collector, ok := a.(channel.CodeCollector); ok {
		trade, err = collector.PayByCode(ctx, channel.CodeOrder{Number: number, Amount: money.Fen(100), Subject: canaryText, AuthCode: canaryCode})
		keep(channel.OpPayByCode, trade.Answer, err)
		cancelled, err := collector.CancelTrade(ctx, number)
		keep(channel.OpCancelTrade, cancelled.Answer, err)
	}
	if finder, ok := a.(channel.PayerFinder); ok {
		payer, err := finder.FindPayer(ctx, canaryCode)
		keep(channel.OpFindPayer, payer.Answer, err)
		address, err := finder.AuthorizeURL("here", "state")
		require.NoError(t, err)
		require.Equal(t, "https://auth/here", address)
	}
	if payout, ok := a.(channel.Transferer); ok {
		state, err := payout.Transfer(ctx, channel.TransferOrder{Number: number, Amount: money.Fen(5),
			PayeeAccount: canaryAccount, PayeeName: canaryName, Title: canaryText})
		keep(channel.OpTransfer, state.Answer, err)
		state, err = payout.QueryTransfer(ctx, number)
		keep(channel.OpQueryTransfer, state.Answer, err)
	}
	if biller, ok := a.(channel.FundBiller); ok {
		funds, err := biller.FetchFundBill(ctx, "2026-11-24")
		keep(channel.OpFetchFundBill, funds.Answer, err)
	}
	if redirector, ok := a.(channel.AbnormalRefunder); ok {
		refund, err = redirector.RedirectRefund(ctx, channel.AbnormalRefund{RefundOrder: order, Bank: canaryText, Card: canaryAccount, Holder: canaryName})
		keep(channel.OpRedirectRefund, refund.Answer, err)
	}
	for _, err := range errs {
		require.NoError(t, err)
	}
	return got
}

// kept is what a guard of the tests told.
type kept struct {
	metrics *telemetry.Metrics
	mu      sync.Mutex
	calls   []channel.Call
	health  []channel.Health
}

// guards returns Guards without any rate, and what they tell.
func guards(limits Limits) (*Guards, *kept) {
	k := &kept{metrics: telemetry.New()}
	return New(limits, Ports{
		TakeSlots: func(context.Context, string, time.Duration, int, time.Duration) (channel.Slots, error) {
			panic("no rate was asked for")
		},
		Record: func(c channel.Call) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.calls = append(k.calls, c)
		},
		Tell: func(h channel.Health) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.health = append(k.health, h)
		},
		Metrics: k.metrics.Channels,
	}), k
}

func (k *kept) states() []channel.BreakerState {
	k.mu.Lock()
	defer k.mu.Unlock()
	var states []channel.BreakerState
	for _, h := range k.health {
		states = append(states, h.State)
	}
	return states
}

func (k *kept) recorded() []channel.Call {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]channel.Call(nil), k.calls...)
}

// text is everything that was told, as text.
func (k *kept) text(t *testing.T) string {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	calls, err := json.Marshal(k.calls)
	require.NoError(t, err)
	health, err := json.Marshal(k.health)
	require.NoError(t, err)
	return string(calls) + string(health) + k.shown(t)
}

// shown are the metrics.
func (k *kept) shown(t *testing.T) string {
	t.Helper()
	answer := httptest.NewRecorder()
	k.metrics.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, answer.Code)
	return answer.Body.String()
}

func one() Account { return Account{Tenant: "ten_A", ID: "chn_A", Identity: "app"} }
