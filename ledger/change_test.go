package ledger_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

func TestStatusChangesAndCloses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("p1", "mch_a", 100))
	_, err := b.hold(held("h1", 100))
	require.NoError(t, err)

	require.NoError(t, b.status("mch_a", ledger.Frozen))
	require.NoError(t, b.status("mch_a", ledger.Frozen), "the status it has is no change")
	require.NoError(t, b.status("mch_a", ledger.Active))
	b.mustPost(spend("r1", "mch_a", 60, "h1"))
	require.True(t, ledger.IsKind(b.status("mch_a", ledger.Closed), ledger.NotEmpty), "money")
	require.NoError(t, b.release("h1"))
	b.mustPost(spend("r2", "mch_a", 40, ""))
	require.NoError(t, b.status("mch_a", ledger.Closed))
	require.NoError(t, b.status("mch_a", ledger.Closed))
	require.True(t, ledger.IsKind(b.status("mch_a", ledger.Active), ledger.AccountStatus))
	require.True(t, ledger.IsKind(b.limits("mch_a", ledger.Limits{Debit: ledger.SideLimits{DayCount: 1}}), ledger.AccountStatus))
	require.True(t, ledger.IsKind(b.floor("mch_a", -5), ledger.AccountStatus))
	_, err = b.post(collect("p2", "mch_a", 1))
	require.True(t, ledger.IsKind(err, ledger.AccountStatus), "%v", err)

	// An account frozen before it ever had money.
	require.NoError(t, b.status("mch_new", ledger.CreditFrozen))
	_, err = b.post(collect("p3", "mch_new", 1))
	require.True(t, ledger.IsKind(err, ledger.AccountStatus), "%v", err)

	var changes int
	require.NoError(t, b.Pool.QueryRow(context.Background(), `select count(*) from account_changes where reason = 'test'`).Scan(&changes))
	require.Equal(t, 4, changes, "every change is kept, and only changes")
	b.requireSound()
}

func TestChangesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("p1", "mch_a", 100))
	available, internal := key(ledger.MerchantAvailable, "mch_a"), key(ledger.ChannelUnsettled, "chn")
	for name, c := range map[string]struct {
		kind  ledger.ErrorKind
		field string
		do    func(ctx context.Context, tx pgx.Tx) error
	}{
		"unknown status": {ledger.Invalid, "status", func(ctx context.Context, tx pgx.Tx) error {
			return ledger.ChangeStatus(ctx, tx, b.tenant, available, "asleep", "x")
		}},
		"no reason": {ledger.Invalid, "reason", func(ctx context.Context, tx pgx.Tx) error {
			return ledger.ChangeStatus(ctx, tx, b.tenant, available, ledger.Frozen, "")
		}},
		"internal account": {ledger.Invalid, "account.type", func(ctx context.Context, tx pgx.Tx) error {
			return ledger.ChangeStatus(ctx, tx, b.tenant, internal, ledger.Frozen, "x")
		}},
		"limits of an internal account": {ledger.Invalid, "account.type", func(ctx context.Context, tx pgx.Tx) error {
			return ledger.ChangeLimits(ctx, tx, b.tenant, internal, ledger.Limits{Debit: ledger.SideLimits{DayCount: 1}}, "x")
		}},
		"negative limit": {ledger.Invalid, "limits.credit.day_count", func(ctx context.Context, tx pgx.Tx) error {
			return ledger.ChangeLimits(ctx, tx, b.tenant, available, ledger.Limits{Credit: ledger.SideLimits{DayCount: -1}}, "x")
		}},
		"floor out of range": {ledger.Invalid, "floor", func(ctx context.Context, tx pgx.Tx) error {
			return ledger.ChangeFloor(ctx, tx, b.tenant, available, 1<<62, "x")
		}},
		"floor above the balance": {ledger.Insufficient, "floor", func(ctx context.Context, tx pgx.Tx) error {
			return ledger.ChangeFloor(ctx, tx, b.tenant, available, 101, "x")
		}},
		"no such type": {ledger.Invalid, "account.type", func(ctx context.Context, tx pgx.Tx) error {
			_, err := ledger.Open(ctx, tx, b.tenant, key("cash", "mch_a"))
			return err
		}},
	} {
		err := b.in(c.do)
		var refusal *ledger.Error
		require.ErrorAs(t, err, &refusal, name)
		require.Equal(t, c.kind, refusal.Kind, name)
		require.Equal(t, c.field, refusal.Field, name)
	}
	err := b.in(func(ctx context.Context, tx pgx.Tx) error {
		return ledger.ChangeFloor(ctx, tx, b.tenant, available, -50, "x")
	})
	require.ErrorContains(t, err, "permission denied", "the application's role has no credit to give")
	require.NoError(t, b.floor("mch_a", -50))
	b.mustPost(spend("r1", "mch_a", 150, ""))
	_, err = b.post(spend("r2", "mch_a", 1, ""))
	require.True(t, ledger.IsKind(err, ledger.Insufficient), "%v", err)
	require.True(t, ledger.IsKind(b.floor("mch_a", 0), ledger.Insufficient), "the credit is used")
	b.requireSound()
}

func TestOneOwnerHasSeveralAccounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	daily, savings := key(ledger.UserCash, "usr_a"), key(ledger.UserCash, "usr_a")
	savings.Name = "savings"
	recharge := entry(ledger.Collect, "p1", leg(ledger.ChannelUnsettled, "chn", 100), ledger.Posting{Account: daily, Amount: -100})
	booked := b.mustPost(recharge, entry(ledger.Transfer, "t1", ledger.Posting{Account: daily, Amount: 30}, ledger.Posting{Account: savings, Amount: -30}))
	require.EqualValues(t, 70, b.balance(daily).Posted)
	require.EqualValues(t, 30, b.balance(savings).Posted)
	require.NotEqual(t, b.balance(daily).ID, b.balance(savings).ID)

	other := entry(ledger.Transfer, "t1", ledger.Posting{Account: savings, Amount: 30}, ledger.Posting{Account: daily, Amount: -30})
	_, err := b.post(other)
	require.True(t, ledger.IsKind(err, ledger.Mismatch), "the name is part of the content: %v", err)
	reverse := entry(ledger.Reversal, "v1", ledger.Posting{Account: daily, Amount: -30}, ledger.Posting{Account: savings, Amount: 30})
	reverse.Reverses = booked[1].EntryID
	b.mustPost(reverse)
	require.Zero(t, b.balance(savings).Posted)
	b.requireSound()
}
