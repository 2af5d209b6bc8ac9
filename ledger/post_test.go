package ledger_test

import (
	"testing"

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

	_, err := b.post(collect("p1", "mch_a", 501))
	require.True(t, ledger.IsKind(err, ledger.Mismatch), "%v", err)
	b.requireSound()
}
