package alipay

import (
	"slices"
	"strconv"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/yuan"
)

// Product codes, which are also how the books name an order's product. A QR code
// has none there.
const (
	productPage  = "FAST_INSTANT_TRADE_PAY"
	productWAP   = "QUICK_WAP_WAY"
	productApp   = "QUICK_MSECURITY_PAY"
	productJSAPI = "JSAPI_PAY"
	productCode  = "FACE_TO_FACE_PAYMENT"
)

// orderFields is the biz_content of every method that makes an order.
type orderFields struct {
	OutTradeNo     string `json:"out_trade_no"`
	TotalAmount    string `json:"total_amount"`
	Subject        string `json:"subject"`
	Body           string `json:"body"`
	ProductCode    string `json:"product_code"`
	SellerID       string `json:"seller_id"`
	TimeExpire     string `json:"time_expire"`
	TimeoutExpress string `json:"timeout_express"`
	QRCodeTimeout  string `json:"qr_code_timeout_express"`
	PassbackParams string `json:"passback_params"`
	QuitURL        string `json:"quit_url"`
	BuyerID        string `json:"buyer_id"`
	BuyerOpenID    string `json:"buyer_open_id"`
	Scene          string `json:"scene"`
	AuthCode       string `json:"auth_code"`
}

// fingerprint condenses what must not change under a number.
func (in orderFields) fingerprint(amount int64, product string) string {
	parts := []string{strconv.FormatInt(amount, 10), in.Subject, in.Body, in.TimeExpire, in.TimeoutExpress, in.PassbackParams}
	if product != "" {
		parts = append(parts, product, in.BuyerID, in.BuyerOpenID, in.Scene, in.AuthCode)
	}
	return books.Fingerprint(parts...)
}

// checkOrder checks what every method checks, and that the product_code is one of
// codes.
func checkOrder(call request, in orderFields, codes ...string) (int64, error) {
	if !outTradeNo.MatchString(in.OutTradeNo) {
		return 0, invalidParameter("out_trade_no须为1至64位字母、数字、下划线")
	}
	amount, err := parseAmount("total_amount", in.TotalAmount, 1)
	if err != nil {
		return 0, err
	}
	for _, check := range []error{
		checkText("subject", in.Subject, true, 256),
		checkText("body", in.Body, false, 128),
		checkText("passback_params", in.PassbackParams, false, 512),
		checkAddress("notify_url", call.notifyURL),
		checkAddress("return_url", call.returnURL),
		checkAddress("quit_url", in.QuitURL),
	} {
		if check != nil {
			return 0, check
		}
	}
	if !slices.Contains(codes, in.ProductCode) {
		return 0, invalidParameter("product_code")
	}
	if in.SellerID != "" && in.SellerID != call.merchant.Account {
		return 0, failed("ACQ.PARTNER_ERROR", "seller_id与应用的商户不符")
	}
	return amount, nil
}

// newOrder makes the order that a call announces; it is not put yet.
func (g *Gateway) newOrder(tx *books.Tx, call request, in orderFields, amount int64, product string) (books.Order, error) {
	expires, err := g.expiry(in, tx.Now())
	if err != nil {
		return books.Order{}, err
	}
	return books.Order{
		Provider: books.Alipay, Merchant: call.merchant.ID, Account: call.merchant.Account, Partner: call.partner,
		Number: in.OutTradeNo, ProviderNo: g.tradeNo(tx), Token: strings.ToLower(ulid.Make().String()),
		Subject: in.Subject, Body: in.Body, Attach: in.PassbackParams, NotifyURL: call.notifyURL,
		Product: product, PayerID: in.BuyerID + in.BuyerOpenID, ReturnURL: call.returnURL, QuitURL: in.QuitURL,
		Amount: amount, Fingerprint: in.fingerprint(amount, product), State: books.OrderPrepared,
		CreatedAt: tx.Now(), ExpiresAt: expires,
	}, nil
}

// announce makes an order in the given state. The same parameters again are the
// same order; others under the number are refused.
func (g *Gateway) announce(call request, in orderFields, amount int64, product string, state books.OrderState) (books.Order, error) {
	var order books.Order
	err := g.books.Update("order_prepared", func(tx *books.Tx) error {
		known, exists := tx.Order(books.Alipay, call.merchant.ID, in.OutTradeNo)
		if exists {
			order = known
			return refuseReuse(known, in.fingerprint(amount, product), tx.Now())
		}
		made, err := g.newOrder(tx, call, in, amount, product)
		if err != nil {
			return err
		}
		if made.State = state; state == books.OrderWaiting {
			made.ScannedAt = tx.Now()
		}
		tx.PutOrder(made)
		order = made
		return nil
	})
	return order, err
}

// precreate is alipay.trade.precreate.
func (g *Gateway) precreate(call request) (*node, error) {
	var in orderFields
	if err := decode(call, &in); err != nil {
		return nil, err
	}
	amount, err := checkOrder(call, in, "", productCode, "QR_CODE_OFFLINE")
	if err != nil {
		return nil, err
	}
	order, err := g.announce(call, in, amount, "", books.OrderPrepared)
	if err != nil {
		return nil, err
	}
	return success().set("out_trade_no", order.Number).set("qr_code", g.PublicURL+"/pay/"+order.Token), nil
}

// create is alipay.trade.create: the trade exists from now on, for one buyer.
func (g *Gateway) create(call request) (*node, error) {
	var in orderFields
	if err := decode(call, &in); err != nil {
		return nil, err
	}
	amount, err := checkOrder(call, in, productJSAPI)
	if err != nil {
		return nil, err
	}
	if err := checkBuyer(call, in); err != nil {
		return nil, err
	}
	order, err := g.announce(call, in, amount, productJSAPI, books.OrderWaiting)
	if err != nil {
		return nil, err
	}
	return success().set("out_trade_no", order.Number).set("trade_no", order.ProviderNo), nil
}

// checkBuyer wants one name of a buyer that the application can know.
func checkBuyer(call request, in orderFields) error {
	app := call.merchant.ID
	if call.partner != "" {
		app = call.partner
	}
	switch {
	case in.BuyerID == "" && in.BuyerOpenID == "":
		return invalidParameter("buyer_id和buyer_open_id不能同时为空")
	case in.BuyerID != "" && in.BuyerOpenID != "":
		return invalidParameter("buyer_id和buyer_open_id只能填一个")
	case in.BuyerID != "" && !userID.MatchString(in.BuyerID):
		return invalidParameter("buyer_id须为2088开头的16位数字")
	case in.BuyerID == call.merchant.Account:
		return failed("ACQ.BUYER_SELLER_EQUAL", "买卖家不能相同")
	case in.BuyerOpenID != "" && !openIDOf(in.BuyerOpenID, app):
		return invalidParameter("buyer_open_id不是本应用的用户")
	}
	return nil
}

// buyerID and buyerOpenID are who pays, under the name that the order was made
// for; only one of them is told.
func buyerID(o books.Order) string {
	if o.PayerID == "" {
		return buyerUserID
	}
	if userID.MatchString(o.PayerID) {
		return o.PayerID
	}
	return ""
}

func buyerOpenID(o books.Order) string {
	if buyerID(o) == "" {
		return o.PayerID
	}
	return ""
}

// paidNode is what a payment by code answers about its order.
func (g *Gateway) paidNode(answer *node, o books.Order) *node {
	answer.set("buyer_logon_id", buyerLogonID).set("buyer_open_id", buyerOpenID(o)).set("buyer_user_id", buyerID(o))
	if o.State == books.OrderPaid {
		answer.set("buyer_pay_amount", yuan.Format(o.Amount)).set("fund_bill_list", fundBills(o)).
			set("gmt_payment", g.format(o.PaidAt)).set("receipt_amount", yuan.Format(o.Amount))
	}
	return answer.set("out_trade_no", o.Number).set("total_amount", yuan.Format(o.Amount)).set("trade_no", o.ProviderNo)
}
