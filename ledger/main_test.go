package ledger_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// bench is one test's database with one tenant in it.
type bench struct {
	*pgtest.Database
	t      testing.TB
	tenant string
}

func setup(t testing.TB) *bench {
	t.Helper()
	b := &bench{Database: pgtest.New(t), t: t}
	b.tenant = b.newTenant("licensed_reserve")
	return b
}

func (b *bench) newTenant(custodyMode string) string {
	b.t.Helper()
	tenant := id.New(id.Tenant)
	_, err := b.Pool.Exec(context.Background(), `insert into tenants (id, name, custody_mode) values ($1, 'Test', $2)`, tenant, custodyMode)
	require.NoError(b.t, err)
	return tenant
}

// in runs fn in one transaction of the tenant, as production code does.
func (b *bench) in(fn func(ctx context.Context, tx pgx.Tx) error) error {
	ctx := context.Background()
	return b.DB.InTenant(ctx, b.tenant, func(tx pgx.Tx) error { return fn(ctx, tx) })
}

func (b *bench) post(entries ...ledger.Entry) (posted []ledger.Posted, err error) {
	err = b.in(func(ctx context.Context, tx pgx.Tx) error {
		posted, err = ledger.Post(ctx, tx, b.tenant, entries...)
		return err
	})
	return posted, err
}

func (b *bench) mustPost(entries ...ledger.Entry) []ledger.Posted {
	b.t.Helper()
	posted, err := b.post(entries...)
	require.NoError(b.t, err)
	return posted
}

func (b *bench) hold(requests ...ledger.HoldRequest) (holds []ledger.Hold, err error) {
	err = b.in(func(ctx context.Context, tx pgx.Tx) error {
		holds, err = ledger.PlaceHold(ctx, tx, b.tenant, requests...)
		return err
	})
	return holds, err
}

func (b *bench) release(reference string) error {
	return b.in(func(ctx context.Context, tx pgx.Tx) error { return ledger.ReleaseHold(ctx, tx, b.tenant, reference) })
}

// status changes the status of a merchant's available account.
func (b *bench) status(merchant string, to ledger.Status) error {
	return b.in(func(ctx context.Context, tx pgx.Tx) error {
		return ledger.ChangeStatus(ctx, tx, b.tenant, key(ledger.MerchantAvailable, merchant), to, "test")
	})
}

func (b *bench) limits(merchant string, limits ledger.Limits) error {
	return b.in(func(ctx context.Context, tx pgx.Tx) error {
		return ledger.ChangeLimits(ctx, tx, b.tenant, key(ledger.MerchantAvailable, merchant), limits, "test")
	})
}

func (b *bench) floor(merchant string, floor int64) error {
	return b.DB.AsSystem(context.Background(), func(tx pgx.Tx) error {
		return ledger.ChangeFloor(context.Background(), tx, b.tenant, key(ledger.MerchantAvailable, merchant), floor, "test")
	})
}

// expire sweeps until nothing is due.
func (b *bench) expire() (n int) {
	b.t.Helper()
	require.NoError(b.t, b.DB.AsSystem(context.Background(), func(tx pgx.Tx) (err error) {
		n, err = ledger.ExpireHolds(context.Background(), tx, 100)
		return err
	}))
	return n
}

// ahead moves the business clock.
func (b *bench) ahead(interval string) {
	b.t.Helper()
	_, err := b.Pool.Exec(context.Background(), `update business_clock set ahead = ahead + $1::interval`, interval)
	require.NoError(b.t, err)
}

func (b *bench) balance(key ledger.AccountKey) (account ledger.Account) {
	b.t.Helper()
	require.NoError(b.t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		found, err := ledger.Balances(ctx, tx, b.tenant, key)
		if err == nil {
			account = found[0]
		}
		return err
	}))
	return account
}

// logSettings prints what the figures of a run depend on.
func (b *bench) logSettings() {
	b.t.Helper()
	require.NoError(b.t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		for _, name := range []string{"server_version", "role", "row_security", "transaction_isolation", "fsync", "synchronous_commit"} {
			var value string
			if err := tx.QueryRow(ctx, "show "+name).Scan(&value); err != nil {
				return err
			}
			b.t.Logf("  %s = %s", name, value)
		}
		return nil
	}))
}

// requireSound checks every invariant of the ledger on the whole database.
func (b *bench) requireSound() {
	b.t.Helper()
	var report ledger.Report
	require.NoError(b.t, b.DB.Snapshot(context.Background(), func(tx pgx.Tx) (err error) {
		report, err = ledger.Verify(context.Background(), tx, ledger.VerifyOptions{})
		return err
	}))
	for _, result := range report.Results {
		require.Empty(b.t, result.Breaks, "%s %s", result.ID, result.Name)
	}
	require.True(b.t, report.Sound)
}

func key(t ledger.Type, owner string) ledger.AccountKey {
	return ledger.AccountKey{Type: t, Owner: owner, Currency: money.CNY}
}

func entry(kind ledger.Kind, number string, postings ...ledger.Posting) ledger.Entry {
	return ledger.Entry{Reference: ledger.Reference{Kind: kind, Number: number, Phase: "booked"}, Currency: money.CNY, Postings: postings}
}

func leg(t ledger.Type, owner string, amount int64) ledger.Posting {
	return ledger.Posting{Account: key(t, owner), Amount: amount}
}

// collect is money arriving for a merchant, available at once.
func collect(number, merchant string, amount int64) ledger.Entry {
	return entry(ledger.Collect, number, leg(ledger.ChannelUnsettled, "chn", amount), leg(ledger.MerchantAvailable, merchant, -amount))
}

// spend is money leaving a merchant to the channel.
func spend(number, merchant string, amount int64, fromHold string) ledger.Entry {
	e := entry(ledger.Refund, number, leg(ledger.MerchantAvailable, merchant, amount), leg(ledger.ChannelUnsettled, "chn", -amount))
	e.Postings[0].FromHold = fromHold
	return e
}
