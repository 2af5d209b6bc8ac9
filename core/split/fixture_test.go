package split_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/money"
)

// world is one tenant in a database, with shorthands that fail the test.
type world struct {
	t      *testing.T
	db     *pgtest.Database
	tenant string
}

func newWorld(t *testing.T, db *pgtest.Database) world {
	w := world{t: t, db: db}
	require.NoError(t, db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		created, err := tenant.Create(t.Context(), tx, "A tenant", tenant.LicensedReserve)
		w.tenant = created.ID
		return err
	}))
	return w
}

// do runs fn in a transaction of the tenant and returns its error.
func (w world) do(fn func(ctx context.Context, tx pgx.Tx) error) error {
	return w.db.DB.InTenant(w.t.Context(), w.tenant, func(tx pgx.Tx) error { return fn(w.t.Context(), tx) })
}

func (w world) must(fn func(ctx context.Context, tx pgx.Tx) error) {
	w.t.Helper()
	require.NoError(w.t, w.do(fn))
}

func (w world) merchant(reference string, s party.Settlement) string {
	w.t.Helper()
	var m party.Merchant
	w.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		m, err = party.Create(ctx, tx, nil, w.tenant, party.NewMerchant{Reference: reference, Name: reference, Settlement: s})
		return err
	})
	return m.ID
}

func (w world) tryRule(merchant string, legs ...split.RuleLeg) (split.Rule, error) {
	var r split.Rule
	err := w.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		r, err = split.CreateRule(ctx, tx, w.tenant, split.NewRule{MerchantID: merchant, Legs: legs})
		return err
	})
	return r, err
}

func (w world) rule(merchant string, legs ...split.RuleLeg) split.Rule {
	w.t.Helper()
	r, err := w.tryRule(merchant, append(legs, remainder(merchant))...)
	require.NoError(w.t, err)
	return r
}

// payment inserts a succeeded payment as core/payment would.
func (w world) payment(merchant string, amount int64, paidOn string) split.Payment {
	w.t.Helper()
	p := split.Payment{ID: id.New(id.Payment), MerchantID: merchant, Amount: money.Fen(amount), PaidOn: paidOn}
	w.must(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into payments (tenant_id, id, merchant_id, reference, subject, currency, amount, channel, product, status, expires_at, paid_at)
			values ($1, $2, $3, $2, 'tea', 'CNY', $4, 'alipay', 'qr', 'succeeded', suanpan_now(), suanpan_now())`,
			w.tenant, p.ID, merchant, amount)
		return err
	})
	return p
}

func (w world) record(p split.Payment) []split.BookedLeg {
	w.t.Helper()
	var legs []split.BookedLeg
	w.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		legs, err = split.Record(ctx, tx, w.tenant, p)
		return err
	})
	return legs
}

func (w world) preview(merchant string, amount int64) []split.Leg {
	w.t.Helper()
	var legs []split.Leg
	w.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		legs, err = split.Preview(ctx, tx, w.tenant, merchant, money.Fen(amount))
		return err
	})
	return legs
}

func (w world) legs(paymentID string) []split.BookedLeg {
	w.t.Helper()
	var legs []split.BookedLeg
	w.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		legs, err = split.Legs(ctx, tx, w.tenant, paymentID)
		return err
	})
	return legs
}

func (w world) settle(merchant, date string) []split.Settlement {
	w.t.Helper()
	var out []split.Settlement
	w.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		out, err = split.Settle(ctx, tx, w.tenant, merchant, date)
		return err
	})
	return out
}

func (w world) due(date string) []string {
	w.t.Helper()
	var out []string
	w.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		out, err = split.DueMerchants(ctx, tx, w.tenant, date)
		return err
	})
	return out
}

// waitForBlocked returns once a statement of this database waits for a lock.
func (w world) waitForBlocked() {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		var waiting bool
		err := w.db.Pool.QueryRow(w.t.Context(), `
			select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`).Scan(&waiting)
		return err == nil && waiting
	}, 10*time.Second, 5*time.Millisecond)
}

func (w world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.db.Pool.Exec(w.t.Context(), sql, args...)
	require.NoError(w.t, err)
}
