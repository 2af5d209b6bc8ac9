package ledger_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

func TestPostBooksOnceAndMovesBalances(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.mustPost(collect("p1", "mch_a", 500))
	again := b.mustPost(collect("p1", "mch_a", 500))
	require.False(t, first[0].Replayed)
	require.True(t, again[0].Replayed)
	require.Equal(t, first[0].EntryID, again[0].EntryID)
	require.EqualValues(t, 500, b.balance(key(ledger.MerchantAvailable, "mch_a")).Posted)
	require.EqualValues(t, 500, b.balance(key(ledger.ChannelUnsettled, "chn")).Posted)
	b.requireSound()
}

func TestAReferenceKeepsItsContent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("p1", "mch_a", 500))
	changed := map[string]ledger.Entry{
		"amount":  collect("p1", "mch_a", 501),
		"account": collect("p1", "mch_b", 500),
		"date":    func() ledger.Entry { e := collect("p1", "mch_a", 500); e.ChannelDate = "2026-01-02"; return e }(),
		"metadata": func() ledger.Entry {
			e := collect("p1", "mch_a", 500)
			e.Metadata = map[string]string{"k": "v"}
			return e
		}(),
	}
	for name, e := range changed {
		_, err := b.post(e)
		require.True(t, ledger.IsKind(err, ledger.Mismatch), "%s: %v", name, err)
	}
	other := collect("p1", "mch_a", 500)
	other.Phase = "again"
	b.mustPost(other)
	require.EqualValues(t, 1000, b.balance(key(ledger.MerchantAvailable, "mch_a")).Posted)
}

func TestSeveralEntriesAreBookedAllOrNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	posted := b.mustPost(collect("p1", "mch_a", 500), spend("r1", "mch_a", 500, ""), collect("p2", "mch_a", 7))
	require.Len(t, posted, 3)
	require.EqualValues(t, 7, b.balance(key(ledger.MerchantAvailable, "mch_a")).Posted)

	_, err := b.post(collect("p3", "mch_a", 3), spend("r2", "mch_a", 11, ""))
	var refusal *ledger.Error
	require.True(t, errors.As(err, &refusal), "%v", err)
	require.Equal(t, ledger.Insufficient, refusal.Kind)
	require.Equal(t, "entries[1].postings[0].amount", refusal.Field)
	require.EqualValues(t, 7, b.balance(key(ledger.MerchantAvailable, "mch_a")).Posted)

	// One known, one new.
	posted = b.mustPost(collect("p2", "mch_a", 7), collect("p3", "mch_a", 3))
	require.True(t, posted[0].Replayed)
	require.False(t, posted[1].Replayed)

	_, err = b.post(collect("p4", "mch_a", 1), collect("p4", "mch_a", 1))
	require.True(t, ledger.IsKind(err, ledger.Invalid), "%v", err)
	b.requireSound()
}

func TestFloorsAreJudgedWhenAllLegsAreIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// The debit comes first and the credit of the same account later.
	b.mustPost(entry(ledger.Transfer, "t0",
		leg(ledger.MerchantAvailable, "mch_a", 60), leg(ledger.MerchantAvailable, "mch_b", -60),
		leg(ledger.MerchantAvailable, "mch_b", 60), leg(ledger.MerchantAvailable, "mch_a", -60)))
	_, err := b.post(entry(ledger.Transfer, "t1", leg(ledger.MerchantAvailable, "mch_a", 1), leg(ledger.MerchantAvailable, "mch_b", -1)))
	require.True(t, ledger.IsKind(err, ledger.Insufficient), "%v", err)
	require.ErrorContains(t, err, "postings[0].amount")
	require.ErrorContains(t, err, "has 0 available above its floor; this entry needs 1")
	b.requireSound()
}

func TestFrozenAccountsRefuse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("p1", "mch_a", 500))
	_, err := b.hold(ledger.HoldRequest{Account: key(ledger.MerchantAvailable, "mch_a"), Amount: 100, Reference: "h1"})
	require.NoError(t, err)
	status := func(s ledger.Status) { require.NoError(t, b.status("mch_a", s)) }
	refused := func(e ledger.Entry) {
		t.Helper()
		_, err := b.post(e)
		require.True(t, ledger.IsKind(err, ledger.AccountStatus), "%v", err)
	}
	status(ledger.DebitFrozen)
	refused(spend("r1", "mch_a", 1, ""))
	_, err = b.hold(ledger.HoldRequest{Account: key(ledger.MerchantAvailable, "mch_a"), Amount: 1, Reference: "h2"})
	require.True(t, ledger.IsKind(err, ledger.AccountStatus), "%v", err)
	b.mustPost(collect("p2", "mch_a", 1))
	// What was held before the freeze is committed to somebody outside.
	b.mustPost(spend("r1", "mch_a", 40, "h1"))
	status(ledger.CreditFrozen)
	refused(collect("p3", "mch_a", 1))
	b.mustPost(spend("r2", "mch_a", 1, ""))
	status(ledger.Frozen)
	refused(collect("p3", "mch_a", 1))
	refused(spend("r3", "mch_a", 1, ""))
	b.mustPost(spend("r3", "mch_a", 60, "h1"))
	status(ledger.Active)
	require.True(t, ledger.IsKind(b.status("mch_a", ledger.Closed), ledger.NotEmpty))
	b.mustPost(spend("r4", "mch_a", 400, ""))
	status(ledger.Closed)
	refused(collect("p4", "mch_a", 1))
	b.requireSound()
}

func TestReversalUndoesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	booked := b.mustPost(collect("p1", "mch_a", 500))[0].EntryID
	reverse := func(number, target string, amount int64) ledger.Entry {
		e := entry(ledger.Reversal, number, leg(ledger.ChannelUnsettled, "chn", -amount), leg(ledger.MerchantAvailable, "mch_a", amount))
		e.Reverses = target
		return e
	}
	_, err := b.post(reverse("v1", booked, 499))
	require.True(t, ledger.IsKind(err, ledger.Invalid), "%v", err)
	_, err = b.post(reverse("v1", "ent_none", 500))
	require.True(t, ledger.IsKind(err, ledger.NotFound), "%v", err)

	reversal := b.mustPost(reverse("v1", booked, 500))[0].EntryID
	require.True(t, b.mustPost(reverse("v1", booked, 500))[0].Replayed)
	b.mustPost(collect("p2", "mch_a", 500))
	_, err = b.post(reverse("v2", booked, 500))
	require.True(t, ledger.IsKind(err, ledger.Reversed), "%v", err)
	_, err = b.post(reverse("v3", reversal, -500))
	require.True(t, ledger.IsKind(err, ledger.Reversed), "%v", err)
	b.requireSound()
}

func TestTenantsDoNotMeet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("p1", "mch_a", 500))
	first := b.tenant
	b.tenant = b.newTenant("licensed_reserve")
	b.mustPost(collect("p1", "mch_a", 3))
	require.EqualValues(t, 3, b.balance(key(ledger.MerchantAvailable, "mch_a")).Posted)
	// The session is of one tenant, the call names another: book_plainly refuses what is
	// plain, and row security all the rest.
	err := b.DB.InTenant(context.Background(), b.tenant, func(tx pgx.Tx) error {
		_, err := ledger.Post(context.Background(), tx, first, collect("p9", "mch_a", 1))
		return err
	})
	require.ErrorContains(t, err, "SQLSTATE 42501")
	seen := -1
	err = b.DB.InTenant(context.Background(), b.tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(context.Background(), `select count(*) from ledger_accounts where tenant_id = $1`, first).Scan(&seen)
	})
	require.NoError(t, err)
	require.Zero(t, seen)
	err = b.DB.InTenant(context.Background(), b.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), `
			insert into entries (tenant_id, id, kind, number, phase, currency, legs, content_hash, booked_at)
			select $1, 'ent_foreign', 'collect', 'p9', 'booked', 'CNY', 2, sha256('x'), suanpan_now()`, first)
		return err
	})
	require.ErrorContains(t, err, "row-level security")
	b.requireSound()
}
