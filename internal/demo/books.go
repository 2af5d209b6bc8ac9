package demo

import (
	"context"
	"fmt"
	"slices"

	"github.com/suanpan/suanpan/client"
)

// ourBooks are the tenant's books of all time beside the providers' own.
type ourBooks struct {
	trial client.TrialBalance
	// sides are by channel, in the order of channels.
	sides []bothSides
	// byStatus counts this tenant's objects: kind, channel and status.
	byStatus []statusCount
}

// bothSides is one channel as we and as the provider see it.
type bothSides struct {
	channel      string
	ours, theirs flows
	// balance is what the provider owes us by its own file.
	balance int64
	// held is what our books have at the provider; adjusted what reconciliation
	// booked because bills said that more fees were taken.
	held, adjusted int64
}

// statusCount is a line of the table of what was done.
type statusCount struct {
	kind, channel, status string
	tally                 tally
}

// readBooks reads everything that the tenant ever did.
func (r *run) readBooks(ctx context.Context) (*ourBooks, error) {
	b := &ourBooks{}
	for _, channel := range []string{alipay, wechatpay} {
		side, err := r.readSide(ctx, channel)
		if err != nil {
			return nil, err
		}
		b.sides = append(b.sides, side)
	}
	channels, err := r.addPayments(ctx, b)
	if err != nil {
		return nil, err
	}
	if err := r.addRefunds(ctx, b, channels); err != nil {
		return nil, err
	}
	if err := r.addWithdrawals(ctx, b); err != nil {
		return nil, err
	}
	b.trial, err = got[client.TrialBalance](r.api.GetTrialBalanceWithResponse(ctx))
	return b, err
}

// side finds the side of a channel.
func (b *ourBooks) side(channel string) *bothSides {
	return &b.sides[slices.IndexFunc(b.sides, func(s bothSides) bool { return s.channel == channel })]
}

// count adds an object to the table by status.
func (b *ourBooks) count(kind, channel, status string, fen int64) {
	at := slices.IndexFunc(b.byStatus, func(c statusCount) bool {
		return c.kind == kind && c.channel == channel && c.status == status
	})
	if at < 0 {
		b.byStatus = append(b.byStatus, statusCount{kind: kind, channel: channel, status: status})
		at = len(b.byStatus) - 1
	}
	b.byStatus[at].tally.add(fen)
}

// readSide reads the provider's file and our accounts at the provider.
func (r *run) readSide(ctx context.Context, channel string) (bothSides, error) {
	side := bothSides{channel: channel}
	movements, err := r.sandbox.movements(ctx, channel, r.rates[channel].merchant)
	if err != nil {
		return side, err
	}
	for _, m := range movements {
		side.theirs.add(m)
		side.balance += m.Amount
	}
	accounts, err := r.accounts(ctx, r.rates[channel].accountID)
	if err != nil {
		return side, err
	}
	side.held = accounts[client.AccountTypeChannelUnsettled].Posted.Amount + accounts[client.AccountTypeChannelBalance].Posted.Amount
	side.adjusted, err = r.adjustments(ctx, r.rates[channel].accountID)
	return side, err
}

// adjustments sums up the fee differences that reconciliation booked. A day
// that was reconciled again shows a difference again; the latest run counts.
func (r *run) adjustments(ctx context.Context, accountID string) (int64, error) {
	list, err := all(func(cursor *string) ([]client.Discrepancy, *string, error) {
		page, err := got[client.DiscrepancyPage](r.api.ListDiscrepanciesWithResponse(ctx, &client.ListDiscrepanciesParams{
			ChannelAccountID: &accountID, Status: ptr(client.DiscrepancyStatusAdjusted), Limit: ptr(100), Cursor: cursor}))
		return page.Data, page.NextCursor, err
	})
	if err != nil {
		return 0, err
	}
	sum, seen := int64(0), map[string]bool{}
	for _, d := range list {
		if seen[d.Number] {
			continue
		}
		seen[d.Number] = true
		off, err := feeOff(d)
		if err != nil {
			return 0, fmt.Errorf("the adjusted difference on %s: %w", d.Number, err)
		}
		sum += off
	}
	return sum, nil
}

// addPayments counts all payments, and tells each one's channel.
func (r *run) addPayments(ctx context.Context, b *ourBooks) (map[string]string, error) {
	list, err := all(func(cursor *string) ([]client.Payment, *string, error) {
		page, err := got[client.PaymentPage](r.api.ListPaymentsWithResponse(ctx,
			&client.ListPaymentsParams{Limit: ptr(100), Cursor: cursor}))
		return page.Data, page.NextCursor, err
	})
	channels := map[string]string{}
	for _, p := range list {
		if p.Method == nil { // its payer never chose one, so no provider has heard of it
			b.count("payment", "–", string(p.Status), p.Amount.Amount)
			continue
		}
		channel := string(p.Method.Channel)
		channels[p.ID] = channel
		side := b.side(channel)
		status := string(p.Status)
		if p.Status == client.PaymentStatusSucceeded || len(p.LatePayments) > 0 {
			side.ours.payments.add(p.Amount.Amount)
			addFee(&side.ours.feesTaken, percentHalfUp(p.Amount.Amount, r.rates[channel].basisPoints))
		}
		if len(p.LatePayments) > 0 {
			status += ", paid late"
		}
		b.count("payment", channel, status, p.Amount.Amount)
	}
	return channels, err
}

// addRefunds counts all refunds; channels tells the payments' channels.
func (r *run) addRefunds(ctx context.Context, b *ourBooks, channels map[string]string) error {
	list, err := all(func(cursor *string) ([]client.Refund, *string, error) {
		page, err := got[client.RefundPage](r.api.ListRefundsWithResponse(ctx,
			&client.ListRefundsParams{Limit: ptr(100), Cursor: cursor}))
		return page.Data, page.NextCursor, err
	})
	if err != nil {
		return err
	}
	for _, refund := range list {
		channel, known := channels[refund.PaymentID]
		if !known {
			return fmt.Errorf("refund %s is of a payment that the list of payments lacks", refund.ID)
		}
		if refund.Status == client.RefundStatusSucceeded {
			b.side(channel).ours.refunds.add(refund.Amount.Amount)
		}
		kind := "refund"
		if refund.Origin == client.RefundOriginLatePayment {
			kind = "refund of late money"
		}
		b.count(kind, channel, string(refund.Status), refund.Amount.Amount)
	}
	return nil
}

func (r *run) addWithdrawals(ctx context.Context, b *ourBooks) error {
	list, err := all(func(cursor *string) ([]client.Withdrawal, *string, error) {
		page, err := got[client.WithdrawalPage](r.api.ListWithdrawalsWithResponse(ctx,
			&client.ListWithdrawalsParams{Limit: ptr(100), Cursor: cursor}))
		return page.Data, page.NextCursor, err
	})
	for _, w := range list {
		if w.Status == client.WithdrawalStatusSucceeded {
			b.side(string(w.Channel)).ours.transfers.add(w.Amount.Amount)
		}
		b.count("withdrawal", string(w.Channel), string(w.Status), w.Amount.Amount)
	}
	return err
}

// check compares the two sides, for all time.
func (b *ourBooks) check() error {
	expense := int64(0)
	for _, s := range b.sides {
		if err := s.check(); err != nil {
			return err
		}
		expense += s.theirs.feesTaken.fen - s.theirs.feesReturned.fen + s.adjusted
	}
	debit, credit := map[client.AccountType]int64{}, map[client.AccountType]int64{}
	for _, line := range b.trial.Lines {
		debit[line.Type] += line.Debit
		credit[line.Type] += line.Credit
	}
	net := func(kind client.AccountType) int64 { return debit[kind] - credit[kind] }
	for _, total := range b.trial.Totals {
		if err := sameFen("debits and credits of the book "+string(total.Book), total.Debit, total.Credit); err != nil {
			return err
		}
	}
	for _, err := range []error{
		same("whether the trial balance is balanced", true, b.trial.Balanced),
		sameFen("channel fees, which the providers' file gives", expense, net(client.AccountTypeChannelFeeExpense)),
		sameFen("money of nobody", 0, net(client.AccountTypeUnidentifiedReceipts)),
		sameFen("payouts in transit", 0, net(client.AccountTypePayoutInTransit)),
		sameFen("our claim on custody and its mirror", net(client.AccountTypeCustodyClaim), -net(client.AccountTypeOwnStakeInCustody)),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s bothSides) check() error {
	for _, c := range s.lines() {
		what := fmt.Sprintf("%s at %s of all time, which the provider's file gives", c.what, s.channel)
		if err := same(what, c.theirs, c.ours); err != nil {
			return err
		}
	}
	return sameFen("the money at "+s.channel+", which the provider's balance less booked adjustments gives",
		s.balance-s.adjusted, s.held)
}

// comparison is one line of the comparison with a provider.
type comparison struct {
	what         string
	ours, theirs tally
}

// lines are what both sides count. Which fees came back with refunds only the
// sum of all fees tells, on our side.
func (s bothSides) lines() []comparison {
	return []comparison{
		{"payments", s.ours.payments, s.theirs.payments},
		{"refunds", s.ours.refunds, s.theirs.refunds},
		{"transfers", s.ours.transfers, s.theirs.transfers},
		{"fees taken", s.ours.feesTaken, s.theirs.feesTaken},
	}
}
