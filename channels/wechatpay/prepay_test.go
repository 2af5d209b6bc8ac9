package wechatpay

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/core"
	partnerapp "github.com/wechatpay-apiv3/wechatpay-go/services/partnerpayments/app"
	partnerh5 "github.com/wechatpay-apiv3/wechatpay-go/services/partnerpayments/h5"
	partnerjsapi "github.com/wechatpay-apiv3/wechatpay-go/services/partnerpayments/jsapi"
	partnernative "github.com/wechatpay-apiv3/wechatpay-go/services/partnerpayments/native"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/app"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/h5"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/jsapi"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments/native"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/suanpan/suanpan/core/channel"
)

func productOrder(product channel.Product) channel.PrepayOrder {
	order := prepayOrder()
	order.Product, order.PayerID, order.PayerIP, order.ReturnURL = product, testPayer, "203.0.113.7", "https://shop.example/back"
	return order
}

// TestOrdersAreTheSDKs: the one struct for all products says what the SDK's eight say.
func TestOrdersAreTheSDKs(t *testing.T) {
	t.Parallel()
	o := prepayOrder()
	s, expires := core.String, core.Time(o.ExpiresAt.In(time.FixedZone("", 8*3600)))
	total, cny := core.Int64(8888), core.String("CNY")
	for _, c := range []struct {
		product channel.Product
		partner bool
		sdk     any
	}{
		{channel.ProductQR, false, native.PrepayRequest{Appid: s(testApp), Mchid: s(testMch), Description: s(o.Subject), OutTradeNo: s(o.Number),
			TimeExpire: expires, NotifyUrl: s(o.NotifyURL), Amount: &native.Amount{Total: total, Currency: cny}}},
		{channel.ProductApp, false, app.PrepayRequest{Appid: s(testApp), Mchid: s(testMch), Description: s(o.Subject), OutTradeNo: s(o.Number),
			TimeExpire: expires, NotifyUrl: s(o.NotifyURL), Amount: &app.Amount{Total: total, Currency: cny}}},
		{channel.ProductJSAPI, false, jsapi.PrepayRequest{Appid: s(testApp), Mchid: s(testMch), Description: s(o.Subject), OutTradeNo: s(o.Number),
			TimeExpire: expires, NotifyUrl: s(o.NotifyURL), Amount: &jsapi.Amount{Total: total, Currency: cny},
			Payer: &jsapi.Payer{Openid: s(testPayer)}}},
		{channel.ProductWAP, false, h5.PrepayRequest{Appid: s(testApp), Mchid: s(testMch), Description: s(o.Subject), OutTradeNo: s(o.Number),
			TimeExpire: expires, NotifyUrl: s(o.NotifyURL), Amount: &h5.Amount{Total: total, Currency: cny},
			SceneInfo: &h5.SceneInfo{PayerClientIp: s("203.0.113.7"), H5Info: &h5.H5Info{Type: s("Wap")}}}},
		{channel.ProductQR, true, partnernative.PrepayRequest{SpAppid: s(testApp), SpMchid: s(testMch), SubAppid: s(testSubApp), SubMchid: s(testSub),
			Description: s(o.Subject), OutTradeNo: s(o.Number), TimeExpire: expires, NotifyUrl: s(o.NotifyURL),
			Amount: &partnernative.Amount{Total: total, Currency: cny}}},
		{channel.ProductApp, true, partnerapp.PrepayRequest{SpAppid: s(testApp), SpMchid: s(testMch), SubAppid: s(testSubApp), SubMchid: s(testSub),
			Description: s(o.Subject), OutTradeNo: s(o.Number), TimeExpire: expires, NotifyUrl: s(o.NotifyURL),
			Amount: &partnerapp.Amount{Total: total, Currency: cny}}},
		{channel.ProductJSAPI, true, partnerjsapi.PrepayRequest{SpAppid: s(testApp), SpMchid: s(testMch), SubAppid: s(testSubApp), SubMchid: s(testSub),
			Description: s(o.Subject), OutTradeNo: s(o.Number), TimeExpire: expires, NotifyUrl: s(o.NotifyURL),
			Amount: &partnerjsapi.Amount{Total: total, Currency: cny}, Payer: &partnerjsapi.Payer{SubOpenid: s(testPayer)}}},
		{channel.ProductWAP, true, partnerh5.PrepayRequest{SpAppid: s(testApp), SpMchid: s(testMch), SubAppid: s(testSubApp), SubMchid: s(testSub),
			Description: s(o.Subject), OutTradeNo: s(o.Number), TimeExpire: expires, NotifyUrl: s(o.NotifyURL),
			Amount:    &partnerh5.Amount{Total: total, Currency: cny},
			SceneInfo: &partnerh5.SceneInfo{PayerClientIp: s("203.0.113.7"), H5Info: &partnerh5.H5Info{Type: s("Wap")}}}},
	} {
		a := newAdapter(t, "https://api.mch.weixin.qq.com")
		if c.partner {
			a.subMchID, a.subAppID = testSub, testSubApp
		}
		_, body, err := a.announce(productOrder(c.product))
		require.NoError(t, err)
		ours, err := json.Marshal(body)
		require.NoError(t, err)
		theirs, err := json.Marshal(c.sdk)
		require.NoError(t, err)
		require.JSONEq(t, string(theirs), string(ours), "%s partner %v", c.product, c.partner)
	}
}

// TestWhatThePayersSideGetsIsSigned with the merchant's key, over exactly these parts.
func TestWhatThePayersSideGetsIsSigned(t *testing.T) {
	t.Parallel()
	const prepayID = "wx201410272009395522657a690389285100"
	_, a := serve(t, respond(200, `{"prepay_id":"`+prepayID+`"}`))
	verify := func(signature string, parts ...string) error {
		hash := strings.Join(parts, "\n") + "\n"
		again, err := utils.SignSHA256WithRSA(hash, testKeys().merchant)
		require.NoError(t, err)
		require.Equal(t, again, signature)
		return nil
	}
	seen := map[string]bool{}
	for range 2 {
		out, err := a.Prepay(t.Context(), productOrder(channel.ProductJSAPI))
		require.NoError(t, err)
		p := out.Action.Params
		require.NoError(t, verify(p["paySign"], testApp, p["timeStamp"], p["nonceStr"], "prepay_id="+prepayID))
		require.False(t, seen[p["nonceStr"]], "a nonce is used once")
		seen[p["nonceStr"]] = true

		out, err = a.Prepay(t.Context(), productOrder(channel.ProductApp))
		require.NoError(t, err)
		p = out.Action.Params
		require.NoError(t, verify(p["sign"], testApp, p["timestamp"], p["noncestr"], prepayID))
		require.Equal(t, testMch, p["partnerid"])
	}
}

// TestOffersNeedWhatTheySay: without it the order is the caller's mistake.
func TestOffersNeedWhatTheySay(t *testing.T) {
	t.Parallel()
	g, a := serve(t, respond(200, `{}`))
	spoil := map[channel.Need]func(*channel.PrepayOrder){
		channel.NeedPayerID:   func(o *channel.PrepayOrder) { o.PayerID = "" },
		channel.NeedPayerIP:   func(o *channel.PrepayOrder) { o.PayerIP = "" },
		channel.NeedReturnURL: func(o *channel.PrepayOrder) { o.ReturnURL = "" },
	}
	products := map[channel.Product]bool{}
	for _, offer := range a.Offers() {
		products[offer.Product] = true
		for _, need := range offer.Needs {
			if offer.Product == channel.ProductBarcode {
				require.Equal(t, channel.NeedAuthCode, need)
				continue
			}
			order := productOrder(offer.Product)
			spoil[need](&order)
			_, err := a.Prepay(t.Context(), order)
			require.Error(t, err, "%s without %s", offer.Product, need)
		}
	}
	require.Len(t, products, 5)
	for name, order := range map[string]channel.PrepayOrder{
		"a PC page": productOrder(channel.ProductPage), "a code": productOrder(channel.ProductBarcode), "another": productOrder("other"),
	} {
		_, err := a.Prepay(t.Context(), order)
		require.ErrorContains(t, err, "product", name)
	}
	bad := productOrder(channel.ProductWAP)
	bad.PayerIP = "203.0.113.256"
	_, err := a.Prepay(t.Context(), bad)
	require.ErrorContains(t, err, "PayerIP")
	bad = productOrder(channel.ProductWAP)
	bad.ReturnURL = "javascript:alert(1)"
	_, err = a.Prepay(t.Context(), bad)
	require.ErrorContains(t, err, "ReturnURL")
	for _, code := range []string{"", "1300610988280094", "1300610988280094060", "163061098828009406", "13006109882800940x"} {
		order := codeOrder()
		order.AuthCode = code
		_, err := a.PayByCode(t.Context(), order)
		require.ErrorContains(t, err, "AuthCode")
		if code != "" {
			require.NotContains(t, err.Error(), code)
		}
	}
	require.Empty(t, g.requests())
}

// FuzzH5URL: whatever address comes back, the browser is only ever sent to a
// web page, and always with the way back.
func FuzzH5URL(f *testing.F) {
	f.Add("https://wx.tenpay.com/checkmweb?prepay_id=1&package=2", "https://shop.example/back?a=1&b=2")
	f.Add("javascript:alert(1)", "https://shop.example/")
	f.Add("https://wx.tenpay.com/", "http://[::1]/")
	f.Fuzz(func(t *testing.T, h5URL, back string) {
		action, ok := redirectTo(h5URL, back)
		if !ok {
			require.Empty(t, action.URL)
			return
		}
		got, err := url.Parse(action.URL)
		require.NoError(t, err)
		require.Contains(t, []string{"http", "https"}, got.Scheme)
		require.NotEmpty(t, got.Host)
		// The last parameter of that name is ours, whatever the address had.
		require.True(t, strings.HasSuffix(action.URL, "&redirect_url="+url.QueryEscape(back)))
	})
}
