package demo

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/suanpan/suanpan/client"
)

// giveback is one refund, and what must become of it.
type giveback struct {
	ref  string
	sale *sale
	fen  int64
	// fee is what the provider returns of its fee.
	fee int64

	refund client.Refund
}

// withdrawn is what the bookshop withdraws.
const withdrawn = 123_456

// afterwards does, side by side, what follows on payments: refunds, a
// withdrawal, and a payer who comes too late.
func (r *run) afterwards(ctx context.Context) error {
	return together(ctx, r.giveBack, r.withdraw, r.payLate)
}

// giveBack refunds a part, all, and in two odd parts; two of the providers'
// replies get lost.
func (r *run) giveBack(ctx context.Context) error {
	losing := map[string]string{alipay: "alipay.trade.refund", wechatpay: http.MethodPost + " /v3/refund/domestic/refunds"}
	var faults []string
	for channel, operation := range losing {
		id, err := r.sandbox.arm(ctx, lost(channel, operation))
		if err != nil {
			return err
		}
		faults = append(faults, id)
	}
	twoSteps := r.sale(saleTwoSteps)
	err := together(ctx,
		func(ctx context.Context) error { return r.refund(ctx, r.sale(saleLost), r.sale(saleLost).fen) },
		func(ctx context.Context) error {
			if err := r.refund(ctx, twoSteps, 3_333); err != nil {
				return err
			}
			return r.refund(ctx, twoSteps, twoSteps.fen-3_333)
		},
		func(ctx context.Context) error {
			for _, id := range faults { // these would take the faults away
				if err := r.sandbox.struck(ctx, id); err != nil {
					return err
				}
			}
			return together(ctx,
				func(ctx context.Context) error { return r.refund(ctx, r.sale(saleQuarter), r.sale(saleQuarter).fen/4) },
				func(ctx context.Context) error { return r.refund(ctx, r.sale(saleWhole), r.sale(saleWhole).fen) })
		})
	if err != nil {
		return err
	}
	r.say.done("5 refunds succeeded: a quarter, two of everything, one in two odd steps; 2 of the replies were lost")
	return nil
}

// refund gives fen of a sale back and waits until that has happened.
func (r *run) refund(ctx context.Context, s *sale, fen int64) error {
	g := &giveback{ref: "refund-" + s.ref, sale: s, fen: fen}
	rate := r.rates[s.channel]
	before := int64(0)
	r.mu.Lock()
	for _, earlier := range r.refunds {
		if earlier.sale == s {
			before += earlier.fen
			g.ref += "-again"
		}
	}
	if rate.returned {
		g.fee = feeBack(r.fee(s), before+fen, s.fen) - feeBack(r.fee(s), before, s.fen)
	}
	r.refunds = append(r.refunds, g)
	r.mu.Unlock()

	var err error
	g.refund, err = created[client.Refund](r.api.CreateRefundWithResponse(ctx, s.payment.ID,
		&client.CreateRefundParams{IdempotencyKey: r.key(g.ref)},
		client.CreateRefund{Reference: r.key(g.ref), Reason: "demo",
			Amount: client.PositiveAmount{Amount: fen, Currency: client.CurrencyCNY}}))
	if err == nil {
		err = r.refunded(ctx, g)
	}
	if err == nil {
		s.payment, err = got[client.Payment](r.api.GetPaymentWithResponse(ctx, s.payment.ID))
	}
	if err == nil {
		err = sameFen("what the payment says is refunded", before+fen, s.payment.Refunded.Amount)
	}
	if err != nil {
		return fmt.Errorf("%s of %s yuan: %w", g.ref, yuan(fen), err)
	}
	return nil
}

// refunded waits until a refund has succeeded.
func (r *run) refunded(ctx context.Context, g *giveback) error {
	err := await(ctx, "its status", func() (string, error) {
		var err error
		g.refund, err = got[client.Refund](r.api.GetRefundWithResponse(ctx, g.refund.ID))
		switch {
		case err != nil:
			return "", err
		case g.refund.Status == client.RefundStatusSucceeded:
			return "", nil
		case g.refund.Status == client.RefundStatusFailed:
			return "", fmt.Errorf("expected succeeded, got failed: %s", g.refund.Failure.Message)
		}
		return "it is processing" + because(g.refund.WaitingFor), nil
	})
	if err != nil {
		return err
	}
	return sameFen("its amount", g.fen, g.refund.Amount.Amount)
}

func because(waitingFor *string) string {
	if waitingFor == nil {
		return ""
	}
	return " (" + *waitingFor + ")"
}

// withdraw pays the bookshop's money out; the provider pays and its reply is lost.
func (r *run) withdraw(ctx context.Context) error {
	fault, err := r.sandbox.arm(ctx, lost(alipay, "alipay.fund.trans.uni.transfer"))
	if err != nil {
		return err
	}
	w, err := created[client.Withdrawal](r.api.CreateWithdrawalWithResponse(ctx,
		&client.CreateWithdrawalParams{IdempotencyKey: r.key("withdrawal")},
		client.CreateWithdrawal{MerchantID: r.stores[0].id, Reference: r.key("withdrawal"),
			Amount: client.PositiveAmount{Amount: withdrawn, Currency: client.CurrencyCNY}}))
	if err != nil {
		return fmt.Errorf("withdrawal: %w", err)
	}
	err = await(ctx, "the withdrawal", func() (string, error) {
		w, err = got[client.Withdrawal](r.api.GetWithdrawalWithResponse(ctx, w.ID))
		switch {
		case err != nil:
			return "", err
		case w.Status == client.WithdrawalStatusSucceeded:
			return "", nil
		case w.Status == client.WithdrawalStatusFailed:
			return "", fmt.Errorf("expected succeeded, got failed: %s", w.Failure.Message)
		}
		return "it is processing" + because(w.WaitingFor), nil
	})
	if err != nil {
		return err
	}
	if err := r.sandbox.struck(ctx, fault); err != nil {
		return err
	}
	if err := sameFen("the withdrawal", withdrawn, w.Amount.Amount); err != nil {
		return err
	}
	r.withdrawals = append(r.withdrawals, w)
	r.say.done("%s yuan withdrawn to the bookshop's Alipay account although the provider's reply was lost", yuan(withdrawn))
	return nil
}

// payLate moves the clocks past the expiry of the sale that nobody paid, sees it
// closed, pays it then, and sees the money given back.
func (r *run) payLate(ctx context.Context) error {
	s := r.sale(saleLate)
	code := *s.payment.NextAction.QrCode
	beyond := s.payment.ExpiresAt.Add(2 * time.Minute)
	if err := r.moveClocks(ctx, "expiry", beyond); err != nil {
		return err
	}
	if err := r.until(ctx, s, client.PaymentStatusClosed); err != nil {
		return fmt.Errorf("the payment nobody paid: %w", err)
	}
	var err error
	if s.number, err = r.sandbox.scan(ctx, code); err != nil {
		return err
	}
	if err := r.sandbox.pay(ctx, s.channel, s.number, true); err != nil {
		return err
	}
	err = await(ctx, "the late money", func() (string, error) {
		s.payment, err = got[client.Payment](r.api.GetPaymentWithResponse(ctx, s.payment.ID))
		if err != nil || len(s.payment.LatePayments) > 0 {
			return "", err
		}
		return "the payment does not show it", nil
	})
	if err != nil {
		return err
	}
	late := s.payment.LatePayments[0]
	g := &giveback{ref: "refund-late", sale: s, fen: s.fen, refund: client.Refund{ID: late.RefundID}}
	if r.rates[s.channel].returned {
		g.fee = r.fee(s)
	}
	if err := r.refunded(ctx, g); err != nil {
		return fmt.Errorf("the refund of the late money: %w", err)
	}
	for _, err := range []error{
		same("the status of the payment paid late", client.PaymentStatusClosed, s.payment.Status),
		sameFen("the late money", s.fen, late.Amount.Amount),
		same("the origin of its refund", client.RefundOriginLatePayment, g.refund.Origin),
	} {
		if err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.refunds = append(r.refunds, g)
	r.mu.Unlock()
	r.say.done("1 payment closed unpaid, paid %s later, and refunded by itself", late.PaidAt.Sub(s.payment.ExpiresAt).Round(time.Second))
	return nil
}
