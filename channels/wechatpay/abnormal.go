package wechatpay

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/wechatpay-apiv3/wechatpay-go/utils"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

var (
	// refundID is the provider's number of a refund; it goes into a path.
	refundID = regexp.MustCompile(`^[0-9A-Za-z]{1,64}$`)
	// bankType is the provider's name of a bank, such as ICBC_DEBIT.
	bankType = regexp.MustCompile(`^[A-Z0-9_]{2,32}$`)
	bankCard = regexp.MustCompile(`^[0-9]{8,32}$`)
)

// redirectOrder is the body that sends an abnormal refund another way.
type redirectOrder struct {
	SubMchID    string `json:"sub_mchid,omitempty"`
	OutRefundNo string `json:"out_refund_no"`
	Type        string `json:"type"`
	BankType    string `json:"bank_type,omitempty"`
	// BankAccount and RealName are encrypted with WeChat Pay's key.
	BankAccount string `json:"bank_account,omitempty"`
	RealName    string `json:"real_name,omitempty"`
}

// RedirectRefund implements channel.AbnormalRefunder. Card and holder leave this
// process only encrypted with WeChat Pay's key (RSA-OAEP).
func (a *Adapter) RedirectRefund(ctx context.Context, order channel.AbnormalRefund) (channel.RefundState, error) {
	if err := errors.Join(wire.CheckRefund(order.RefundOrder), checkRoute(order)); err != nil {
		return channel.RefundState{}, err
	}
	if err := ctx.Err(); err != nil {
		return channel.RefundState{}, fmt.Errorf("wechatpay: nothing was sent: %w", err)
	}
	body := redirectOrder{SubMchID: a.subMchID, OutRefundNo: order.Number, Type: "MERCHANT_BANK_CARD"}
	if !order.ToMerchant {
		body.Type, body.BankType = "USER_BANK_CARD", order.Bank
		if err := a.platform.ensure(ctx); err != nil {
			return channel.RefundState{Answer: channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNotSent, Message: err.Error()}}, nil
		}
		var err error
		body.BankAccount, err = a.encrypt(ctx, order.Card)
		if err == nil {
			body.RealName, err = a.encrypt(ctx, order.Holder)
		}
		if err != nil {
			return channel.RefundState{}, errors.New("wechatpay: Card or Holder cannot be encrypted")
		}
	}
	var out refundAnswer
	refused, err := a.post(ctx, "/v3/refund/domestic/refunds/"+order.ChannelRefundNo+"/apply-abnormal-refund", body, &out)
	switch {
	case err != nil:
		return channel.RefundState{}, err
	case refused == nil:
		return readRefund(order.RefundOrder, out), nil
	}
	answer := a.judge(redirect, refused)
	if answer.Outcome == channel.Failed {
		return a.surelyNotRedirected(ctx, order, answer)
	}
	return channel.RefundState{Answer: answer}, nil
}

// surelyNotRedirected believes a refusal, which has no signature, only if the
// refund verifiably still waits for somebody to send it another way.
func (a *Adapter) surelyNotRedirected(ctx context.Context, order channel.AbnormalRefund, refused channel.Answer) (channel.RefundState, error) {
	found, err := a.QueryRefund(ctx, order.RefundOrder)
	switch {
	case err == nil && (found.Code == channel.CodeAbnormal || found.Code == channel.CodeNotFound):
		return channel.RefundState{Answer: refused}, nil
	case err == nil && found.Outcome != channel.Unknown:
		return found, nil
	}
	refused.Outcome, refused.Message = channel.Unknown, refused.Message+" (a query could not confirm it)"
	return channel.RefundState{Answer: refused}, nil
}

func checkRoute(order channel.AbnormalRefund) error {
	if !refundID.MatchString(order.ChannelRefundNo) {
		return errors.New("ChannelRefundNo: not a number of WeChat Pay")
	}
	if order.ToMerchant {
		return nil
	}
	switch {
	case !bankType.MatchString(order.Bank):
		return errors.New("AbnormalRefund.Bank: not a bank type of WeChat Pay, such as ICBC_DEBIT")
	case !bankCard.MatchString(order.Card):
		return errors.New("AbnormalRefund.Card: not 8 to 32 digits")
	}
	return wire.CheckText("Holder", order.Holder, 64)
}

// encrypt seals text for WeChat Pay with the key that Wechatpay-Serial names:
// the public key, or else the newest platform certificate.
func (a *Adapter) encrypt(ctx context.Context, text string) (string, error) {
	if a.publicKey != nil {
		return utils.EncryptOAEPWithPublicKey(text, a.publicKey)
	}
	certificate, ok := a.platform.find(ctx, a.platform.GetNewestSerial(ctx))
	if !ok {
		return "", errors.New("no platform certificate is in force")
	}
	return utils.EncryptOAEPWithCertificate(text, certificate)
}
