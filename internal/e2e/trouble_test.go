package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// The operations of the providers that faults hit, per channel.
func prepayOf(provider string) string {
	return map[string]string{alipay: "alipay.trade.precreate", wechatpay: "POST /v3/pay/transactions/native"}[provider]
}

func queryOf(provider string) string {
	return map[string]string{alipay: "alipay.trade.query", wechatpay: "GET /v3/pay/transactions/out-trade-no/{out_trade_no}"}[provider]
}

func refundOf(provider string) string {
	return map[string]string{alipay: "alipay.trade.refund", wechatpay: "POST /v3/refund/domestic/refunds"}[provider]
}

func refundQueryOf(provider string) string {
	return map[string]string{alipay: "alipay.trade.fastpay.refund.query",
		wechatpay: "GET /v3/refund/domestic/refunds/{out_refund_no}"}[provider]
}

const (
	transferOp      = "alipay.fund.trans.uni.transfer"
	transferQueryOp = "alipay.fund.trans.common.query"
)

// Whatever a provider answers after it did the work, the outcome is unknown:
// nothing fails, nothing is done twice, and a query finds the truth.
func TestUnusableAnswerAfterSuccess(t *testing.T) {
	for name, f := range map[string]trouble{
		"reply lost":    {Kind: "lose_reply"},
		"system error":  {Kind: "error_after_success"},
		"bad gateway":   {Kind: "error_after_success", Answer: "http_502"},
		"bad signature": {Kind: "bad_signature"},
		"garbage":       {Kind: "garbage"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.topUp(100000)
			for _, provider := range []string{alipay, wechatpay} {
				p := w.unusablePayment(provider, f)
				w.unusableRefund(provider, f, p)
			}
			w.unusableWithdrawal(f)
		})
	}
}

// on directs the trouble at the next call of an operation.
func (f trouble) on(provider, operation string) trouble {
	f.Provider, f.Operation, f.Count = provider, operation, 1
	return f
}

func (w *world) unusablePayment(provider string, f trouble) client.Payment {
	w.Helper()
	w.fault(f.on(provider, prepayOf(provider)))
	p := w.post(w.order(provider, 8800))
	require.Equal(w, client.PaymentStatusProcessing, p.Status, "unknown is neither success nor failure")
	require.Nil(w, p.NextAction)
	w.healed(1)
	w.hurry(paymentWorkflow(p.ID))
	p = w.paymentIs(p.ID, client.PaymentStatusAwaitingPayer)

	w.fault(f.on(provider, queryOf(provider)))
	w.pay(p, false)
	w.healed(1)
	w.hurry(paymentWorkflow(p.ID))
	p = w.paymentIs(p.ID, client.PaymentStatusSucceeded)
	require.Equal(w, []movement{{"payment", w.numberOf(p.ID), 8800}}, w.moved(w.numberOf(p.ID)))
	return p
}

func (w *world) unusableRefund(provider string, f trouble, p client.Payment) {
	w.Helper()
	w.fault(f.on(provider, refundOf(provider)))
	r := w.refund(p, 3300)
	require.Equal(w, client.RefundStatusProcessing, r.Status)
	w.healed(1)
	w.hurry(refundWorkflow(r.ID))
	w.refundIs(r.ID, client.RefundStatusSucceeded)
	require.Equal(w, []movement{{"refund", w.refundNumber(r.ID), -3300}}, w.moved(w.refundNumber(r.ID)))
}

func (w *world) unusableWithdrawal(f trouble) {
	w.Helper()
	w.fault(f.on(alipay, transferOp))
	out := w.withdraw(w.shop.id, 4400)
	require.Equal(w, client.WithdrawalStatusProcessing, out.Status)
	require.Equal(w, int64(4400), w.held(w.shop.id), "nothing is released while unknown")
	w.healed(1)
	w.hurry(withdrawalWorkflow(out.ID))
	w.withdrawalIs(out.ID, client.WithdrawalStatusSucceeded)
	require.Equal(w, []movement{{"transfer", w.withdrawalNumber(out.ID), -4400}}, w.moved(w.withdrawalNumber(out.ID)))
	require.Zero(w, w.held(w.shop.id))
}

// The order never arrived: two queries in a row find nothing, and it is sent
// again under the same number.
func TestOrderThatNeverArrivedIsSentAgain(t *testing.T) {
	w := newWorld(t)
	w.topUp(100000)
	p := w.paid(alipay, 8800)
	w.fault(trouble{Kind: "error_before"}.on(alipay, refundOf(alipay)))
	w.fault(trouble{Kind: "error_before"}.on(alipay, transferOp))
	r, out := w.refund(p, 1100), w.withdraw(w.shop.id, 2200)
	require.Equal(t, client.RefundStatusProcessing, r.Status)
	require.Equal(t, client.WithdrawalStatusProcessing, out.Status)
	w.refundIs(r.ID, client.RefundStatusSucceeded)
	w.withdrawalIs(out.ID, client.WithdrawalStatusSucceeded)
	require.Len(t, w.moved(w.refundNumber(r.ID)), 1)
	require.Len(t, w.moved(w.withdrawalNumber(out.ID)), 1)
}

// The provider has done it and shows it 90 s late, by its own clock: "does not exist" is
// believed neither once nor often. It is sent again, identically, nothing is released,
// and it has moved once when it is seen.
func TestOrdersThatAreSeenLate(t *testing.T) {
	w := newWorld(t, unguarded)
	w.topUp(100000)
	const late = 90
	p, q := w.paid(alipay, 8800), w.paid(wechatpay, 8800)
	unseen := func(provider, send, query, absent string) {
		w.fault(trouble{Provider: provider, Operation: send, Kind: "lose_reply", Seconds: late})
		w.fault(trouble{Provider: provider, Operation: query, Kind: "refuse", Answer: absent, Seconds: late})
	}
	unseen(alipay, refundOf(alipay), refundQueryOf(alipay), "ACQ.TRADE_NOT_EXIST")
	unseen(wechatpay, refundOf(wechatpay), refundQueryOf(wechatpay), "RESOURCE_NOT_EXISTS")
	unseen(alipay, transferOp, transferQueryOp, "ORDER_NOT_EXIST")
	out, first, second := w.withdraw(w.shop.id, 2200), w.refund(p, 1100), w.refund(q, 1200)
	numbers := map[string]string{withdrawalWorkflow(out.ID): w.withdrawalNumber(out.ID),
		refundWorkflow(first.ID): w.refundNumber(first.ID), refundWorkflow(second.ID): w.refundNumber(second.ID)}
	held := w.held(w.shop.id) + w.held(w.shop.agent)
	for workflowID, number := range numbers {
		w.await("it is sent twice more", func() (bool, any) {
			w.hurry(workflowID)
			sent := w.count(`select count(*) from channel_calls where number = $1 and operation in ('transfer', 'refund')`, number)
			return sent >= 3, sent
		})
	}
	absent := map[string]int{}
	var list struct{ Faults []trouble }
	w.control("GET", "/control/faults", nil, &list)
	for _, f := range list.Faults {
		absent[f.Operation] += f.Hits
	}
	for _, query := range []string{refundQueryOf(alipay), refundQueryOf(wechatpay), transferQueryOp} {
		require.GreaterOrEqual(t, absent[query], 4, `"does not exist", by %s`, query)
	}
	require.Equal(t, held, w.held(w.shop.id)+w.held(w.shop.agent), "nothing was released")
	require.Equal(t, client.WithdrawalStatusProcessing, w.withdrawal(out.ID).Status)

	w.control("POST", "/control/clock", map[string]any{"advance_seconds": late}, nil)
	w.withdrawalIs(out.ID, client.WithdrawalStatusSucceeded)
	w.refundIs(first.ID, client.RefundStatusSucceeded)
	w.refundIs(second.ID, client.RefundStatusSucceeded)
	for _, number := range numbers {
		require.Len(t, w.moved(number), 1)
	}
	require.Equal(t, numbers[withdrawalWorkflow(out.ID)], w.withdrawalNumber(out.ID), "one number")
	t.Logf(`answers "does not exist": %v`, absent)
}

func TestRefundThatTheProviderRefusesGivesEverythingBack(t *testing.T) {
	t.Run(alipay, func(t *testing.T) {
		w := newWorld(t)
		p := w.paid(alipay, 10000)
		// The provider refunds for some months only, and refuses later.
		w.control("POST", "/control/clock", map[string]any{"advance_seconds": 400 * 24 * 3600}, nil)
		w.refusedRefund(p, func(client.Refund) {})
	})
	t.Run(wechatpay, func(t *testing.T) {
		w := newWorld(t)
		p := w.paid(wechatpay, 10000)
		w.freeze()
		w.refusedRefund(p, func(r client.Refund) {
			w.control("POST", "/control/refunds", map[string]any{"provider": wechatpay, "number": w.refundNumber(r.ID), "status": "CLOSED"}, nil)
		})
		w.thaw()
		again := w.refundIs(w.refund(w.payment(p.ID), 10000).ID, client.RefundStatusSucceeded)
		require.NotNil(t, again.RefundedAt, "what was given back can be refunded by another refund")
		require.Zero(t, w.posted(client.AccountTypeMerchantAvailable, w.shop.id))
	})
}

// refusedRefund refunds everything, which the provider will refuse.
func (w *world) refusedRefund(p client.Payment, refuse func(client.Refund)) {
	w.Helper()
	before := []int64{w.posted(client.AccountTypeMerchantAvailable, w.shop.id), w.posted(client.AccountTypeMerchantAvailable, w.shop.agent)}
	r := w.refund(p, 10000)
	refuse(r)
	r = w.refundIs(r.ID, client.RefundStatusFailed)
	require.Equal(w, "channel_refused", r.Failure.Code)
	require.NotEmpty(w, *r.Failure.ChannelCode)
	require.Zero(w, w.held(w.shop.id))
	require.Zero(w, w.held(w.shop.agent))
	require.Equal(w, before, []int64{w.posted(client.AccountTypeMerchantAvailable, w.shop.id), w.posted(client.AccountTypeMerchantAvailable, w.shop.agent)})
	require.Zero(w, w.payment(p.ID).Refunded.Amount)
	require.Equal(w, []string{"refund.failed"}, w.eventsOf(r.ID))
	var left int64
	require.NoError(w, w.db.Pool.QueryRow(w.ctx, `select coalesce(sum(refunded), 0) from split_legs`).Scan(&left))
	require.Zero(w, left, "the legs of the split can give their parts again")
}

func TestWithdrawalThatTheProviderRefusesGivesTheMoneyBack(t *testing.T) {
	w := newWorld(t)
	w.topUp(100000)
	stranger := w.newMerchant("stranger", &client.CreatePayoutAccount{
		Channel: client.CreatePayoutAccountChannelAlipay, Account: "nobody@example.com", Name: "无名氏"}, client.SettlementT0)
	order := w.order(wechatpay, 9000)
	order.MerchantID = stranger
	p := w.paymentIs(w.post(order).ID, client.PaymentStatusAwaitingPayer)
	w.pay(p, false)
	w.paymentIs(p.ID, client.PaymentStatusSucceeded)

	out := w.withdrawalIs(w.withdraw(stranger, 9000).ID, client.WithdrawalStatusFailed)
	require.Equal(t, "PAYEE_NOT_EXIST", *out.Failure.ChannelCode)
	require.Equal(t, int64(9000), w.posted(client.AccountTypeMerchantAvailable, stranger))
	require.Zero(t, w.held(stranger))
	require.Equal(t, []string{"withdrawal.failed"}, w.eventsOf(out.ID))
	require.Empty(t, w.moved(w.withdrawalNumber(out.ID)))
}

// Our own balance at the provider is nobody's failure: the withdrawal waits and
// is sent again under its number.
func TestWithdrawalWaitsForTheBalanceAtTheProvider(t *testing.T) {
	w := newWorld(t)
	w.paid(wechatpay, 9000) // the money lies at WeChat Pay, and Alipay pays out
	out := w.withdraw(w.shop.id, 5000)
	var seen client.Withdrawal
	w.await("the reason of the wait", func() (bool, any) {
		seen = w.withdrawal(out.ID)
		return seen.WaitingFor != nil, seen
	})
	require.Equal(t, client.WithdrawalStatusProcessing, seen.Status)
	require.Equal(t, int64(5000), w.held(w.shop.id))
	require.Equal(t, int64(1), w.count(`select count(*) from withdrawals where waiting_for like '%top it up%' or waiting_for like '%does not know%'`))
	w.topUp(5000)
	w.withdrawalIs(out.ID, client.WithdrawalStatusSucceeded)
	require.Len(t, w.moved(w.withdrawalNumber(out.ID)), 1)
}

func (w *world) count(sql string, args ...any) (n int64) {
	w.Helper()
	require.NoError(w, w.db.Pool.QueryRow(w.ctx, sql, args...).Scan(&n))
	return n
}
