package alipay

import (
	"context"
	"errors"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// The one transfer product used: balance to an Alipay account.
const (
	transferProduct = "TRANS_ACCOUNT_NO_PWD"
	transferScene   = "DIRECT_TRANSFER"
)

// Limits of a transfer's texts, in characters.
const (
	maxTitle   = 128
	maxAccount = 100
	maxName    = 64
)

// Transfer implements channel.Transferer with alipay.fund.trans.uni.transfer;
// out_biz_no is what makes a resend harmless. The title is sent as the remark
// too, because large transfers are refused without one.
func (a *Adapter) Transfer(ctx context.Context, order channel.TransferOrder) (channel.TransferState, error) {
	if err := errors.Join(
		wire.CheckNumber("Number", order.Number),
		wire.CheckAmount("Amount", order.Amount),
		wire.CheckText("Title", order.Title, maxTitle),
		wire.CheckText("PayeeAccount", order.PayeeAccount, maxAccount),
		wire.CheckText("PayeeName", order.PayeeName, maxName),
	); err != nil {
		return channel.TransferState{}, err
	}
	amount, err := channel.FormatYuan(order.Amount)
	if err != nil {
		return channel.TransferState{}, err
	}
	var out struct {
		reply
		OutBizNo  string `json:"out_biz_no"`
		OrderID   string `json:"order_id"`
		Status    string `json:"status"`
		TransDate string `json:"trans_date"`
	}
	failure, err := a.call(ctx, "alipay.fund.trans.uni.transfer", "", fields{
		"out_biz_no":   order.Number,
		"trans_amount": amount,
		"product_code": transferProduct,
		"biz_scene":    transferScene,
		"order_title":  order.Title,
		"remark":       order.Title,
		"payee_info": map[string]string{
			"identity":      order.PayeeAccount,
			"identity_type": identityType(order.PayeeAccount),
			"name":          order.PayeeName,
		},
	}, &out)
	switch {
	case err != nil:
		return channel.TransferState{}, err
	case failure != nil:
		return channel.TransferState{Answer: unusable(failure)}, nil
	case out.Code != codeOK:
		return channel.TransferState{Answer: a.refusal(transfer, out.reply)}, nil
	case out.OutBizNo != order.Number:
		return channel.TransferState{Answer: mismatch("out_biz_no")}, nil
	}
	// The answer prints no amount; the one sent under this number stands.
	return readTransfer(channel.TransferState{
		Number: order.Number, ChannelTransferNo: out.OrderID, Amount: order.Amount, Fee: money.Fen(0),
	}, out.reply, out.Status, "", "", out.TransDate), nil
}

// QueryTransfer implements channel.Transferer with
// alipay.fund.trans.common.query.
func (a *Adapter) QueryTransfer(ctx context.Context, number string) (channel.TransferState, error) {
	if err := wire.CheckNumber("number", number); err != nil {
		return channel.TransferState{}, err
	}
	var out struct {
		reply
		OutBizNo    string `json:"out_biz_no"`
		OrderID     string `json:"order_id"`
		Status      string `json:"status"`
		TransAmount string `json:"trans_amount"`
		OrderFee    string `json:"order_fee"`
		PayDate     string `json:"pay_date"`
		ErrorCode   string `json:"error_code"`
		FailReason  string `json:"fail_reason"`
	}
	failure, err := a.call(ctx, "alipay.fund.trans.common.query", "", fields{
		"out_biz_no": number, "product_code": transferProduct, "biz_scene": transferScene,
	}, &out)
	switch {
	case err != nil:
		return channel.TransferState{}, err
	case failure != nil:
		return channel.TransferState{Answer: unusable(failure)}, nil
	case out.Code != codeOK:
		return channel.TransferState{Answer: a.refusal(transferQuery, out.reply)}, nil
	case out.OutBizNo != number:
		return channel.TransferState{Answer: mismatch("out_biz_no")}, nil
	}
	state := channel.TransferState{Number: number, ChannelTransferNo: out.OrderID, Fee: money.Fen(0)}
	if state.Amount, err = channel.ParseYuan(out.TransAmount); err != nil || !state.Amount.IsPositive() {
		return channel.TransferState{Answer: badBody("trans_amount")}, nil
	}
	if out.OrderFee != "" {
		if state.Fee, err = channel.ParseYuan(out.OrderFee); err != nil {
			return channel.TransferState{Answer: badBody("order_fee")}, nil
		}
	}
	return readTransfer(state, out.reply, out.Status, out.ErrorCode, out.FailReason, out.PayDate), nil
}

// readTransfer completes state by Alipay's status. REFUND is a transfer that
// was paid and came back: no money stays moved.
func readTransfer(state channel.TransferState, r reply, status, errorCode, failReason, paidAt string) channel.TransferState {
	state.Answer = channel.Answer{Code: status, Message: r.Msg}
	if errorCode != "" {
		state.Code, state.Message = errorCode, failReason
	}
	switch status {
	case "SUCCESS":
		at, err := parseTime(paidAt)
		if err != nil {
			return channel.TransferState{Answer: badBody("the time of payment")}
		}
		if state.ChannelTransferNo == "" {
			return channel.TransferState{Answer: badBody("order_id")}
		}
		state.Answer, state.PaidAt = accepted(r), at
	case "DEALING":
		state.Outcome = channel.Pending
	case "FAIL", "CLOSED":
		state.Outcome = channel.Failed
	case "REFUND":
		state.Answer = channel.Answer{Outcome: channel.Failed, Code: channel.CodeReturned, Message: errorCode + " " + failReason}
	default:
		return channel.TransferState{Answer: badBody("status")}
	}
	return state
}

// identityType tells a 2088… member number from a login (phone or mail).
func identityType(account string) string {
	if len(account) == 16 && account[:4] == "2088" && allDigits(account) {
		return "ALIPAY_USER_ID"
	}
	return "ALIPAY_LOGON_ID"
}

func allDigits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}
