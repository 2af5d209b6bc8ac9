package alipay

import (
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"strings"

	sdk "github.com/smartwalle/alipay/v3"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

// operation is a call as far as outcomes are concerned: the same code means
// different things to a refund and to a query.
type operation string

const (
	prepay        operation = "prepay"
	query         operation = "query"
	closing       operation = "close"
	refund        operation = "refund"
	refundQuery   operation = "refund query"
	transfer      operation = "transfer"
	transferQuery operation = "transfer query"
	// billURL reads outcomes in its own way: Pending is "not produced yet" and
	// Failed is "refused".
	billURL operation = "bill"
	// codePay moves money in the call itself, and cancelling may give it back.
	codePay      operation = "pay by code"
	cancelling   operation = "cancel"
	payerFinding operation = "find payer"
)

// codeOK is the gateway code of a processed call. 10003, which the SDK counts
// as success too, belongs to barcode pay only and is not one here.
const codeOK = "10000"

// rule says what one failure code of one operation means. As, when set,
// replaces the provider's code by this platform's word for it.
type rule struct {
	Op      operation
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
	docTrade    = "alipay.trade.* error tables, stored copies of the documentation"
	docPay      = "error table shared by the pay calls, stored copies of the documentation"
	docRefund   = "alipay.trade.refund error table, agreeing third-party copies"
	docTransfer = "error table of alipay.fund.trans.toaccount.transfer, whose names uni.transfer keeps; third-party copies"
	docQuery    = "alipay.fund.trans.common.query error table, third-party copies"
	docBill     = "bill download, stored copies of the documentation; the code's spelling is not certain, so both are taken"
	docCancel   = "alipay.trade.cancel error table, stored copies of the documentation"
	docOAuth    = "gateway codes of alipay.system.oauth.token, third-party copies; nothing moves by this call"
	docGateway  = "gateway codes, stored copies of the documentation"
	caution     = "the outcome law: the number may exist or be in flight, only a query can tell"
)

// outcomes is the table of failure codes. A code that is not in it is Failed
// for a prepay (instructing: it is answered by the gateway or by acquiring, and
// no QR code came out of it) and Unknown for everything else: a moving call is
// Failed only where its table says that no money moved.
func outcomes() []rule {
	return []rule{
		{prepay, "20000", channel.Unknown, "", docTrade},
		{prepay, "40005", channel.Unknown, "", caution},
		{prepay, "ACQ.SYSTEM_ERROR", channel.Unknown, "", docPay},
		{prepay, "SYSTEM_ERROR", channel.Unknown, "", docPay},
		{prepay, "ACQ.TRADE_HAS_SUCCESS", channel.Unknown, "", docPay + ": paid already, query it"},
		{prepay, "ACQ.CONTEXT_INCONSISTENT", channel.Unknown, "", caution},
		{prepay, "ACQ.TRADE_HAS_CLOSE", channel.Failed, "", docPay},
		{prepay, "ACQ.INVALID_PARAMETER", channel.Failed, "", docPay},
		{prepay, "ACQ.ACCESS_FORBIDDEN", channel.Failed, "", docPay},
		{prepay, "ACQ.EXIST_FORBIDDEN_WORD", channel.Failed, "", docPay},
		{prepay, "ACQ.PARTNER_ERROR", channel.Failed, "", docPay},
		{prepay, "ACQ.TOTAL_FEE_EXCEED", channel.Failed, "", docPay},
		{prepay, "ACQ.SELLER_BEEN_BLOCKED", channel.Failed, "", docPay},
		{prepay, "ACQ.PAYMENT_REQUEST_HAS_RISK", channel.Failed, "", docPay},

		{prepay, "ACQ.BUYER_SELLER_EQUAL", channel.Failed, "", docPay},
		{prepay, "ACQ.TRADE_BUYER_NOT_MATCH", channel.Failed, "", docPay},

		{codePay, "ACQ.SYSTEM_ERROR", channel.Unknown, "", docPay},
		{codePay, "ACQ.TRADE_HAS_SUCCESS", channel.Unknown, "", docPay + ": paid already, query it"},
		{codePay, "ACQ.CONTEXT_INCONSISTENT", channel.Unknown, "", docPay + ": the number was used, query it"},
		{codePay, "ACQ.TRADE_HAS_CLOSE", channel.Failed, "", docPay},
		{codePay, "ACQ.TRADE_BUYER_NOT_MATCH", channel.Failed, "", docPay},
		{codePay, "ACQ.INVALID_PARAMETER", channel.Failed, "", docPay},
		{codePay, "ACQ.ACCESS_FORBIDDEN", channel.Failed, "", docPay},
		{codePay, "ACQ.EXIST_FORBIDDEN_WORD", channel.Failed, "", docPay},
		{codePay, "ACQ.PARTNER_ERROR", channel.Failed, "", docPay},
		{codePay, "ACQ.TOTAL_FEE_EXCEED", channel.Failed, "", docPay},
		{codePay, "ACQ.BUYER_SELLER_EQUAL", channel.Failed, "", docPay},
		{codePay, "ACQ.BUYER_ENABLE_STATUS_FORBID", channel.Failed, "", docPay},
		{codePay, "ACQ.SELLER_BEEN_BLOCKED", channel.Failed, "", docPay},
		{codePay, "ACQ.BUYER_BALANCE_NOT_ENOUGH", channel.Failed, "", docPay},
		{codePay, "ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH", channel.Failed, "", docPay},
		{codePay, "ACQ.PAYMENT_AUTH_CODE_INVALID", channel.Failed, "", docPay},
		{codePay, "ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR", channel.Failed, "", docPay},
		{codePay, "ACQ.ERROR_BUYER_CERTIFY_LEVEL_LIMIT", channel.Failed, "", docPay},
		{codePay, "ACQ.PAYMENT_REQUEST_HAS_RISK", channel.Failed, "", docPay},
		{codePay, "ACQ.NO_PAYMENT_INSTRUMENTS_AVAILABLE", channel.Failed, "", docPay},
		{codePay, "ACQ.USER_FACE_PAYMENT_SWITCH_OFF", channel.Failed, "", docPay},

		{cancelling, "ACQ.SYSTEM_ERROR", channel.Unknown, "", docCancel},
		{cancelling, "AQC.SYSTEM_ERROR", channel.Unknown, "", docCancel + ": spelt so"},
		{cancelling, "ACQ.SELLER_BALANCE_NOT_ENOUGH", channel.Pending, channel.CodeChannelBalance, docCancel},
		{cancelling, "ACQ.TRADE_NOT_EXIST", channel.Failed, channel.CodeNotFound, docTrade},
		{cancelling, "ACQ.TRADE_HAS_FINISHED", channel.Failed, "", docCancel},
		{cancelling, "ACQ.TRADE_CANCEL_TIME_OUT", channel.Failed, "", docCancel + ": refund instead"},
		{cancelling, "ACQ.CANCEL_NOT_ALLOWED", channel.Failed, "", docCancel},
		{cancelling, "ACQ.REASON_TRADE_BEEN_FREEZEN", channel.Unknown, "", docCancel + ": not said to be final"},
		{cancelling, "ACQ.REASON_TRADE_REFUND_FEE_ERR", channel.Unknown, "", docCancel + ": not said to be final"},

		{payerFinding, "isv.code-invalid", channel.Failed, "", docOAuth},
		{payerFinding, "isv.code-missing", channel.Failed, "", docOAuth},
		{payerFinding, "isv.grant-type-invalid", channel.Failed, "", docOAuth},

		{query, "ACQ.TRADE_NOT_EXIST", channel.Succeeded, "", docTrade + ": the query worked, the trade is not there"},

		{closing, "ACQ.TRADE_NOT_EXIST", channel.Failed, channel.CodeNotFound, docTrade},

		{refund, "ACQ.SELLER_BALANCE_NOT_ENOUGH", channel.Pending, channel.CodeChannelBalance, docRefund},
		{refund, "ACQ.INVALID_PARAMETER", channel.Failed, "", docRefund},
		{refund, "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", channel.Failed, "", docRefund},
		{refund, "ACQ.REASON_TRADE_REFUND_FEE_ERR", channel.Failed, "", docRefund},
		{refund, "ACQ.REASON_TRADE_BEEN_FREEZEN", channel.Failed, "", docRefund},
		{refund, "ACQ.TRADE_NOT_EXIST", channel.Failed, "", docRefund},
		{refund, "ACQ.TRADE_HAS_FINISHED", channel.Failed, "", docRefund},
		{refund, "ACQ.TRADE_NOT_ALLOW_REFUND", channel.Failed, "", docRefund},
		{refund, "ACQ.TRADE_STATUS_ERROR", channel.Unknown, "", docRefund + ": query first"},
		{refund, "ACQ.DISCORDANT_REPEAT_REQUEST", channel.Unknown, "", docRefund + ": the number was used, query it"},
		{refund, "ACQ.REFUND_CHARGE_ERROR", channel.Unknown, "", docRefund + ": try again later"},
		{refund, "ACQ.SYSTEM_ERROR", channel.Unknown, "", docRefund},

		{refundQuery, "ACQ.TRADE_NOT_EXIST", channel.Failed, channel.CodeNotFound, docTrade},

		{transfer, "PAYER_BALANCE_NOT_ENOUGH", channel.Pending, channel.CodeChannelBalance, docTransfer},
		{transfer, "SYSTEM_ERROR", channel.Unknown, "", docTransfer},
		{transfer, "REQUEST_PROCESSING", channel.Unknown, "", docTransfer},
		{transfer, "PAYMENT_INFO_INCONSISTENCY", channel.Unknown, "", docTransfer + ": the number was used, query it"},
		{transfer, "INVALID_PARAMETER", channel.Failed, "", docTransfer},
		{transfer, "EXCEED_LIMIT_SM_MIN_AMOUNT", channel.Failed, "", docTransfer},
		{transfer, "MEMO_REQUIRED_IN_TRANSFER_ERROR", channel.Failed, "", docTransfer},
		{transfer, "PAYER_STATUS_ERROR", channel.Failed, "", docTransfer},
		{transfer, "PAYER_DATA_INCOMPLETE", channel.Failed, "", docTransfer},
		{transfer, "PAYER_USER_INFO_ERROR", channel.Failed, "", docTransfer},
		{transfer, "PAYCARD_UNABLE_PAYMENT", channel.Failed, "", docTransfer},
		{transfer, "PERMIT_CHECK_PERM_LIMITED", channel.Failed, "", docTransfer},
		{transfer, "PERMIT_PAYER_LOWEST_FORBIDDEN", channel.Failed, "", docTransfer},
		{transfer, "PERMIT_PAYER_FORBIDDEN", channel.Failed, "", docTransfer},
		{transfer, "CERT_MISS_TRANS_LIMIT", channel.Failed, "", docTransfer},
		{transfer, "CERT_MISS_ACC_LIMIT", channel.Failed, "", docTransfer},
		{transfer, "PAYEE_NOT_EXIST", channel.Failed, "", docTransfer},
		{transfer, "PAYEE_USER_INFO_ERROR", channel.Failed, "", docTransfer},
		{transfer, "PAYEE_ACC_OCUPIED", channel.Failed, "", docTransfer},
		{transfer, "PERM_AML_NOT_REALNAME_REV", channel.Failed, "", docTransfer},
		{transfer, "PERMIT_NON_BANK_LIMIT_PAYEE", channel.Failed, "", docTransfer},
		{transfer, "PAYEE_ACCOUNT_STATUS_ERROR", channel.Failed, "", docTransfer},
		{transfer, "CARD_BIN_ERROR", channel.Failed, "", docTransfer},
		{transfer, "PAYEE_CARD_INFO_ERROR", channel.Failed, "", docTransfer},
		{transfer, "INVALID_CARDNO", channel.Failed, "", docTransfer},
		{transfer, "PAYEE_TRUSTEESHIP_ACC_OVER_LIMIT", channel.Failed, "", docTransfer},

		{transferQuery, "ORDER_NOT_EXIST", channel.Failed, channel.CodeNotFound, docQuery},

		{billURL, "isp.bill_not_exist", channel.Pending, "", docBill},
		{billURL, "BILL_NOT_EXIST", channel.Pending, "", docBill},
		{billURL, "20001", channel.Failed, "", docGateway},
		{billURL, "40001", channel.Failed, "", docGateway},
		{billURL, "40002", channel.Failed, "", docGateway},
		{billURL, "40006", channel.Failed, "", docGateway},
	}
}

func ruleIndex() map[ruleKey]rule {
	index := map[ruleKey]rule{}
	for _, r := range outcomes() {
		index[ruleKey{r.Op, r.Code}] = r
	}
	return index
}

// refusal is the Answer to a signed reply that is not codeOK. The sub_code
// decides when the business spoke, the gateway code otherwise.
func (a *Adapter) refusal(op operation, r reply) channel.Answer {
	code, message := r.SubCode, r.SubMsg
	if code == "" {
		code, message = r.Code, r.Msg
	}
	if code == "" {
		return unusable(&wire.Failure{Code: channel.CodeBadBody, Reason: "the answer has no code"})
	}
	answer := channel.Answer{Outcome: channel.Unknown, Code: code, Message: message}
	known, ok := a.rules[ruleKey{op, code}]
	if !ok {
		known, ok = a.rules[ruleKey{op, r.Code}]
	}
	switch {
	case r.Code == "20000": // service unavailable: whatever its sub_code, nothing is known
	case ok:
		answer.Outcome = known.Outcome
		if known.As != "" {
			answer.Code, answer.Message = known.As, code+": "+message
		}
	case strings.HasSuffix(code, "SYSTEM_ERROR"):
	case op == prepay:
		answer.Outcome = channel.Failed
	}
	return answer
}

// accepted is the Answer to codeOK.
func accepted(r reply) channel.Answer {
	return channel.Answer{Outcome: channel.Succeeded, Code: r.Code, Message: r.Msg}
}

// unusable is the Answer when there is no answer.
func unusable(f *wire.Failure) channel.Answer {
	return channel.Answer{Outcome: channel.Unknown, Code: f.Code, Message: f.Reason}
}

// mismatch is the Answer to a signed answer that is about something else.
func mismatch(what string) channel.Answer {
	return channel.Answer{Outcome: channel.Unknown, Code: channel.CodeMismatch, Message: what + " in the answer is not the one asked about"}
}

// badBody is the Answer to a signed answer with a field this package cannot read.
func badBody(what string) channel.Answer {
	return channel.Answer{Outcome: channel.Unknown, Code: channel.CodeBadBody, Message: what + " in the answer is missing or unreadable"}
}

// whyUnusable sorts the SDK's errors: nil when the answer was verified and read.
func whyUnusable(err error) *wire.Failure {
	if err == nil {
		return nil
	}
	// The SDK reports a node without signature as *sdk.Error, and a JSON null
	// node as a nil one, whose Error method would panic: look before asking.
	if unsigned, ok := err.(*sdk.Error); ok { //nolint:errorlint // a nil *sdk.Error must not be unwrapped
		reason := "the answer is not signed"
		if unsigned != nil {
			reason += ": " + strings.TrimSpace(string(unsigned.Code)+" "+unsigned.SubCode+" "+unsigned.SubMsg)
		}
		return &wire.Failure{Code: channel.CodeBadSignature, Reason: reason}
	}
	if failure := wire.AsFailure(err); failure != nil {
		return failure
	}
	notBase64 := base64.CorruptInputError(0)
	if errors.Is(err, rsa.ErrVerification) || errors.Is(err, sdk.ErrAliPublicKeyNotFound) ||
		errors.Is(err, sdk.ErrSignNotFound) || errors.As(err, &notBase64) {
		return &wire.Failure{Code: channel.CodeBadSignature, Reason: "the signature does not verify"}
	}
	return &wire.Failure{Code: channel.CodeBadBody, Reason: "the answer does not have the expected form"}
}
