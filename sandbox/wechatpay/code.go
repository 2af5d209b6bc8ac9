package wechatpay

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
)

// reverseDays is how long an order can be reversed.
const reverseDays = 7

// authCodeForm is the code on a payer's phone: 18 digits that begin with 10 to 15.
var authCodeForm = regexp.MustCompile(`^1[0-5][0-9]{16}$`)

// What comes of scanning a code, beside the provider's code of a refusal.
const (
	codePays     = "pay"
	codeConfirms = "confirm"
)

// codepay is POST …/codepay: the money moves in the call itself, or the payer
// is asked to confirm. There is no notification. A code is good for one order.
func (g *Gateway) codepay(c call, _ string) (answer, error) {
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
	switch {
	case !authCodeForm.MatchString(in.Payer.AuthCode):
		return answer{}, fieldProblem("/body/payer/auth_code", nil, "付款码须为18位数字，以10至15开头")
	case in.SceneInfo == nil || in.SceneInfo.StoreInfo == nil || in.SceneInfo.StoreInfo.ID+in.SceneInfo.StoreInfo.OutID == "":
		return answer{}, fieldProblem("/body/scene_info/store_info", nil, "id和out_id须填一个")
	}
	var shown transaction
	var refused error
	err = g.Books.Update("code_scanned", func(tx *books.Tx) error {
		order, problem, err := g.takeCode(tx, c, p, in)
		shown, refused = g.transaction(order, tx.Now()), problem
		return err
	})
	if err == nil {
		err = refused
	}
	return answer{status: http.StatusOK, json: shown}, err
}

// takeCode makes the order and does what the code stands for. A refusal of the
// payer's side leaves an order that failed, so it is no error of the update.
func (g *Gateway) takeCode(tx *books.Tx, c call, p party, in prepayFields) (books.Order, error, error) {
	fingerprint := in.fingerprint(c.product, in.Payer.AuthCode)
	if known, exists := tx.Order(books.WeChatPay, p.merchant.ID, in.OutTradeNo); exists {
		if err := refuseReuse(known, fingerprint, tx.Now()); err != nil {
			return known, nil, err
		}
		if known.State == books.OrderWaiting {
			return known, ordered("USERPAYING"), nil
		}
		return known, nil, ordered("TRADE_ERROR")
	}
	order, err := g.newOrder(tx, c, p, in, "", fingerprint)
	if err != nil {
		return order, nil, err
	}
	code, known := tx.Code(books.WeChatPay, in.Payer.AuthCode)
	if !known {
		code = books.Code{Provider: books.WeChatPay, Code: in.Payer.AuthCode, Outcome: codePays}
	}
	if code.UsedBy != "" {
		return order, nil, ordered("AUTH_CODE_INVALID")
	}
	code.UsedBy = p.merchant.ID + "/" + in.OutTradeNo
	tx.PutCode(code)
	order.PayerID = code.PayerID
	switch code.Outcome {
	case codePays:
		paid, err := tx.Pay(order, p.merchant, "OTHERS")
		return paid, nil, err
	case codeConfirms, "SYSTEM_ERROR":
		order.State, order.ScannedAt = books.OrderWaiting, tx.Now()
		tx.PutOrder(order)
		if code.Outcome == "SYSTEM_ERROR" {
			return order, systemError(), nil
		}
		return order, ordered("USERPAYING"), nil
	}
	order.DeclinedAt = tx.Now()
	tx.PutOrder(order)
	return order, ordered(code.Outcome), nil
}

// reversed is the answer of a reversal.
type reversed struct {
	AppID      string `json:"appid,omitempty"`
	MchID      string `json:"mchid,omitempty"`
	SpAppID    string `json:"sp_appid,omitempty"`
	SpMchID    string `json:"sp_mchid,omitempty"`
	SubAppID   string `json:"sub_appid,omitempty"`
	SubMchID   string `json:"sub_mchid,omitempty"`
	OutTradeNo string `json:"out_trade_no"`
}

// SetReverseAfter refuses reversals until so long after the order was made; the
// provider asks for 15 seconds. Zero lets them be at once.
func (g *Gateway) SetReverseAfter(wait time.Duration) { g.reverseAfter.Store(int64(wait)) }

// reverse is POST …/reverse: an order by code that is not paid can no longer be
// paid, and one that is paid gives the money back. Repeating it changes nothing.
func (g *Gateway) reverse(c call, number string) (answer, error) {
	var in names
	if err := decode(c.body, &in); err != nil {
		return answer{}, err
	}
	p, err := g.party(c, in)
	if err != nil {
		return answer{}, err
	}
	err = g.Books.Update("order_reversed", func(tx *books.Tx) error {
		order, ok := tx.Order(books.WeChatPay, p.merchant.ID, number)
		switch {
		case !ok || order.Partner != p.partner:
			return notFound("ORDER_NOT_EXIST", "订单不存在")
		case order.Product != tradeCode:
			return badRequest("只有付款码支付的订单可以撤销")
		case !order.ReversedAt.IsZero():
			return nil
		case tx.Now().After(order.CreatedAt.AddDate(0, 0, reverseDays)):
			return badRequest("订单已超过7天，不能撤销")
		case tx.Now().Before(order.CreatedAt.Add(time.Duration(g.reverseAfter.Load()))):
			return badRequest("支付后15秒内不能撤销，请稍后再试")
		case order.RefundCount > 0:
			return badRequest("订单已退款，不能撤销")
		}
		return g.reverseOrder(tx, p, order)
	})
	out := reversed{AppID: in.AppID, MchID: in.MchID, SpAppID: in.SpAppID, SpMchID: in.SpMchID,
		SubAppID: in.SubAppID, SubMchID: in.SubMchID, OutTradeNo: number}
	return answer{status: http.StatusOK, json: out}, err
}

func (g *Gateway) reverseOrder(tx *books.Tx, p party, order books.Order) error {
	order.ReversedAt = tx.Now()
	if order.State != books.OrderPaid {
		order.State, order.ClosedAt = books.OrderClosed, tx.Now()
		tx.PutOrder(order)
		return nil
	}
	// The reversal stands in the books, and on the bill, like a refund of all.
	_, _, err := tx.GiveBack(order, p.merchant, books.Refund{
		Provider: books.WeChatPay, Merchant: order.Merchant, OrderNumber: order.Number, Number: order.Number,
		ProviderNo: g.refundID(tx), Amount: order.Amount, Fingerprint: "reversal", Reversal: true,
		State: books.RefundSuccess, CreatedAt: tx.Now(), DoneAt: tx.Now(),
	})
	if errors.Is(err, books.ErrNotEnough) {
		return forbidden("NOT_ENOUGH", "基本账户余额不足，请充值后重新发起")
	}
	return err
}

// refundID makes a number that holds the date.
func (g *Gateway) refundID(tx *books.Tx) string {
	return fmt.Sprintf("50300%s%015d", tx.Now().In(g.Zone).Format("20060102"), tx.NextNumber())
}
