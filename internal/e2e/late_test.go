package e2e_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// scan is a payer who opens the code and does not pay.
func (w *world) scan(p client.Payment) {
	w.Helper()
	w.control("POST", "/control/scan", map[string]any{"provider": p.Method.Channel, "number": w.numberOf(p.ID)}, nil)
}

// expire lets the time of all payments pass and waits until they are closed.
func (w *world) expire(payments ...client.Payment) {
	w.Helper()
	w.moveClock(w.now().Add(2 * time.Hour))
	for _, p := range payments {
		w.paymentIs(p.ID, client.PaymentStatusClosed)
		require.Equal(w, []string{"payment.awaiting_payer", "payment.closed"}, w.eventsOf(p.ID))
	}
}

// refundedLate waits until the late money was booked and given back.
func (w *world) refundedLate(p client.Payment) client.Refund {
	w.Helper()
	w.await("the late payment", func() (bool, any) {
		p = w.payment(p.ID)
		return len(p.LatePayments) > 0, p
	})
	require.Equal(w, client.PaymentStatusClosed, p.Status, "terminal is terminal")
	require.Equal(w, p.Amount, p.LatePayments[0].Amount)
	r := w.refundIs(p.LatePayments[0].RefundID, client.RefundStatusSucceeded)
	require.Equal(w, client.RefundOriginLatePayment, r.Origin)
	require.Equal(w, []string{"payment.awaiting_payer", "payment.closed", "payment.paid_late"}, w.eventsOf(p.ID))
	require.Equal(w, []string{"refund.succeeded"}, w.eventsOf(r.ID))
	require.Len(w, w.moved(w.numberOf(p.ID)), 1)
	require.Len(w, w.moved(w.refundNumber(r.ID)), 1)
	return r
}

func TestExpiredPaymentIsClosedAndLateMoneyGoesBack(t *testing.T) {
	w := newWorld(t)
	w.topUp(100000)
	unscanned, scanned, wechat := w.offered(alipay, 1100), w.offered(alipay, 1200), w.offered(wechatpay, 1300)
	w.scan(scanned)
	w.expire(unscanned, scanned, wechat)
	w.pay(scanned, true)
	w.pay(wechat, true)
	w.refundedLate(scanned)
	w.refundedLate(wechat)
	require.Empty(t, w.payment(unscanned.ID).LatePayments)
	require.Zero(t, w.posted(client.AccountTypeUnidentifiedReceipts, ""))
	require.Zero(t, w.posted(client.AccountTypeMerchantAvailable, w.shop.id), "late money is no merchant's")
}

func TestRedriveLatePayment(t *testing.T) {
	w := newWorld(t)
	w.topUp(100000)
	p := w.offered(alipay, 1400)
	w.scan(p)
	w.expire(p)
	w.fault(trouble{Provider: alipay, Operation: queryOf(alipay), Kind: "error_before", Count: 100})
	w.pay(p, true)
	w.await("the late payment is asked about", func() (bool, any) { return w.hits() >= 1, w.hits() })
	var workflowID string
	require.NoError(t, w.db.Pool.QueryRow(w.ctx, `select workflow_id from workflow_starts where workflow_type = 'LatePayment'`).Scan(&workflowID))
	w.terminate(workflowID)
	w.healed(1)
	w.redrive()
	w.refundedLate(p)
}

// accepted reports whether an answer tells the provider to stop sending.
func accepted(status int, answer []byte, provider string) bool {
	if provider == alipay {
		return strings.TrimSpace(string(answer)) == "success"
	}
	return status == http.StatusOK || status == http.StatusNoContent
}

func TestNotifications(t *testing.T) {
	for _, provider := range []string{alipay, wechatpay} {
		t.Run(provider, func(t *testing.T) {
			w := newWorld(t)
			stranger := w.seedTenant("stranger.json")
			p := w.offered(provider, 2500)
			w.notices.mute(true)
			w.pay(p, false)
			w.await("the notification", func() (bool, any) { return len(w.notices.about("")) > 0, nil })
			notice := w.notices.about("")[0]
			require.Contains(t, notice.path, *p.ChannelAccountID)

			// Forged in body, in signature, and sent to another tenant's address.
			for name, forged := range forgeries(notice) {
				status, answer := forged.send(w.apis[0], notice.path)
				require.False(t, accepted(status, answer, provider), "%s: %d %s", name, status, answer)
			}
			for _, account := range []string{stranger.Alipay.ChannelAccountID, stranger.WeChatPay.ChannelAccountID, w.otherAccount(p)} {
				for _, channel := range []string{alipay, wechatpay} {
					status, answer := notice.send(w.apis[1], "/notify/"+channel+"/"+account)
					require.False(t, accepted(status, answer, provider), "%s: %d %s", account, status, answer)
				}
			}
			require.Zero(t, w.count(`select count(*) from notifications`))
			require.Equal(t, client.PaymentStatusAwaitingPayer, w.payment(p.ID).Status)

			// The true one, a hundred times at once on both instances.
			w.hundredTimes(notice, provider)
			w.paymentIs(p.ID, client.PaymentStatusSucceeded)
			w.hundredTimes(notice, provider)
			require.Equal(t, int64(1), w.count(`select count(*) from notifications`))
			w.await("every notification is handled", func() (bool, any) {
				n := w.count(`select count(*) from notifications where handled_at is null`)
				return n == 0, n
			})
			require.Equal(t, []string{"payment.awaiting_payer", "payment.succeeded"}, w.eventsOf(p.ID))
			require.Equal(t, int64(1), w.count(`select count(*) from entries where kind = 'collect'`))
		})
	}
}

func (w *world) otherAccount(p client.Payment) string {
	if *p.ChannelAccountID == w.seed.Alipay.ChannelAccountID {
		return w.seed.WeChatPay.ChannelAccountID
	}
	return w.seed.Alipay.ChannelAccountID
}

// hundredTimes sends a notification a hundred times at once to both instances, and, as
// its provider does, each one again that was answered "send again", which is what an
// instance says that has too much to do.
func (w *world) hundredTimes(notice kept, provider string) {
	w.Helper()
	var calls sync.WaitGroup
	for i := range 100 {
		calls.Go(func() {
			w.await("the notification is taken", func() (bool, any) {
				status, answer := notice.send(w.apis[i%2], notice.path)
				return accepted(status, answer, provider), answer
			})
		})
	}
	calls.Wait()
}

// forgeries change one thing of a notification each.
func forgeries(notice kept) map[string]kept {
	with := func(change func(*kept)) kept {
		forged := kept{notice.path, notice.header.Clone(), append([]byte(nil), notice.body...)}
		change(&forged)
		return forged
	}
	return map[string]kept{
		"amount": with(func(k *kept) { k.body = []byte(strings.Replace(string(k.body), "25.00", "99.00", 1) + "&x=1") }),
		"body":   with(func(k *kept) { k.body[len(k.body)/2] ^= 1 }),
		"empty":  with(func(k *kept) { k.body = nil }),
		"no signature": with(func(k *kept) {
			k.header.Del("Wechatpay-Signature")
			k.body = []byte(strings.Replace(string(k.body), "sign=", "unsigned=", 1))
		}),
		"other signature": with(func(k *kept) {
			k.header.Set("Wechatpay-Signature", "AAAA"+k.header.Get("Wechatpay-Signature"))
			k.body = []byte(strings.Replace(string(k.body), "sign=", "sign=AAAA", 1))
		}),
		"old": with(func(k *kept) {
			k.header.Set("Wechatpay-Timestamp", "1600000000")
			k.body = []byte(strings.Replace(string(k.body), "notify_time=20", "notify_time=19", 1))
		}),
	}
}
