package ledger_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

func TestAccountsAreListedInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 5 {
		b.mustPost(collect(fmt.Sprintf("p%d", i), fmt.Sprintf("mch_%d", i), int64(10+i)))
	}
	require.NoError(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		seen := map[string]int64{}
		filter := ledger.AccountFilter{Type: ledger.MerchantAvailable, Limit: 2}
		for pages := 1; ; pages++ {
			page, next, err := ledger.Accounts(ctx, tx, b.tenant, filter)
			require.NoError(t, err)
			for _, a := range page {
				seen[a.Key.Owner] = a.Posted
				one, err := ledger.GetAccount(ctx, tx, b.tenant, a.ID)
				require.NoError(t, err)
				require.Equal(t, a, one)
			}
			if next == "" {
				require.Equal(t, 3, pages)
				break
			}
			filter.After = next
		}
		require.Equal(t, map[string]int64{"mch_0": 10, "mch_1": 11, "mch_2": 12, "mch_3": 13, "mch_4": 14}, seen)

		internal, _, err := ledger.Accounts(ctx, tx, b.tenant, ledger.AccountFilter{Type: ledger.ChannelUnsettled})
		require.NoError(t, err)
		require.EqualValues(t, 60, internal[0].Posted, "the balance of an internal account is derived")
		require.Nil(t, internal[0].Floor)
		require.Equal(t, "1012.01", internal[0].GLCode)

		_, err = ledger.GetAccount(ctx, tx, b.tenant, "acc_none")
		require.True(t, ledger.IsKind(err, ledger.NotFound))
		unopened, err := ledger.Balances(ctx, tx, b.tenant, key(ledger.MerchantDeposit, "mch_1"))
		require.NoError(t, err)
		require.Empty(t, unopened[0].ID)
		require.Zero(t, unopened[0].Posted)
		return nil
	}))
}

func TestTrialBalance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		lines, err := ledger.TrialBalance(ctx, tx, b.tenant)
		require.NoError(t, err)
		require.Empty(t, lines)
		return nil
	}))
	b.mustPost(collect("p1", "mch_a", 100), collect("p2", "mch_b", 50), spend("r1", "mch_a", 30, ""))
	require.NoError(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		lines, err := ledger.TrialBalance(ctx, tx, b.tenant)
		require.NoError(t, err)
		require.Len(t, lines, 2)
		require.Equal(t, ledger.ChannelUnsettled, lines[0].Type)
		require.Equal(t, []int64{150, 30, 120}, []int64{lines[0].Debit, lines[0].Credit, lines[0].Balance})
		require.Equal(t, []int64{30, 150, 120}, []int64{lines[1].Debit, lines[1].Credit, lines[1].Balance})
		require.EqualValues(t, 2, lines[1].Accounts)
		return nil
	}))
}

func TestEntriesAreReadAsBooked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := collect("p1", "mch_a", 100)
	first.ChannelDate = "2026-11-23"
	first.Metadata = map[string]string{"payment": "pay_1"}
	posted := b.mustPost(first, collect("p2", "mch_a", 5), collect("p3", "mch_b", 7))
	_, err := b.hold(held("h1", 20))
	require.NoError(t, err)
	b.mustPost(spend("p1", "mch_a", 20, "h1"))
	require.NoError(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		found, next, err := ledger.Entries(ctx, tx, b.tenant, ledger.EntryFilter{Number: "p1"})
		require.NoError(t, err)
		require.Zero(t, next)
		require.Len(t, found, 2)
		require.Equal(t, posted[0].EntryID, found[0].ID)
		require.Equal(t, first, found[0].Entry())
		require.NotEmpty(t, found[0].BusinessDate)
		require.EqualValues(t, 100, *found[0].Postings[1].BalanceAfter)
		require.Equal(t, "h1", found[1].Postings[0].HoldReference)

		account := found[0].Postings[1].AccountID
		page, next, err := ledger.Entries(ctx, tx, b.tenant, ledger.EntryFilter{AccountID: account, Limit: 2})
		require.NoError(t, err)
		require.Len(t, page, 2)
		rest, last, err := ledger.Entries(ctx, tx, b.tenant, ledger.EntryFilter{AccountID: account, After: next})
		require.NoError(t, err)
		require.Len(t, rest, 1)
		require.Zero(t, last)
		return nil
	}))
}
