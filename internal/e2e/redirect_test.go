package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

const (
	payersCard   = "6222020200112233445"
	payersName   = "赵钱孙"
	redirectCall = "POST /v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund"
)

// abnormal is a refund whose payer's card is closed.
func (w *world) abnormal(fen int64) client.Refund {
	w.Helper()
	r := w.refund(w.paid(wechatpay, 5000), fen)
	number := w.refundNumber(r.ID)
	w.await("the provider has the refund", func() (bool, any) {
		status, answer := w.controlled("POST", "/control/refunds", map[string]any{"provider": wechatpay, "number": number, "status": "ABNORMAL"})
		return status == http.StatusOK || status == http.StatusNoContent, string(answer)
	})
	return w.refundSees("it is abnormal", r.ID, func(r client.Refund) bool { return r.AbnormalAt != nil })
}

func (w *world) refundSees(what, refundID string, is func(client.Refund) bool) (r client.Refund) {
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

func toCard() map[string]any {
	return map[string]any{"to": "payer_card", "card": map[string]any{"bank": "ICBC_DEBIT", "number": payersCard, "holder": payersName}}
}

func (w *world) redirect(refundID string, body map[string]any) raw {
	w.Helper()
	answer, err := w.send(w.apis[0], w.seed.APIKey, "/v1/refunds/"+refundID+"/redirect", w.ref("redirect"), body)
	require.NoError(w, err)
	return answer
}

// movedOnce: the provider moved the refund's money once.
func (w *world) movedOnce(r client.Refund) {
	w.Helper()
	require.Len(w, w.moved(w.refundNumber(r.ID)), 1)
}

// A refund whose payer's card is closed goes to another card of the payer, or to
// the merchant; the money moves once, and the card is kept nowhere.
func TestAbnormalRefundsGoWhereTheTenantSays(t *testing.T) {
	w := newWorld(t, unguarded)
	healthy := w.refund(w.paid(wechatpay, 1000), 100)
	answer := w.redirect(healthy.ID, toCard())
	require.Equal(t, http.StatusUnprocessableEntity, answer.status)
	require.Contains(t, answer.body, "refund_not_abnormal")

	byCard, byBank := w.abnormal(300), w.abnormal(400)
	require.Equal(t, client.RefundStatusProcessing, byCard.Status)
	require.Contains(t, *byCard.WaitingFor, "say where the money is to go")
	require.Nil(t, byCard.Redirect)
	require.Positive(t, w.held(w.shop.id)+w.held(w.shop.agent), "what was promised stays held")

	answer = w.redirect(byCard.ID, toCard())
	require.Equal(t, http.StatusOK, answer.status, answer.body)
	require.NotContains(t, answer.body, payersCard)
	answer = w.redirect(byCard.ID, map[string]any{"to": "merchant"})
	require.Equal(t, http.StatusUnprocessableEntity, answer.status, "one way at a time: %s", answer.body)
	answer = w.redirect(byBank.ID, map[string]any{"to": "merchant"})
	require.Equal(t, http.StatusOK, answer.status, answer.body)

	for _, r := range []client.Refund{byCard, byBank} {
		r = w.refundIs(r.ID, client.RefundStatusSucceeded)
		require.Equal(t, client.RefundRedirectStatusAccepted, r.Redirect.Status)
		require.Equal(t, []string{"refund.abnormal", "refund.succeeded"}, w.eventsOf(r.ID))
		w.movedOnce(r)
	}
	require.Zero(t, w.held(w.shop.id)+w.held(w.shop.agent))
	require.Zero(t, w.count(`select count(*) from one_time_secrets`), "the card is gone with the sending")
	for _, personal := range []string{payersCard, payersName} {
		require.Zero(t, w.count(`select count(*) from refunds r where r::text like '%' || $1 || '%'`, personal))
		require.Zero(t, w.count(`select count(*) from channel_calls c where c::text like '%' || $1 || '%'`, personal))
		require.Zero(t, w.count(`select count(*) from events e where e::text like '%' || $1 || '%'`, personal))
	}
}

// What the provider refuses leaves the money waiting for another destination, in
// its own code.
func TestRefusedRedirectsCanBeAskedForAgain(t *testing.T) {
	w := newWorld(t, unguarded)
	r := w.abnormal(300)
	w.fault(trouble{Provider: wechatpay, Operation: redirectCall, Kind: "refuse", Answer: "USER_ACCOUNT_ABNORMAL", Count: 1})
	require.Equal(t, http.StatusOK, w.redirect(r.ID, toCard()).status)
	refused := w.refundSees("it was refused", r.ID, func(r client.Refund) bool {
		return r.Redirect.Status == client.RefundRedirectStatusRefused
	})
	require.Equal(t, client.RefundStatusProcessing, refused.Status)
	require.Equal(t, "USER_ACCOUNT_ABNORMAL", *refused.Redirect.Failure.ChannelCode)

	require.Equal(t, http.StatusOK, w.redirect(r.ID, map[string]any{"to": "merchant"}).status)
	done := w.refundIs(r.ID, client.RefundStatusSucceeded)
	require.Equal(t, client.RefundDestinationMerchant, done.Redirect.To)
	require.Nil(t, done.Redirect.Failure)
	require.Equal(t, []string{"refund.abnormal", "refund.succeeded"}, w.eventsOf(r.ID))
	w.movedOnce(r)
}

// An answer that is lost is asked for, and nothing is sent twice.
func TestLostAnswerToARedirect(t *testing.T) {
	w := newWorld(t, unguarded)
	r := w.abnormal(300)
	w.fault(trouble{Provider: wechatpay, Operation: redirectCall, Kind: "lose_reply", Count: 1})
	require.Equal(t, http.StatusOK, w.redirect(r.ID, toCard()).status)
	done := w.refundIs(r.ID, client.RefundStatusSucceeded)
	require.Equal(t, client.RefundDestinationPayerCard, done.Redirect.To)
	w.await("the one call is in the log", func() (bool, any) {
		n := w.count(`select count(*) from channel_calls where operation = 'redirect_refund'`)
		return n == 1, n
	})
	w.movedOnce(r)
}
