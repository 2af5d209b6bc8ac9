package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// day is a business day with payments in it: it begins at noon, far from the
// midnights at which bills and books may differ.
func (w *world) day() string {
	w.Helper()
	w.moveClock(noonOf(w.now(), 1))
	return w.now().In(shanghai()).Format(time.DateOnly)
}

// daily starts the daily operations for a date.
func (w *world) daily(date string) client.DailyOperation {
	w.Helper()
	answer, err := w.api.CreateDailyOperationWithResponse(w.ctx, &client.CreateDailyOperationParams{IdempotencyKey: w.ref("daily-key")},
		client.CreateDailyOperation{BusinessDate: date})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON201, "%s", answer.Body)
	return *answer.JSON201
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

// reconciliations are those of a daily operation, by channel account.
func (w *world) reconciliations(dailyID string) map[string]client.Reconciliation {
	w.Helper()
	answer, err := w.api.ListReconciliationsWithResponse(w.ctx, &client.ListReconciliationsParams{DailyOperationID: &dailyID})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
	found := map[string]client.Reconciliation{}
	for _, r := range answer.JSON200.Data {
		found[r.ChannelAccountID] = r
	}
	return found
}

func TestDailyOperationsSettleAndBalance(t *testing.T) {
	w := newWorld(t)
	w.topUp(100000)
	slow := w.newMerchant("slow", nil, client.SettlementT1)
	w.divide(slow, percent("", 100), percent(w.shop.agent, 1000))
	date := w.day()
	for _, provider := range []string{alipay, wechatpay} {
		order := w.order(provider, 10000)
		order.MerchantID = slow
		p := w.paymentIs(w.post(order).ID, client.PaymentStatusAwaitingPayer)
		w.pay(p, false)
		w.paymentIs(p.ID, client.PaymentStatusSucceeded)
		w.refundIs(w.refund(p, 3000).ID, client.RefundStatusSucceeded)
	}
	pending := w.posted(client.AccountTypeMerchantPending, slow)
	require.Equal(t, int64(2*8900-2*2670), pending)
	require.Zero(t, w.posted(client.AccountTypeMerchantAvailable, slow))

	w.moveClock(noonOf(w.now(), 1))
	daily := w.daily(date)
	w.dailyIsDone(daily.ID)
	require.Zero(t, w.posted(client.AccountTypeMerchantPending, slow))
	require.Equal(t, pending, w.posted(client.AccountTypeMerchantAvailable, slow))
	found := w.reconciliations(daily.ID)
	require.Len(t, found, 2)
	for _, r := range found {
		require.Equal(t, client.ReconciliationStatusBalanced, r.Status)
		require.Equal(t, int64(2), *r.MatchedCount)
		require.Zero(t, *r.DiscrepancyCount)
		require.Contains(t, w.eventsOf(r.ID), "reconciliation.balanced")
	}
	// The same day again finds the same and settles nothing twice.
	again := w.daily(date)
	w.dailyIsDone(again.ID)
	require.Equal(t, pending, w.posted(client.AccountTypeMerchantAvailable, slow))
	require.Len(t, w.reconciliations(again.ID), 2)
}

func TestReconciliationFindsExactlyWhatWasSeeded(t *testing.T) {
	w := newWorld(t)
	date := w.day()
	type seeded struct {
		provider, edit, kind string
		more                 map[string]any
	}
	var want []string
	for _, s := range []seeded{
		{alipay, "drop_line", "missing_in_bill", nil},
		{alipay, "duplicate_line", "duplicate_line", nil},
		{alipay, "change_fee", "fee_mismatch", map[string]any{"fee": "0.99"}},
		{wechatpay, "change_amount", "amount_mismatch", map[string]any{"amount": 1}},
		{wechatpay, "change_status", "status_mismatch", map[string]any{"status": "USERPAYING"}},
		{wechatpay, "", "", nil},
		{alipay, "", "", nil},
	} {
		number := w.numberOf(w.paid(s.provider, 4200).ID)
		if s.edit == "" {
			continue
		}
		merchant := map[string]string{alipay: w.seed.Alipay.AppID, wechatpay: w.seed.WeChatPay.MchID}[s.provider]
		edit := map[string]any{"provider": s.provider, "merchant": merchant, "date": date, "edit": s.edit, "number": number}
		for name, value := range s.more {
			edit[name] = value
		}
		w.control("POST", "/control/bills/edit", edit, nil)
		want = append(want, s.kind+" "+number)
	}
	w.moveClock(noonOf(w.now(), 1))
	daily := w.daily(date)
	w.dailyIsDone(daily.ID)
	var got []string
	for _, r := range w.reconciliations(daily.ID) {
		require.Equal(t, client.ReconciliationStatusDiscrepant, r.Status)
		list, err := w.api.ListReconciliationDiscrepanciesWithResponse(w.ctx, r.ID, &client.ListReconciliationDiscrepanciesParams{})
		require.NoError(t, err)
		for _, d := range list.JSON200.Data {
			got = append(got, string(d.Kind)+" "+d.Number)
			require.NotEmpty(t, d.Explanation)
		}
	}
	require.ElementsMatch(t, want, got)
}

// The bills are not made yet when the reconciliations and the daily operations
// are terminated by hand.
func TestRedriveDailyOperationsThatWaitForTheirBills(t *testing.T) {
	w := newWorld(t)
	date := w.day()
	w.paid(alipay, 4300)
	w.paid(wechatpay, 4400)
	w.moveClock(noonOf(w.now(), 1).Add(-8 * time.Hour)) // four in the morning
	daily := w.daily(date)
	w.await("both reconciliations wait for their bills", func() (bool, any) {
		waiting := 0
		for _, r := range w.reconciliations(daily.ID) {
			if r.WaitingFor != nil && strings.Contains(*r.WaitingFor, "has not made the bill yet") {
				waiting++
			}
		}
		return waiting == 2, waiting
	})
	w.terminate("daily-operations/" + daily.ID)
	for _, r := range w.reconciliations(daily.ID) {
		require.Equal(t, client.ReconciliationStatusProcessing, r.Status)
		w.terminate("reconciliation/" + r.ChannelAccountID + "/" + date + "/1")
	}
	w.moveClock(noonOf(w.now(), 0))
	require.Equal(t, int64(3), w.redrive())
	w.dailyIsDone(daily.ID)
	for _, r := range w.reconciliations(daily.ID) {
		require.Equal(t, client.ReconciliationStatusBalanced, r.Status, "done means that every part has ended")
	}
}
