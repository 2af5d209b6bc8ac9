package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/ledger"
)

// postTogether books in a transaction that others may share.
func (b *bench) postTogether(entries ...ledger.Entry) (posted []ledger.Posted, err error) {
	ctx := context.Background()
	err = b.DB.Together(ctx, b.tenant, "", func(tx pgx.Tx) error {
		posted, err = ledger.Post(ctx, tx, b.tenant, entries...)
		return err
	})
	return posted, err
}

// Calls that share transactions win exactly what there is, and a loser takes
// nobody with it.
func TestDebitsInCompanyWinExactlyTheBalance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("fund", "m", 17), collect("fund other", "n", 1))
	winners := race(t, func(i int) error {
		_, err := b.postTogether(spend(fmt.Sprint("s", i), "m", 1, ""))
		return err
	}, ledger.Insufficient)
	require.Equal(t, 17, winners)
	require.Zero(t, b.balance(key(ledger.MerchantAvailable, "m")).Posted)
	b.requireSound()
}

// One reference from many callers is one entry, whether they share a transaction
// or not; with other content it is refused.
func TestOneReferenceInCompanyIsOneEntry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("fund", "m", 10_000))
	var mismatches, fresh atomic.Int64
	ids := sync.Map{}
	race(t, func(i int) error {
		amount := int64(1)
		if i%10 == 9 {
			amount = 2
		}
		posted, err := b.postTogether(spend("same", "m", amount, ""))
		if err != nil {
			mismatches.Add(1)
			return err
		}
		ids.Store(posted[0].EntryID, true)
		if !posted[0].Replayed {
			fresh.Add(1)
		}
		return nil
	}, ledger.Mismatch)
	distinct := 0
	ids.Range(func(any, any) bool { distinct++; return true })
	require.Equal(t, 1, distinct)
	require.Equal(t, int64(1), fresh.Load())
	require.Contains(t, []int64{racers / 10, racers - racers/10}, mismatches.Load())
	b.requireSound()
}

// Accounts without a floor are not locked, so two shared transactions come to
// write one reference at once: the second runs again and finds what is there.
func TestOneReferenceOfUnlockedAccountsInCompanyIsOneEntry(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	receipt := func(n int) ledger.Entry {
		return entry(ledger.Collect, fmt.Sprint("p", n), leg(ledger.ChannelUnsettled, "chn", 5), leg(ledger.UnidentifiedReceipts, "chn", -5))
	}
	b.mustPost(receipt(0)) // opens the accounts
	const numbers, callers = 60, 12
	var fresh atomic.Int64
	var calls sync.WaitGroup
	for caller := range callers {
		calls.Go(func() {
			for n := range numbers {
				posted, err := b.postTogether(receipt(1 + n))
				if err != nil {
					t.Error(err)
					return
				}
				if !posted[0].Replayed {
					fresh.Add(1)
				}
				var there bool
				err = b.Pool.QueryRow(t.Context(), `select exists (select from entries where id = $1)`, posted[0].EntryID).Scan(&there)
				if err != nil || !there {
					t.Errorf("caller %d was told of entry %s, which is not there: %v", caller, posted[0].EntryID, err)
				}
			}
		})
	}
	calls.Wait()
	require.Equal(t, int64(numbers), fresh.Load())
	require.EqualValues(t, 5*(numbers+1), b.balance(key(ledger.ChannelUnsettled, "chn")).Posted)
	b.requireSound()
}

// Random transfers between few accounts, some too large, some over holds, some
// with accounts that are new: the books stay sound and no fen is lost.
func TestRandomPostingsInCompanyKeepTheBooks(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	const merchants, each, callers = 6, 500, 24
	for m := range merchants {
		b.mustPost(collect(fmt.Sprint("fund", m), fmt.Sprint("m", m), each))
	}
	_, err := b.hold(ledger.HoldRequest{Reference: "hold", Account: key(ledger.MerchantAvailable, "m0"), Amount: 200})
	require.NoError(t, err)
	var booked, refused atomic.Int64
	var calls sync.WaitGroup
	for caller := range callers {
		calls.Go(func() {
			random := rand.New(rand.NewPCG(11, uint64(caller)))
			for i := range 40 {
				from := random.IntN(merchants)
				amount := 1 + random.Int64N(200)
				var e ledger.Entry
				switch i % 10 {
				case 0:
					e = spend(id.Number(), "m0", 1+random.Int64N(20), "hold")
				case 1:
					e = entry(ledger.Transfer, id.Number(), leg(ledger.MerchantAvailable, fmt.Sprint("m", from), 1),
						leg(ledger.MerchantAvailable, id.Number(), -1))
				default:
					e = entry(ledger.Transfer, id.Number(), leg(ledger.MerchantAvailable, fmt.Sprint("m", from), amount),
						leg(ledger.MerchantAvailable, fmt.Sprint("m", (from+1+random.IntN(merchants-1))%merchants), -amount))
				}
				_, err := b.postTogether(e)
				switch {
				case err == nil:
					booked.Add(1)
				case ledger.IsKind(err, ledger.Insufficient), ledger.IsKind(err, ledger.HoldExceeded), ledger.IsKind(err, ledger.HoldClosed):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	calls.Wait()
	require.Positive(t, refused.Load())
	var entries, transactions int64
	require.NoError(t, b.Pool.QueryRow(t.Context(), `select count(*), count(distinct xmin::text) from entries where number not like 'fund%'`).
		Scan(&entries, &transactions))
	require.Equal(t, booked.Load(), entries)
	require.Less(t, transactions, entries, "some shared a transaction")
	t.Logf("%d booked in %d transactions, %d refused", booked.Load(), transactions, refused.Load())
	b.requireSound()
}
