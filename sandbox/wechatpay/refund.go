package wechatpay

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/suanpan/suanpan/sandbox/books"
)

// refundsPerOrder is how many refunds one order may have.
const refundsPerOrder = 50

var outRefundNo = regexp.MustCompile(`^[0-9A-Za-z_\-|*@]{1,64}$`)

type refundFields struct {
	SubMchID      string `json:"sub_mchid"`
	TransactionID string `json:"transaction_id"`
	OutTradeNo    string `json:"out_trade_no"`
	OutRefundNo   string `json:"out_refund_no"`
	Reason        string `json:"reason"`
	NotifyURL     string `json:"notify_url"`
	FundsAccount  string `json:"funds_account"`
	Amount        *struct {
		Refund   *int64 `json:"refund"`
		Total    *int64 `json:"total"`
		Currency string `json:"currency"`
	} `json:"amount"`
}

// refund is POST /v3/refund/domestic/refunds. It answers PROCESSING; the money
// leaves the merchant's account at once and the refund succeeds a little later.
// The same out_refund_no with the same parameters answers how it stands.
func (g *Gateway) refund(c call, _ string) (answer, error) {
	var in refundFields
	if err := decode(c.body, &in); err != nil {
		return answer{}, err
	}
	owner, err := g.refundOwner(c, in.SubMchID)
	if err != nil {
		return answer{}, err
	}
	if err := checkRefund(in); err != nil {
		return answer{}, err
	}
	var shown refundView
	err = g.Books.Update("refund_accepted", func(tx *books.Tx) error {
		order, ok := tx.Order(books.WeChatPay, owner.ID, in.OutTradeNo)
		if in.TransactionID != "" {
			order, ok = tx.OrderByProviderNo(books.WeChatPay, owner.ID, in.TransactionID)
		}
		if !ok || order.Partner != owner.Partner {
			return notFound("RESOURCE_NOT_EXISTS", "订单不存在")
		}
		fingerprint := books.Fingerprint(order.Number, strconv.FormatInt(*in.Amount.Refund, 10),
			strconv.FormatInt(*in.Amount.Total, 10))
		if known, exists := tx.Refund(books.WeChatPay, owner.ID, "", in.OutRefundNo); exists {
			if known.Fingerprint != fingerprint {
				return badRequest("商户退款单号重复，且请求参数与首次退款不一致")
			}
			shown = g.showRefund(order, known)
			return nil
		}
		if err := refusesRefund(order, in, tx.Now()); err != nil {
			return err
		}
		accepted, err := g.acceptRefund(tx, owner, order, in, fingerprint)
		shown = accepted
		return err
	})
	return answer{status: http.StatusOK, json: shown}, err
}

func checkRefund(in refundFields) error {
	switch {
	case (in.TransactionID == "") == (in.OutTradeNo == ""):
		return paramError("transaction_id和out_trade_no须填且只填一个")
	case !outRefundNo.MatchString(in.OutRefundNo):
		return fieldProblem("/body/out_refund_no", in.OutRefundNo, "须为1至64位数字、字母或_-|*@")
	case utf8.RuneCountInString(in.Reason) > 80:
		return fieldProblem("/body/reason", in.Reason, "不能超过80个字符")
	case in.FundsAccount != "" && in.FundsAccount != "AVAILABLE":
		return fieldProblem("/body/funds_account", in.FundsAccount, "须为AVAILABLE")
	case in.Amount == nil || in.Amount.Refund == nil || *in.Amount.Refund < 1:
		return fieldProblem("/body/amount/refund", nil, "须为大于0的整数，单位为分")
	case in.Amount.Total == nil || *in.Amount.Total < *in.Amount.Refund:
		return fieldProblem("/body/amount/total", nil, "须为原订单金额，且不小于退款金额")
	case in.Amount.Currency != "CNY":
		return fieldProblem("/body/amount/currency", in.Amount.Currency, "须为CNY")
	case in.NotifyURL != "":
		return checkNotifyURL("/body/notify_url", in.NotifyURL)
	}
	return nil
}

func refusesRefund(o books.Order, in refundFields, now time.Time) error {
	switch {
	case o.State != books.OrderPaid:
		return badRequest("订单未支付，不能退款")
	case !o.ReversedAt.IsZero():
		return badRequest("订单已撤销，不能退款")
	case *in.Amount.Total != o.Amount:
		return badRequest("订单金额与支付时不一致")
	case now.After(o.PaidAt.AddDate(1, 0, 0)):
		return badRequest("订单已超过可退款的最大期限")
	case o.RefundCount >= refundsPerOrder:
		return badRequest("该订单退款次数已达上限")
	case *in.Amount.Refund > o.Amount-o.Refunded:
		return badRequest("申请退款金额大于订单剩余可退金额")
	}
	return nil
}

func (g *Gateway) acceptRefund(tx *books.Tx, owner books.Merchant, order books.Order, in refundFields, fingerprint string) (refundView, error) {
	order, refund, err := tx.GiveBack(order, owner, books.Refund{
		Provider: books.WeChatPay, Merchant: owner.ID, OrderNumber: order.Number, Number: in.OutRefundNo,
		ProviderNo: g.refundID(tx),
		Amount:     *in.Amount.Refund, Reason: in.Reason, NotifyURL: in.NotifyURL, Fingerprint: fingerprint,
		State: books.RefundProcessing, CreatedAt: tx.Now(), DueAt: tx.RealNow().Add(g.RefundDelay),
	})
	if errors.Is(err, books.ErrNotEnough) {
		return refundView{}, forbidden("NOT_ENOUGH", "基本账户余额不足，请充值后重新发起")
	}
	if err != nil {
		return refundView{}, err
	}
	return g.showRefund(order, refund), nil
}

type refundAmount struct {
	Total            int64      `json:"total"`
	Refund           int64      `json:"refund"`
	From             []struct{} `json:"from"`
	PayerTotal       int64      `json:"payer_total"`
	PayerRefund      int64      `json:"payer_refund"`
	SettlementTotal  int64      `json:"settlement_total"`
	SettlementRefund int64      `json:"settlement_refund"`
	DiscountRefund   int64      `json:"discount_refund"`
	Currency         string     `json:"currency"`
}

// refundView is how the API shows a refund.
type refundView struct {
	RefundID            string       `json:"refund_id"`
	OutRefundNo         string       `json:"out_refund_no"`
	TransactionID       string       `json:"transaction_id"`
	OutTradeNo          string       `json:"out_trade_no"`
	Channel             string       `json:"channel"`
	UserReceivedAccount string       `json:"user_received_account"`
	SuccessTime         string       `json:"success_time,omitempty"`
	CreateTime          string       `json:"create_time"`
	Status              string       `json:"status"`
	FundsAccount        string       `json:"funds_account"`
	Amount              refundAmount `json:"amount"`
	PromotionDetail     []struct{}   `json:"promotion_detail"`
}

func (g *Gateway) showRefund(o books.Order, r books.Refund) refundView {
	view := refundView{
		RefundID: r.ProviderNo, OutRefundNo: r.Number, TransactionID: o.ProviderNo, OutTradeNo: o.Number,
		Channel: refundChannel(r), UserReceivedAccount: receivedBy(r), CreateTime: g.format(r.CreatedAt),
		Status: string(r.State), FundsAccount: "AVAILABLE", PromotionDetail: []struct{}{},
		Amount: refundAmount{
			Total: o.Amount, Refund: r.Amount, From: []struct{}{}, PayerTotal: o.Amount, PayerRefund: r.Amount,
			SettlementTotal: o.Amount, SettlementRefund: r.Amount, Currency: "CNY",
		},
	}
	if r.State == books.RefundSuccess {
		view.SuccessTime = g.format(r.DoneAt)
	}
	return view
}

// refundOwner is the merchant whose refund a call is about. Refunds have one
// path for merchants and service providers: sub_mchid tells them apart.
func (g *Gateway) refundOwner(c call, subMchID string) (books.Merchant, error) {
	if subMchID == "" {
		return c.merchant, nil
	}
	return g.subMerchant(c, subMchID)
}

// queryRefund is GET /v3/refund/domestic/refunds/{out_refund_no}.
func (g *Gateway) queryRefund(c call, number string) (answer, error) {
	owner, err := g.refundOwner(c, c.http.URL.Query().Get("sub_mchid"))
	if err != nil {
		return answer{}, err
	}
	var shown refundView
	err = g.Books.View(func(r books.Reader) error {
		refund, ok := r.Refund(books.WeChatPay, owner.ID, "", number)
		order, _ := r.Order(books.WeChatPay, owner.ID, refund.OrderNumber)
		if !ok || refund.Reversal || order.Partner != owner.Partner {
			return notFound("RESOURCE_NOT_EXISTS", "退款单不存在")
		}
		shown = g.showRefund(order, refund)
		return nil
	})
	return answer{status: http.StatusOK, json: shown}, err
}
