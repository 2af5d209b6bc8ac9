package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// checker is the key of a second person.
func (w *world) checker() string {
	w.Helper()
	var person, key struct{ ID, Secret string }
	made := func(path string, body map[string]any, into any) {
		answer, err := w.send(w.apis[0], w.seed.APIKey, path, w.ref("checker"), body)
		require.NoError(w, err)
		require.Equal(w, http.StatusCreated, answer.status, answer.body)
		if into != nil {
			require.NoError(w, json.Unmarshal([]byte(answer.body), into))
		}
	}
	made("/v1/principals", map[string]any{"kind": "operator", "name": "li.na", "roles": []string{"finance_checker"}, "reason": "a test"}, &person)
	made("/v1/api_keys", map[string]any{"name": "li.na", "scopes": []string{"*"}}, &key)
	made("/v1/principals/"+person.ID+"/keys", map[string]any{"api_key_id": key.ID, "reason": "a test"}, nil)
	return key.Secret
}

// approval is as much of one as is needed to decide.
type approval struct {
	ID            string         `json:"id"`
	Status        string         `json:"status"`
	ContentSHA256 string         `json:"content_sha256"`
	Preview       map[string]any `json:"preview"`
}

// resolve asks for a decision and lets the second person approve it.
func (w *world) resolve(checker, path, decision string) approval {
	w.Helper()
	asked, err := w.send(w.apis[0], w.seed.APIKey, path+"/resolve", w.ref("resolve"), map[string]any{"decision": decision, "reason": "asked the provider"})
	require.NoError(w, err)
	require.Equal(w, http.StatusAccepted, asked.status, asked.body)
	var waiting, done approval
	require.NoError(w, json.Unmarshal([]byte(asked.body), &waiting))
	require.Equal(w, "pending", waiting.Status)
	require.Equal(w, "NOT_FOUND", waiting.Preview["last_answer_code"], asked.body)
	approved, err := w.send(w.apis[1], checker, "/v1/approvals/"+waiting.ID+"/approve", w.ref("approve"),
		map[string]any{"content_sha256": waiting.ContentSHA256})
	require.NoError(w, err)
	require.Equal(w, http.StatusCreated, approved.status, approved.body)
	require.NoError(w, json.Unmarshal([]byte(approved.body), &done))
	require.Equal(w, "approved", done.Status)
	return waiting
}

// WeChat Pay says that the time for repeating is over: the refund is asked about and
// never sent again, until two persons have decided.
func TestRefundBeyondTheTimeForRepeating(t *testing.T) {
	w := newWorld(t, unguarded)
	p, checker := w.paid(wechatpay, 5000), w.checker()
	lost := trouble{Provider: wechatpay, Operation: refundOf(wechatpay), Kind: "lose_request", Count: 1}
	over := trouble{Provider: wechatpay, Operation: refundOf(wechatpay), Kind: "refuse", Answer: "REPEAT_OVER", Count: 1}
	for _, decision := range []string{"failed", "new_number"} {
		w.fault(lost)
		w.fault(over)
		r := w.refund(p, 300)
		number := w.refundNumber(r.ID)
		stuck := w.refundSees("it may not be sent again", r.ID, func(r client.Refund) bool {
			return r.Unresolved != nil && r.Unresolved.LastAnswerCode != nil
		})
		require.Equal(t, client.RefundStatusProcessing, stuck.Status)
		require.Equal(t, "REPEAT_OVER", stuck.Unresolved.ChannelCode)
		require.Equal(t, "NOT_FOUND", *stuck.Unresolved.LastAnswerCode)
		require.Contains(t, *stuck.WaitingFor, "two persons decide")
		calls := w.count(`select count(*) from channel_calls where number = $1 and operation = 'refund'`, number)

		w.resolve(checker, "/v1/refunds/"+r.ID, decision)
		if decision == "failed" {
			failed := w.refundIs(r.ID, client.RefundStatusFailed)
			require.Equal(t, "declared_failed", failed.Failure.Code)
			require.Empty(t, w.moved(number))
			require.Equal(t, []string{"refund.unresolved", "refund.failed"}, w.eventsOf(r.ID))
		} else {
			w.refundIs(r.ID, client.RefundStatusSucceeded)
			require.Equal(t, []string{"refund.unresolved", "refund.succeeded"}, w.eventsOf(r.ID))
			renewed := w.refundNumber(r.ID)
			require.NotEqual(t, number, renewed)
			require.Empty(t, w.moved(number))
			require.Len(t, w.moved(renewed), 1)
		}
		require.Equal(t, calls, w.count(`select count(*) from channel_calls where number = $1 and operation = 'refund'`, number),
			"it is not sent again under its number")
	}
	require.Zero(t, w.held(w.shop.id)+w.held(w.shop.agent))
	require.Equal(t, int64(2), w.count(`select count(*) from audit_entries where operation = 'approveApproval' and object_type = 'unresolved'`))
}

// Our own bound of repeating ends it where the provider has no word for it.
func TestWithdrawalBeyondTheTimeForRepeating(t *testing.T) {
	w := newWorld(t, func(w *world) { w.repeatWindow = time.Nanosecond })
	w.topUp(100000)
	w.paid(alipay, 20000)
	checker := w.checker()
	before := w.posted(client.AccountTypeMerchantAvailable, w.shop.id)
	w.fault(trouble{Provider: alipay, Operation: transferOp, Kind: "lose_request", Count: 1})
	out := w.withdraw(w.shop.id, 4400)
	number := w.withdrawalNumber(out.ID)
	w.await("it may not be sent again", func() (bool, any) {
		seen := w.withdrawal(out.ID)
		return seen.Unresolved != nil && seen.Unresolved.LastAnswerCode != nil, seen
	})
	require.Equal(t, int64(4400), w.held(w.shop.id), "nothing is released while unknown")

	// Nobody does it alone, and nobody approves his own.
	asked, err := w.send(w.apis[0], w.seed.APIKey, "/v1/withdrawals/"+out.ID+"/resolve", w.ref("resolve"),
		map[string]any{"decision": "failed", "reason": "r"})
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, asked.status, asked.body)
	var waiting approval
	require.NoError(t, json.Unmarshal([]byte(asked.body), &waiting))
	own, err := w.send(w.apis[0], w.seed.APIKey, "/v1/approvals/"+waiting.ID+"/approve", w.ref("own"),
		map[string]any{"content_sha256": waiting.ContentSHA256})
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, own.status, own.body)
	require.Equal(t, client.WithdrawalStatusProcessing, w.withdrawal(out.ID).Status)

	w.resolve(checker, "/v1/withdrawals/"+out.ID, "failed")
	failed := w.withdrawalIs(out.ID, client.WithdrawalStatusFailed)
	require.Equal(t, "declared_failed", failed.Failure.Code)
	require.Equal(t, []string{"withdrawal.unresolved", "withdrawal.failed"}, w.eventsOf(out.ID))
	require.Equal(t, before, w.posted(client.AccountTypeMerchantAvailable, w.shop.id))
	require.Zero(t, w.held(w.shop.id))
	require.Empty(t, w.moved(number))
}
