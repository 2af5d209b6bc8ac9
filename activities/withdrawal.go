package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/temporal"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/pg"
)

// Withdrawals are the steps of paying a merchant's money out.
type Withdrawals struct {
	DB       *pg.DB
	Channels Channels
	// Box opens who is paid.
	Box *secret.Box
	// RepeatWindow is how long after it was first sent an order may be sent again under its
	// number; 0 for ever.
	RepeatWindow time.Duration
}

// paying is a withdrawal with what is needed to talk about it to its provider.
type paying struct {
	payout.Withdrawal
	payee   party.SealedPayoutAccount
	account tenant.ChannelAccount
	adapter channel.Transferer
}

// load is find, held to what was recorded when the number was minted.
func (a *Withdrawals) load(ctx context.Context, in accept.Ref) (paying, error) {
	w, err := a.find(ctx, in)
	if err != nil {
		return w, err
	}
	if err := w.CheckFrozen(w.payee); err != nil {
		return w, fmt.Errorf("withdrawal %s: %w", w.ID, err)
	}
	return w, nil
}

func (a *Withdrawals) find(ctx context.Context, in accept.Ref) (paying, error) {
	var w paying
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		var err error
		if w.Withdrawal, err = payout.Get(ctx, tx, in.Tenant, in.ID); err != nil {
			return err
		}
		if w.payee, err = party.PayoutAccountOf(ctx, tx, in.Tenant, w.MerchantID); err != nil {
			return err
		}
		w.account, err = tenant.GetChannelAccount(ctx, tx, in.Tenant, w.ChannelAccountID)
		return err
	})
	if err != nil {
		return w, err
	}
	adapter, err := a.Channels.Adapter(ctx, w.account)
	if err != nil {
		return w, err
	}
	transferer, ok := adapter.(channel.Transferer)
	if !ok {
		return w, temporal.NewApplicationError("channel "+w.Channel+" cannot transfer", "NoTransfer")
	}
	w.adapter = transferer
	return w, nil
}

func (w paying) state(o Outcome, code string) MovingState {
	return MovingState{
		Status:      string(w.Status),
		Final:       w.Status != payout.Processing,
		Channel:     w.Channel,
		Outcome:     o,
		ChannelCode: code,
	}
}

// ReadWithdrawal reads the state of a withdrawal.
func (a *Withdrawals) ReadWithdrawal(ctx context.Context, in accept.Ref) (MovingState, error) {
	w, err := a.load(ctx, in)
	return w.state("", ""), err
}

// SendWithdrawal asks the provider to pay the payee and books what it answers. A
// withdrawal that may have been sent before is sent only if again is true, and
// then identically: else the answer is Unknown and a query must tell.
func (a *Withdrawals) SendWithdrawal(ctx context.Context, in accept.Ref, again bool) (MovingState, error) {
	w, err := a.load(ctx, in)
	if err != nil || w.Status != payout.Processing {
		return w.state(Done, ""), err
	}
	if w.Sent && !again {
		return w.state(Unknown, "SENT_BEFORE"), nil
	}
	if w.Unresolved != nil || repeatOver(w.SentAt, a.RepeatWindow) {
		return a.learn(ctx, in, w, channel.TransferState{Answer: notSentAgain()})
	}
	payee, err := a.sending(ctx, in, w)
	if errors.Is(err, party.ErrForgotten) {
		return a.payeeForgotten(ctx, in, w)
	}
	if err != nil {
		return MovingState{}, err
	}
	answer, err := w.adapter.Transfer(ctx, channel.TransferOrder{
		Number:       w.Number,
		Amount:       w.Amount,
		PayeeAccount: payee.Account,
		PayeeName:    payee.Name,
		Title:        "Withdrawal",
	})
	if err != nil {
		return MovingState{}, fmt.Errorf("send withdrawal %s: %w", w.ID, err)
	}
	return a.learn(ctx, in, w, answer)
}

// sending commits that the order is about to be sent, and opens to whom: from then on the
// payee cannot be forgotten until the withdrawal is final.
func (a *Withdrawals) sending(ctx context.Context, in accept.Ref, w paying) (payee party.PayoutAccount, err error) {
	err = a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		sealed, err := party.PayoutAccountToSend(ctx, tx, in.Tenant, w.MerchantID)
		if err != nil {
			return err
		}
		if err := w.CheckFrozen(sealed); err != nil {
			return fmt.Errorf("withdrawal %s: %w", w.ID, err)
		}
		if payee, err = sealed.Open(ctx, tx, a.Box); err != nil {
			return fmt.Errorf("withdrawal %s: %w", w.ID, err)
		}
		return payout.Sending(ctx, tx, in.Tenant, in.ID)
	})
	return payee, err
}

// payeeForgotten ends a withdrawal that was never sent and has nobody to go to: the
// merchant has the money back.
func (a *Withdrawals) payeeForgotten(ctx context.Context, in accept.Ref, w paying) (MovingState, error) {
	if w.Sent {
		return w.state(Unknown, "PAYEE_FORGOTTEN"), nil
	}
	return a.change(ctx, in, w, Done, "", func(tx pgx.Tx, now *payout.Withdrawal) error {
		if now.Sent {
			return nil
		}
		return bookNotPaidOut(ctx, tx, in.Tenant, now, payment.Failure{Code: party.CodePayeeForgotten,
			Message: "The payee was forgotten before the money was sent; the merchant has it back."})
	})
}

// QueryWithdrawal asks the provider about the transfer by our number and books
// what it answers. Idempotent.
func (a *Withdrawals) QueryWithdrawal(ctx context.Context, in accept.Ref) (MovingState, error) {
	w, err := a.load(ctx, in)
	if err != nil || w.Status != payout.Processing {
		return w.state(Done, ""), err
	}
	answer, err := w.adapter.QueryTransfer(ctx, w.Number)
	if err != nil {
		return MovingState{}, fmt.Errorf("query withdrawal %s: %w", w.ID, err)
	}
	return a.learn(ctx, in, w, answer)
}

// learn books what the provider has taken or done, and otherwise notes what the
// withdrawal waits for.
func (a *Withdrawals) learn(ctx context.Context, in accept.Ref, w paying, answer channel.TransferState) (MovingState, error) {
	if answer.Outcome == channel.Succeeded && answer.Amount != w.Amount {
		answer.Answer = contradiction(ctx, answer.Answer, w.ID, w.Amount, answer.Amount)
	}
	if w.decided(answer.Answer) != "" {
		return a.carryOut(ctx, in, w, answer.Answer)
	}
	switch answer.Outcome {
	case channel.Succeeded:
		return a.change(ctx, in, w, Done, answer.Code, func(tx pgx.Tx, now *payout.Withdrawal) error {
			return bookPaidOut(ctx, tx, in.Tenant, now, answer)
		})
	case channel.Pending:
		if answer.Code == channel.CodeChannelBalance {
			break
		}
		return a.change(ctx, in, w, Pending, answer.Code, func(tx pgx.Tx, now *payout.Withdrawal) error {
			return bookAccepted(ctx, tx, in.Tenant, *now, w.Channel)
		})
	}
	state := w.state(outcome(answer.Answer), answer.Code)
	return state, a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		why, err := noteUnresolved(ctx, tx, in, w.undecided(ctx, in), answer.Answer)
		if err != nil {
			return err
		}
		return payout.Waiting(ctx, tx, in.Tenant, in.ID, why)
	})
}

// RefuseWithdrawal asks the provider once more after a refusal. If it still
// knows of no transfer under our number, or says that it failed, the merchant
// has the money back; if it says otherwise, that is believed instead. Idempotent.
func (a *Withdrawals) RefuseWithdrawal(ctx context.Context, in accept.Ref, refusal MovingState) (MovingState, error) {
	w, err := a.load(ctx, in)
	if err != nil || w.Status != payout.Processing {
		return w.state(Done, ""), err
	}
	answer, err := w.adapter.QueryTransfer(ctx, w.Number)
	if err != nil {
		return MovingState{}, fmt.Errorf("confirm refusal of withdrawal %s: %w", w.ID, err)
	}
	if answer.Outcome != channel.Failed {
		return a.learn(ctx, in, w, answer)
	}
	return a.change(ctx, in, w, Done, refusal.ChannelCode, func(tx pgx.Tx, now *payout.Withdrawal) error {
		return bookNotPaidOut(ctx, tx, in.Tenant, now, payment.Failure{
			Code: "channel_refused", ChannelCode: refusal.ChannelCode,
			Message: w.Channel + " refused the transfer with " + refusal.ChannelCode,
		})
	})
}

// change runs fn on the locked withdrawal unless it is final already, and
// returns the state after it.
func (a *Withdrawals) change(
	ctx context.Context, in accept.Ref, w paying, o Outcome, code string, fn func(pgx.Tx, *payout.Withdrawal) error,
) (MovingState, error) {
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		now, err := payout.Lock(ctx, tx, in.Tenant, in.ID)
		if err != nil {
			return err
		}
		if now.Status == payout.Processing {
			err = fn(tx, &now)
		}
		w.Withdrawal = now
		return err
	})
	return w.state(o, code), err
}
