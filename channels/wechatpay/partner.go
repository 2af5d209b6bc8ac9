package wechatpay

import "net/url"

// partner says whether this account acts for a sub-merchant.
func (a *Adapter) partner() bool { return a.subMchID != "" }

// merchant is the merchant whose money it is.
func (a *Adapter) merchant() string {
	if a.partner() {
		return a.subMchID
	}
	return a.mchID
}

// payerApp is the application under which payers have their ids, and under
// which a page or an app of the merchant hands over parameters.
func (a *Adapter) payerApp() string {
	if a.subAppID != "" {
		return a.subAppID
	}
	return a.appID
}

// orders is the path of the operations on orders.
func (a *Adapter) orders() string {
	if a.partner() {
		return "/v3/pay/partner/transactions/"
	}
	return "/v3/pay/transactions/"
}

// names says in a request whose an order is.
type names struct {
	AppID    string `json:"appid,omitempty"`
	MchID    string `json:"mchid,omitempty"`
	SpAppID  string `json:"sp_appid,omitempty"`
	SpMchID  string `json:"sp_mchid,omitempty"`
	SubAppID string `json:"sub_appid,omitempty"`
	SubMchID string `json:"sub_mchid,omitempty"`
}

func (a *Adapter) names() names {
	if a.partner() {
		return names{SpAppID: a.appID, SpMchID: a.mchID, SubAppID: a.subAppID, SubMchID: a.subMchID}
	}
	return names{AppID: a.appID, MchID: a.mchID}
}

// merchants is names without the applications, as closing wants it.
func (a *Adapter) merchants() names {
	full := a.names()
	full.AppID, full.SpAppID, full.SubAppID = "", "", ""
	return full
}

// asked is merchants as the query of a GET.
func (a *Adapter) asked() string {
	if a.partner() {
		return url.Values{"sp_mchid": {a.mchID}, "sub_mchid": {a.subMchID}}.Encode()
	}
	return url.Values{"mchid": {a.mchID}}.Encode()
}

// stranger names the first field of an answer that is another's, or nothing. A
// sub-merchant's application is printed only where the order named it.
func (a *Adapter) stranger(n names) string {
	if field := a.otherMerchant(n); field != "" {
		return field
	}
	mine := a.names()
	switch {
	case n.AppID != mine.AppID:
		return "appid"
	case n.SpAppID != mine.SpAppID:
		return "sp_appid"
	case n.SubAppID != "" && n.SubAppID != mine.SubAppID:
		return "sub_appid"
	}
	return ""
}

// otherMerchant is stranger for what prints no applications.
func (a *Adapter) otherMerchant(n names) string {
	mine := a.names()
	switch {
	case n.MchID != mine.MchID:
		return "mchid"
	case n.SpMchID != mine.SpMchID:
		return "sp_mchid"
	case n.SubMchID != mine.SubMchID:
		return "sub_mchid"
	}
	return ""
}
