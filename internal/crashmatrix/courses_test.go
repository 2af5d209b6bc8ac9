//go:build chaos

package crashmatrix_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
	"github.com/suanpan/suanpan/workflows"
)

// courses says what happens in each scenario and what must then be true. Each is
// written as if nothing could go wrong, and is judged the same way after a kill.
func courses() map[string]func(*world) {
	return map[string]func(*world){
		"pay-alipay":            func(w *world) { w.payAndDivide(alipay) },
		"pay-wechat":            func(w *world) { w.payAndDivide(wechatpay) },
		"close-alipay":          func(w *world) { w.expired(w.offered(alipay, w.shop.id, 1100)) },
		"close-scanned":         func(w *world) { w.closeFirst(alipay) },
		"close-wechat":          func(w *world) { w.closeFirst(wechatpay) },
		"refuse-alipay":         func(w *world) { w.refuseToPrepare(alipay) },
		"refuse-wechat":         func(w *world) { w.refuseToPrepare(wechatpay) },
		"cancel":                (*world).cancelOne,
		"cancel-unchosen":       (*world).cancelUnchosen,
		"second-attempt":        (*world).payTheSecondAttempt,
		"code-alipay":           func(w *world) { w.payByCode(alipay) },
		"code-wechat":           func(w *world) { w.payByCode(wechatpay) },
		"code-undone":           (*world).undoACode,
		"late-alipay":           func(w *world) { w.payLate(alipay) },
		"late-wechat":           func(w *world) { w.payLate(wechatpay) },
		"refund-alipay":         func(w *world) { w.refundInParts(alipay, "") },
		"refund-wechat":         func(w *world) { w.refundInParts(wechatpay, "") },
		"refund-lost-alipay":    func(w *world) { w.refundInParts(alipay, "lose_reply") },
		"refund-unseen-alipay":  func(w *world) { w.refundInParts(alipay, "error_before") },
		"refund-refused-alipay": (*world).refundTooLate,
		"refund-refused-wechat": (*world).refundClosed,
		"refund-redirected":     (*world).refundRedirected,
		"refund-returned":       (*world).refundReturned,
		"refund-resolved":       (*world).refundResolved,
		"withdraw":              func(w *world) { w.withdrawSome("") },
		"withdraw-lost":         func(w *world) { w.withdrawSome("lose_reply") },
		"withdraw-unseen":       func(w *world) { w.withdrawSome("error_before") },
		"withdraw-refused":      (*world).withdrawToNobody,
		"withdraw-returned":     (*world).withdrawAndGetItBack,
		"daily":                 (*world).endTheDay,
		"recon-refused":         (*world).reconcileLongAgo,
		"round":                 (*world).goTheRound,
		"transfer":              (*world).transferOne,
		"transfer-batch":        (*world).transferMany,
		"webhook":               (*world).hearOfPayment,
		"redelivery":            (*world).hearAgain,
		"seal":                  (*world).sealWhatIsBooked,
		"expire-hold":           (*world).letAHoldExpire,
		yearAhead:               (*world).beginAYearAhead,
		forget:                  (*world).forgetWhatIsOld,
	}
}

// payAndDivide collects a payment and divides it on two levels: 1 % for the
// platform, 10 % for the agent, of which 30 % for the head agent.
func (w *world) payAndDivide(channel string) {
	w.paid(channel, w.shop.id, 19999)
	w.holds(17801, 1400, 599)
}

// closeFirst lets a payment expire with us before it does at the provider, who is
// then asked to close what is still open.
func (w *world) closeFirst(channel string) {
	p := w.offered(channel, w.shop.id, 1100)
	w.scan(p)
	w.moveOurClock(w.now().Add(2 * time.Hour))
	w.closed(p)
	w.moved(w.paymentNumber(p.ID), 0)
}

// refuseToPrepare puts the provider a day ahead, so that our expiry is its past.
func (w *world) refuseToPrepare(channel string) {
	w.control("POST", "/control/clock", map[string]any{"advance_seconds": 24 * 3600}, nil)
	p := w.paymentIs(w.ordered(channel, w.shop.id, 2700).ID, client.PaymentStatusFailed)
	require.Equal(w, "channel_refused", p.Failure.Code)
	w.told(p.ID, "payment.failed")
	w.moved(w.paymentNumber(p.ID), 0)
}

// cancelOne ends a payment that its payer has scanned.
func (w *world) cancelOne() {
	p := w.offered(alipay, w.shop.id, 1300)
	w.scan(p)
	w.cancel(p)
	p = w.paymentIs(p.ID, client.PaymentStatusClosed)
	w.told(p.ID, "payment.awaiting_payer", "payment.closed")
	w.moved(w.paymentNumber(p.ID), 0)
}

// cancelUnchosen ends a payment whose payer never chose how to pay.
func (w *world) cancelUnchosen() {
	ref := w.ref("order")
	answer, err := w.api.CreatePaymentWithResponse(w.ctx, &client.CreatePaymentParams{IdempotencyKey: ref},
		client.CreatePayment{MerchantID: w.shop.id, Reference: ref, Subject: "茶", Amount: yuan(1300), ExpiresIn: ptr(3600)})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	w.cancel(*answer.JSON201)
	p := w.paymentIs(answer.JSON201.ID, client.PaymentStatusClosed)
	require.Empty(w, p.Attempts)
}

// payTheSecondAttempt pays at the other provider than was offered first; the first
// attempt is closed.
func (w *world) payTheSecondAttempt() {
	p := w.offered(alipay, w.shop.id, 19999)
	w.scan(p)
	ref := w.ref("attempt")
	answer, err := w.api.CreatePaymentAttemptWithResponse(w.ctx, p.ID, &client.CreatePaymentAttemptParams{IdempotencyKey: ref},
		client.CreatePaymentAttempt{Method: client.PaymentMethod{Channel: wechatpay, Product: client.ProductQr}})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	w.await("the second code", func() (bool, any) {
		p = w.payment(p.ID)
		return len(p.Attempts) == 2 && p.Attempts[1].Status == client.PaymentAttemptStatusAwaitingPayer, p
	})
	number := w.text(`select number from attempts where payment_id = $1 and position = 2`, p.ID)
	w.control("POST", "/control/pay", map[string]any{"provider": wechatpay, "number": number}, nil)
	w.await("the first attempt's close", func() (bool, any) {
		p = w.payment(p.ID)
		return p.Status == client.PaymentStatusSucceeded && p.Attempts[0].Status == client.PaymentAttemptStatusClosed, p
	})
	w.moved(number, 19999)
	w.moved(w.text(`select number from attempts where payment_id = $1 and position = 1`, p.ID), 0)
	w.holds(17801, 1400, 599)
}

// payByCode scans a payer's phone, who pays at once. A process that dies after it
// took the code out of the safe may not have sent it: then the trade is undone.
func (w *world) payByCode(channel string) {
	p := w.byCode(channel, 19999, "pay")
	w.await("the end", func() (bool, any) {
		p = w.payment(p.ID)
		return p.Status == client.PaymentStatusSucceeded || p.Status == client.PaymentStatusClosed, p
	})
	if p.Status == client.PaymentStatusClosed {
		require.NotEmpty(w, w.text(`select coalesce(sent_at::text, '') from attempts where payment_id = $1`, p.ID))
		w.moved(w.paymentNumber(p.ID), 0)
		return
	}
	w.told(p.ID, "payment.succeeded")
	w.moved(w.paymentNumber(p.ID), 19999)
	w.holds(17801, 1400, 599)
}

// undoACode cancels while the payer is asked to confirm, if that was asked.
func (w *world) undoACode() {
	p := w.byCode(alipay, 1400, "confirm")
	w.await("the payer's turn", func() (bool, any) {
		p = w.payment(p.ID)
		return p.Status == client.PaymentStatusAwaitingPayer || p.Status == client.PaymentStatusClosed, p
	})
	if p.Status == client.PaymentStatusAwaitingPayer {
		w.cancel(p)
		p = w.paymentIs(p.ID, client.PaymentStatusClosed)
	}
	w.moved(w.paymentNumber(p.ID), 0)
}

// payLate pays after the close: the money is booked and given back.
func (w *world) payLate(channel string) {
	p := w.offered(channel, w.shop.id, 1200)
	w.scan(p)
	p = w.expired(p)
	w.pay(p, true)
	w.await("the late payment", func() (bool, any) {
		p = w.payment(p.ID)
		return len(p.LatePayments) > 0, p
	})
	require.Equal(w, client.PaymentStatusClosed, p.Status)
	r := w.refundIs(p.LatePayments[0].RefundID, client.RefundStatusSucceeded)
	w.told(p.ID, "payment.awaiting_payer", "payment.closed", "payment.paid_late")
	w.moved(w.paymentNumber(p.ID), 1200)
	w.moved(w.refundNumber(r.ID), -1200)
	w.holds(0, 0, 0)
}

// refundInParts gives a divided payment back in two parts, each receiver's share
// to the fen; the first part meets the trouble.
func (w *world) refundInParts(channel, kind string) {
	p := w.paid(channel, w.shop.id, 19999)
	if kind != "" {
		w.trouble(alipay, "alipay.trade.refund", kind)
	}
	first := w.refundIs(w.refund(p, 6667).ID, client.RefundStatusSucceeded)
	w.moved(w.refundNumber(first.ID), -6667)
	rest := w.refundIs(w.refund(p, 19999-6667).ID, client.RefundStatusSucceeded)
	w.moved(w.refundNumber(rest.ID), -(19999 - 6667))
	require.Equal(w, int64(19999), w.payment(p.ID).Refunded.Amount)
	w.holds(0, 0, 0)
}

// refundTooLate asks for a refund when the provider's time for it is over.
func (w *world) refundTooLate() {
	p := w.paid(alipay, w.shop.id, 19999)
	w.control("POST", "/control/clock", map[string]any{"advance_seconds": 400 * 24 * 3600}, nil)
	w.refundFails(w.refund(p, 19999))
}

// refundClosed has the provider close a refund on which it worked.
func (w *world) refundClosed() {
	p := w.paid(wechatpay, w.shop.id, 19999)
	w.freeze()
	r := w.refund(p, 19999)
	w.await("the provider has the refund", func() (bool, any) {
		status, text := w.tryControl("POST", "/control/refunds",
			map[string]any{"provider": wechatpay, "number": w.refundNumber(r.ID), "status": "CLOSED"})
		return status == http.StatusOK, string(text)
	})
	w.refundFails(r)
	w.thaw()
}

// refundRedirected sends the money of a refund elsewhere, whose payer's card is
// closed. Who hears that the provider knows nothing of it asks again.
func (w *world) refundRedirected() {
	p := w.paid(wechatpay, w.shop.id, 19999)
	w.freeze()
	r := w.refund(p, 19999)
	w.await("the provider has the refund", func() (bool, any) {
		status, text := w.tryControl("POST", "/control/refunds",
			map[string]any{"provider": wechatpay, "number": w.refundNumber(r.ID), "status": "ABNORMAL"})
		return status == http.StatusOK, string(text)
	})
	w.refundSees(r.ID, "it is abnormal", func(r client.Refund) bool { return r.AbnormalAt != nil })
	w.thaw()
	told := []string{"refund.abnormal"}
	w.redirect(r.ID)
	sent := w.refundSees(r.ID, "what became of the redirect", func(r client.Refund) bool {
		return r.Status == client.RefundStatusSucceeded || r.Redirect.Status == client.RefundRedirectStatusRefused
	})
	if sent.Redirect.Status == client.RefundRedirectStatusRefused {
		require.Equal(w, "redirect_unanswered", sent.Redirect.Failure.Code)
		told = append(told, "refund.abnormal")
		w.redirect(r.ID)
	}
	w.refundSees(r.ID, "it succeeded", func(r client.Refund) bool { return r.Status == client.RefundStatusSucceeded })
	w.told(r.ID, append(told, "refund.succeeded")...)
	w.moved(w.refundNumber(r.ID), -19999)
	w.holds(0, 0, 0)
}

// refundReturned is sent back by the payer's bank after a day, and goes elsewhere.
func (w *world) refundReturned() {
	p := w.paid(wechatpay, w.shop.id, 19999)
	r := w.refundIs(w.refund(p, 19999).ID, client.RefundStatusSucceeded)
	w.control("POST", "/control/refunds", map[string]any{"provider": wechatpay, "number": w.refundNumber(r.ID),
		"status": "ABNORMAL", "after_seconds": 24 * 3600}, nil)
	w.moveClock(w.now().Add(25 * time.Hour))
	w.refundIs(r.ID, client.RefundStatusReturned, "refund.succeeded")
	told := []string{"refund.succeeded", "refund.returned"}
	w.redirect(r.ID)
	sent := w.refundSees(r.ID, "what became of the redirect", func(r client.Refund) bool {
		return r.Status == client.RefundStatusSucceeded || r.Redirect.Status == client.RefundRedirectStatusRefused
	})
	if sent.Status != client.RefundStatusSucceeded {
		require.Equal(w, "redirect_unanswered", sent.Redirect.Failure.Code)
		told = append(told, "refund.abnormal")
		w.redirect(r.ID)
	}
	w.refundIs(r.ID, client.RefundStatusSucceeded, told...)
	w.moved(w.refundNumber(r.ID), -19999)
	w.holds(0, 0, 0)
}

// refundResolved may not be sent again under its number, and two persons give it
// another one.
func (w *world) refundResolved() {
	p, checker := w.paid(wechatpay, w.shop.id, 19999), w.checker()
	w.control("POST", "/control/faults", map[string]any{"provider": wechatpay, "operation": "POST /v3/refund/domestic/refunds",
		"kind": "refuse", "answer": "REPEAT_OVER", "count": 1000}, nil)
	r := w.refund(p, 19999)
	number := w.refundNumber(r.ID)
	w.refundSees(r.ID, "it may not be sent again", func(r client.Refund) bool {
		return r.Unresolved != nil && r.Unresolved.LastAnswerCode != nil
	})
	w.control("DELETE", "/control/faults", nil, nil)
	asked, err := w.api.ResolveRefundWithResponse(w.ctx, r.ID, &client.ResolveRefundParams{IdempotencyKey: w.ref("resolve")},
		client.ResolveUnknown{Decision: client.UnknownDecisionNewNumber, Reason: "a test"})
	require.NoError(w, err)
	require.NotNil(w, asked.JSON202, "%s", asked.Body)
	approved, err := checker.ApproveApprovalWithResponse(w.ctx, asked.JSON202.ID, &client.ApproveApprovalParams{IdempotencyKey: w.ref("approve")},
		client.ApproveApproval{ContentSha256: asked.JSON202.ContentSha256})
	require.NoError(w, err)
	require.NotNil(w, approved.JSON201, "%s", approved.Body)
	w.refundIs(r.ID, client.RefundStatusSucceeded, "refund.unresolved")
	require.NotEqual(w, number, w.refundNumber(r.ID))
	w.moved(number, 0)
	w.moved(w.refundNumber(r.ID), -19999)
	w.holds(0, 0, 0)
}

// checker speaks to the API as a second person.
func (w *world) checker() *client.ClientWithResponses {
	w.Helper()
	person, err := w.api.CreatePrincipalWithResponse(w.ctx, &client.CreatePrincipalParams{IdempotencyKey: w.ref("principal")},
		client.CreatePrincipal{Kind: client.PrincipalKindOperator, Name: "li.na", Roles: []client.Role{client.RoleFinanceChecker}, Reason: "a test"})
	require.NoError(w, err)
	require.NotNil(w, person.JSON201, "%s", person.Body)
	key, err := w.api.CreateAPIKeyWithResponse(w.ctx, &client.CreateAPIKeyParams{IdempotencyKey: w.ref("api-key")},
		client.CreateAPIKey{Name: "li.na", Scopes: []client.Scope{"*"}})
	require.NoError(w, err)
	require.NotNil(w, key.JSON201, "%s", key.Body)
	bound, err := w.api.BindPrincipalKeyWithResponse(w.ctx, person.JSON201.ID, &client.BindPrincipalKeyParams{IdempotencyKey: w.ref("bind")},
		client.BindPrincipalKey{APIKeyID: key.JSON201.ID, Reason: "a test"})
	require.NoError(w, err)
	require.Equal(w, http.StatusCreated, bound.StatusCode(), "%s", bound.Body)
	return w.clientOf(key.JSON201.Secret)
}

func (w *world) redirect(refundID string) {
	w.Helper()
	answer, err := w.api.RedirectRefundWithResponse(w.ctx, refundID, &client.RedirectRefundParams{IdempotencyKey: w.ref("redirect")},
		client.RedirectRefund{To: client.RefundDestinationMerchant})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
}

func (w *world) refundFails(r client.Refund) {
	r = w.refundIs(r.ID, client.RefundStatusFailed)
	require.Equal(w, "channel_refused", r.Failure.Code)
	w.moved(w.refundNumber(r.ID), 0)
	w.holds(17801, 1400, 599)
	require.Zero(w, w.count(`select coalesce(sum(refunded), 0)::bigint from split_legs`), "the legs can give their parts again")
}

func (w *world) withdrawSome(kind string) {
	w.paid(alipay, w.shop.id, 19999)
	if kind != "" {
		w.trouble(alipay, "alipay.fund.trans.uni.transfer", kind)
	}
	out := w.withdrawalIs(w.withdraw(w.shop.id, 4400).ID, client.WithdrawalStatusSucceeded)
	w.moved(w.withdrawalNumber(out.ID), -4400)
	w.holds(17801-4400, 1400, 599)
}

// withdrawAndGetItBack is paid out and sent back by the payee's bank after a day.
func (w *world) withdrawAndGetItBack() {
	w.paid(alipay, w.shop.id, 19999)
	out := w.withdrawalIs(w.withdraw(w.shop.id, 4400).ID, client.WithdrawalStatusSucceeded)
	w.control("POST", "/control/transfers", map[string]any{"provider": alipay, "number": w.withdrawalNumber(out.ID),
		"status": "REFUND", "after_seconds": 24 * 3600}, nil)
	w.moveClock(w.now().Add(25 * time.Hour))
	w.withdrawalIs(out.ID, client.WithdrawalStatusReturned, "withdrawal.succeeded")
	w.moved(w.withdrawalNumber(out.ID), 0)
	w.holds(17801, 1400, 599)
}

func (w *world) withdrawToNobody() {
	p := w.paid(wechatpay, w.shop.stranger, 9000)
	out := w.withdrawalIs(w.withdraw(w.shop.stranger, 9000).ID, client.WithdrawalStatusFailed)
	require.Equal(w, "PAYEE_NOT_EXIST", *out.Failure.ChannelCode)
	w.moved(w.withdrawalNumber(out.ID), 0)
	posted, held := w.available(w.shop.stranger)
	require.Equal(w, []int64{p.Amount.Amount, 0}, []int64{posted, held})
}

// endTheDay settles what was pending and reconciles both providers; Alipay's bill
// names another fee than ours, and the difference is booked.
func (w *world) endTheDay() {
	for _, channel := range []string{alipay, wechatpay} {
		p := w.paid(channel, w.shop.slow, 10000)
		w.refundIs(w.refund(p, 3000).ID, client.RefundStatusSucceeded)
		if channel == alipay {
			zone := time.FixedZone("Asia/Shanghai", 8*60*60)
			w.control("POST", "/control/bills/edit", map[string]any{"provider": alipay, "merchant": w.seed.Alipay.AppID,
				"date": w.now().In(zone).Format(time.DateOnly), "edit": "change_fee", "number": w.paymentNumber(p.ID), "fee": "0.99"}, nil)
		}
	}
	date := w.nextNoon()
	answer, err := w.api.CreateDailyOperationWithResponse(w.ctx, &client.CreateDailyOperationParams{IdempotencyKey: w.ref("daily-key")},
		client.CreateDailyOperation{BusinessDate: date})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	w.dailyIsDone(answer.JSON201.ID)
	posted, held := w.available(w.shop.slow)
	require.Equal(w, []int64{2*8900 - 2*2670, 0}, []int64{posted, held})

	id := answer.JSON201.ID
	list, err := w.api.ListReconciliationsWithResponse(w.ctx, &client.ListReconciliationsParams{DailyOperationID: &id})
	require.NoError(w, err)
	require.Len(w, list.JSON200.Data, 2)
	for _, r := range list.JSON200.Data {
		found := []any{r.Status, *r.MatchedCount, *r.DiscrepancyCount}
		if r.ChannelAccountID == w.seed.Alipay.ChannelAccountID {
			require.Equal(w, []any{client.ReconciliationStatusBalanced, int64(1), int64(1)}, found, "the difference was booked")
		} else {
			require.Equal(w, []any{client.ReconciliationStatusBalanced, int64(2), int64(0)}, found)
		}
		w.told(r.ID, "reconciliation.balanced")
	}
}

func (w *world) dailyIsDone(id string) {
	w.Helper()
	w.await("the daily operations", func() (bool, any) {
		answer, err := w.api.GetDailyOperationWithResponse(w.ctx, id)
		require.NoError(w, err)
		require.NotNil(w, answer.JSON200, "%s", answer.Body)
		return answer.JSON200.Status == client.DailyOperationStatusDone, string(answer.Body)
	})
}

// reconcileLongAgo asks for a bill that the provider does not give any more.
func (w *world) reconcileLongAgo() {
	answer, err := w.api.CreateReconciliationWithResponse(w.ctx, &client.CreateReconciliationParams{IdempotencyKey: w.ref("recon-key")},
		client.CreateReconciliation{BillDate: w.now().AddDate(0, 0, -300).Format(time.DateOnly), ChannelAccountID: w.seed.WeChatPay.ChannelAccountID})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	w.await("the refusal", func() (bool, any) {
		found, err := w.api.GetReconciliationWithResponse(w.ctx, answer.JSON201.ID)
		require.NoError(w, err)
		return found.JSON200.Status == client.ReconciliationStatusFailed, string(found.Body)
	})
}

// goTheRound runs what the Schedule runs, for two tenants.
func (w *world) goTheRound() {
	stranger := w.seedTenant("stranger.json")
	w.paid(alipay, w.shop.slow, 10000)
	w.nextNoon()
	run, err := w.temporal.ExecuteWorkflow(w.ctx, temporal.StartWorkflowOptions{ID: "round-" + stranger.TenantID, TaskQueue: workflows.Queue}, workflows.DailyRoundType)
	require.NoError(w, err)
	require.NoError(w, run.Get(w.ctx, nil))
	for _, tenant := range []string{w.seed.TenantID, stranger.TenantID} {
		w.await("the daily operations", func() (bool, any) {
			n := w.count(`select count(*) from daily_operations where tenant_id = $1 and status = 'done'`, tenant)
			return n == 1, n
		})
		require.Equal(w, int64(1), w.count(`select count(*) from daily_operations where tenant_id = $1`, tenant))
		require.Equal(w, int64(2), w.count(`select count(*) from reconciliations where tenant_id = $1 and status = 'balanced'`, tenant))
	}
}

func (w *world) transferOne() {
	w.paid(alipay, w.shop.id, 19999)
	ref := w.ref("transfer")
	answer, err := w.api.CreateTransferWithResponse(w.ctx, &client.CreateTransferParams{IdempotencyKey: ref},
		client.CreateTransfer{Reference: ref, FromMerchantID: w.shop.id, ToMerchantID: w.shop.head, Amount: yuan(801)})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	w.told(answer.JSON201.ID, "transfer.succeeded")
	w.holds(17000, 1400, 599+801)
}

func (w *world) transferMany() {
	w.paid(alipay, w.shop.id, 19999)
	var batch client.CreateTransferBatch
	batch.Mode = client.TransferBatchModeAllOrNothing
	for _, fen := range []int64{300, 501} {
		batch.Items = append(batch.Items, client.TransferBatchItem{Reference: w.ref("item"), FromMerchantID: w.shop.id,
			ToMerchantID: w.shop.head, Amount: yuan(fen)})
	}
	answer, err := w.api.CreateTransferBatchWithResponse(w.ctx, &client.CreateTransferBatchParams{IdempotencyKey: w.ref("batch-key")}, batch)
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	require.Equal(w, 2, answer.JSON201.Succeeded)
	require.Equal(w, int64(2), w.count(`select count(*) from transfers`))
	w.holds(17000, 1400, 599+801)
}

// hearOfPayment has the tenant told by a webhook: at least once, and whatever
// dies, always under the same id and with the same bytes.
func (w *world) hearOfPayment() {
	var mu sync.Mutex
	heard := map[string]string{}
	sink := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			heard[r.Header.Get("Webhook-Id")+string(body)] = string(body)
		}
		rw.WriteHeader(http.StatusNoContent)
	}))
	w.Cleanup(sink.Close)
	types := []client.EventPattern{client.EventPattern(client.EventTypePaymentSucceeded)}
	hook, err := w.api.CreateWebhookEndpointWithResponse(w.ctx, &client.CreateWebhookEndpointParams{IdempotencyKey: w.ref("hook-key")},
		client.CreateWebhookEndpoint{URL: sink.URL, EventTypes: &types})
	require.NoError(w, err)
	require.NotNil(w, hook.JSON201, "%s", hook.Body)
	p := w.paid(alipay, w.shop.id, 19999)
	w.await("the delivery", func() (bool, any) {
		n := w.count(`select count(*) from webhook_deliveries where status = 'delivered'`)
		return n == 1, n
	})
	mu.Lock()
	defer mu.Unlock()
	require.Len(w, heard, 1)
	for _, body := range heard {
		var event client.Event
		require.NoError(w, json.Unmarshal([]byte(body), &event))
		require.Equal(w, p.ID, event.ObjectID)
		require.Equal(w, client.EventTypePaymentSucceeded, event.Type)
	}
}

// hearAgain has an endpoint told what happened before it existed.
func (w *world) hearAgain() {
	began := time.Now().Add(-time.Hour)
	w.paid(alipay, w.shop.id, 19999)
	var mu sync.Mutex
	heard := map[string]bool{}
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		heard[r.Header.Get("Webhook-Id")] = true
	}))
	w.Cleanup(sink.Close)
	hook, err := w.api.CreateWebhookEndpointWithResponse(w.ctx, &client.CreateWebhookEndpointParams{IdempotencyKey: w.ref("hook-key")},
		client.CreateWebhookEndpoint{URL: sink.URL})
	require.NoError(w, err)
	require.NotNil(w, hook.JSON201, "%s", hook.Body)
	started, err := w.api.CreateWebhookRedeliveryWithResponse(w.ctx, hook.JSON201.ID,
		&client.CreateWebhookRedeliveryParams{IdempotencyKey: w.ref("range-key")},
		client.CreateWebhookRedelivery{CreatedFrom: began, CreatedTo: time.Now().Add(time.Hour)})
	require.NoError(w, err)
	require.NotNil(w, started.JSON201, "%s", started.Body)
	w.await("the redelivery", func() (bool, any) {
		left := w.count(`select (select count(*) from webhook_redeliveries where status = 'running') +
			(select count(*) from events e where not exists (
			  select from webhook_deliveries d where d.event_id = e.id and d.status = 'delivered'))`)
		return left == 0, left
	})
	mu.Lock()
	defer mu.Unlock()
	require.Len(w, heard, int(w.count(`select count(*) from events`)))
}

func (w *world) sealWhatIsBooked() {
	w.paid(alipay, w.shop.id, 19999)
	w.await("the seals", func() (bool, any) {
		open := w.count(`select (select max(seq) from entries) - coalesce((select max(to_seq) from seals), 0)`)
		return open == 0, open
	})
}

// letAHoldExpire places a hold for a moment, as a caller of the ledger does, and
// waits until it is gone.
func (w *world) letAHoldExpire() {
	w.paid(alipay, w.shop.id, 19999)
	require.NoError(w, w.db.DB.InTenant(w.ctx, w.seed.TenantID, func(tx pgx.Tx) error {
		account := ledger.AccountKey{Type: ledger.MerchantAvailable, Owner: w.shop.id, Currency: money.CNY}
		_, err := ledger.PlaceHold(w.ctx, tx, w.seed.TenantID, ledger.HoldRequest{Account: account, Amount: 100,
			Reference: w.ref("hold"), ExpiresAt: time.Now().Add(time.Second)})
		return err
	}))
	w.await("the hold's end", func() (bool, any) {
		status := w.text(`select status from holds where reference like 'hold-%'`)
		return status == "expired", status
	})
	w.holds(17801, 1400, 599)
}

// yearAhead is the scenario whose processes start when the migration's partitions
// are about to end.
const yearAhead = "year-ahead"

// beginAYearAhead takes a payment in a month whose partitions the sweep makes when
// a process starts.
func (w *world) beginAYearAhead() {
	w.control("POST", "/control/clock", map[string]any{"now": w.now()}, nil)
	w.paid(alipay, w.shop.id, 19999)
	w.await("the partitions", func() (bool, any) {
		short := w.count(`select count(*) from partitions_until where until < suanpan_now() + interval '3 months'`)
		return short == 0, short
	})
}

// forget is the scenario whose processes start when there is something to forget.
const forget = "forget"

// leaveSomethingOld leaves a call of long ago, and a code, an approval, a signature and
// a payer's trip whose time is over.
func (w *world) leaveSomethingOld() {
	_, err := w.db.Pool.Exec(w.Context(), `
		insert into channel_calls (tenant_id, id, channel_account_id, number, operation, started_at, took_ms, outcome, code,
			request_id, request, answer)
		select tenant_id, 'cll_old-' || id, id, '', 'query_trade', now() - interval '3 years', 1, 'unknown', '', '', '{}', '{}'
		from channel_accounts`)
	require.NoError(w, err)
	_, err = w.db.Pool.Exec(w.Context(), `
		insert into one_time_secrets (tenant_id, id, sealed, created_at, expires_at)
		select id, 'att_old', sha256('old'), at, at + interval '1 minute' from tenants, (select now() - interval '1 hour') t (at)`)
	require.NoError(w, err)
	_, err = w.db.Pool.Exec(w.Context(), `
		insert into approvals (tenant_id, id, kind, operation, route, content, sealed, content_hash, requested_by_key, expires_at)
		select tenant_id, 'apv_old', 'refund', 'createRefund', '', '', false, sha256(''), min(id), now() - interval '1 hour'
		from api_keys group by tenant_id`)
	require.NoError(w, err)
	_, err = w.db.Pool.Exec(w.Context(), `
		with k as (
		  insert into signing_keys (tenant_id, id, api_key_id, name, public_key)
		  select tenant_id, 'sgk' || substr(id, 4), id, 'old', sha256(id::bytea) from api_keys returning tenant_id, id
		)
		insert into signature_nonces (tenant_id, signing_key_id, nonce, forget_after)
		select tenant_id, id, 'nonce-of-long-ago', now() - interval '1 hour' from k`)
	require.NoError(w, err)
	// There is no payment yet for the payer's trip to be about, so its foreign key is not asked.
	_, err = w.db.Pool.Exec(w.Context(), `
		set session_replication_role = replica;
		insert into oauth_trips (tenant_id, state_hash, payment_id, channel_account_id, expires_at)
		select tenant_id, sha256(id::bytea), 'pay_old', id, now() - interval '3 days' from channel_accounts;
		set session_replication_role = origin`)
	require.NoError(w, err)
}

// forgetWhatIsOld waits until it is gone; what is paid meanwhile is not old.
func (w *world) forgetWhatIsOld() {
	w.paid(alipay, w.shop.id, 19999)
	w.await("the old call, code and signature", func() (bool, any) {
		left := w.count(`select (select count(*) from channel_calls where id like 'cll_old-%') + (select count(*) from one_time_secrets) +
			(select count(*) from signature_nonces) + (select count(*) from oauth_trips)`)
		return left == 0, left
	})
	w.await("the old approval", func() (bool, any) {
		left := w.count(`select count(*) from approvals where status = 'pending'`)
		return left == 0, left
	})
	w.await("the record of what is not old", func() (bool, any) {
		calls := w.count(`select count(*) from channel_calls`)
		return calls > 0, calls
	})
}
