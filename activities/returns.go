package activities

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/clock"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/ledger"
)

// ReturnStatus says what a look for money that may have come back has found.
type ReturnStatus string

const (
	// Returned: it came back, and that is booked.
	Returned ReturnStatus = "returned"
	// Standing: the provider says that it is where it went.
	Standing ReturnStatus = "standing"
	// Unclear: there was no usable answer.
	Unclear ReturnStatus = "unclear"
)

// ReturnState is what a workflow knows of money that was paid and may have come
// back. As with the other states, no field may be left out of its JSON.
type ReturnState struct {
	Status      ReturnStatus `json:"status"`
	Channel     string       `json:"channel"`
	ChannelCode string       `json:"channel_code"`
}

// ReadPaidWithdrawal reads whether a withdrawal that was paid is known to have come
// back.
func (a *Withdrawals) ReadPaidWithdrawal(ctx context.Context, in accept.Ref) (ReturnState, error) {
	w, err := a.find(ctx, in)
	return w.returnState(Unclear, ""), err
}

// FindReturnedWithdrawal asks the provider whether a withdrawal that was paid has come
// back from the payee's bank (退票), and books it if so: the payment stays booked, and
// the merchant has the money again by another entry. Idempotent.
func (a *Withdrawals) FindReturnedWithdrawal(ctx context.Context, in accept.Ref) (ReturnState, error) {
	w, err := a.find(ctx, in)
	if err != nil || w.Status != payout.Succeeded {
		return w.returnState(Unclear, ""), err
	}
	answer, err := w.adapter.QueryTransfer(ctx, w.Number)
	if err != nil {
		return ReturnState{}, fmt.Errorf("look for a return of withdrawal %s: %w", w.ID, err)
	}
	cameBack := answer.Outcome == channel.Failed && answer.Code == channel.CodeReturned
	switch {
	case (cameBack || answer.Outcome == channel.Succeeded) && answer.Amount != w.Amount:
		unknown := contradiction(ctx, answer.Answer, w.ID, w.Amount, answer.Amount)
		return w.returnState(Unclear, unknown.Code), nil
	case answer.Outcome == channel.Succeeded:
		return w.returnState(Standing, answer.Code), nil
	case !cameBack:
		return w.returnState(Unclear, answer.Code), nil
	}
	err = a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		now, err := payout.Lock(ctx, tx, in.Tenant, in.ID)
		if err == nil && now.Status == payout.Succeeded {
			err = bookWithdrawalReturned(ctx, tx, in.Tenant, &now, answer)
		}
		w.Withdrawal = now
		return err
	})
	return w.returnState(Unclear, answer.Code), err
}

// returnState is what is known of w, or found where that is nothing yet.
func (w paying) returnState(found ReturnStatus, code string) ReturnState {
	if w.Status == payout.Returned {
		found = Returned
	}
	return ReturnState{Status: found, Channel: w.Channel, ChannelCode: code}
}

// bookWithdrawalReturned books that a withdrawal came back after it was paid.
func bookWithdrawalReturned(
	ctx context.Context, tx pgx.Tx, tenantID string, w *payout.Withdrawal, answer channel.TransferState,
) error {
	now, err := clock.Now(ctx, tx)
	if err != nil {
		return err
	}
	err = payout.ReturnedNow(ctx, tx, tenantID, *w, payment.Failure{
		Code: "bank_returned", ChannelCode: answer.Code,
		Message: "The payee's bank sent the money back: " + answer.Message})
	if err != nil {
		return err
	}
	w.Status = payout.Returned
	if _, err := ledger.Post(ctx, tx, tenantID, books.PayoutReturned(payoutOf(*w, dayOf(now)))...); err != nil {
		return err
	}
	return emit(ctx, tx, tenantID, event.WithdrawalReturned, w.ID, string(w.Status))
}

// ReadPaidRefund reads whether a refund that was paid is known to have come back.
func (a *Refunds) ReadPaidRefund(ctx context.Context, in accept.Ref) (ReturnState, error) {
	r, err := a.load(ctx, in)
	return r.returnState(Unclear, ""), err
}

// FindReturnedRefund asks the provider whether a refund that was paid has come back
// from the payer's bank, and books it if so: what was booked stays, and the money waits
// at the provider until the tenant says where it goes. Idempotent.
func (a *Refunds) FindReturnedRefund(ctx context.Context, in accept.Ref) (ReturnState, error) {
	r, err := a.load(ctx, in)
	if err != nil || r.Status != refund.Succeeded {
		return r.returnState(Unclear, ""), err
	}
	answer, err := r.adapter.QueryRefund(ctx, r.order(""))
	if err != nil {
		return ReturnState{}, fmt.Errorf("look for a return of refund %s: %w", r.ID, err)
	}
	switch {
	case answer.Outcome == channel.Succeeded && answer.Amount == r.Amount:
		return r.returnState(Standing, answer.Code), nil
	case answer.Outcome == channel.Failed:
		logger(ctx).Error("a provider says of a refund that it had paid that there is none; nothing is booked",
			"object", r.ID, "code", answer.Code)
		return r.returnState(Unclear, answer.Code), nil
	case answer.Outcome != channel.Pending || answer.Code != channel.CodeAbnormal:
		return r.returnState(Unclear, answer.Code), nil
	}
	err = a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		now, err := refund.Lock(ctx, tx, in.Tenant, in.ID)
		if err == nil && now.Status == refund.Succeeded {
			err = bookRefundReturned(ctx, tx, in.Tenant, &now, r.payment)
		}
		r.Refund = now
		return err
	})
	return r.returnState(Unclear, answer.Code), err
}

func (r refunding) returnState(found ReturnStatus, code string) ReturnState {
	if r.Status == refund.Returned {
		found = Returned
	}
	return ReturnState{Status: found, Channel: r.payment.Attempt.Channel, ChannelCode: code}
}

// mayReturn reports whether a payer's bank can send the refund back later. Where
// abnormal refunds wait for a destination, it can; Alipay pays the payer's balance then.
func (r refunding) mayReturn() bool {
	_, can := r.adapter.(channel.AbnormalRefunder)
	return can
}

// afterItCameBack says what an answer means for a refund that came back: that it was
// paid when it was, is old news, and a refusal is left to a person.
func (r refunding) afterItCameBack(ctx context.Context, answer channel.RefundState) channel.Answer {
	switch {
	case answer.Outcome == channel.Succeeded && answer.RefundedAt.Equal(*r.PaidLastAt()):
		return channel.Answer{Outcome: channel.Unknown, Code: "OLD_NEWS", Message: "the answer is from before it came back"}
	case answer.Outcome == channel.Failed:
		logger(ctx).Error("a provider says of a refund that came back that there is none; nothing is booked",
			"object", r.ID, "code", answer.Code)
		return channel.Answer{Outcome: channel.Unknown, Code: answer.Code, Message: answer.Message}
	}
	return answer.Answer
}

// bookRefundReturned books that a refund came back after it was paid.
func bookRefundReturned(ctx context.Context, tx pgx.Tx, tenantID string, r *refund.Refund, p payment.Payment) error {
	if err := refund.ReturnedNow(ctx, tx, tenantID, r, p); err != nil {
		return err
	}
	now, err := clock.Now(ctx, tx)
	if err != nil {
		return err
	}
	if _, err := ledger.Post(ctx, tx, tenantID, books.RefundReturned(sentBack(*r, p, dayOf(now)))...); err != nil {
		return err
	}
	return emit(ctx, tx, tenantID, event.RefundReturned, r.ID, string(r.Status))
}

// sentOn books that the provider paid a refund that had come back where it was told to.
func (a *Refunds) sentOn(ctx context.Context, in accept.Ref, r refunding, answer channel.RefundState) (MovingState, error) {
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		now, err := refund.Lock(ctx, tx, in.Tenant, in.ID)
		if err == nil && now.Status == refund.Returned {
			err = bookSentOn(ctx, tx, in.Tenant, &now, r.payment, answer)
		}
		r.Refund = now
		return err
	})
	return r.state(Done, ""), err
}

func bookSentOn(
	ctx context.Context, tx pgx.Tx, tenantID string, r *refund.Refund, p payment.Payment, answer channel.RefundState,
) error {
	if err := refund.SentOnNow(ctx, tx, tenantID, *r, answer.RefundedAt); err != nil {
		return err
	}
	r.Status = refund.Succeeded
	if _, err := ledger.Post(ctx, tx, tenantID, books.RefundSentOn(sentBack(*r, p, dayOf(answer.RefundedAt)))...); err != nil {
		return err
	}
	return emit(ctx, tx, tenantID, event.RefundSucceeded, r.ID, string(r.Status))
}

func sentBack(r refund.Refund, p payment.Payment, day string) books.ReturnedRefund {
	return books.ReturnedRefund{Refund: r.ID, Turn: r.Returns, ChannelAccount: p.Attempt.ChannelAccountID, Amount: r.Amount, ChannelDate: day}
}
