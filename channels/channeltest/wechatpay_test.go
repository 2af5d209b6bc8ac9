package channeltest_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/channels/channeltest"
	"github.com/suanpan/suanpan/channels/wechatpay"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
	"github.com/suanpan/suanpan/sandbox/keys"
)

const (
	weChatApp    = "wx8888888888888888"
	weChatSerial = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
	weChatSub    = "1900000209"
	weChatSubApp = "wx9999999999999999"
)

// openWeChat registers a merchant of key_mode and opens an adapter that change configures.
func (s *stand) openWeChat(t *testing.T, mchID, keyMode string, change func(*wechatpay.Config)) *wechatpay.Adapter {
	t.Helper()
	const apiV3Key = "0123456789abcdef0123456789abcdef"
	var answer map[string]string
	s.control(t, http.MethodPost, "/control/wechatpay/merchants", map[string]any{
		"mchid": mchID, "appid": weChatApp, "merchant_serial": weChatSerial, "merchant_public_key": keys.PublicPEM(merchantKey()),
		"api_v3_key": apiV3Key, "key_mode": keyMode, "app_secret": "s3cret",
	}, &answer)
	cfg := wechatpay.Config{
		BaseURL: s.url + "/wechatpay", MchID: mchID, AppID: weChatApp, MchCertSerial: weChatSerial, MchPrivateKey: privatePEM(t),
		PublicKeyID: answer["public_key_id"], PublicKey: answer["public_key"], APIv3Key: []byte(apiV3Key), AppSecret: "s3cret",
		HTTPClient: client(), Timeout: channeltest.Patience,
	}
	change(&cfg)
	a, err := wechatpay.New(cfg)
	require.NoError(t, err)
	return a
}

func (s *stand) order(t *testing.T, product channel.Product) channel.PrepayOrder {
	t.Helper()
	return channel.PrepayOrder{
		Number: ulid.Make().String(), Amount: money.Fen(8888), Subject: "茶", ExpiresAt: s.Now(t).Add(time.Hour), NotifyURL: s.NotifyURL(),
		Product: product, PayerID: s.Payer(t), PayerIP: "203.0.113.7", ReturnURL: "https://shop.example/back",
	}
}

// TestWeChatPayWithCertificates goes through a rotation of the platform's
// certificate: nothing fails, before, between and after.
func TestWeChatPayWithCertificates(t *testing.T) {
	t.Parallel()
	s := openStand(t, wechatpay.Name, channeltest.Contract{})
	mine := s.openWeChat(t, "1900000111", "platform_certificate", func(c *wechatpay.Config) {
		c.PublicKey, c.PublicKeyID, c.PlatformCertificates = "", "", true
	})
	both := s.openWeChat(t, "1900000112", "platform_certificate", func(c *wechatpay.Config) { c.PlatformCertificates = true })
	s.adapter = mine // it acknowledges
	for i, stage := range []string{"", "publish", "switch", "retire"} {
		if stage != "" {
			s.control(t, http.MethodPost, "/control/wechatpay/platform-certificates", map[string]any{"stage": stage}, nil)
		}
		if stage == "retire" {
			break // an adapter that was away for all of it is looked at below
		}
		for _, a := range []*wechatpay.Adapter{mine, both} {
			if i == 2 {
				// The list was fetched seconds ago, and is fetched at most once a minute:
				// a new process stands for the minute that has passed.
				a = s.openWeChat(t, map[*wechatpay.Adapter]string{mine: "1900000111", both: "1900000112"}[a], "platform_certificate",
					func(c *wechatpay.Config) {
						c.PlatformCertificates = true
						if a == mine {
							c.PublicKey, c.PublicKeyID = "", ""
						}
					})
			}
			order := s.order(t, channel.ProductQR)
			out, err := a.Prepay(t.Context(), order)
			require.NoError(t, err)
			require.Equal(t, channel.Succeeded, out.Outcome, "%s: %s %s", stage, out.Code, out.Message)
			s.Pay(t, order.Number, false)
			for _, delivery := range s.Notifications(t) {
				got, err := a.ReadNotification(t.Context(), delivery.Request, delivery.Body)
				require.NoError(t, err, stage)
				require.Equal(t, order.Number, got.Number)
			}
		}
	}
	late := s.openWeChat(t, "1900000111", "platform_certificate", func(c *wechatpay.Config) {
		c.PublicKey, c.PublicKeyID, c.PlatformCertificates = "", "", true
	})
	out, err := late.Prepay(t.Context(), s.order(t, channel.ProductQR))
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, out.Outcome)
}

// TestWeChatPayForSubMerchants lives a payment of every product through.
func TestWeChatPayForSubMerchants(t *testing.T) {
	t.Parallel()
	for _, subApp := range []string{"", weChatSubApp} {
		s := openStand(t, wechatpay.Name, channeltest.Contract{})
		a := s.openWeChat(t, "1900000109", "", func(c *wechatpay.Config) { c.SubMchID, c.SubAppID = weChatSub, subApp })
		s.control(t, http.MethodPost, "/control/wechatpay/sub-merchants", map[string]any{
			"sp_mchid": "1900000109", "sub_mchid": weChatSub, "sub_appid": weChatSubApp, "app_secret": "s3cret"}, nil)
		s.adapter = a
		morning := s.Now(t)
		s.Advance(t, time.Date(morning.Year(), morning.Month(), morning.Day()+1, 8, 0, 0, 0, morning.Location()).Sub(morning))
		day := s.Now(t).Format(time.DateOnly)
		address, err := a.AuthorizeURL("https://cashier.example/", "s")
		require.NoError(t, err)
		payer, err := a.FindPayer(t.Context(), s.Authorize(t, address).Query().Get("code"))
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, payer.Outcome, "%s %s", payer.Code, payer.Message)

		for _, product := range []channel.Product{channel.ProductQR, channel.ProductWAP, channel.ProductApp, channel.ProductJSAPI} {
			order := s.order(t, product)
			order.PayerID = payer.ID
			out, err := a.Prepay(t.Context(), order)
			require.NoError(t, err)
			require.Equal(t, channel.Succeeded, out.Outcome, "%s: %s %s", product, out.Code, out.Message)
			response, page := visit(t, s.address(out.Action))
			require.Equal(t, http.StatusOK, response.StatusCode, page)
			s.Pay(t, order.Number, false)
			trade, err := a.QueryTrade(t.Context(), order.Number)
			require.NoError(t, err)
			require.Equal(t, channel.TradePaid, trade.State, "%s %s", trade.Code, trade.Message)
			delivered := s.Notifications(t)
			require.Len(t, delivered, 1)
			read, err := a.ReadNotification(t.Context(), delivered[0].Request, delivered[0].Body)
			require.NoError(t, err)
			require.Equal(t, order.Number, read.Number)

			back := channel.RefundOrder{Number: ulid.Make().String(), TradeNumber: order.Number, Amount: money.Fen(100),
				TradeAmount: order.Amount, NotifyURL: s.NotifyURL()}
			state, err := a.Refund(t.Context(), back)
			require.NoError(t, err)
			require.Equal(t, channel.Pending, state.Outcome)
			s.FinishRefund(t, back.Number)
			state, err = a.QueryRefund(t.Context(), back)
			require.NoError(t, err)
			require.Equal(t, channel.Succeeded, state.Outcome)
			delivered = s.Notifications(t)
			require.Len(t, delivered, 1)
			read, err = a.ReadNotification(t.Context(), delivered[0].Request, delivered[0].Body)
			require.NoError(t, err)
			require.Equal(t, back.Number, read.Number)
		}
		code := channel.CodeOrder{Number: ulid.Make().String(), Amount: money.Fen(700), Subject: "茶", AuthCode: s.Code(t, channeltest.PhonePays)}
		trade, err := a.PayByCode(t.Context(), code)
		require.NoError(t, err)
		require.Equal(t, channel.TradePaid, trade.State)
		cancelled, err := a.CancelTrade(t.Context(), code.Number)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, cancelled.Outcome, cancelled.Message)
		require.True(t, cancelled.Refunded)
		unpaid := s.order(t, channel.ProductQR)
		_, err = a.Prepay(t.Context(), unpaid)
		require.NoError(t, err)
		closed, err := a.CloseTrade(t.Context(), unpaid.Number)
		require.NoError(t, err)
		require.Equal(t, channel.Succeeded, closed.Outcome)

		s.Advance(t, 36*time.Hour)
		bill, err := a.FetchTradeBill(t.Context(), day)
		require.NoError(t, err)
		require.Equal(t, channel.BillReady, bill.State)
		require.Equal(t, 5, bill.Bill.PaymentCount)
		require.Equal(t, 5, bill.Bill.RefundCount, "a reversal is one")
		funds, err := a.FetchFundBill(t.Context(), day)
		require.NoError(t, err)
		require.Equal(t, channel.BillRefused, funds.State)
	}
}

// TestWeChatPayAbnormalRefund goes to the payer's card and to the merchant.
func TestWeChatPayAbnormalRefund(t *testing.T) {
	t.Parallel()
	s := openStand(t, wechatpay.Name, channeltest.Contract{})
	for name, change := range map[string]func(*wechatpay.Config){
		"public key":  func(*wechatpay.Config) {},
		"certificate": func(c *wechatpay.Config) { c.PublicKey, c.PublicKeyID, c.PlatformCertificates = "", "", true },
	} {
		a := s.openWeChat(t, "1900000109", "", change)
		for _, toMerchant := range []bool{false, true} {
			order := s.order(t, channel.ProductQR)
			_, err := a.Prepay(t.Context(), order)
			require.NoError(t, err)
			s.Pay(t, order.Number, false)
			back := channel.AbnormalRefund{RefundOrder: channel.RefundOrder{Number: ulid.Make().String(), TradeNumber: order.Number,
				Amount: money.Fen(100), TradeAmount: order.Amount}, ToMerchant: toMerchant}
			if !toMerchant {
				back.Bank, back.Card, back.Holder = "ICBC_DEBIT", "6222020000000000000", "张三"
			}
			state, err := a.Refund(t.Context(), back.RefundOrder)
			require.NoError(t, err)
			back.ChannelRefundNo = state.ChannelRefundNo
			early, err := a.RedirectRefund(t.Context(), back)
			require.NoError(t, err)
			require.Equal(t, channel.Pending, early.Outcome, "refused, and the query says that it is under way")
			s.control(t, http.MethodPost, "/control/refunds", map[string]any{"provider": s.provider, "number": back.Number, "status": "ABNORMAL"}, nil)
			state, err = a.QueryRefund(t.Context(), back.RefundOrder)
			require.NoError(t, err)
			require.Equal(t, channel.Pending, state.Outcome)
			require.Equal(t, channel.CodeAbnormal, state.Code)
			for range 2 {
				state, err = a.RedirectRefund(t.Context(), back)
				require.NoError(t, err)
				require.Equal(t, channel.Pending, state.Outcome, "%s: %s %s", name, state.Code, state.Message)
			}
			s.FinishRefund(t, back.Number)
			state, err = a.QueryRefund(t.Context(), back.RefundOrder)
			require.NoError(t, err)
			require.Equal(t, channel.Succeeded, state.Outcome)
			require.Len(t, s.Movements(t, back.Number), 1+1, "the refund, and its part of the fee")
		}
	}
}

// TestWeChatPayAnswersThatAreNotOurs: well signed and about something else, or
// not for any client to swallow.
func TestWeChatPayAnswersThatAreNotOurs(t *testing.T) {
	t.Parallel()
	s := openStand(t, wechatpay.Name, channeltest.Contract{})
	a := s.Adapter()
	order := s.order(t, channel.ProductQR)
	_, err := a.Prepay(t.Context(), order)
	require.NoError(t, err)
	s.Pay(t, order.Number, false)
	query := s.operationName(channeltest.QueryTrade)
	for name, c := range map[string]struct {
		fault map[string]any
		code  string
	}{
		"mchid":        {map[string]any{"kind": "flip", "field": "mchid", "value": `"1900000110"`}, channel.CodeMismatch},
		"appid":        {map[string]any{"kind": "flip", "field": "appid", "value": `"wx1"`}, channel.CodeMismatch},
		"number":       {map[string]any{"kind": "flip", "field": "out_trade_no", "value": `"01J8ZQ4M6W3N5P7R9S1T2V4X6Y"`}, channel.CodeMismatch},
		"currency":     {map[string]any{"kind": "flip", "field": "currency", "value": `"USD"`}, channel.CodeMismatch},
		"no amount":    {map[string]any{"kind": "flip", "field": "total", "value": `null`}, channel.CodeBadBody},
		"text amount":  {map[string]any{"kind": "flip", "field": "total", "value": `"8888"`}, channel.CodeBadBody},
		"new state":    {map[string]any{"kind": "flip", "field": "trade_state", "value": `"NEW"`}, channel.CodeBadBody},
		"key twice":    {map[string]any{"kind": "duplicate_key", "field": "trade_state", "value": `"NOTPAY"`}, channel.CodeBadBody},
		"GBK":          {map[string]any{"kind": "wrong_charset"}, channel.CodeBadBody},
		"50 MB":        {map[string]any{"kind": "huge"}, channel.CodeBadBody},
		"a gzip bomb":  {map[string]any{"kind": "gzip_bomb"}, channel.CodeBadBody},
		"too often":    {map[string]any{"kind": "refuse", "answer": "FREQUENCY_LIMITED"}, "FREQUENCY_LIMITED"},
		"another code": {map[string]any{"kind": "refuse", "answer": "SOMETHING_NEW"}, "SOMETHING_NEW"},
	} {
		c.fault["provider"], c.fault["operation"], c.fault["number"] = s.provider, query, order.Number
		if c.fault["kind"] == "huge" || c.fault["kind"] == "gzip_bomb" {
			// Making so much takes the sandbox longer than the stand's adapter waits.
			patient := s.openWeChat(t, "1900000109", "", func(c *wechatpay.Config) { c.Timeout = time.Minute })
			s.control(t, http.MethodPost, "/control/faults", c.fault, nil)
			got, err := patient.QueryTrade(t.Context(), order.Number)
			require.NoError(t, err)
			require.Equal(t, channel.Unknown, got.Outcome, name)
			require.Equal(t, c.code, got.Code, "%s: %s", name, got.Message)
			continue
		}
		s.control(t, http.MethodPost, "/control/faults", c.fault, nil)
		got, err := a.QueryTrade(t.Context(), order.Number)
		require.NoError(t, err)
		require.Equal(t, channel.Unknown, got.Outcome, name)
		require.Equal(t, c.code, got.Code, "%s: %s", name, got.Message)
	}
	s.control(t, http.MethodPost, "/control/faults", map[string]any{"provider": s.provider, "operation": query, "kind": "refuse", "answer": "ORDER_NOT_EXIST"}, nil)
	got, err := a.QueryTrade(t.Context(), order.Number)
	require.NoError(t, err)
	require.Equal(t, channel.TradeNotFound, got.State, "what right after a request may be said")
	got, err = a.QueryTrade(t.Context(), order.Number)
	require.NoError(t, err)
	require.Equal(t, channel.TradePaid, got.State)

	back := channel.RefundOrder{Number: ulid.Make().String(), TradeNumber: order.Number, Amount: money.Fen(100), TradeAmount: order.Amount}
	refund := s.operationName(channeltest.Refund)
	for code, want := range map[string]channel.Outcome{
		"NOT_ENOUGH": channel.Pending, "FREQUENCY_LIMITED": channel.Unknown, "INVALID_REQUEST": channel.Unknown, "PARAM_ERROR": channel.Failed,
	} {
		s.control(t, http.MethodPost, "/control/faults", map[string]any{"provider": s.provider, "operation": refund, "kind": "refuse", "answer": code}, nil)
		state, err := a.Refund(t.Context(), back)
		require.NoError(t, err)
		require.Equal(t, want, state.Outcome, code)
		require.Empty(t, s.Movements(t, back.Number))
	}
	s.control(t, http.MethodPost, "/control/faults", map[string]any{"provider": s.provider, "operation": refund, "kind": "flip", "field": "refund", "value": "1"}, nil)
	state, err := a.Refund(t.Context(), back)
	require.NoError(t, err)
	require.Equal(t, channel.CodeMismatch, state.Code)
}

// TestWeChatPayMerchantCertificates: a new one takes over while the old one is good.
func TestWeChatPayMerchantCertificates(t *testing.T) {
	t.Parallel()
	s := openStand(t, wechatpay.Name, channeltest.Contract{})
	s.control(t, http.MethodPost, "/control/wechatpay/merchant-certificates", map[string]any{"mchid": "1900000109", "merchant_serial": "AB12",
		"merchant_public_key": keys.PublicPEM(merchantKey()), "overlap_seconds": 3600}, nil)
	out, err := s.Adapter().Prepay(t.Context(), s.order(t, channel.ProductQR))
	require.NoError(t, err)
	require.Equal(t, channel.Succeeded, out.Outcome)
	s.control(t, http.MethodPost, "/control/wechatpay/merchant-certificates", map[string]any{"mchid": "1900000109", "merchant_serial": "AB13",
		"merchant_public_key": keys.PublicPEM(merchantKey())}, nil)
	out, err = s.Adapter().Prepay(t.Context(), s.order(t, channel.ProductQR))
	require.NoError(t, err)
	require.Equal(t, channel.Failed, out.Outcome)
	require.Equal(t, "SIGN_ERROR", out.Code)
}

// TestWeChatPayH5ComesBack: the way back is kept for the page after the payment.
func TestWeChatPayH5ComesBack(t *testing.T) {
	t.Parallel()
	s := openStand(t, wechatpay.Name, channeltest.Contract{})
	order := s.order(t, channel.ProductWAP)
	order.ReturnURL = "https://shop.example/back?a=1&b=茶"
	out, err := s.Adapter().Prepay(t.Context(), order)
	require.NoError(t, err)
	visit(t, out.Action.URL)
	var found struct {
		Orders []struct {
			ReturnURL string `json:"return_url"`
		}
	}
	s.control(t, http.MethodGet, "/control/orders?"+url.Values{"provider": {s.provider}, "number": {order.Number}}.Encode(), nil, &found)
	require.Equal(t, order.ReturnURL, found.Orders[0].ReturnURL)
}
