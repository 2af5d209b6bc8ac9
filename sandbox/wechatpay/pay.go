package wechatpay

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"github.com/suanpan/suanpan/sandbox/books"
)

const (
	// defaultValidity is how long an order without time_expire can be paid.
	defaultValidity = 2 * time.Hour
	// largestValidity bounds time_expire.
	largestValidity = 15 * 24 * time.Hour
	// largestAmount is 100,000,000 yuan in fen.
	largestAmount = 100_000_000_00
	// openID is the one payer of the sandbox.
	openID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
)

var outTradeNo = regexp.MustCompile(`^[0-9A-Za-z_\-|*]{6,32}$`)

// Trade types, in the provider's words.
const (
	tradeNative = "NATIVE"
	tradeJSAPI  = "JSAPI"
	tradeApp    = "APP"
	tradeH5     = "MWEB"
	tradeCode   = "MICROPAY"
)

type prepayFields struct {
	names
	Description string `json:"description"`
	OutTradeNo  string `json:"out_trade_no"`
	TimeExpire  string `json:"time_expire"`
	Attach      string `json:"attach"`
	NotifyURL   string `json:"notify_url"`
	Amount      *struct {
		Total    *int64 `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`
	Payer struct {
		OpenID    string `json:"openid"`
		SpOpenID  string `json:"sp_openid"`
		SubOpenID string `json:"sub_openid"`
		AuthCode  string `json:"auth_code"`
	} `json:"payer"`
	SceneInfo *struct {
		PayerClientIP string `json:"payer_client_ip"`
		DeviceIP      string `json:"device_ip"`
		H5Info        *struct {
			Type string `json:"type"`
		} `json:"h5_info"`
		StoreInfo *struct {
			ID    string `json:"id"`
			OutID string `json:"out_id"`
		} `json:"store_info"`
	} `json:"scene_info"`
}

// prepay is POST /v3/pay/transactions/{native|jsapi|app|h5} and the same for a
// service provider. Resending the same parameters returns the same code; a
// number is never used again for anything else.
func (g *Gateway) prepay(c call, _ string) (answer, error) {
	var in prepayFields
	if err := decode(c.body, &in); err != nil {
		return answer{}, err
	}
	p, err := g.party(c, in.names)
	if err != nil {
		return answer{}, err
	}
	if err := checkPrepay(in); err != nil {
		return answer{}, err
	}
	if err := checkNotifyURL("/body/notify_url", in.NotifyURL); err != nil {
		return answer{}, err
	}
	payer, err := checkProduct(c, p, in)
	if err != nil {
		return answer{}, err
	}
	var order books.Order
	err = g.Books.Update("order_prepared", func(tx *books.Tx) error {
		fingerprint := in.fingerprint(c.product, payer)
		if known, exists := tx.Order(books.WeChatPay, p.merchant.ID, in.OutTradeNo); exists {
			order = known
			return refuseReuse(known, fingerprint, tx.Now())
		}
		made, err := g.newOrder(tx, c, p, in, payer, fingerprint)
		if err != nil {
			return err
		}
		order = made
		tx.PutOrder(order)
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, json: g.invitation(order)}, nil
}

func (in prepayFields) fingerprint(product, payer string) string {
	return books.Fingerprint(in.AppID, in.Description, in.TimeExpire, in.Attach, in.NotifyURL,
		strconv.FormatInt(*in.Amount.Total, 10), product, payer, in.SpAppID, in.SpMchID, in.SubAppID)
}

func (g *Gateway) newOrder(tx *books.Tx, c call, p party, in prepayFields, payer, fingerprint string) (books.Order, error) {
	expires, err := expiry(in.TimeExpire, tx.Now())
	order := books.Order{
		Provider: books.WeChatPay, Merchant: p.merchant.ID, Account: p.merchant.Account, AppID: p.appID,
		Partner: p.partner, PartnerAppID: p.partnerAppID, Product: c.product, PayerID: payer,
		Number: in.OutTradeNo, ProviderNo: g.transactionID(tx), Token: strings.ToLower(ulid.Make().String()),
		Subject: in.Description, Attach: in.Attach, NotifyURL: in.NotifyURL, Amount: *in.Amount.Total,
		Fingerprint: fingerprint, State: books.OrderPrepared, CreatedAt: tx.Now(), ExpiresAt: expires,
	}
	if order.Product == tradeNative {
		order.Product = "" // what journals of before have
	}
	return order, err
}

// invitation is what the payer's side goes on with.
func (g *Gateway) invitation(o books.Order) map[string]string {
	switch o.Product {
	case tradeJSAPI, tradeApp:
		return map[string]string{"prepay_id": prepayPrefix + o.Token}
	case tradeH5:
		return map[string]string{"h5_url": g.PublicURL + H5Path + "?prepay_id=" + prepayPrefix + o.Token +
			"&package=" + o.ProviderNo[len(o.ProviderNo)-10:]}
	}
	return map[string]string{"code_url": g.PublicURL + "/pay/" + o.Token}
}

func checkPrepay(in prepayFields) error {
	switch {
	case !outTradeNo.MatchString(in.OutTradeNo):
		return fieldProblem("/body/out_trade_no", in.OutTradeNo, "须为6至32位数字、字母或_-|*")
	case strings.TrimSpace(in.Description) == "" || utf8.RuneCountInString(in.Description) > 127:
		return fieldProblem("/body/description", in.Description, "须为1至127个字符")
	case utf8.RuneCountInString(in.Attach) > 128:
		return fieldProblem("/body/attach", in.Attach, "不能超过128个字符")
	case in.Amount == nil || in.Amount.Total == nil:
		return fieldProblem("/body/amount/total", nil, "必填")
	case *in.Amount.Total < 1 || *in.Amount.Total > largestAmount:
		return fieldProblem("/body/amount/total", *in.Amount.Total, "须为大于0的整数，单位为分")
	case in.Amount.Currency != "" && in.Amount.Currency != "CNY":
		return fieldProblem("/body/amount/currency", in.Amount.Currency, "须为CNY")
	}
	return nil
}

// checkProduct checks what only one product asks for, and returns the payer's
// openid where the order is for one payer.
func checkProduct(c call, p party, in prepayFields) (payer string, err error) {
	switch c.product {
	case tradeJSAPI:
		return checkOpenID(p, in)
	case tradeH5:
		switch {
		case in.SceneInfo == nil:
			return "", fieldProblem("/body/scene_info", nil, "H5支付必填")
		case net.ParseIP(in.SceneInfo.PayerClientIP) == nil:
			return "", fieldProblem("/body/scene_info/payer_client_ip", in.SceneInfo.PayerClientIP, "须为IPv4或IPv6地址")
		case in.SceneInfo.H5Info == nil || !slices.Contains([]string{"iOS", "Android", "Wap"}, in.SceneInfo.H5Info.Type):
			return "", fieldProblem("/body/scene_info/h5_info/type", nil, "须为iOS、Android或Wap")
		}
	}
	return "", nil
}

func checkOpenID(p party, in prepayFields) (string, error) {
	openid, appID, field := in.Payer.OpenID, p.appID, "/body/payer/openid"
	if p.partner != "" {
		openid, appID, field = in.Payer.SpOpenID, p.partnerAppID, "/body/payer/sp_openid"
		if (in.Payer.SpOpenID == "") == (in.Payer.SubOpenID == "") {
			return "", fieldProblem("/body/payer", nil, "sp_openid和sub_openid须填且只填一个")
		}
		if in.Payer.SubOpenID != "" {
			if p.appID == "" {
				return "", fieldProblem("/body/sub_appid", nil, "传sub_openid时必填")
			}
			openid, appID, field = in.Payer.SubOpenID, p.appID, "/body/payer/sub_openid"
		}
	}
	switch {
	case !openIDForm.MatchString(openid):
		return "", fieldProblem(field, openid, "无效的openid")
	case !openIDOf(openid, appID):
		return "", &problem{status: http.StatusInternalServerError, code: "OPENID_MISMATCH", message: "openid和appid不匹配"}
	}
	return openid, nil
}

// checkNotifyURL wants https without a query. On loopback http will do, so that
// the sandbox can be used without certificates.
func checkNotifyURL(field, text string) error {
	parsed, err := url.Parse(text)
	if err != nil || text == "" || len(text) > 255 || parsed.Host == "" || parsed.RawQuery != "" || parsed.ForceQuery {
		return fieldProblem(field, text, "须为255字符以内、不带参数的https地址")
	}
	loopback := parsed.Hostname() == "localhost"
	if ip := net.ParseIP(parsed.Hostname()); ip != nil {
		loopback = ip.IsLoopback()
	}
	if parsed.Scheme != "https" && (parsed.Scheme != "http" || !loopback) {
		return fieldProblem(field, text, "须为https地址")
	}
	return nil
}

// refuseReuse decides about a number that is already taken.
func refuseReuse(known books.Order, fingerprint string, now time.Time) error {
	switch {
	case known.State == books.OrderPaid:
		return forbidden("OUT_TRADE_NO_USED", "商户订单号重复")
	case known.State == books.OrderClosed || known.Expired(now):
		return &problem{status: http.StatusBadRequest, code: "ORDER_CLOSED", message: "订单已关闭"}
	case known.Fingerprint != fingerprint:
		return badRequest("商户订单号重复，且请求参数与首次下单不一致")
	}
	return nil
}

func expiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now.Add(defaultValidity), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fieldProblem("/body/time_expire", text, "须遵循rfc3339格式")
	}
	if !at.After(now) || at.After(now.Add(largestValidity)) {
		return time.Time{}, fieldProblem("/body/time_expire", text, "须晚于当前时间且在15天以内")
	}
	return at, nil
}

// transactionID makes a 28-digit number that holds the date.
func (g *Gateway) transactionID(tx *books.Tx) string {
	return fmt.Sprintf("42000%s%015d", tx.Now().In(g.Zone).Format("20060102"), tx.NextNumber())
}

// describe is the API's text for a trade state.
func describe(state string) string {
	switch state {
	case "SUCCESS":
		return "支付成功"
	case "REFUND":
		return "转入退款"
	case "CLOSED":
		return "订单已关闭"
	case "REVOKED":
		return "订单已撤销"
	case "USERPAYING":
		return "用户支付中"
	case "PAYERROR":
		return "支付失败，请重新下单支付"
	default:
		return "订单未支付"
	}
}

// tradeState is the API's word for an order.
func tradeState(o books.Order, now time.Time) string {
	switch {
	case !o.ReversedAt.IsZero():
		return "REVOKED"
	case o.State == books.OrderPaid && o.RefundCount > 0:
		return "REFUND"
	case o.State == books.OrderPaid:
		return "SUCCESS"
	case o.State == books.OrderClosed || o.Expired(now):
		return "CLOSED"
	case o.State == books.OrderWaiting:
		return "USERPAYING"
	case o.Product == tradeCode:
		return "PAYERROR"
	}
	return "NOTPAY"
}

type payerFields struct {
	OpenID    string `json:"openid,omitempty"`
	SpOpenID  string `json:"sp_openid,omitempty"`
	SubOpenID string `json:"sub_openid,omitempty"`
}

type amountFields struct {
	Total         int64  `json:"total"`
	PayerTotal    *int64 `json:"payer_total,omitempty"`
	Currency      string `json:"currency"`
	PayerCurrency string `json:"payer_currency,omitempty"`
}

// transaction is how the API shows an order, in answers and notifications.
type transaction struct {
	AppID           string       `json:"appid,omitempty"`
	MchID           string       `json:"mchid,omitempty"`
	SpAppID         string       `json:"sp_appid,omitempty"`
	SpMchID         string       `json:"sp_mchid,omitempty"`
	SubAppID        string       `json:"sub_appid,omitempty"`
	SubMchID        string       `json:"sub_mchid,omitempty"`
	OutTradeNo      string       `json:"out_trade_no"`
	TransactionID   string       `json:"transaction_id,omitempty"`
	TradeType       string       `json:"trade_type,omitempty"`
	TradeState      string       `json:"trade_state"`
	TradeStateDesc  string       `json:"trade_state_desc"`
	BankType        string       `json:"bank_type,omitempty"`
	Attach          string       `json:"attach,omitempty"`
	SuccessTime     string       `json:"success_time,omitempty"`
	Payer           *payerFields `json:"payer,omitempty"`
	Amount          amountFields `json:"amount"`
	PromotionDetail []struct{}   `json:"promotion_detail"`
}

func (g *Gateway) transaction(o books.Order, now time.Time) transaction {
	state := tradeState(o, now)
	t := transaction{
		OutTradeNo: o.Number, TradeState: state, TradeStateDesc: describe(state),
		Attach: o.Attach, Amount: amountFields{Total: o.Amount, Currency: "CNY"}, PromotionDetail: []struct{}{},
	}
	if o.Partner == "" {
		t.AppID, t.MchID = o.AppID, o.Merchant
	} else {
		t.SpAppID, t.SpMchID, t.SubAppID, t.SubMchID = o.PartnerAppID, o.Partner, o.AppID, o.Merchant
	}
	if o.State == books.OrderPaid {
		t.TransactionID, t.TradeType, t.BankType = o.ProviderNo, tradeType(o), o.Channel
		t.SuccessTime, t.Payer = g.format(o.PaidAt), payerOf(o)
		t.Amount.PayerTotal, t.Amount.PayerCurrency = &o.Amount, "CNY"
	}
	return t
}

func tradeType(o books.Order) string {
	if o.Product == "" {
		return tradeNative
	}
	return o.Product
}

// payerOf is who paid: the payer the order was for, or the one the sandbox has.
func payerOf(o books.Order) *payerFields {
	payer := o.PayerID
	if payer == "" {
		payer = openID
	}
	switch {
	case o.Partner == "":
		return &payerFields{OpenID: payer}
	case o.AppID != "" && o.PayerID != "" && openIDOf(payer, o.AppID) && !openIDOf(payer, o.PartnerAppID):
		return &payerFields{SubOpenID: payer}
	}
	return &payerFields{SpOpenID: payer}
}

func (g *Gateway) format(at time.Time) string { return at.In(g.Zone).Format(time.RFC3339) }

// queryByNumber is GET …/out-trade-no/{out_trade_no}.
func (g *Gateway) queryByNumber(c call, number string) (answer, error) {
	return g.query(c, func(r books.Reader, owner string) (books.Order, bool) { return r.Order(books.WeChatPay, owner, number) })
}

// queryByID is GET …/id/{transaction_id}: paid orders only.
func (g *Gateway) queryByID(c call, id string) (answer, error) {
	return g.query(c, func(r books.Reader, owner string) (books.Order, bool) {
		o, ok := r.OrderByProviderNo(books.WeChatPay, owner, id)
		return o, ok && o.State == books.OrderPaid
	})
}

func (g *Gateway) query(c call, find func(r books.Reader, owner string) (books.Order, bool)) (answer, error) {
	query := c.http.URL.Query()
	owner, err := g.owner(c, names{MchID: query.Get("mchid"), SpMchID: query.Get("sp_mchid"), SubMchID: query.Get("sub_mchid")})
	if err != nil {
		return answer{}, err
	}
	var shown transaction
	err = g.Books.View(func(r books.Reader) error {
		order, ok := find(r, owner.ID)
		if !ok || order.Partner != owner.Partner {
			return notFound("ORDER_NOT_EXIST", "订单不存在")
		}
		shown = g.transaction(order, r.Now())
		return nil
	})
	return answer{status: http.StatusOK, json: shown}, err
}

// closeOrder is POST …/close: 204 with an empty, signed body.
func (g *Gateway) closeOrder(c call, number string) (answer, error) {
	var in names
	if err := decode(c.body, &in); err != nil {
		return answer{}, err
	}
	owner, err := g.owner(c, in)
	if err != nil {
		return answer{}, err
	}
	err = g.Books.Update("order_closed", func(tx *books.Tx) error {
		order, ok := tx.Order(books.WeChatPay, owner.ID, number)
		switch {
		case !ok || order.Partner != owner.Partner:
			return notFound("ORDER_NOT_EXIST", "订单不存在")
		case order.State == books.OrderPaid:
			return &problem{status: http.StatusBadRequest, code: "ORDERPAID", message: "订单已支付"}
		case order.State == books.OrderClosed:
			return &problem{status: http.StatusBadRequest, code: "ORDER_CLOSED", message: "订单已关闭"}
		}
		order.State, order.ClosedAt = books.OrderClosed, tx.Now()
		tx.PutOrder(order)
		return nil
	})
	return answer{status: http.StatusNoContent}, err
}
