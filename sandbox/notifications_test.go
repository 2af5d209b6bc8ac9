package sandbox_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"
)

func TestAlipayNotificationsAreWhatTheClientAccepts(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	merchant := newSink(t, say(200, "success"))
	client := b.alipay()
	precreate(t, client, "T1", merchant.URL+"/notify")
	b.pay("alipay", "T1")
	b.due()
	_, err := client.TradeRefund(ctx, refundOf("T1", "R1", "50.00"))
	require.NoError(t, err)
	b.due()
	_, err = client.TradeRefund(ctx, refundOf("T1", "R2", "149.00"))
	require.NoError(t, err)
	b.due()
	got := merchant.received()
	require.Len(t, got, 3)
	for i, want := range []struct{ status, refundFee, outBizNo string }{
		{"TRADE_SUCCESS", "", ""}, {"TRADE_SUCCESS", "50.00", "R1"}, {"TRADE_CLOSED", "199.00", "R2"},
	} {
		form, err := url.ParseQuery(got[i].body)
		require.NoError(t, err)
		n, err := client.DecodeNotification(ctx, form)
		require.NoError(t, err, "the signature verifies")
		require.Equal(t, want.status, string(n.TradeStatus))
		require.Equal(t, want.refundFee, n.RefundFee)
		require.Equal(t, want.outBizNo, n.OutBizNo)
		require.Equal(t, "199.00", n.TotalAmount)
		require.Equal(t, []string{appID, sellerID, "T1"}, []string{n.AppId, n.SellerId, n.OutTradeNo})
		require.Equal(t, want.refundFee != "", n.GmtRefund != "")
		for name, values := range form {
			require.NotEmpty(t, values[0], "%s: parameters without a value are left out", name)
		}
	}
}

func TestAlipayRetriesByItsSchedule(t *testing.T) {
	t.Parallel()
	b := setup(t)
	merchant := newSink(t, say(200, "SUCCESS"), say(200, "success\n"), say(500, "success"), say(204, ""), say(302, ""), say(200, "fail"))
	precreate(t, b.alipay(), "T1", merchant.URL)
	b.pay("alipay", "T1")
	b.due()
	count := 1
	for _, wait := range []time.Duration{4 * time.Minute, 10 * time.Minute, 10 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour, 15 * time.Hour} {
		require.Len(t, merchant.received(), count)
		b.wait(wait - 10*time.Second)
		require.Len(t, merchant.received(), count, "%s is not over", wait)
		b.wait(11 * time.Second)
		count++
		require.Len(t, merchant.received(), count, "after %s", wait)
	}
	b.wait(100 * time.Hour)
	require.Len(t, merchant.received(), 8, "eight deliveries are all")
	ids := map[string]bool{}
	for _, r := range merchant.received() {
		form, err := url.ParseQuery(r.body)
		require.NoError(t, err)
		ids[form.Get("notify_id")] = true
	}
	require.Len(t, ids, 1, "notify_id is constant")
}

func TestARestartGoesOnWithTheSchedule(t *testing.T) {
	t.Parallel()
	b := setup(t)
	merchant := newSink(t, say(500, ""), say(200, "success"))
	precreate(t, b.alipay(), "T1", merchant.URL)
	b.pay("alipay", "T1")
	b.due()
	b.restart()
	b.wait(4*time.Minute - 10*time.Second)
	require.Len(t, merchant.received(), 1)
	b.wait(11 * time.Second)
	require.Len(t, merchant.received(), 2)
	b.restart()
	b.wait(100 * time.Hour)
	require.Len(t, merchant.received(), 2, "what was acknowledged is not sent again")
}

func TestWeChatRetriesByItsSchedule(t *testing.T) {
	t.Parallel()
	b := setup(t)
	merchant := newSink(t, say(500, `{"code":"FAIL","message":"x"}`))
	prepay(t, b.weChat(), "ORDER001", merchant.URL)
	b.pay("wechatpay", "ORDER001")
	b.due()
	schedule := []time.Duration{15 * time.Second, 15 * time.Second, 30 * time.Second, 3 * time.Minute, 10 * time.Minute,
		20 * time.Minute, 30 * time.Minute, 30 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 3 * time.Hour,
		3 * time.Hour, 6 * time.Hour, 6 * time.Hour}
	total := time.Duration(0)
	for i, wait := range schedule {
		require.Len(t, merchant.received(), i+1)
		b.wait(wait - 8*time.Second)
		require.Len(t, merchant.received(), i+1, "%s is not over", wait)
		b.wait(9 * time.Second)
		total += wait
	}
	require.Equal(t, 24*time.Hour+4*time.Minute, total)
	b.wait(100 * time.Hour)
	require.Len(t, merchant.received(), 16)
}

func TestWeChatNotificationsAreWhatTheClientAccepts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	merchant := newSink(t, say(204, ""))
	client := b.weChat()
	prepay(t, client, "ORDER001", merchant.URL+"/notify")
	b.pay("wechatpay", "ORDER001")
	b.due()
	_, err := weChatRefund(client, "ORDER001", "REFUND1", merchant.URL+"/refund", 50_00, 199_00)
	require.NoError(t, err)
	require.Eventually(t, func() bool { b.due(); return len(merchant.received()) == 2 }, 10*time.Second, 20*time.Millisecond)

	public, err := utils.LoadPublicKey(b.weChatKeys["public_key"])
	require.NoError(t, err)
	handler, err := notify.NewRSANotifyHandler(apiV3Key, verifiers.NewSHA256WithRSAPubkeyVerifier(b.weChatKeys["public_key_id"], *public))
	require.NoError(t, err)
	parse := func(r received, content any) *notify.Request {
		request := httptest.NewRequest(http.MethodPost, "/notify", strings.NewReader(r.body))
		request.Header = r.header
		parsed, err := handler.ParseNotifyRequest(context.Background(), request, content)
		require.NoError(t, err)
		return parsed
	}
	var transaction payments.Transaction
	paid := parse(merchant.received()[0], &transaction)
	require.Equal(t, "TRANSACTION.SUCCESS", paid.EventType)
	require.Equal(t, "transaction", paid.Resource.OriginalType)
	require.Equal(t, "ORDER001", *transaction.OutTradeNo)
	require.Equal(t, int64(199_00), *transaction.Amount.Total)
	refund := map[string]any{}
	refunded := parse(merchant.received()[1], &refund)
	require.Equal(t, "REFUND.SUCCESS", refunded.EventType)
	require.Equal(t, "SUCCESS", refund["refund_status"])
	require.Equal(t, "REFUND1", refund["out_refund_no"])
}

func TestNotificationRules(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	merchant := newSink(t, say(200, "success"))
	client := b.alipay()
	rule := func(kind, number string) {
		b.control("POST", "/control/notifications", map[string]any{"provider": "alipay", "kind": kind, "number": number, "delay_ms": 60_000}, nil)
	}
	for _, number := range []string{"DROP", "TWICE", "LATER", "FORGED"} {
		precreate(t, client, number, merchant.URL+"/"+number)
	}
	rule("drop", "DROP")
	rule("duplicate", "TWICE")
	rule("delay", "LATER")
	rule("forge", "FORGED")
	received := func(number string) (verified, refused int) {
		for _, r := range merchant.received() {
			form, err := url.ParseQuery(r.body)
			require.NoError(t, err)
			if form.Get("out_trade_no") != number {
				continue
			}
			if _, err := client.DecodeNotification(ctx, form); err != nil {
				refused++
			} else {
				verified++
			}
		}
		return verified, refused
	}
	for _, number := range []string{"DROP", "TWICE", "LATER", "FORGED"} {
		b.pay("alipay", number)
		b.due()
	}
	for number, want := range map[string][2]int{"DROP": {0, 0}, "TWICE": {2, 0}, "LATER": {0, 0}, "FORGED": {1, 1}} {
		verified, refused := received(number)
		require.Equal(t, want, [2]int{verified, refused}, number)
	}
	b.wait(61 * time.Second)
	verified, _ := received("LATER")
	require.Equal(t, 1, verified)
	b.wait(100 * time.Hour)
	verified, _ = received("DROP")
	require.Zero(t, verified)
	var log struct {
		Deliveries []struct {
			Number       string
			Acknowledged bool
			Note         string
		}
	}
	b.control("GET", "/control/notifications?number=FORGED", nil, &log)
	require.Len(t, log.Deliveries, 1)
	require.True(t, log.Deliveries[0].Acknowledged)
	require.Contains(t, log.Deliveries[0].Note, "forged")
}

func TestRunDeliversByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	merchant := newSink(t, say(200, "success"))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { b.server.Run(ctx) })
	client := b.weChat()
	prepay(t, client, "ORDER001", merchant.URL)
	b.pay("wechatpay", "ORDER001")
	require.Eventually(t, func() bool { return len(merchant.received()) == 1 }, 5*time.Second, 5*time.Millisecond)
	_, err := weChatRefund(client, "ORDER001", "REFUND1", merchant.URL, 1, 199_00)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(merchant.received()) == 2 }, 10*time.Second, 5*time.Millisecond)
	stop()
	running.Wait()
}
