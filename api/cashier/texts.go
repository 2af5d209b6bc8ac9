package cashier

import (
	"net/http"

	"golang.org/x/text/language"
)

// tongue is a language of the pages, as it is written in ?lang= and in lang="".
type tongue string

const (
	chinese tongue = "zh"
	english tongue = "en"
)

// tongueOf takes ?lang=, or else what the browser prefers; Chinese when neither
// says anything we know, because the providers' payers mostly are.
func tongueOf(r *http.Request, asked string) tongue {
	switch tongue(asked) {
	case chinese, english:
		return tongue(asked)
	}
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return chinese
	}
	for _, tag := range tags { // the most wanted first
		base, _ := tag.Base()
		switch t := tongue(base.String()); t {
		case chinese, english:
			return t
		}
	}
	return chinese
}

// other is the language the page can be switched to.
func (t tongue) other() tongue {
	if t == english {
		return chinese
	}
	return english
}

// words are the texts of the pages, by key.
type words map[string]sentence

type sentence struct{ zh, en string }

// say returns the sentence called key; a test holds that every key has both.
func (w words) say(t tongue, key string) string {
	if t == english {
		return w[key].en
	}
	return w[key].zh
}

// texts are all words of the pages.
func texts() words {
	return words{
		"title":     {"收银台", "Checkout"},
		"order":     {"订单信息", "Your order"},
		"amount":    {"应付金额", "Amount due"},
		"merchant":  {"收款商户", "Merchant"},
		"subject":   {"商品", "For"},
		"reference": {"订单号", "Order no."},
		"left":      {"剩余时间", "Time left"},
		"language":  {"English", "中文"},
		"safe": {"付款前请核对商户与金额。本页面不会向您索要密码或验证码。",
			"Check merchant and amount before you pay. This page never asks for a password or a code."},
		"other":        {"换一种支付方式", "Pay another way"},
		"waiting":      {"等待付款", "Waiting for your payment"},
		"waiting_hint": {"付款完成后本页会自动更新，请勿重复付款。", "This page updates by itself after you have paid. Please do not pay twice."},
		"refresh":      {"刷新状态", "Refresh"},

		"alipay":              {"支付宝", "Alipay"},
		"wechatpay":           {"微信支付", "WeChat Pay"},
		"way_alipay.qr":       {"打开支付宝扫一扫", "Scan with the Alipay app"},
		"way_alipay.page":     {"登录支付宝网页付款", "Sign in on Alipay's website"},
		"way_alipay.wap":      {"打开支付宝付款", "Pay in the Alipay app"},
		"way_alipay.jsapi":    {"在支付宝内付款", "Pay here in Alipay"},
		"way_wechatpay.qr":    {"打开微信扫一扫", "Scan with WeChat"},
		"way_wechatpay.wap":   {"打开微信付款", "Pay in the WeChat app"},
		"way_wechatpay.jsapi": {"在微信内付款", "Pay here in WeChat"},

		"choose":  {"选择支付方式", "How would you like to pay?"},
		"confirm": {"确认支付", "Pay"},
		"none":    {"此浏览器中没有可用的支付方式", "There is no way to pay in this browser"},
		"none_hint": {"请复制本页地址，在手机浏览器或电脑上打开。",
			"Copy the address of this page and open it in your phone's browser or on a computer."},
		"preparing":      {"正在准备支付", "Preparing your payment"},
		"preparing_hint": {"通常只需要几秒钟。", "This usually takes a few seconds."},
		"scan_alipay":    {"请用支付宝扫码付款", "Scan with Alipay to pay"},
		"scan_wechatpay": {"请用微信扫码付款", "Scan with WeChat to pay"},
		"scan_phone":     {"请用另一部手机扫码，或保存二维码后在应用内识别。", "Scan with another phone, or save the code and open it in the app."},
		"qr":             {"付款二维码", "QR code to pay"},
		"go_alipay":      {"请在支付宝中完成付款", "Finish your payment in Alipay"},
		"go_wechatpay":   {"请在微信中完成付款", "Finish your payment in WeChat"},
		"open_alipay":    {"打开支付宝", "Continue to Alipay"},
		"open_wechatpay": {"打开微信支付", "Continue to WeChat Pay"},
		"ask":            {"继续", "Continue"},
		"ask_title":      {"需要确认付款人", "One more step"},
		"ask_hint":       {"将前往支付平台确认付款账户，然后回到本页。", "The provider confirms the paying account and sends you back here."},
		"invoke":         {"立即支付", "Pay now"},
		"invoke_hint":    {"如未自动弹出付款窗口，请点击按钮。", "If the payment window did not open, press the button."},
		"invoke_away":    {"请在对应的应用内打开本页付款，或换一种方式。", "Open this page inside the app to pay this way, or choose another."},
		"no_script":      {"此方式需要启用 JavaScript。", "This way to pay needs JavaScript."},

		"paid":      {"支付成功", "Payment successful"},
		"paid_hint": {"款项已收到，感谢您的付款。", "Your payment has arrived. Thank you."},
		"paid_by":   {"支付方式", "Paid with"},
		"elsewhere": {"订单已支付", "Already paid"},
		"elsewhere_hint": {"该订单已通过其他方式支付成功，请勿重复付款。若已重复付款，多付的款项会自动退回。",
			"This order was paid another way. Please do not pay again; a second payment is given back by itself."},
		"expired": {"订单已过期", "This payment has expired"},
		"expired_hint": {"付款时间已过。若您刚刚付了款，款项会自动原路退回。",
			"The time to pay is over. If you paid at the last moment, the money is given back by itself."},
		"ending":         {"付款时间已到", "Time is up"},
		"ending_hint":    {"正在确认您是否已付款，请稍候，不要再付款。", "We are checking whether you have paid. Please wait and do not pay now."},
		"cancelled":      {"订单已取消", "This payment was cancelled"},
		"cancelled_hint": {"商户已取消该订单，没有扣款。", "The merchant cancelled it. Nothing was charged."},
		"failed":         {"支付未成功", "Payment did not go through"},
		"failed_hint": {"支付平台未接受该订单，没有扣款。请回到商户重新下单。",
			"The provider did not accept it and nothing was charged. Please order again at the merchant."},
		"return":      {"返回商户", "Return to merchant"},
		"return_soon": {"秒后返回", "s until you return"},
		"close_page":  {"您可以关闭本页面。", "You may close this page."},

		"refused": {"这种方式暂时无法使用，没有扣款。请换一种方式。",
			"This way to pay is not available right now and nothing was charged. Please choose another."},
		"refused_limit": {"金额超出该方式的限额，请换一种方式。", "The amount is beyond the limit of this way to pay. Please choose another."},
		"payer_unknown": {"未能确认付款账户，没有扣款。请重试或换一种方式。",
			"Your paying account could not be confirmed and nothing was charged. Try again or choose another way."},
		"try_again": {"暂时没有响应，没有扣款。请重试。", "There was no answer and nothing was charged. Please try again."},

		"not_found":      {"找不到该订单", "There is no such payment"},
		"not_found_hint": {"请检查地址是否完整，或向商户索取新的链接。", "Check that the address is complete, or ask the merchant for a new one."},
		"limited":        {"请求过于频繁", "Too many requests"},
		"limited_hint":   {"请稍后再试。", "Please try again in a while."},
		"unavailable":    {"服务暂时不可用", "We cannot answer right now"},
		"unavailable_hint": {"请稍后刷新。如果已付款，请勿重复付款，款项不会丢失。",
			"Please refresh in a while. If you have paid, do not pay again: no money is lost."},

		"link":             {"付款", "Payment"},
		"link_amount":      {"请输入金额（元）", "Amount in yuan"},
		"link_between":     {"可输入", "Between"},
		"link_go":          {"下一步", "Continue"},
		"link_closed":      {"该付款链接已失效", "This payment link is no longer open"},
		"link_closed_hint": {"请向商户索取新的链接。", "Please ask the merchant for a new one."},
		"amount_wrong":     {"请输入范围内的金额，最多两位小数。", "Enter an amount within the range, with two decimals at most."},
	}
}
