package wechatpay

// explanation says in one sentence what a person can do about a code.
type explanation struct{ zh, en string }

// explanations are the codes of WeChat Pay, and of its OAuth, that people meet.
func explanations() map[string]explanation {
	return map[string]explanation{
		"ACCOUNT_ERROR":         {"付款人的微信支付账户异常，请换一种方式付款。", "The payer's account has a problem; let them pay another way."},
		"APPID_MCHID_NOT_MATCH": {"AppID 与商户号没有绑定，请在商户平台绑定。", "The appid is not bound to the merchant number; bind it in the merchant console."},
		"AUTH_CODE_ERROR":       {"付款码有误，请付款人刷新后再扫。", "The payment code is wrong; let the payer refresh it and scan again."},
		"AUTH_CODE_EXPIRE":      {"付款码已过期，请付款人刷新后再扫。", "The payment code has expired; let the payer refresh it and scan again."},
		"AUTHCODEEXPIRE":        {"付款码已过期，请付款人刷新后再扫。", "The payment code has expired; let the payer refresh it and scan again."},
		"AUTH_CODE_INVALID":     {"付款码无效或已用过，请付款人刷新后再扫。", "The payment code is invalid or used; let the payer refresh it and scan again."},
		"BANK_ERROR":            {"付款人的银行暂时没有应答，正在核实结果。", "The payer's bank did not answer; the result is being checked."},
		"FREQUENCY_LIMITED":     {"请求过于频繁，微信支付没有受理，稍后会再试。", "Too many requests; WeChat Pay did not accept it and it is tried again later."},
		"RATELIMIT_EXCEED":      {"请求过于频繁，微信支付没有受理，稍后会再试。", "Too many requests; WeChat Pay did not accept it and it is tried again later."},
		"INVALID_REQUEST":       {"微信支付认为请求与订单状态不符，请核对订单。", "WeChat Pay says that the request does not fit the order's state; check the order."},
		"MCH_NOT_EXISTS":        {"商户号不存在，请检查渠道账户的配置。", "The merchant number does not exist; check the channel account."},
		"NOT_ENOUGH":            {"余额不足。付款时是付款人的，退款时是商户的。", "The balance is too small: the payer's in a payment, the merchant's in a refund."},
		"NO_AUTH":               {"商户没有这个产品的权限，请在商户平台开通。", "The merchant may not use this product; ask for it in the merchant console."},
		"NO_STATEMENT_EXIST":    {"这一天没有交易，因此没有账单。", "There were no trades that day, so there is no bill."},
		"OPENID_MISMATCH":       {"openid 不属于这个 AppID，请重新获取付款人身份。", "The openid belongs to another appid; find out again who the payer is."},
		"ORDERNOTEXIST":         {"微信支付没有这个订单。", "WeChat Pay does not know this order."},
		"ORDERPAID":             {"订单已经支付。", "The order is already paid."},
		"ORDER_CLOSED":          {"订单已经关闭，请用新的订单号重新下单。", "The order is closed; make a new one."},
		"ORDER_NOT_EXIST":       {"微信支付没有这个订单。", "WeChat Pay does not know this order."},
		"OUT_TRADE_NO_USED":     {"这个订单号已经用过，正在查询原订单的结果。", "This order number was used; the earlier order is being looked up."},
		"PARAM_ERROR":           {"微信支付认为某个参数有误，详见返回信息。", "WeChat Pay says that a parameter is wrong; its message names it."},
		"PAYERROR":              {"付款失败，请付款人重新付款。", "The payment failed; let the payer try again."},
		"RESOURCE_NOT_EXISTS":   {"微信支付没有这笔交易或退款。", "WeChat Pay does not know this trade or refund."},
		"RULE_LIMIT":            {"付款超出了微信支付的限额或风控规则。", "The payment is beyond a limit or a risk rule of WeChat Pay."},
		"SIGN_ERROR":            {"签名错误，请检查商户证书序列号和私钥。", "The signature is wrong; check the merchant certificate's serial and private key."},
		"STATEMENT_CREATING":    {"账单还没有生成，通常每天上午十点后可取。", "The bill is not ready; it usually is after ten in the morning."},
		"SYSTEM_ERROR":          {"微信支付系统繁忙，结果未知，正在查询。", "WeChat Pay is busy; the result is unknown and being looked up."},
		"TRADE_ERROR":           {"付款失败，请付款人换一种方式付款。", "The payment failed; let the payer pay another way."},
		"USERPAYING":            {"付款人正在手机上确认付款。", "The payer is confirming on the phone."},
		"USER_ACCOUNT_ABNORMAL": {"付款人的账户异常，退款不能原路退回。", "The payer's account has a problem; the refund cannot go back the way it came."},
		"40013":                 {"AppID 无效，请检查渠道账户的配置。", "The appid is invalid; check the channel account."},
		"40029":                 {"授权码无效，请付款人重新进入页面。", "The code is invalid; let the payer open the page again."},
		"40125":                 {"AppSecret 错误，请检查渠道账户的配置。", "The app secret is wrong; check the channel account."},
		"40163":                 {"授权码已用过，请付款人重新进入页面。", "The code was used; let the payer open the page again."},
		"41008":                 {"缺少授权码，请付款人重新进入页面。", "The code is missing; let the payer open the page again."},
		"42003":                 {"授权码已过期，请付款人重新进入页面。", "The code has expired; let the payer open the page again."},
	}
}

// Explain returns in Chinese and in English what a code of WeChat Pay means to a
// person. Both are empty for a code that is not in the table: show WeChat Pay's
// own message then.
func Explain(code string) (zh, en string) {
	found := explanations()[code]
	return found.zh, found.en
}
