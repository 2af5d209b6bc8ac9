package channel

// Words explain a code to a person, in Chinese and in English. They say what
// happened and, where there is something to do, what to do next.
type Words struct{ ZH, EN string }

// Explain knows the codes of one provider; it returns nothing for any other.
type Explain func(code string) (zh, en string)

// Glossary explains the codes of all providers, by channel name.
type Glossary map[string]Explain

// Of explains an answer of channelName: by the code if it is one of ours or the
// provider's, else by what the outcome means. There are always words.
func (g Glossary) Of(channelName string, outcome Outcome, code string) Words {
	if explain := g[channelName]; explain != nil && !ourCode(code) {
		if zh, en := explain(code); zh != "" && en != "" {
			return Words{zh, en}
		}
	}
	if words, ok := ourWords()[code]; ok {
		return words
	}
	return wordsOf(outcome)
}

func ourCode(code string) bool {
	_, ours := ourWords()[code]
	return ours
}

// ourWords explains the codes of this package.
func ourWords() map[string]Words {
	return map[string]Words{
		CodeNoAnswer: {"渠道没有应答，结果未知；系统会继续查询，请勿另行重试。",
			"The provider did not answer, so the result is not known. It is queried until it is; do not repeat it elsewhere."},
		CodeBadSignature: {"应答的签名验证不通过，不予采信；请核对渠道公钥或证书是否已更换。",
			"The answer's signature does not verify, so it is not believed. Check whether the provider's key or certificate has changed."},
		CodeBadBody: {"应答的内容无法识别，不予采信；系统会继续查询。",
			"The answer could not be read, so it is not believed. The provider is asked again."},
		CodeMismatch: {"应答与订单不符（单号、金额、币种或商户），已冻结处理，需人工核查。",
			"The answer is about another number, amount, currency or merchant. Nothing is booked; a person has to look at it."},
		CodeNotSent: {"请求未发出：连接不上渠道，或本系统的保护（并发、熔断、限速）未放行；可改用其他渠道账户。",
			"The request never left: the provider could not be reached, or our own guard (bulkhead, breaker, rate) held it back. " +
				"Another channel account may be used."},
		CodeNotFound: {"渠道没有这个单号的记录。", "The provider does not know this number."},
		CodeTradePaid: {"付款人已经付款，无法关闭；系统会查询并入账。",
			"The payer has paid meanwhile, so it cannot be closed. It is queried and booked."},
		CodeChannelBalance: {"渠道账户余额不足；充值后系统会以原单号继续。",
			"The balance at the provider is too small. Top it up; it goes on under the same number."},
		CodeAbnormal: {"退款已受理但无法原路退回，款项已出账，需指定其他去向。",
			"The refund was accepted, and its way back is closed: the money has left the balance and needs another destination."},
		CodeRepeatOver: {"原单号已超出可重试的期限，不再重发；系统会继续查询，需两人复核后决定。",
			"The time is over in which the number may be sent again. It is asked about, never sent again; two persons decide."},
		CodeReturned: {"款项已付出后又被退回。", "The transfer was paid and then came back."},
	}
}

func wordsOf(outcome Outcome) Words {
	switch outcome {
	case Succeeded:
		return Words{"渠道已确认。", "The provider confirmed."}
	case Pending:
		return Words{"渠道已受理，尚未完成。", "The provider has accepted it and is not finished."}
	case Failed:
		return Words{"渠道拒绝了请求，没有资金变动。", "The provider refused; no money moved."}
	case CallError:
		return Words{"请求有误或已中断，未发给渠道。", "The request was faulty or broken off before it was sent."}
	}
	return Words{"结果未知；系统会继续查询。", "The result is not known; the provider is asked again."}
}
