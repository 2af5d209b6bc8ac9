package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/suanpan/suanpan/client"
)

// check holds the books against the program and against the providers' own
// books, and then prints everything.
func (r *run) check(ctx context.Context) error {
	r.say.count("comparing the books")
	balances, err := r.checkBalances(ctx)
	if err != nil {
		return err
	}
	if err := r.checkFlows(ctx); err != nil {
		return err
	}
	var books *ourBooks
	// What an interrupted run left in flight may still be moving.
	err = insist(ctx, 15*time.Second, func() error {
		var err error
		if books, err = r.readBooks(ctx); err == nil {
			err = books.check()
		}
		return err
	})
	if err != nil {
		return err
	}
	events, err := r.checkEvents(ctx)
	if err != nil {
		return err
	}
	if err := r.unsubscribe(ctx, r.endpoint); err != nil {
		return err
	}
	r.say.done("every figure agrees: the program, our books, the providers' books")
	r.report(balances, books, events)
	return nil
}

// insist repeats do until it succeeds or the time is over.
func insist(ctx context.Context, atMost time.Duration, do func() error) error {
	deadline := time.Now().Add(atMost)
	for {
		err := do()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if paused := pause(ctx, lookAgain); paused != nil {
			return err
		}
	}
}

// accounts reads the accounts of one owner, by type.
func (r *run) accounts(ctx context.Context, owner string) (map[client.AccountType]client.Account, error) {
	list, err := all(func(cursor *string) ([]client.Account, *string, error) {
		page, err := got[client.AccountPage](r.api.ListAccountsWithResponse(ctx,
			&client.ListAccountsParams{Owner: &owner, Limit: ptr(100), Cursor: cursor}))
		return page.Data, page.NextCursor, err
	})
	byType := map[client.AccountType]client.Account{}
	for _, a := range list {
		byType[a.Type] = a
	}
	return byType, err
}

// checkBalances compares the merchants' accounts with the program.
func (r *run) checkBalances(ctx context.Context) ([]balance, error) {
	expected, err := r.expectedBalances()
	if err != nil {
		return nil, err
	}
	for _, b := range expected {
		accounts, err := r.accounts(ctx, b.id)
		if err != nil {
			return nil, err
		}
		available := accounts[client.AccountTypeMerchantAvailable]
		for _, err := range []error{
			sameFen("pending money of "+b.name, 0, accounts[client.AccountTypeMerchantPending].Posted.Amount),
			sameFen("balance of "+b.name, b.available, available.Posted.Amount),
			sameFen("held money of "+b.name, 0, available.Held.Amount),
		} {
			if err != nil {
				return nil, err
			}
		}
	}
	return expected, nil
}

// checkFlows compares what this run moved at the providers, by their own books,
// with the program.
func (r *run) checkFlows(ctx context.Context) error {
	for _, channel := range []string{alipay, wechatpay} {
		movements, err := r.sandbox.movements(ctx, channel, r.rates[channel].merchant)
		if err != nil {
			return err
		}
		expected, moved := r.expectedFlows(channel), r.ourMovements(channel, movements)
		for _, c := range []struct {
			what          string
			expected, got tally
		}{
			{"payments", expected.payments, moved.payments}, {"refunds", expected.refunds, moved.refunds},
			{"transfers", expected.transfers, moved.transfers}, {"fees taken", expected.feesTaken, moved.feesTaken},
			{"fees returned", expected.feesReturned, moved.feesReturned},
		} {
			if err := same(fmt.Sprintf("this run's %s in the books of %s", c.what, channel), c.expected, c.got); err != nil {
				return err
			}
		}
	}
	return nil
}

// ourMovements adds up the movements that belong to this run.
func (r *run) ourMovements(channel string, movements []movement) flows {
	ours := map[string]bool{}
	for _, s := range r.sales {
		ours[s.number] = s.channel == channel
	}
	var f flows
	for _, m := range movements {
		withdrawal := slices.ContainsFunc(r.withdrawals, func(w client.Withdrawal) bool {
			return m.Kind == "transfer" && w.ChannelTransferNo != nil && *w.ChannelTransferNo == m.ProviderNo
		})
		if ours[m.OrderNumber] || withdrawal {
			f.add(m)
		}
	}
	return f
}

// told is how the tenant was told of this run's events.
type told struct{ events, arrived, messages, forged int }

// checkEvents compares this run's events with the program, and waits until a
// webhook has told of each.
func (r *run) checkEvents(ctx context.Context) (told, error) {
	events, err := r.events(ctx)
	if err != nil {
		return told{}, err
	}
	counts := map[client.EventType]int{}
	for _, e := range events {
		counts[e.Type]++
	}
	for kind, n := range r.expectedEvents() {
		if err := same("events "+string(kind), n, counts[kind]); err != nil {
			return told{}, err
		}
	}
	t := told{events: len(events)}
	err = await(ctx, "webhooks", func() (string, error) {
		t.arrived = 0
		for _, e := range events {
			if r.hooks.has(e.ID) {
				t.arrived++
			}
		}
		if t.arrived < len(events) {
			r.say.count("%d of %d webhooks arrived", t.arrived, len(events))
			return fmt.Sprintf("%d of %d events arrived", t.arrived, len(events)), nil
		}
		return "", nil
	})
	if err != nil {
		return t, err
	}
	_, t.messages, t.forged = r.hooks.counted()
	return t, same("webhooks with a wrong signature", 0, t.forged)
}

// events lists the events about what this run made. The list is newest first,
// so a page without any of them is past the beginning of the run.
func (r *run) events(ctx context.Context) ([]client.Event, error) {
	ours := map[string]bool{}
	for _, s := range r.sales {
		ours[s.payment.ID] = true
	}
	for _, g := range r.refunds {
		ours[g.refund.ID] = true
	}
	for _, w := range r.withdrawals {
		ours[w.ID] = true
	}
	for _, report := range r.reports {
		ours[report.ID] = true
	}
	var list []client.Event
	_, err := all(func(cursor *string) ([]client.Event, *string, error) {
		page, err := got[client.EventPage](r.api.ListEventsWithResponse(ctx,
			&client.ListEventsParams{Limit: ptr(100), Cursor: cursor}))
		before := len(list)
		for _, e := range page.Data {
			if ours[e.ObjectID] {
				list = append(list, e)
			}
		}
		if len(list) == before {
			page.NextCursor = nil
		}
		return nil, page.NextCursor, err
	})
	return list, err
}
