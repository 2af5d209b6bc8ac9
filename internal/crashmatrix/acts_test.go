//go:build chaos

package crashmatrix_test

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

const (
	alipay    = "alipay"
	wechatpay = "wechatpay"
)

// shop sells; its income is divided with the platform and its agent, whose
// share is divided with the head agent.
type shop struct{ id, agent, head, slow, stranger string }

func ptr[T any](v T) *T { return &v }

func payee(account, name string) *client.CreatePayoutAccount {
	return &client.CreatePayoutAccount{Channel: client.CreatePayoutAccountChannelAlipay, Account: account, Name: name}
}

func (w *world) openShop() {
	w.Helper()
	w.shop.head = w.newMerchant("head", nil, client.SettlementT0)
	w.shop.agent = w.newMerchant("agent", nil, client.SettlementT0)
	w.shop.id = w.newMerchant("shop", payee("boss@example.com", "张小明"), client.SettlementT0)
	w.shop.slow = w.newMerchant("slow", nil, client.SettlementT1)
	w.shop.stranger = w.newMerchant("stranger", payee("nobody@example.com", "无名氏"), client.SettlementT0)
	w.divide(w.shop.agent, percent(w.shop.head, 3000))
	w.divide(w.shop.id, percent("", 100), percent(w.shop.agent, 1000))
	w.divide(w.shop.slow, percent("", 100), percent(w.shop.agent, 1000))
	w.control("POST", "/control/topups", map[string]any{"provider": alipay, "merchant": w.seed.Alipay.AppID,
		"number": w.ref("top-up"), "amount": 100000}, nil)
}

func (w *world) newMerchant(what string, payout *client.CreatePayoutAccount, s client.Settlement) string {
	w.Helper()
	ref := w.ref(what)
	answer, err := w.api.CreateMerchantWithResponse(w.ctx, &client.CreateMerchantParams{IdempotencyKey: ref},
		client.CreateMerchant{Reference: ref, Name: what, Settlement: s, PayoutAccount: payout})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	return answer.JSON201.ID
}

// percent is a leg for a merchant, or for the platform without one.
func percent(merchant string, basisPoints int) client.SplitRuleLeg {
	leg := client.SplitRuleLeg{Receiver: client.ReceiverPlatform, Type: client.SplitRuleLegTypePercent, BasisPoints: &basisPoints}
	if merchant != "" {
		leg.Receiver, leg.MerchantID = client.ReceiverMerchant, &merchant
	}
	return leg
}

func (w *world) divide(merchant string, legs ...client.SplitRuleLeg) {
	w.Helper()
	legs = append(legs, client.SplitRuleLeg{Receiver: client.ReceiverMerchant, MerchantID: &merchant, Type: client.SplitRuleLegTypeRemainder})
	answer, err := w.api.CreateSplitRuleWithResponse(w.ctx, &client.CreateSplitRuleParams{IdempotencyKey: w.ref("split-rule")},
		client.CreateSplitRule{MerchantID: merchant, Legs: legs})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
}

func yuan(fen int64) client.PositiveAmount {
	return client.PositiveAmount{Amount: fen, Currency: client.CurrencyCNY}
}

// ordered is a payment that was accepted.
func (w *world) ordered(channel, merchant string, fen int64) client.Payment {
	w.Helper()
	order := client.CreatePayment{MerchantID: merchant, Reference: w.ref("order"), Subject: "龙井茶 Longjing tea", Amount: yuan(fen),
		Method: &client.PaymentMethod{Channel: client.Channel(channel), Product: client.ProductQr}, ExpiresIn: ptr(3600)}
	answer, err := w.api.CreatePaymentWithResponse(w.ctx, &client.CreatePaymentParams{IdempotencyKey: order.Reference}, order)
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	return *answer.JSON201
}

// byCode is a payment with the code on a payer's phone, which pays at once or asks
// the payer to confirm.
func (w *world) byCode(channel string, fen int64, outcome string) client.Payment {
	w.Helper()
	var code struct {
		AuthCode string `json:"auth_code"`
	}
	w.control("POST", "/control/codes", map[string]any{"provider": channel, "outcome": outcome}, &code)
	order := client.CreatePayment{MerchantID: w.shop.id, Reference: w.ref("order"), Subject: "茶", Amount: yuan(fen), ExpiresIn: ptr(3600),
		Method: &client.PaymentMethod{Channel: client.Channel(channel), Product: client.ProductBarcode, AuthCode: &code.AuthCode,
			PayerIP: ptr("192.0.2.7")}}
	answer, err := w.api.CreatePaymentWithResponse(w.ctx, &client.CreatePaymentParams{IdempotencyKey: order.Reference}, order)
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	return *answer.JSON201
}

func (w *world) cancel(p client.Payment) {
	w.Helper()
	answer, err := w.api.CancelPaymentWithResponse(w.ctx, p.ID, &client.CancelPaymentParams{IdempotencyKey: w.ref("cancel")})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
}

// offered is a payment that a payer can pay.
func (w *world) offered(channel, merchant string, fen int64) client.Payment {
	w.Helper()
	return w.paymentIs(w.ordered(channel, merchant, fen).ID, client.PaymentStatusAwaitingPayer)
}

// paid is a payment that was paid and booked, with the events of it.
func (w *world) paid(channel, merchant string, fen int64) client.Payment {
	w.Helper()
	p := w.offered(channel, merchant, fen)
	w.pay(p, false)
	p = w.paymentIs(p.ID, client.PaymentStatusSucceeded)
	w.told(p.ID, "payment.awaiting_payer", "payment.succeeded")
	w.moved(w.paymentNumber(p.ID), fen)
	return p
}

func (w *world) payment(paymentID string) client.Payment {
	w.Helper()
	answer, err := w.api.GetPaymentWithResponse(w.ctx, paymentID)
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
	return *answer.JSON200
}

func (w *world) paymentIs(paymentID string, status client.PaymentStatus) client.Payment {
	w.Helper()
	var p client.Payment
	w.await("payment "+string(status), func() (bool, any) {
		p = w.payment(paymentID)
		return p.Status == status, p
	})
	return p
}

func (w *world) text(sql string, args ...any) (text string) {
	w.Helper()
	require.NoError(w, w.db.Pool.QueryRow(w.ctx, sql, args...).Scan(&text))
	return text
}

func (w *world) count(sql string, args ...any) (n int64) {
	w.Helper()
	require.NoError(w, w.db.Pool.QueryRow(w.ctx, sql, args...).Scan(&n))
	return n
}

func (w *world) paymentNumber(id string) string {
	w.Helper()
	return w.text(`select number from attempts where payment_id = $1`, id)
}

func (w *world) refundNumber(id string) string {
	w.Helper()
	return w.text(`select number from refunds where id = $1`, id)
}

func (w *world) withdrawalNumber(id string) string {
	w.Helper()
	return w.text(`select number from withdrawals where id = $1`, id)
}

// pay plays the payer; late pays what expired or was closed.
func (w *world) pay(p client.Payment, late bool) {
	w.Helper()
	w.control("POST", "/control/pay", map[string]any{"provider": p.Method.Channel, "number": w.paymentNumber(p.ID), "late": late}, nil)
}

// scan is a payer who opens the code and does not pay.
func (w *world) scan(p client.Payment) {
	w.Helper()
	w.control("POST", "/control/scan", map[string]any{"provider": p.Method.Channel, "number": w.paymentNumber(p.ID)}, nil)
}

// expired is a payment whose time passed and that was closed.
func (w *world) expired(p client.Payment) client.Payment {
	w.Helper()
	w.moveClock(w.now().Add(2 * time.Hour))
	return w.closed(p)
}

func (w *world) closed(p client.Payment) client.Payment {
	w.Helper()
	p = w.paymentIs(p.ID, client.PaymentStatusClosed)
	w.told(p.ID, "payment.awaiting_payer", "payment.closed")
	return p
}

func (w *world) refund(p client.Payment, fen int64) client.Refund {
	w.Helper()
	ref := w.ref("refund")
	answer, err := w.api.CreateRefundWithResponse(w.ctx, p.ID, &client.CreateRefundParams{IdempotencyKey: ref},
		client.CreateRefund{Reference: ref, Reason: "returned", Amount: yuan(fen)})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	return *answer.JSON201
}

// refundIs waits for a status, which is told after the events before.
func (w *world) refundIs(refundID string, status client.RefundStatus, before ...string) client.Refund {
	w.Helper()
	r := w.refundSees(refundID, "refund "+string(status), func(r client.Refund) bool { return r.Status == status })
	w.told(refundID, append(before, "refund."+string(status))...)
	return r
}

func (w *world) refundSees(refundID, what string, is func(client.Refund) bool) (r client.Refund) {
	w.Helper()
	w.await(what, func() (bool, any) {
		answer, err := w.api.GetRefundWithResponse(w.ctx, refundID)
		require.NoError(w, err)
		require.NotNil(w, answer.JSON200, "%s", answer.Body)
		r = *answer.JSON200
		return is(r), r
	})
	return r
}

func (w *world) withdraw(merchant string, fen int64) client.Withdrawal {
	w.Helper()
	ref := w.ref("withdrawal")
	answer, err := w.api.CreateWithdrawalWithResponse(w.ctx, &client.CreateWithdrawalParams{IdempotencyKey: ref},
		client.CreateWithdrawal{MerchantID: merchant, Reference: ref, Amount: yuan(fen)})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	return *answer.JSON201
}

// withdrawalIs waits for a status, which is told after the events before.
func (w *world) withdrawalIs(id string, status client.WithdrawalStatus, before ...string) client.Withdrawal {
	w.Helper()
	var found client.Withdrawal
	w.await("withdrawal "+string(status), func() (bool, any) {
		answer, err := w.api.GetWithdrawalWithResponse(w.ctx, id)
		require.NoError(w, err)
		require.NotNil(w, answer.JSON200, "%s", answer.Body)
		found = *answer.JSON200
		return found.Status == status, found
	})
	w.told(id, append(before, "withdrawal."+string(status))...)
	return found
}

// trouble lets the next request of an operation fail at its provider.
func (w *world) trouble(provider, operation, kind string) {
	w.Helper()
	w.control("POST", "/control/faults", map[string]any{"provider": provider, "operation": operation, "kind": kind, "count": 1}, nil)
}

// now is the business time.
func (w *world) now() time.Time {
	w.Helper()
	answer, err := w.api.GetTestClockWithResponse(w.ctx)
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
	return answer.JSON200.Now
}

// moveClock moves the business clock of the platform and of the providers.
func (w *world) moveClock(to time.Time) {
	w.Helper()
	w.moveOurClock(to)
	w.control("POST", "/control/clock", map[string]any{"now": to}, nil)
}

func (w *world) moveOurClock(to time.Time) {
	w.Helper()
	answer, err := w.api.MoveTestClockWithResponse(w.ctx, &client.MoveTestClockParams{IdempotencyKey: w.ref("clock-key")},
		client.MoveTestClock{Now: to})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
}

// nextNoon moves the clock to noon, in Shanghai, of the next day and returns the
// day that ended.
func (w *world) nextNoon() (yesterday string) {
	w.Helper()
	zone := time.FixedZone("Asia/Shanghai", 8*60*60)
	day := w.now().In(zone)
	w.moveClock(time.Date(day.Year(), day.Month(), day.Day()+1, 12, 0, 0, 0, zone))
	return day.Format(time.DateOnly)
}

// told wants exactly these events about an object, in this order.
func (w *world) told(objectID string, types ...string) {
	w.Helper()
	answer, err := w.api.ListEventsWithResponse(w.ctx, &client.ListEventsParams{ObjectID: &objectID})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
	var list []string
	for _, e := range answer.JSON200.Data {
		list = append(list, string(e.Type))
	}
	slices.Reverse(list)
	require.Equal(w, types, list)
}

// moved wants that exactly this moved at the provider under a number, fees left
// out; nothing when it is zero.
func (w *world) moved(number string, fen int64) {
	w.Helper()
	var want, got []int64
	if fen != 0 {
		want = append(want, fen)
	}
	for _, m := range w.theirMoney() {
		if m.Number == number && m.Kind != "payment_fee" && m.Kind != "refund_fee" {
			got = append(got, m.Fen)
		}
	}
	require.Equal(w, want, got, "what moved under %s", number)
}

// available is a merchant's balance, and what of it is promised.
func (w *world) available(merchant string) (posted, held int64) {
	w.Helper()
	kind := client.AccountTypeMerchantAvailable
	answer, err := w.api.ListAccountsWithResponse(w.ctx, &client.ListAccountsParams{Type: &kind, Owner: &merchant})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
	for _, account := range answer.JSON200.Data {
		posted += account.Posted.Amount
		held += account.Held.Amount
	}
	return posted, held
}

// holds wants these balances of the shop, its agent and the head agent.
func (w *world) holds(shop, agent, head int64) {
	w.Helper()
	var got []int64
	for _, merchant := range []string{w.shop.id, w.shop.agent, w.shop.head} {
		posted, held := w.available(merchant)
		require.Zero(w, held)
		got = append(got, posted)
	}
	require.Equal(w, []int64{shop, agent, head}, got, "shop, agent, head agent")
}
