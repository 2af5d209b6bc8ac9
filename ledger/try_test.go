package ledger_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

// Whatever is asked, trying it answers what booking it then answers, and leaves
// nothing behind.
func TestTryAnswersWhatPostAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.noon()
	booked := b.mustPost(collect("p1", "mch_a", 500), collect("p2", "mch_lim", 500))
	require.NoError(t, b.limits("mch_lim", ledger.Limits{Debit: ledger.SideLimits{PostingAmount: 10}}))
	require.NoError(t, b.status("mch_frozen", ledger.Frozen))
	_, err := b.hold(held("h1", 100))
	require.NoError(t, err)
	reverse := func(number, target string) ledger.Entry {
		e := entry(ledger.Reversal, number, leg(ledger.ChannelUnsettled, "chn", -500), leg(ledger.MerchantAvailable, "mch_a", 500))
		e.Reverses = target
		return e
	}
	for name, entries := range map[string][]ledger.Entry{
		"new":              {collect("n1", "mch_new", 5)},
		"several":          {collect("n2", "mch_a", 5), spend("n3", "mch_a", 6, "h1")},
		"replayed":         {collect("p1", "mch_a", 500)},
		"other content":    {collect("p1", "mch_a", 501)},
		"unbalanced":       {entry(ledger.Collect, "n4", leg(ledger.ChannelUnsettled, "chn", 5), leg(ledger.MerchantAvailable, "mch_a", -4))},
		"too much":         {spend("n5", "mch_a", 10000, "")},
		"limited":          {spend("n6", "mch_lim", 11, "")},
		"frozen":           {collect("n7", "mch_frozen", 1)},
		"no hold":          {spend("n8", "mch_a", 1, "h9")},
		"more than held":   {spend("n9", "mch_a", 101, "h1")},
		"reversal of none": {reverse("v1", "ent_none")},
		"reversal":         {collect("n10", "mch_a", 300), reverse("v2", booked[0].EntryID)},
	} {
		preview, tried := ledger.Preview{}, error(nil)
		require.NoError(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
			preview, tried = ledger.Try(ctx, tx, b.tenant, entries...)
			_, _, err := ledger.Entries(ctx, tx, b.tenant, ledger.EntryFilter{Number: entries[0].Number})
			return err // the transaction is still good
		}), name)
		posted, err := b.post(entries...)
		if err != nil {
			require.Equal(t, err.Error(), tried.Error(), name)
			continue
		}
		require.NoError(t, tried, name)
		for i := range posted {
			require.Equal(t, posted[i].Replayed, preview.Posted[i].Replayed, name)
			require.Equal(t, posted[i].Replayed, preview.Posted[i].EntryID == posted[i].EntryID, name)
		}
		for _, after := range preview.After {
			now := b.balance(after.Account)
			require.Equal(t, [2]int64{now.Posted, now.Held}, [2]int64{after.Posted, after.Held}, name)
		}
	}
	b.tenant = b.newTenant("own_funds")
	require.NoError(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := ledger.Try(ctx, tx, b.tenant, collect("p1", "mch_a", 1))
		require.True(t, ledger.IsKind(err, ledger.CustodyMode), "the database's refusals too: %v", err)
		return nil
	}))
	b.requireSound()
}
