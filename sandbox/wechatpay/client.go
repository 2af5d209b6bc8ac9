package wechatpay

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/keys"
)

// Paths on which the sandbox plays the payer's side of the products that do not
// begin with a QR code. Each checks what WeChat checks and goes on to /pay/….
const (
	// H5Path is where an h5_url leads.
	H5Path = Prefix + "/checkmweb"
	// JSAPIPath takes the parameters of WeixinJSBridge's getBrandWCPayRequest.
	JSAPIPath = Prefix + "/client/jsapi"
	// AppPath takes the parameters of the app's PayReq.
	AppPath = Prefix + "/client/app"
)

// prepayPrefix stands before an order's token in its prepay_id.
const prepayPrefix = "wx"

// errNoOrder says that a prepay_id is not one of the product's.
var errNoOrder = errors.New("no such prepay_id")

// OpenH5 is an h5_url, to which the merchant may have added redirect_url.
func (g *Gateway) OpenH5(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	order, err := g.orderOf(query.Get("prepay_id"), tradeH5)
	back := query.Get("redirect_url")
	if parsed, bad := url.Parse(back); back != "" && (bad != nil || parsed.Host == "" || !strings.HasPrefix(parsed.Scheme, "http")) {
		http.Error(w, "redirect_url 不是合法的地址 redirect_url is not an address", http.StatusBadRequest)
		return
	}
	if err == nil && back != "" && back != order.ReturnURL {
		order, err = g.update("order_opened", order.Merchant, order.Number, func(tx *books.Tx, o *books.Order) error {
			o.ReturnURL = back
			tx.PutOrder(*o)
			return nil
		})
	}
	g.goOn(w, r, order, err)
}

// OpenJSAPI is what a page inside WeChat hands over: the merchant's signature
// covers appId, timeStamp, nonceStr and package.
func (g *Gateway) OpenJSAPI(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	prepayID, ok := strings.CutPrefix(q.Get("package"), "prepay_id=")
	if !ok || q.Get("signType") != "RSA" {
		http.Error(w, "package 或 signType 错误", http.StatusBadRequest)
		return
	}
	order, err := g.orderOf(prepayID, tradeJSAPI)
	if err == nil {
		err = g.checkPaySign(order, q.Get("appId"), q.Get("paySign"), q.Get("appId"), q.Get("timeStamp"), q.Get("nonceStr"), q.Get("package"))
	}
	g.goOn(w, r, order, err)
}

// OpenApp is what the merchant's app hands to WeChat's SDK: the signature covers
// appid, timestamp, noncestr and prepayid.
func (g *Gateway) OpenApp(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	order, err := g.orderOf(q.Get("prepayid"), tradeApp)
	if err == nil && (q.Get("package") != "Sign=WXPay" || q.Get("partnerid") != order.Merchant) {
		http.Error(w, "package 或 partnerid 错误", http.StatusBadRequest)
		return
	}
	if err == nil {
		err = g.checkPaySign(order, q.Get("appid"), q.Get("sign"), q.Get("appid"), q.Get("timestamp"), q.Get("noncestr"), q.Get("prepayid"))
	}
	g.goOn(w, r, order, err)
}

// orderOf finds the order that a prepay_id stands for.
func (g *Gateway) orderOf(prepayID, product string) (books.Order, error) {
	token, ok := strings.CutPrefix(prepayID, prepayPrefix)
	var order books.Order
	err := g.Books.View(func(r books.Reader) error {
		found, known := r.OrderByToken(token)
		if !ok || !known || found.Provider != books.WeChatPay || found.Product != product {
			return errNoOrder
		}
		order = found
		return nil
	})
	return order, err
}

// checkPaySign verifies the signature of the party that announced the order, in
// the name of one of the order's applications.
func (g *Gateway) checkPaySign(o books.Order, appID, signature string, parts ...string) error {
	if appID == "" || (appID != o.AppID && appID != o.PartnerAppID) {
		return errors.New("appid is not the order's")
	}
	var signer books.Merchant
	err := g.Books.View(func(r books.Reader) error {
		signer, _ = r.Merchant(books.WeChatPay, speaker(o))
		return nil
	})
	if err != nil {
		return err
	}
	public, _, err := keys.ParsePublicKey(signer.PublicKey)
	if err != nil {
		return err
	}
	return keys.Verify(public, strings.Join(parts, "\n")+"\n", signature)
}

// goOn leads to the page on which the payer pays.
func (g *Gateway) goOn(w http.ResponseWriter, r *http.Request, o books.Order, err error) {
	switch {
	case errors.Is(err, errNoOrder):
		http.Error(w, "订单不存在或不是这个产品的 There is no such order", http.StatusNotFound)
	case err != nil:
		slog.Info("wechatpay client refused the parameters", "number", o.Number, "reason", err)
		http.Error(w, "支付验证签名失败 The signature does not verify", http.StatusForbidden)
	default:
		http.Redirect(w, r, "/pay/"+o.Token, http.StatusFound)
	}
}
