package activities

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/pg"
)

// Reconciliations are the steps of comparing one provider day with our books.
type Reconciliations struct {
	DB       *pg.DB
	Channels Channels
	Rules    recon.Rules
	// Box seals bills.
	Box *secret.Box
}

// ReconciliationState is what a workflow knows of a reconciliation.
type ReconciliationState struct {
	Status  string `json:"status"`
	Final   bool   `json:"final"`
	Channel string `json:"channel"`
	// Stored: the day's bill is kept, or the provider says there were no trades.
	Stored      bool   `json:"stored"`
	ChannelCode string `json:"channel_code"`
	// Refused: the provider will not give this bill.
	Refused bool  `json:"refused"`
	Open    int64 `json:"open"`
}

func stateOf(r recon.Reconciliation, channelName string) ReconciliationState {
	state := ReconciliationState{
		Status:  string(r.Status),
		Final:   r.Status != recon.Processing,
		Channel: channelName,
		Stored:  r.BillVersion > 0,
	}
	if r.Report != nil {
		state.Open = r.Report.OpenCount
	}
	return state
}

func (a *Reconciliations) load(ctx context.Context, in accept.Ref) (r recon.Reconciliation, account tenant.ChannelAccount, err error) {
	err = a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		var err error
		if r, err = recon.Get(ctx, tx, in.Tenant, in.ID); err != nil {
			return err
		}
		account, err = tenant.GetChannelAccount(ctx, tx, in.Tenant, r.ChannelAccountID)
		return err
	})
	return r, account, err
}

// ReadReconciliation reads the state of a reconciliation.
func (a *Reconciliations) ReadReconciliation(ctx context.Context, in accept.Ref) (ReconciliationState, error) {
	r, account, err := a.load(ctx, in)
	return stateOf(r, account.Channel), err
}

// FetchBill downloads the day's bill, checks it and keeps it as evidence. A bill
// that is not ready, or an unusable answer, is noted as what the run waits for.
// Idempotent.
func (a *Reconciliations) FetchBill(ctx context.Context, in accept.Ref) (ReconciliationState, error) {
	r, account, err := a.load(ctx, in)
	if err != nil || r.Status != recon.Processing {
		return stateOf(r, account.Channel), err
	}
	adapter, err := a.Channels.Adapter(ctx, account)
	if err != nil {
		return ReconciliationState{}, err
	}
	bill, err := adapter.FetchTradeBill(ctx, r.Date)
	if err != nil {
		// A file that does not parse or add up may be replaced by the provider.
		bill = channel.BillResult{State: channel.BillUnknown, Answer: channel.Answer{
			Outcome: channel.Unknown, Code: channel.CodeBadBody, Message: err.Error()}}
	}
	err = a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		switch bill.State {
		case channel.BillReady, channel.BillEmpty:
			bill.Bill.Date = r.Date
			r, err = recon.StoreBill(ctx, tx, a.Box, in.Tenant, in.ID, bill.Bill)
			return err
		default:
			return recon.SetWaiting(ctx, tx, in.Tenant, in.ID, waitingForBill(account.Channel, bill))
		}
	})
	state := stateOf(r, account.Channel)
	state.ChannelCode = bill.Code
	state.Refused = bill.State == channel.BillRefused
	return state, err
}

func waitingForBill(channelName string, b channel.BillResult) string {
	switch {
	case b.State == channel.BillNotReady:
		return channelName + " has not made the bill yet; asking again"
	case b.Code == channel.CodeBadBody:
		return "the bill of " + channelName + " cannot be used: " + b.Message
	}
	return "no usable answer from " + channelName + " (" + b.Code + "); asking again"
}

// MatchBill compares the stored bill with our records, books what the rules
// allow, and ends the run as balanced or discrepant. Idempotent.
func (a *Reconciliations) MatchBill(ctx context.Context, in accept.Ref) (ReconciliationState, error) {
	_, account, err := a.load(ctx, in)
	if err != nil {
		return ReconciliationState{}, err
	}
	var finished recon.Finished
	err = a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		var err error
		finished, err = recon.Finish(ctx, tx, in.Tenant, in.ID, a.Rules)
		if err != nil || finished.Replayed {
			return err
		}
		kind := event.ReconciliationBalanced
		if finished.Reconciliation.Status == recon.Discrepant {
			kind = event.ReconciliationDiscrepant
		}
		return emit(ctx, tx, in.Tenant, kind, in.ID, string(finished.Reconciliation.Status))
	})
	return stateOf(finished.Reconciliation, account.Channel), err
}

// GiveUpReconciliation ends a run whose bill cannot be had, and says why.
// Nothing was booked; the day may be run again. Idempotent.
func (a *Reconciliations) GiveUpReconciliation(ctx context.Context, in accept.Ref, why string) (ReconciliationState, error) {
	_, account, err := a.load(ctx, in)
	if err != nil {
		return ReconciliationState{}, err
	}
	var r recon.Reconciliation
	err = a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		var err error
		r, err = recon.Fail(ctx, tx, in.Tenant, in.ID, why)
		return err
	})
	if err != nil {
		err = fmt.Errorf("give up reconciliation %s: %w", in.ID, err)
	}
	return stateOf(r, account.Channel), err
}
