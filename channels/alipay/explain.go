package alipay

import "maps"

// Explain says in words, Chinese and English, what one of Alipay's codes means and
// what to do about it; nothing for a code it does not know. It is a
// channel.Explain.
func Explain(code string) (zh, en string) {
	words := explanations()[code]
	return words[0], words[1]
}

// explanations are the codes of the outcome table and of the gateway.
func explanations() map[string][2]string {
	all := map[string][2]string{}
	for _, group := range []map[string][2]string{
		gatewayWords(), orderWords(), stateWords(), payerWords(),
		refundWords(), transferWords(), billWords(), callWords(),
	} {
		maps.Copy(all, group)
	}
	return all
}

// gatewayWords are the gateway's own codes.
func gatewayWords() map[string][2]string {
	return map[string][2]string{
		"10000": {"支付宝已处理。", "Alipay has processed it."},
		"10003": {"等待付款人在手机上确认。", "The payer has to confirm on the phone."},
		"20000": {"支付宝服务暂不可用，结果未知；系统会继续查询。",
			"Alipay is not available, so the result is not known. It is queried until it is."},
		"20001": {"授权令牌无效或权限不足；请商户重新授权。",
			"The authorisation is not valid or does not suffice. Let the merchant give it again."},
		"40001": {"请求缺少必填参数。", "The request lacks a required parameter."},
		"40002": {"请求参数或签名有误；请核对应用编号与密钥。",
			"A parameter or the signature is wrong. Compare the application's id and keys."},
		"40004": {"支付宝拒绝了这笔业务。", "Alipay refused the business."},
		"40005": {"调用过于频繁，已被限流；系统会稍后继续。", "Too many calls; Alipay throttles. It goes on later."},
		"40006": {"应用没有这个接口的权限；请在支付宝开通产品。",
			"The application may not make this call. Have the product opened at Alipay."},
	}
}

// orderWords are the codes of an order that is refused.
func orderWords() map[string][2]string {
	return map[string][2]string{
		"ACQ.SYSTEM_ERROR": {"支付宝系统异常，结果未知；系统会继续查询。",
			"Alipay had trouble, so the result is not known. It is queried until it is."},
		"AQC.SYSTEM_ERROR": {"支付宝系统异常，结果未知；系统会继续查询。",
			"Alipay had trouble, so the result is not known. It is queried until it is."},
		"SYSTEM_ERROR": {"支付宝系统异常，结果未知；系统会继续查询。",
			"Alipay had trouble, so the result is not known. It is queried until it is."},
		"ACQ.INVALID_PARAMETER": {"参数无效；请核对金额、标题与有效期。", "A field is not valid. Look at amount, subject and expiry."},
		"INVALID_PARAMETER":     {"参数无效；请核对收款人与金额。", "A field is not valid. Look at payee and amount."},
		"ACQ.ACCESS_FORBIDDEN": {"没有权限使用这个产品；请在支付宝签约开通。",
			"The merchant may not use this product. Have it opened at Alipay."},
		"ACQ.EXIST_FORBIDDEN_WORD": {"订单信息含有违禁词；请修改标题。",
			"The order's text has a forbidden word. Change the subject."},
		"ACQ.PARTNER_ERROR": {"应用与收款商户不符；请核对商户号。",
			"The application does not belong to the seller. Compare the seller's id."},
		"ACQ.TOTAL_FEE_EXCEED":    {"金额超过支付宝的限额。", "The amount is above Alipay's limit."},
		"ACQ.SELLER_BEEN_BLOCKED": {"收款商户的支付宝账户已冻结；请联系支付宝。", "The seller's account is blocked. Contact Alipay."},
		"ACQ.PAYMENT_REQUEST_HAS_RISK": {"支付宝认为这笔支付有风险；请更换支付方式。",
			"Alipay finds the payment risky. Let the payer pay in another way."},
	}
}

// stateWords are the codes of a trade's state.
func stateWords() map[string][2]string {
	return map[string][2]string{
		"ACQ.TRADE_NOT_EXIST": {"支付宝没有这笔交易；付款人可能还没有扫码或登录。",
			"Alipay does not know the trade. The payer may not have scanned or logged in yet."},
		"ACQ.TRADE_HAS_SUCCESS":  {"这个单号已经支付；系统会查询并入账。", "The number is paid already. It is queried and booked."},
		"ACQ.TRADE_HAS_CLOSE":    {"交易已经关闭；请重新下单。", "The trade is closed. Make a new order."},
		"ACQ.TRADE_STATUS_ERROR": {"交易当前状态不允许这个操作；系统会查询。", "The trade's state does not allow this. It is queried."},
		"ACQ.REASON_TRADE_STATUS_INVALID": {"交易当前状态不允许这个操作；系统会查询。",
			"The trade's state does not allow this. It is queried."},
		"ACQ.REASON_ILLEGAL_STATUS": {"交易当前状态不允许这个操作；系统会查询。",
			"The trade's state does not allow this. It is queried."},
		"ACQ.TRADE_HAS_FINISHED": {"交易已完结，不能再退款；请用其他方式退还。",
			"The trade is finished and takes no refund any more. Give the money back in another way."},
		"ACQ.CONTEXT_INCONSISTENT": {"同一单号的订单内容不同；系统会查询原单。",
			"Another order stands under this number. It is queried."},
		"ACQ.TRADE_BUYER_NOT_MATCH": {"付款人与交易的买家不一致；请重新下单。",
			"The payer is not the buyer of the trade. Make a new order."},
		"ACQ.TRADE_CANCEL_TIME_OUT":       {"已超过24小时，不能撤销；请发起退款。", "It is too late to cancel, after 24 hours. Refund it."},
		"ACQ.CANCEL_NOT_ALLOWED":          {"交易不允许撤销；请发起退款。", "The trade cannot be cancelled. Refund it."},
		"ACQ.REASON_TRADE_BEEN_FREEZEN":   {"交易资金被冻结；请联系支付宝。", "The trade's money is frozen. Contact Alipay."},
		"ACQ.REASON_TRADE_REFUND_FEE_ERR": {"退款金额有误。", "The refund's amount is wrong."},
	}
}

// payerWords are the codes of a payer who cannot pay.
func payerWords() map[string][2]string {
	return map[string][2]string{
		"ACQ.BUYER_SELLER_EQUAL":         {"付款人与收款商户是同一账户。", "Payer and seller are the same account."},
		"ACQ.BUYER_ENABLE_STATUS_FORBID": {"付款人的支付宝账户不可用。", "The payer's account may not pay."},
		"ACQ.BUYER_BALANCE_NOT_ENOUGH": {"付款人余额不足；请更换支付方式。",
			"The payer's balance does not suffice. Let the payer pay in another way."},
		"ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH": {"付款人银行卡余额不足；请更换支付方式。",
			"The payer's card does not suffice. Let the payer pay in another way."},
		"ACQ.PAYMENT_AUTH_CODE_INVALID": {"付款码无效或已使用；请付款人刷新付款码后重新扫码。",
			"The code is not valid or was used. Let the payer refresh it, and scan again."},
		"ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR": {"付款人超过当日付款限额。", "The payer is over the day's limit."},
		"ACQ.ERROR_BUYER_CERTIFY_LEVEL_LIMIT": {"付款人需要先完成身份认证。",
			"The payer has to verify their identity at Alipay first."},
		"ACQ.NO_PAYMENT_INSTRUMENTS_AVAILABLE": {"付款人没有可用的支付方式。",
			"The payer has no means of payment that can be used."},
		"ACQ.USER_FACE_PAYMENT_SWITCH_OFF": {"付款人没有打开付款码；请在支付宝中开启。",
			"The payer's code is switched off. It is switched on in the payer's app."},
	}
}

// refundWords are the codes of refunds.
func refundWords() map[string][2]string {
	return map[string][2]string{
		"ACQ.SELLER_BALANCE_NOT_ENOUGH": {"商户支付宝余额不足；充值后系统会以原单号继续。",
			"The seller's balance is too small. Top it up; it goes on under the same number."},
		"ACQ.REFUND_AMT_NOT_EQUAL_TOTAL": {"退款金额超过可退金额。", "The refund is more than what is left of the payment."},
		"ACQ.TRADE_NOT_ALLOW_REFUND":     {"交易不允许退款。", "The trade cannot be refunded."},
		"ACQ.DISCORDANT_REPEAT_REQUEST": {"同一退款单号的内容不同；系统会查询原退款。",
			"Another refund stands under this number. It is queried."},
		"ACQ.REFUND_CHARGE_ERROR": {"退款手续费处理异常；系统会稍后继续。",
			"Alipay could not settle the refund's fee. It goes on later."},
	}
}

// transferWords are the codes of transfers.
func transferWords() map[string][2]string {
	return map[string][2]string{
		"PAYER_BALANCE_NOT_ENOUGH": {"商户支付宝余额不足；充值后系统会以原单号继续。",
			"The balance at Alipay is too small. Top it up; it goes on under the same number."},
		"REQUEST_PROCESSING": {"支付宝正在处理；系统会继续查询。", "Alipay is working on it. It is queried until it is done."},
		"PAYMENT_INFO_INCONSISTENCY": {"同一转账单号的内容不同；系统会查询原转账。",
			"Another transfer stands under this number. It is queried."},
		"EXCEED_LIMIT_SM_MIN_AMOUNT":      {"转账金额低于0.10元。", "The amount is below 0.10 yuan."},
		"MEMO_REQUIRED_IN_TRANSFER_ERROR": {"大额转账需要填写备注。", "A large transfer needs a remark."},
		"PAYER_STATUS_ERROR":              {"商户支付宝账户状态异常；请联系支付宝。", "The merchant's account is not in order. Contact Alipay."},
		"PAYER_DATA_INCOMPLETE":           {"商户支付宝账户资料不完整；请补充。", "The merchant's data at Alipay is incomplete. Complete it."},
		"PAYER_USER_INFO_ERROR":           {"商户支付宝账户信息有误。", "The merchant's data at Alipay is wrong."},
		"PAYCARD_UNABLE_PAYMENT":          {"付款账户不可用于转账。", "The merchant's means of payment cannot be used."},
		"PERMIT_CHECK_PERM_LIMITED": {"商户账户被限制转账；请联系支付宝。",
			"The merchant's account may not transfer. Contact Alipay."},
		"PERMIT_PAYER_LOWEST_FORBIDDEN": {"商户需要先完成身份认证。",
			"The merchant has to verify their identity at Alipay first."},
		"PERMIT_PAYER_FORBIDDEN": {"商户账户超过转账限额或被限制。", "The merchant's account is limited."},
		"CERT_MISS_TRANS_LIMIT":  {"商户未安装数字证书，转账受限。", "Without a certificate the merchant's transfers are limited."},
		"CERT_MISS_ACC_LIMIT":    {"商户未安装数字证书，账户受限。", "Without a certificate the merchant's account is limited."},
		"PAYEE_NOT_EXIST":        {"收款人的支付宝账户不存在；请核对账号。", "The payee's account does not exist. Compare it."},
		"PAYEE_USER_INFO_ERROR": {"收款人姓名与账户不符；请核对姓名。",
			"The payee's name does not belong to the account. Compare it."},
		"PAYEE_ACC_OCUPIED":                {"收款账号对应多个账户；请填写姓名。", "Several accounts have this login. Give the name."},
		"PERM_AML_NOT_REALNAME_REV":        {"收款人需要先完成身份认证。", "The payee has to verify their identity at Alipay first."},
		"PERMIT_NON_BANK_LIMIT_PAYEE":      {"收款人账户被限制收款。", "The payee's account may not receive."},
		"PAYEE_ACCOUNT_STATUS_ERROR":       {"收款人账户状态异常。", "The payee's account is not in order."},
		"CARD_BIN_ERROR":                   {"银行卡号有误；请核对。", "The card's number is wrong. Compare it."},
		"PAYEE_CARD_INFO_ERROR":            {"收款银行卡信息有误；请核对。", "The card's data is wrong. Compare it."},
		"INVALID_CARDNO":                   {"银行卡号无效；请核对。", "The card's number is not valid. Compare it."},
		"PAYEE_TRUSTEESHIP_ACC_OVER_LIMIT": {"收款人账户超过收款限额。", "The payee's account is over its limit."},
		"ORDER_NOT_EXIST":                  {"支付宝没有这笔转账。", "Alipay does not know the transfer."},
	}
}

// billWords are the codes of bills.
func billWords() map[string][2]string {
	return map[string][2]string{
		"isp.bill_not_exist": {"账单尚未生成；系统会稍后再取。", "The bill is not there yet. It is fetched later."},
		"BILL_NOT_EXIST":     {"账单尚未生成；系统会稍后再取。", "The bill is not there yet. It is fetched later."},
		"isp.unknow-error": {"支付宝服务暂不可用，结果未知；系统会继续查询。",
			"Alipay is not available, so the result is not known. It is queried until it is."},
	}
}

// callWords are the codes of calls, keys and authorisations.
func callWords() map[string][2]string {
	return map[string][2]string{
		"isv.invalid-signature": {"支付宝验签失败；请核对应用私钥与支付宝登记的公钥。",
			"Alipay refuses our signature. Compare the key with the one registered at Alipay."},
		"isv.invalid-app-id":    {"应用编号无效；请核对。", "Alipay does not know the application. Compare its id."},
		"isv.invalid-timestamp": {"请求时间有误；请校准服务器时钟。", "The request's time is wrong. Set the machine's clock."},
		"isv.invalid-app-cert-sn": {"应用证书序列号有误；请核对证书。",
			"Alipay does not know the application's certificate. Compare it."},
		"isv.code-invalid": {"授权码无效或已使用；请付款人重新进入页面。",
			"The authorisation code is not valid or was used. Let the payer open the page again."},
		"isv.code-missing": {"缺少授权码；请付款人重新进入页面。",
			"The authorisation code is missing. Let the payer open the page again."},
		"isv.grant-type-invalid": {"授权方式有误。", "The kind of grant is wrong."},
		"aop.invalid-app-auth-token": {"商户的授权令牌无效；请商户重新授权。",
			"The merchant's authorisation is not valid. Let the merchant give it again."},
	}
}
