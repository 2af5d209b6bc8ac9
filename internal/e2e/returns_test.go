package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// sentBack lets the payee's bank send a transfer back, later by the business clock.
func (w *world) sentBack(out client.Withdrawal, after time.Duration) {
	w.Helper()
	w.control("POST", "/control/transfers", map[string]any{"provider": alipay, "number": w.withdrawalNumber(out.ID),
		"status": "REFUND", "after_seconds": int(after.Seconds())}, nil)
}

// looks waits until so many looks into what may have come back have ended.
func (w *world) looks(noun string, n int) {
	w.Helper()
	w.await("looks for returns", func() (bool, any) {
		started := w.count(`select count(*) from workflow_starts where workflow_type = $1 and started_at is not null`, noun)
		return started >= int64(n), started
	})
	for _, id := range w.texts(`select workflow_id from workflow_starts where workflow_type = $1`, noun) {
		require.NoError(w, w.temporal.GetWorkflow(w.ctx, id, "").Get(w.ctx, nil))
	}
}

func (w *world) texts(sql string, args ...any) (list []string) {
	w.Helper()
	rows, err := w.db.Pool.Query(w.ctx, sql, args...)
	require.NoError(w, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		require.NoError(w, rows.Scan(&text))
		list = append(list, text)
	}
	require.NoError(w, rows.Err())
	return list
}

// A withdrawal that was paid comes back from the bank days later (退票): the merchant
// has the money again, once, and everything else stays as it was.
func TestWithdrawalThatComesBackDaysLater(t *testing.T) {
	w := newWorld(t)
	w.topUp(100000)
	w.paid(alipay, 20000)
	before := w.posted(client.AccountTypeMerchantAvailable, w.shop.id)
	out := w.withdrawalIs(w.withdraw(w.shop.id, 4400).ID, client.WithdrawalStatusSucceeded)
	stays := w.withdrawalIs(w.withdraw(w.shop.id, 2200).ID, client.WithdrawalStatusSucceeded)
	entries := w.texts(`select e::text from entries e order by seq`)
	w.sentBack(out, 3*24*time.Hour)

	w.moveClock(w.now().Add(24 * time.Hour))
	w.looks("WithdrawalReturn", 2)
	require.Equal(t, client.WithdrawalStatusSucceeded, w.withdrawal(out.ID).Status, "it has not come back yet")

	w.moveClock(w.now().Add(4 * 24 * time.Hour))
	back := w.withdrawalIs(out.ID, client.WithdrawalStatusReturned)
	require.Equal(t, "bank_returned", back.Failure.Code)
	require.NotNil(t, back.PaidAt)
	require.NotNil(t, back.ReturnedAt)
	require.Equal(t, before-2200, w.posted(client.AccountTypeMerchantAvailable, w.shop.id))
	require.Equal(t, []string{"withdrawal.succeeded", "withdrawal.returned"}, w.eventsOf(out.ID))
	after := w.texts(`select e::text from entries e order by seq`)
	require.Equal(t, entries, after[:len(entries)], "nothing that was booked has changed")
	require.Len(t, after, len(entries)+1)
	require.Equal(t, int64(1), w.count(`select count(*) from entries where kind = 'payout_return'`))

	// Told again, and asked again to the end of the watch: once is once.
	w.sentBack2(out)
	w.moveClock(w.now().Add(20 * 24 * time.Hour))
	w.looks("WithdrawalReturn", 5)
	require.Equal(t, int64(1), w.count(`select count(*) from entries where kind = 'payout_return'`))
	require.Equal(t, client.WithdrawalStatusSucceeded, w.withdrawal(stays.ID).Status)
	require.Equal(t, []string{"withdrawal.succeeded", "withdrawal.returned"}, w.eventsOf(out.ID))

	again := w.withdrawalIs(w.withdraw(w.shop.id, before-2200).ID, client.WithdrawalStatusSucceeded)
	require.Equal(t, before-2200, again.Amount.Amount, "all of it can be withdrawn again")
}

// sentBack2 lets the provider say once more what it said.
func (w *world) sentBack2(out client.Withdrawal) {
	w.Helper()
	status, text := w.controlled("POST", "/control/transfers",
		map[string]any{"provider": alipay, "number": w.withdrawalNumber(out.ID), "status": "REFUND"})
	require.Equal(w, http.StatusOK, status, "%s", text)
}

// A look that was ended by hand is made up for by the next one.
func TestLooksForReturnsGoOnAfterOneWasTerminated(t *testing.T) {
	w := newWorld(t)
	w.topUp(100000)
	w.paid(alipay, 20000)
	out := w.withdrawalIs(w.withdraw(w.shop.id, 4400).ID, client.WithdrawalStatusSucceeded)
	r := w.refundIs(w.refund(w.paid(wechatpay, 5000), 300).ID, client.RefundStatusSucceeded)
	w.sentBack(out, time.Hour)
	w.control("POST", "/control/notifications", map[string]any{"provider": wechatpay, "kind": "drop", "event": "REFUND.ABNORMAL", "count": 1}, nil)
	w.refundSentBack(r, time.Hour)
	w.fault(trouble{Provider: alipay, Operation: transferQueryOp, Kind: "error_before", Count: 100})
	w.fault(trouble{Provider: wechatpay, Operation: refundQueryOf(wechatpay), Kind: "error_before", Count: 100})
	w.moveClock(w.now().Add(7 * time.Hour))
	w.hit(2)
	for noun, id := range map[string]string{"withdrawal": out.ID, "refund": r.ID} {
		var looks []string
		w.await("a look", func() (bool, any) {
			looks = w.texts(`select workflow_id from workflow_starts where workflow_id like $1 and started_at is not null`, noun+"-return/"+id+"/%")
			return len(looks) == 1, looks
		})
		w.terminate(looks[0])
	}
	w.healed(0)
	w.moveClock(w.now().Add(14 * time.Hour))
	w.withdrawalIs(out.ID, client.WithdrawalStatusReturned)
	w.refundIs(r.ID, client.RefundStatusReturned)
}

// refundSentBack lets the payer's bank send a refund back, later by the business clock.
func (w *world) refundSentBack(r client.Refund, after time.Duration) {
	w.Helper()
	w.control("POST", "/control/refunds", map[string]any{"provider": wechatpay, "number": w.refundNumber(r.ID),
		"status": "ABNORMAL", "after_seconds": int(after.Seconds())}, nil)
}

// A refund that succeeded comes back from the payer's bank days later, which WeChat Pay
// notifies of twice: it waits for a destination, goes there, and everything that was
// booked stays. Without the notification a look finds it.
func TestRefundThatComesBackDaysLater(t *testing.T) {
	w := newWorld(t)
	p := w.paid(wechatpay, 5000)
	told := w.refundIs(w.refund(p, 300).ID, client.RefundStatusSucceeded)
	untold := w.refundIs(w.refund(p, 400).ID, client.RefundStatusSucceeded)
	stays := w.refundIs(w.refund(p, 500).ID, client.RefundStatusSucceeded)
	shops := w.posted(client.AccountTypeMerchantAvailable, w.shop.id)
	entries := w.texts(`select e::text from entries e order by seq`)

	w.control("POST", "/control/notifications", map[string]any{"provider": wechatpay, "kind": "duplicate", "event": "REFUND.ABNORMAL",
		"number": w.refundNumber(told.ID), "count": 1}, nil)
	w.control("POST", "/control/notifications", map[string]any{"provider": wechatpay, "kind": "drop", "event": "REFUND.ABNORMAL",
		"number": w.refundNumber(untold.ID), "count": 1}, nil)
	w.refundSentBack(told, time.Hour)
	w.refundSentBack(untold, time.Hour)
	w.moveClock(w.now().Add(2 * time.Hour))
	w.refundIs(told.ID, client.RefundStatusReturned)
	require.Equal(t, client.RefundStatusSucceeded, w.refundSees("no news", untold.ID, func(client.Refund) bool { return true }).Status)
	w.moveClock(w.now().Add(5 * time.Hour))
	w.refundIs(untold.ID, client.RefundStatusReturned)

	for _, r := range []client.Refund{told, untold} {
		require.Equal(t, []string{"refund.succeeded", "refund.returned"}, w.eventsOf(r.ID))
		back := w.refundSees("what it waits for", r.ID, func(r client.Refund) bool { return r.WaitingFor != nil })
		require.Contains(t, *back.WaitingFor, "say where the money is to go")
		require.NotNil(t, back.RefundedAt)
		require.NotNil(t, back.ReturnedAt)
	}
	after := w.texts(`select e::text from entries e order by seq`)
	require.Equal(t, entries, after[:len(entries)], "nothing that was booked has changed")
	require.Len(t, after, len(entries)+2)
	require.Equal(t, int64(700), w.posted(client.AccountTypeUnidentifiedReceipts, ""))
	require.Equal(t, int64(700), w.posted(client.AccountTypeChannelSuspense, ""))
	require.Equal(t, shops, w.posted(client.AccountTypeMerchantAvailable, w.shop.id))
	require.Equal(t, int64(1200), w.payment(p.ID).Refunded.Amount)

	require.Equal(t, http.StatusOK, w.redirect(told.ID, toCard()).status)
	require.Equal(t, http.StatusOK, w.redirect(untold.ID, map[string]any{"to": "merchant"}).status)
	for _, r := range []client.Refund{told, untold} {
		w.refundIs(r.ID, client.RefundStatusSucceeded)
		require.Equal(t, []string{"refund.succeeded", "refund.returned", "refund.succeeded"}, w.eventsOf(r.ID))
		w.movedOnce(r)
	}
	require.Zero(t, w.posted(client.AccountTypeUnidentifiedReceipts, ""))
	require.Zero(t, w.posted(client.AccountTypeChannelSuspense, ""))
	require.Equal(t, []string{"refund.succeeded"}, w.eventsOf(stays.ID))
	w.moveClock(w.now().Add(40 * 24 * time.Hour))
	w.looks("RefundReturn", 6)
	require.Equal(t, client.RefundStatusSucceeded, w.refundSees("it stays", stays.ID, func(client.Refund) bool { return true }).Status)
}

// Alipay tells the application's address that a transfer came back, and twice: it is found
// at once, without a look that is due, and booked once.
func TestAlipayTellsOfATransferThatCameBack(t *testing.T) {
	w := newWorld(t)
	w.topUp(100000)
	w.paid(alipay, 20000)
	w.control("POST", "/control/alipay/gateways", map[string]any{"app_id": w.seed.Alipay.AppID,
		"gateway_url": w.channels.PublicURL + "/notify/alipay/" + w.seed.Alipay.ChannelAccountID}, nil)
	out := w.withdrawalIs(w.withdraw(w.shop.id, 4400).ID, client.WithdrawalStatusSucceeded)
	w.control("POST", "/control/notifications", map[string]any{"provider": alipay, "kind": "duplicate", "event": "transfer_changed", "count": 1}, nil)
	w.sentBack2(out)
	w.withdrawalIs(out.ID, client.WithdrawalStatusReturned)
	require.Equal(t, int64(1), w.count(`select count(*) from notifications where kind = 'transfer' and state = 'REFUND'`))
	require.Equal(t, int64(1), w.count(`select count(*) from entries where kind = 'payout_return'`))
	require.Equal(t, []string{"withdrawal.succeeded", "withdrawal.returned"}, w.eventsOf(out.ID))
	w.looks("WithdrawalReturn", 1)
}
