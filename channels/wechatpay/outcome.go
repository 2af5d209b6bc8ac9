package wechatpay

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/wechatpay-apiv3/wechatpay-go/core"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

// operation is a call as far as outcomes are concerned: the same code means
// different things to a refund and to a query.
type operation string

const (
	prepay      operation = "prepay"
	query       operation = "query"
	closing     operation = "close"
	refund      operation = "refund"
	refundQuery operation = "refund query"
	// codePay and redirect move money; reversal may.
	codePay  operation = "payment by code"
	reversal operation = "reversal"
	redirect operation = "abnormal refund"
	// billURL reads outcomes in its own way: Succeeded is "no trades that day",
	// Pending "not produced yet" and Failed "refused".
	billURL operation = "bill"
)

// rule says what one error code of one operation means. As, when set, replaces
// the provider's code by this platform's word for it.
type rule struct {
	Op      operation
	Status  int
	Code    string
	Outcome channel.Outcome
	As      string
	Source  string
}

type ruleKey struct {
	op   operation
	code string
}

// Sources of the table.
const (
	docOrder  = "order API error codes, stored copies of the API v3 documentation"
	docRefund = "refund API error codes, stored copies of the API v3 documentation and SDK comments"
	docCode   = docOrder + "; codepay documentation"
	v2Code    = "result codes of the older micropay, assumed to go on"
	docBill   = "bill API error codes, stored copies of the API v3 documentation"
	caution   = "the outcome law: the number may be paid or in flight, only a query can tell"
)

// outcomes is the table of error codes. Status is the one documented and is
// what the tests send; the code decides, except that 5xx, 429 and 408 are
// Unknown whatever the code. A code that is not in the table is Failed for a
// prepay (instructing: no QR code came out of it) and Unknown for everything
// else, because these answers are not signed.
func outcomes() []rule {
	return []rule{
		{prepay, http.StatusForbidden, "OUT_TRADE_NO_USED", channel.Unknown, "", docOrder + ": may be paid, query it"},
		{prepay, http.StatusBadRequest, "INVALID_REQUEST", channel.Unknown, "", caution + "; also for a number sent with other content"},
		{prepay, http.StatusBadRequest, "ORDERPAID", channel.Unknown, "", docOrder},
		{prepay, http.StatusBadRequest, "ORDER_CLOSED", channel.Failed, "", docOrder},
		{prepay, http.StatusBadRequest, "PARAM_ERROR", channel.Failed, "", docOrder},
		{prepay, http.StatusBadRequest, "APPID_MCHID_NOT_MATCH", channel.Failed, "", docOrder},
		{prepay, http.StatusBadRequest, "MCH_NOT_EXISTS", channel.Failed, "", docOrder},
		{prepay, http.StatusUnauthorized, "SIGN_ERROR", channel.Failed, "", docOrder},
		{prepay, http.StatusForbidden, "NO_AUTH", channel.Failed, "", docOrder},
		{prepay, http.StatusForbidden, "RULE_LIMIT", channel.Failed, "", docOrder},
		{prepay, http.StatusForbidden, "TRADE_ERROR", channel.Failed, "", docOrder},

		{query, http.StatusNotFound, "ORDER_NOT_EXIST", channel.Succeeded, "", docOrder + ": the query worked, the trade is not there"},
		{query, http.StatusNotFound, "ORDERNOTEXIST", channel.Succeeded, "", docOrder + ", older spelling"},

		{closing, http.StatusNotFound, "ORDER_NOT_EXIST", channel.Failed, channel.CodeNotFound, docOrder},
		{closing, http.StatusNotFound, "ORDERNOTEXIST", channel.Failed, channel.CodeNotFound, docOrder + ", older spelling"},
		{closing, http.StatusBadRequest, "ORDER_CLOSED", channel.Succeeded, "", docOrder + ": closed already"},
		{closing, http.StatusBadRequest, "ORDERPAID", channel.Failed, channel.CodeTradePaid, docOrder},

		{refund, http.StatusForbidden, "NOT_ENOUGH", channel.Pending, channel.CodeChannelBalance, docRefund + ": top up, same number"},
		{refund, http.StatusBadRequest, "PARAM_ERROR", channel.Failed, "", docRefund},
		{refund, http.StatusForbidden, "USER_ACCOUNT_ABNORMAL", channel.Failed, "", docRefund},
		{refund, http.StatusNotFound, "RESOURCE_NOT_EXISTS", channel.Failed, "", docRefund + ": the trade is not there"},
		{refund, http.StatusNotFound, "MCH_NOT_EXISTS", channel.Failed, "", docRefund},
		{refund, http.StatusBadRequest, "INVALID_REQUEST", channel.Unknown, "", caution + " (also answered past the retry window)"},
		{refund, http.StatusUnauthorized, "SIGN_ERROR", channel.Unknown, "", caution},
		{refund, http.StatusForbidden, "NO_AUTH", channel.Unknown, "", caution},
		{refund, http.StatusTooManyRequests, "FREQUENCY_LIMITED", channel.Unknown, "", docRefund + ": not accepted, same number later"},
		{refund, http.StatusInternalServerError, "SYSTEM_ERROR", channel.Unknown, "", docRefund},

		{refundQuery, http.StatusNotFound, "RESOURCE_NOT_EXISTS", channel.Failed, channel.CodeNotFound, docRefund},

		{codePay, http.StatusAccepted, "USERPAYING", channel.Pending, "", docCode + ": signed, the payer confirms on the phone"},
		{codePay, http.StatusBadRequest, "PARAM_ERROR", channel.Failed, "", docCode},
		{codePay, http.StatusBadRequest, "APPID_MCHID_NOT_MATCH", channel.Failed, "", docCode},
		{codePay, http.StatusBadRequest, "MCH_NOT_EXISTS", channel.Failed, "", docCode},
		{codePay, http.StatusBadRequest, "ORDER_CLOSED", channel.Failed, "", docCode},
		{codePay, http.StatusForbidden, "NOT_ENOUGH", channel.Failed, "", docCode + ": the payer's balance"},
		{codePay, http.StatusForbidden, "RULE_LIMIT", channel.Failed, "", docCode},
		{codePay, http.StatusForbidden, "TRADE_ERROR", channel.Failed, "", docCode},
		{codePay, http.StatusForbidden, "ACCOUNT_ERROR", channel.Failed, "", docCode + ", not seen in an answer"},
		{codePay, http.StatusBadRequest, "AUTH_CODE_ERROR", channel.Failed, "", v2Code},
		{codePay, http.StatusBadRequest, "AUTH_CODE_INVALID", channel.Failed, "", v2Code},
		{codePay, http.StatusBadRequest, "AUTH_CODE_EXPIRE", channel.Failed, "", v2Code},
		{codePay, http.StatusBadRequest, "AUTHCODEEXPIRE", channel.Failed, "", v2Code},
		{codePay, http.StatusForbidden, "OUT_TRADE_NO_USED", channel.Unknown, "", docCode + ": may be paid, query it"},
		{codePay, http.StatusBadRequest, "INVALID_REQUEST", channel.Unknown, "", caution},
		{codePay, http.StatusBadRequest, "ORDERPAID", channel.Unknown, "", caution},
		{codePay, http.StatusUnauthorized, "SIGN_ERROR", channel.Unknown, "", caution},
		{codePay, http.StatusForbidden, "NO_AUTH", channel.Unknown, "", caution},
		{codePay, http.StatusTooManyRequests, "FREQUENCY_LIMITED", channel.Unknown, "", docCode},
		{codePay, http.StatusInternalServerError, "SYSTEM_ERROR", channel.Unknown, "", docCode + ": query after 5 s"},
		{codePay, http.StatusInternalServerError, "BANK_ERROR", channel.Unknown, "", docCode + ", not seen in an answer"},

		{reversal, http.StatusNotFound, "ORDER_NOT_EXIST", channel.Failed, channel.CodeNotFound, docOrder},
		{reversal, http.StatusNotFound, "ORDERNOTEXIST", channel.Failed, channel.CodeNotFound, docOrder + ", older spelling"},
		{reversal, http.StatusForbidden, "NOT_ENOUGH", channel.Pending, channel.CodeChannelBalance, docRefund + ": top up, the same call again"},
		{reversal, http.StatusBadRequest, "INVALID_REQUEST", channel.Unknown, "", caution + " (also answered right after the payment)"},
		{reversal, http.StatusForbidden, "TRADE_ERROR", channel.Unknown, "", caution},
		{reversal, http.StatusInternalServerError, "SYSTEM_ERROR", channel.Unknown, "", docCode + ": the same call again"},

		{redirect, http.StatusBadRequest, "PARAM_ERROR", channel.Failed, "", docRefund},
		{redirect, http.StatusForbidden, "USER_ACCOUNT_ABNORMAL", channel.Failed, "", docRefund},
		{redirect, http.StatusBadRequest, "INVALID_REQUEST", channel.Failed, "", docRefund + ": it is not abnormal, or was sent on already"},
		{redirect, http.StatusNotFound, "RESOURCE_NOT_EXISTS", channel.Failed, "", docRefund},
		{redirect, http.StatusUnauthorized, "SIGN_ERROR", channel.Unknown, "", caution},
		{redirect, http.StatusForbidden, "NO_AUTH", channel.Unknown, "", caution},
		{redirect, http.StatusForbidden, "NOT_ENOUGH", channel.Pending, channel.CodeChannelBalance, docRefund + ": top up, same number"},
		{redirect, http.StatusTooManyRequests, "FREQUENCY_LIMITED", channel.Unknown, "", docRefund},
		{redirect, http.StatusInternalServerError, "SYSTEM_ERROR", channel.Unknown, "", docRefund},

		{billURL, http.StatusBadRequest, "NO_STATEMENT_EXIST", channel.Succeeded, "", docBill + ": no trades that day"},
		{billURL, http.StatusBadRequest, "STATEMENT_CREATING", channel.Pending, "", docBill},
		{billURL, http.StatusBadRequest, "INVALID_REQUEST", channel.Failed, "", docBill},
		{billURL, http.StatusBadRequest, "PARAM_ERROR", channel.Failed, "", docBill},
		{billURL, http.StatusForbidden, "NO_AUTH", channel.Failed, "", docBill},
	}
}

func ruleIndex() map[ruleKey]rule {
	index := map[ruleKey]rule{}
	for _, r := range outcomes() {
		index[ruleKey{r.Op, r.Code}] = r
	}
	return index
}

// refusal is any answer but a verified 2xx: an API error (status is set), or no
// usable answer at all (status is zero and code is one of this platform's).
type refusal struct {
	status        int
	code, message string
}

// judge is the Answer to a refusal of op.
func (a *Adapter) judge(op operation, r *refusal) channel.Answer {
	answer := channel.Answer{Outcome: channel.Unknown, Code: r.code, Message: r.message}
	known, ok := a.rules[ruleKey{op, r.code}]
	switch {
	case ok && r.status == http.StatusAccepted && known.Status == r.status:
		answer.Outcome = known.Outcome
	case r.status < 400 || r.status >= 500 || r.status == http.StatusTooManyRequests || r.status == http.StatusRequestTimeout:
	case ok:
		answer.Outcome = known.Outcome
		if known.As != "" {
			answer.Code, answer.Message = known.As, r.code+": "+r.message
		}
	case r.code == channel.CodeBadBody:
	case op == prepay:
		answer.Outcome = channel.Failed
	}
	if op == refund && r.code == "INVALID_REQUEST" && saysRepeatOver(r.message) {
		answer.Code, answer.Message = channel.CodeRepeatOver, r.code+": "+r.message
	}
	return answer
}

// saysRepeatOver reports whether a message says that the number may not be sent again:
// 对应单号已超出重试期，请查单确认后决定是否换单. It was seen in WeChat Pay's community and
// in no documentation, and has no code of its own. Should it be worded otherwise, the
// answer stays Unknown, and our own bound ends the repeating.
func saysRepeatOver(message string) bool { return strings.Contains(message, "超出重试期") }

// accepted is the Answer to a verified 2xx; code is the provider's state.
func accepted(code string) channel.Answer {
	return channel.Answer{Outcome: channel.Succeeded, Code: code}
}

// mismatch is the Answer to a signed answer that is about something else.
func mismatch(what string) channel.Answer {
	return channel.Answer{Outcome: channel.Unknown, Code: channel.CodeMismatch, Message: what + " in the answer is not the one asked about"}
}

// badBody is the Answer to a signed answer with a field this package cannot read.
func badBody(what string) channel.Answer {
	return channel.Answer{Outcome: channel.Unknown, Code: channel.CodeBadBody, Message: what + " in the answer is missing or unreadable"}
}

// whyRefused sorts the SDK's errors.
func whyRefused(err error) *refusal {
	if api := (*core.APIError)(nil); errors.As(err, &api) {
		return readAPIError(api)
	}
	if failure := wire.AsFailure(err); failure != nil {
		return &refusal{code: failure.Code, message: failure.Reason}
	}
	// What is left is the validator's: a header missing, too old, of another
	// key, or a signature that does not verify. Its texts quote headers.
	return &refusal{code: channel.CodeBadSignature, message: "the signature does not verify"}
}

// readAPIError reads an answer that is not "done". A redirect, a page or a body
// without a code is somebody else speaking: nothing may be concluded from its
// status.
func readAPIError(api *core.APIError) *refusal {
	var body struct{ Code, Message string }
	if wire.PlainJSON([]byte(api.Body)) == nil && json.Unmarshal([]byte(api.Body), &body) == nil && body.Code != "" {
		return &refusal{status: api.StatusCode, code: body.Code, message: body.Message}
	}
	out := &refusal{status: api.StatusCode, code: channel.CodeBadBody}
	if api.StatusCode >= 500 {
		out.code = channel.CodeNoAnswer
	}
	out.message = fmt.Sprintf("HTTP status %d without a readable code", api.StatusCode)
	return out
}
