package wechatpay

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/suanpan/suanpan/sandbox/books"
)

// Ways of a refund that could not go back as it came, in the provider's words.
const (
	toPayerCard = "USER_BANK_CARD"
	toMerchant  = "MERCHANT_BANK_CARD"
)

// redirectRefund is POST …/refunds/{refund_id}/apply-abnormal-refund: an
// ABNORMAL refund is PROCESSING again, and succeeds a little later. The same
// request again answers how it stands.
func (g *Gateway) redirectRefund(c call, refundID string) (answer, error) {
	var in struct {
		SubMchID    string `json:"sub_mchid"`
		OutRefundNo string `json:"out_refund_no"`
		Type        string `json:"type"`
		BankType    string `json:"bank_type"`
		BankAccount string `json:"bank_account"`
		RealName    string `json:"real_name"`
	}
	if err := decode(c.body, &in); err != nil {
		return answer{}, err
	}
	owner, err := g.refundOwner(c, in.SubMchID)
	if err != nil {
		return answer{}, err
	}
	switch in.Type {
	case toMerchant:
	case toPayerCard:
		if in.BankType == "" {
			return answer{}, fieldProblem("/body/bank_type", nil, "退款至用户银行卡时必填")
		}
		if err := g.checkCard(c, in.BankAccount, in.RealName); err != nil {
			return answer{}, err
		}
	default:
		return answer{}, fieldProblem("/body/type", in.Type, "须为USER_BANK_CARD或MERCHANT_BANK_CARD")
	}
	var shown refundView
	err = g.Books.Update("refund_redirected", func(tx *books.Tx) error {
		refund, ok := tx.Refund(books.WeChatPay, owner.ID, "", in.OutRefundNo)
		order, _ := tx.Order(books.WeChatPay, owner.ID, refund.OrderNumber)
		switch {
		case !ok || refund.ProviderNo != refundID || order.Partner != owner.Partner:
			return notFound("RESOURCE_NOT_EXISTS", "退款单不存在")
		case refund.State != books.RefundAbnormal && refund.Route != in.Type:
			return badRequest("退款单状态不是退款异常，不能发起异常退款")
		}
		if refund.State == books.RefundAbnormal {
			refund.State, refund.Route, refund.DoneAt = books.RefundProcessing, in.Type, time.Time{}
			refund.DueAt = tx.RealNow().Add(g.RefundDelay)
			tx.PutRefund(refund)
		}
		shown = g.showRefund(order, refund)
		return nil
	})
	return answer{status: http.StatusOK, json: shown}, err
}

// checkCard opens the encrypted card and name and looks at their form; neither
// is kept.
func (g *Gateway) checkCard(c call, account, name string) error {
	card, err := g.openField(c, "/body/bank_account", account)
	if err != nil {
		return err
	}
	holder, err := g.openField(c, "/body/real_name", name)
	if err != nil {
		return err
	}
	if len(card) < 8 || len(card) > 32 || strings.Trim(card, "0123456789") != "" {
		return fieldProblem("/body/bank_account", nil, "银行卡号有误")
	}
	if holder == "" || !utf8.ValidString(holder) {
		return fieldProblem("/body/real_name", nil, "姓名有误")
	}
	return nil
}

// refundChannel and receivedBy say where the money of a refund goes.
func refundChannel(r books.Refund) string {
	if r.Route == toPayerCard {
		return "OTHER_BANKCARD"
	}
	return "ORIGINAL"
}

func receivedBy(r books.Refund) string {
	switch r.Route {
	case toPayerCard:
		return "用户银行卡"
	case toMerchant:
		return "退还商户：商户结算银行账户"
	}
	return "支付用户零钱"
}
