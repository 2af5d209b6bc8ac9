package wechatpay

import (
	"net/http"

	"github.com/suanpan/suanpan/sandbox/books"
)

// names are the fields that say whose an order is: a merchant's own, or a
// service provider's with its sub-merchant.
type names struct {
	AppID    string `json:"appid"`
	MchID    string `json:"mchid"`
	SpAppID  string `json:"sp_appid"`
	SpMchID  string `json:"sp_mchid"`
	SubAppID string `json:"sub_appid"`
	SubMchID string `json:"sub_mchid"`
}

// party is whose an order is and under which applications.
type party struct {
	merchant books.Merchant
	// appID is the merchant's, or the sub-merchant's where one was named.
	appID                 string
	partner, partnerAppID string
}

// owner is the merchant whose order a call is about: the caller itself, or a
// sub-merchant of the calling service provider.
func (g *Gateway) owner(c call, n names) (books.Merchant, error) {
	if !c.partner {
		return c.merchant, checkMerchant(c, "mchid", n.MchID)
	}
	if err := checkMerchant(c, "sp_mchid", n.SpMchID); err != nil {
		return books.Merchant{}, err
	}
	return g.subMerchant(c, n.SubMchID)
}

// subMerchant finds a sub-merchant of the caller.
func (g *Gateway) subMerchant(c call, id string) (books.Merchant, error) {
	if id == "" {
		return books.Merchant{}, paramError("sub_mchid必填")
	}
	var found books.Merchant
	known := false
	err := g.Books.View(func(r books.Reader) error {
		found, known = r.Merchant(books.WeChatPay, id)
		return nil
	})
	if err == nil && (!known || found.Partner != c.merchant.ID) {
		err = forbidden("NO_AUTH", "特约子商户不存在，或未与该服务商建立关系")
	}
	return found, err
}

func checkMerchant(c call, field, mchid string) error {
	switch mchid {
	case "":
		return paramError(field + "必填")
	case c.merchant.ID:
		return nil
	default:
		return forbidden("NO_AUTH", field+"与签名的商户号不一致")
	}
}

// party checks the applications too.
func (g *Gateway) party(c call, n names) (party, error) {
	owner, err := g.owner(c, n)
	if err != nil {
		return party{}, err
	}
	mine, field := n.AppID, "/body/appid"
	if c.partner {
		mine, field = n.SpAppID, "/body/sp_appid"
	}
	switch {
	case mine == "":
		return party{}, fieldProblem(field, mine, "必填")
	case mine != c.merchant.AppID:
		return party{}, &problem{status: http.StatusBadRequest, code: "APPID_MCHID_NOT_MATCH", message: "appid和mchid不匹配"}
	case !c.partner:
		return party{merchant: owner, appID: n.AppID}, nil
	case n.SubAppID != "" && n.SubAppID != owner.AppID:
		return party{}, &problem{status: http.StatusBadRequest, code: "APPID_MCHID_NOT_MATCH", message: "sub_appid和sub_mchid不匹配"}
	}
	return party{merchant: owner, appID: n.SubAppID, partner: c.merchant.ID, partnerAppID: n.SpAppID}, nil
}
