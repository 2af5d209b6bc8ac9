package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
)

const (
	alipay    = "alipay"
	wechatpay = "wechatpay"
)

// shop sells; its income is divided with the platform and its agent, whose
// share is divided with the head agent.
type shop struct{ id, agent, head string }

func ptr[T any](v T) *T { return &v }

func (w *world) openShop() {
	w.Helper()
	w.shop.head = w.newMerchant("head", nil, client.SettlementT0)
	w.shop.agent = w.newMerchant("agent", nil, client.SettlementT0)
	w.shop.id = w.newMerchant("shop", &client.CreatePayoutAccount{
		Channel: client.CreatePayoutAccountChannelAlipay, Account: "boss@example.com", Name: "张小明"}, client.SettlementT0)
	w.divide(w.shop.agent, percent(w.shop.head, 3000))
	w.divide(w.shop.id, percent("", 100), percent(w.shop.agent, 1000))
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

// order is the body of a payment of the shop.
func (w *world) order(channel string, fen int64) client.CreatePayment {
	return client.CreatePayment{MerchantID: w.shop.id, Reference: w.ref("order"), Subject: "龙井茶 Longjing tea",
		Amount:    client.PositiveAmount{Amount: fen, Currency: client.CurrencyCNY},
		Method:    &client.PaymentMethod{Channel: client.Channel(channel), Product: client.ProductQr},
		ExpiresIn: ptr(3600)}
}

func (w *world) post(order client.CreatePayment) client.Payment {
	w.Helper()
	answer, err := w.api.CreatePaymentWithResponse(w.ctx, &client.CreatePaymentParams{IdempotencyKey: order.Reference}, order)
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	return *answer.JSON201
}

// offered is a payment that a payer can pay.
func (w *world) offered(channel string, fen int64) client.Payment {
	w.Helper()
	return w.paymentIs(w.post(w.order(channel, fen)).ID, client.PaymentStatusAwaitingPayer)
}

// paid is a payment that was paid and booked.
func (w *world) paid(channel string, fen int64) client.Payment {
	w.Helper()
	p := w.offered(channel, fen)
	w.pay(p, false)
	return w.paymentIs(p.ID, client.PaymentStatusSucceeded)
}

func (w *world) payment(paymentID string) client.Payment {
	w.Helper()
	answer, err := w.api.GetPaymentWithResponse(w.ctx, paymentID)
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
	return *answer.JSON200
}

// paymentIs waits until the payment has the status.
func (w *world) paymentIs(paymentID string, status client.PaymentStatus) client.Payment {
	w.Helper()
	var p client.Payment
	w.await("payment "+string(status), func() (bool, any) {
		p = w.payment(paymentID)
		return p.Status == status, p
	})
	return p
}

// numberOf is the payment's number at its provider.
func (w *world) numberOf(paymentID string) (number string) {
	w.Helper()
	require.NoError(w, w.db.Pool.QueryRow(w.ctx, `select number from attempts where payment_id = $1`, paymentID).Scan(&number))
	return number
}

// pay plays the payer; late pays what expired or was closed.
func (w *world) pay(p client.Payment, late bool) {
	w.Helper()
	w.control("POST", "/control/pay", map[string]any{"provider": p.Method.Channel, "number": w.numberOf(p.ID), "late": late}, nil)
}

func (w *world) refund(p client.Payment, fen int64) client.Refund {
	w.Helper()
	ref := w.ref("refund")
	answer, err := w.api.CreateRefundWithResponse(w.ctx, p.ID, &client.CreateRefundParams{IdempotencyKey: ref},
		client.CreateRefund{Reference: ref, Reason: "returned", Amount: client.PositiveAmount{Amount: fen, Currency: client.CurrencyCNY}})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	return *answer.JSON201
}

func (w *world) refundIs(refundID string, status client.RefundStatus) client.Refund {
	w.Helper()
	var r client.Refund
	w.await("refund "+string(status), func() (bool, any) {
		answer, err := w.api.GetRefundWithResponse(w.ctx, refundID)
		require.NoError(w, err)
		require.NotNil(w, answer.JSON200, "%s", answer.Body)
		r = *answer.JSON200
		return r.Status == status, r
	})
	return r
}

func (w *world) refundNumber(refundID string) (number string) {
	w.Helper()
	require.NoError(w, w.db.Pool.QueryRow(w.ctx, `select number from refunds where id = $1`, refundID).Scan(&number))
	return number
}

func (w *world) withdraw(merchant string, fen int64) client.Withdrawal {
	w.Helper()
	ref := w.ref("withdrawal")
	answer, err := w.api.CreateWithdrawalWithResponse(w.ctx, &client.CreateWithdrawalParams{IdempotencyKey: ref},
		client.CreateWithdrawal{MerchantID: merchant, Reference: ref, Amount: client.PositiveAmount{Amount: fen, Currency: client.CurrencyCNY}})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	return *answer.JSON201
}

func (w *world) withdrawal(id string) client.Withdrawal {
	w.Helper()
	answer, err := w.api.GetWithdrawalWithResponse(w.ctx, id)
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
	return *answer.JSON200
}

func (w *world) withdrawalIs(id string, status client.WithdrawalStatus) client.Withdrawal {
	w.Helper()
	var found client.Withdrawal
	w.await("withdrawal "+string(status), func() (bool, any) {
		found = w.withdrawal(id)
		return found.Status == status, found
	})
	return found
}

func (w *world) withdrawalNumber(id string) (number string) {
	w.Helper()
	require.NoError(w, w.db.Pool.QueryRow(w.ctx, `select number from withdrawals where id = $1`, id).Scan(&number))
	return number
}

// topUp puts money of the platform's own into its Alipay account.
func (w *world) topUp(fen int64) {
	w.Helper()
	w.control("POST", "/control/topups", map[string]any{"provider": alipay, "merchant": w.seed.Alipay.AppID,
		"number": w.ref("top-up"), "amount": fen}, nil)
}

// trouble is a fault at a provider.
type trouble struct {
	Provider  string `json:"provider"`
	Operation string `json:"operation,omitempty"`
	Kind      string `json:"kind"`
	Number    string `json:"number,omitempty"`
	Count     int    `json:"count,omitempty"`
	// Rate and Seconds are shares of the requests, and seconds of the business clock.
	Rate    float64 `json:"rate,omitempty"`
	Seconds int     `json:"for_seconds,omitempty"`
	DelayMS int64   `json:"delay_ms,omitempty"`
	Answer  string  `json:"answer,omitempty"`
	Field   string  `json:"field,omitempty"`
	Value   string  `json:"value,omitempty"`
	// Hits is the sandbox's to say.
	Hits int `json:"hits,omitempty"`
}

func (w *world) fault(f trouble) {
	w.Helper()
	w.control("POST", "/control/faults", f, nil)
}

// hits is how many requests the faults have hit.
func (w *world) hits() (n int) {
	w.Helper()
	var list struct{ Faults []struct{ Hits int } }
	w.control("GET", "/control/faults", nil, &list)
	for _, f := range list.Faults {
		n += f.Hits
	}
	return n
}

// hit waits until n requests at least were hit by a fault.
func (w *world) hit(n int) {
	w.Helper()
	w.await("requests that are hit by the fault", func() (bool, any) { return w.hits() >= n, w.hits() })
}

// healed ends all faults, after n requests at least were hit.
func (w *world) healed(n int) {
	w.Helper()
	w.hit(n)
	w.control("DELETE", "/control/faults", nil, nil)
}

// control calls the sandbox and wants success.
func (w *world) control(method, path string, body, into any) {
	w.Helper()
	status, text := w.controlled(method, path, body)
	require.Equal(w, http.StatusOK, status, "%s %s: %s", method, path, text)
	if into != nil {
		require.NoError(w, json.Unmarshal(text, into))
	}
}

// controlled calls the sandbox and returns what it answers.
func (w *world) controlled(method, path string, body any) (int, []byte) {
	w.Helper()
	encoded, err := json.Marshal(body)
	require.NoError(w, err)
	request, err := http.NewRequestWithContext(w.ctx, method, w.sandbox+path, bytes.NewReader(encoded))
	require.NoError(w, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(w, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(w, err)
	return response.StatusCode, text
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
	answer, err := w.api.MoveTestClockWithResponse(w.ctx, &client.MoveTestClockParams{IdempotencyKey: w.ref("clock")},
		client.MoveTestClock{Now: to})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
	w.control("POST", "/control/clock", map[string]any{"now": to}, nil)
}

func shanghai() *time.Location { return time.FixedZone("Asia/Shanghai", 8*60*60) }

// noonOf is noon of the day, in Shanghai, that is some days after now's.
func noonOf(now time.Time, days int) time.Time {
	day := now.In(shanghai())
	return time.Date(day.Year(), day.Month(), day.Day()+days, 12, 0, 0, 0, shanghai())
}

// eventsOf are the types of the object's events, oldest first.
func (w *world) eventsOf(objectID string) []string {
	w.Helper()
	answer, err := w.api.ListEventsWithResponse(w.ctx, &client.ListEventsParams{ObjectID: &objectID})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
	var types []string
	for _, e := range answer.JSON200.Data {
		types = append([]string{string(e.Type)}, types...)
	}
	return types
}

func paymentWorkflow(id string) string    { return payment.WorkflowID(id) }
func refundWorkflow(id string) string     { return refund.WorkflowID(id) }
func withdrawalWorkflow(id string) string { return payout.WorkflowID(id) }

// tap stands before an API instance and keeps what the providers sent.
type tap struct {
	mu    sync.Mutex
	to    string
	kept  []kept
	muted bool
}

// kept is one notification as it arrived.
type kept struct {
	path   string
	header http.Header
	body   []byte
}

func newTap() *tap { return &tap{} }

func (n *tap) forwardTo(base string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.to = base
}

// mute makes the tap swallow what arrives, as a network would.
func (n *tap) mute(muted bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.muted = muted
}

func (n *tap) about(number string) []kept {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []kept
	for _, k := range n.kept {
		if strings.Contains(string(k.body), number) || number == "" {
			found = append(found, k)
		}
	}
	return found
}

func (n *tap) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	k := kept{r.URL.Path, r.Header.Clone(), body}
	n.mu.Lock()
	n.kept = append(n.kept, k)
	to, muted := n.to, n.muted
	n.mu.Unlock()
	if muted {
		http.Error(rw, "nobody is here", http.StatusBadGateway)
		return
	}
	status, answer := k.send(to, k.path)
	rw.WriteHeader(status)
	_, _ = rw.Write(answer)
}

// send delivers the notification to an instance, at any path.
func (k kept) send(base, path string) (int, []byte) {
	request := httptest.NewRequest(http.MethodPost, base+path, bytes.NewReader(k.body))
	request.RequestURI = ""
	request.Header = k.header.Clone()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return http.StatusBadGateway, []byte(err.Error())
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return http.StatusBadGateway, []byte(err.Error())
	}
	return response.StatusCode, answer
}
