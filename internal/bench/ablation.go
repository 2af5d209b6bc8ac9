package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/transfer"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// switched is a guarantee that is switched off, or a duty that is added, to see
// what it costs. SQL runs as a superuser on a database of the ablation's own.
type switched struct {
	name    string
	off, on []string
}

// guarded are the tables that posting touches.
func guarded() []string { return []string{"entries", "postings", "ledger_accounts", "tenants"} }

func forEach(format string, names []string) (all []string) {
	for _, name := range names {
		all = append(all, fmt.Sprintf(format, name))
	}
	return all
}

// switches are the rows of the ablation. The reference's uniqueness cannot be taken
// away: the statement that posts is written against its constraint.
func switches() []switched {
	const foreign = "postings_tenant_id_entry_seq_booked_at_fkey"
	return []switched{
		{name: "everything on"},
		{name: "without row-level security", off: forEach("alter table %s disable row level security", guarded()),
			on: forEach("alter table %s enable row level security", guarded())},
		{name: "without the trigger that judges postings (balance, legs, classes, status) and moves their accounts' balances",
			off: []string{"alter table postings disable trigger postings_keep_the_rules"},
			on:  []string{"alter table postings enable trigger postings_keep_the_rules"}},
		{name: "without the trigger that wants postings for each entry",
			off: []string{"alter table entries disable trigger entries_have_postings"},
			on:  []string{"alter table entries enable trigger entries_have_postings"}},
		{name: "without the foreign key from postings to entries",
			off: []string{"alter table postings drop constraint " + foreign},
			on: []string{"alter table postings add constraint " + foreign +
				" foreign key (tenant_id, entry_seq, booked_at) references entries (tenant_id, seq, booked_at)"}},
		{name: "without the constraints on an account's balance and holds",
			off: []string{"alter table ledger_accounts drop constraint ledger_accounts_floor"},
			on: []string{"alter table ledger_accounts add constraint ledger_accounts_floor " +
				"check (floor is null or posted - held >= floor)"}},
		{name: "not durable: synchronous_commit off", off: []string{"alter database bench_ablation set synchronous_commit = off"},
			on: []string{"alter database bench_ablation reset synchronous_commit"}},
	}
}

// ablated is a row's outcome.
type ablated struct {
	name            string
	together, alone sample
}

// ablation measures posting with one guarantee off at a time.
func ablation(ctx context.Context, o options, s *server, r *report) error {
	b, err := openBooks(ctx, s, "bench_ablation", o)
	if err != nil {
		return err
	}
	defer b.close()
	callers := o.callers[len(o.callers)/2]
	all := switches()
	together, alone := make([][]sample, len(all)), make([][]sample, len(all))
	for round := range o.rounds {
		for i, one := range all {
			if err := b.run(ctx, one.off); err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
			fresh, err := connect(ctx, b.url, o) // sessions that planned without it
			if err != nil {
				return err
			}
			fresh.tenant, fresh.merchants, fresh.channels = b.tenant, b.merchants, b.channels
			t := measure(ctx, callers, o.duration(), drawn(fresh.together, fresh.uniform))
			a := measure(ctx, o.callers[0], o.duration(), drawn(fresh.post, fresh.uniform))
			fresh.close()
			if err := errors.Join(t.check(one.name), a.check(one.name)); err != nil {
				return err
			}
			progress(round, one.name, t)
			together[i], alone[i] = append(together[i], t), append(alone[i], a)
			if err := b.run(ctx, one.on); err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
		}
	}
	var rows []ablated
	for i, one := range all {
		rows = append(rows, ablated{one.name, medianOf(together[i]), medianOf(alone[i])})
	}
	r.ablation(rows, callers, o.callers[0])
	return nil
}

func (b *books) run(ctx context.Context, statements []string) error {
	for _, sql := range statements {
		if _, err := b.super.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// step is one duty more than the step before.
type step struct {
	name string
	op   operation
}

// ladder are the steps from a posting to a transfer by HTTP.
func ladder(b *books, a *api) []step {
	accepted := func(create func(tx pgx.Tx, n transfer.New) error) operation {
		return func(ctx context.Context, random *rand.Rand) error {
			from, to := b.pair(random)
			n := transfer.New{ID: id.New(id.Transfer), Reference: id.Number(), FromMerchantID: from, ToMerchantID: to,
				Amount: money.Fen(transferMinor)}
			req := accept.Request{Tenant: b.tenant, Key: id.Number(), Route: "POST /v1/transfers", Body: []byte(n.Reference)}
			_, err := accept.AtOnce(ctx, b.db, req, func(tx pgx.Tx) (string, accept.Response, error) {
				return n.ID, accept.Response{Status: 201, Body: make([]byte, 300)}, create(tx, n)
			})
			return err
		}
	}
	return []step{
		{"the posting alone", drawn(b.together, b.uniform)},
		{"+ idempotency key: lock, look, row, stored answer", accepted(func(tx pgx.Tx, n transfer.New) error {
			_, err := ledger.Post(context.Background(), tx, b.tenant, b.transfer(n.FromMerchantID, n.ToMerchantID))
			return err
		})},
		{"+ the transfer's row (unique reference, both merchants exist) and its event", accepted(func(tx pgx.Tx, n transfer.New) error {
			_, err := transfer.Create(context.Background(), tx, b.tenant, n)
			return err
		})},
		{"+ HTTP: API key, contract validation, JSON, access log", a.transfers(b.pair)},
	}
}

// climb measures each step of the ladder, in turns.
func climb(ctx context.Context, o options, b *books, a *api, r *report) error {
	steps := ladder(b, a)
	taken := make([][]sample, len(steps))
	for round := range o.rounds {
		for i, one := range steps {
			got := measure(ctx, httpCallers, o.duration(), one.op)
			if err := got.check(one.name); err != nil {
				return err
			}
			progress(round, one.name, got)
			taken[i] = append(taken[i], got)
		}
	}
	r.ladder(steps, taken)
	return nil
}
