package ledger_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
)

// The full run, 1,000 rounds of 200 for holds and as many for captures:
// go test ./ledger -run 'TestRacing(Holds|Captures)Win' -timeout 2h -v -args -rounds 1000
var raceRounds = flag.Int("rounds", 3, "rounds of the races")

const racers = 200

// wide gives the bench a pool in which many transactions are open at once.
func (b *bench) wide() *bench {
	b.t.Helper()
	db, err := pg.Open(context.Background(), b.URL, pg.Options{MaxConns: 24})
	require.NoError(b.t, err)
	b.t.Cleanup(db.Close)
	b.DB = db
	return b
}

// race runs attempt racers times at once and counts the winners; every loser
// must have been refused for one of these reasons.
func race(t *testing.T, attempt func(i int) error, reasons ...ledger.ErrorKind) (winners int) {
	t.Helper()
	errs := make([]error, racers)
	start := make(chan struct{})
	var done sync.WaitGroup
	for i := range racers {
		done.Go(func() {
			<-start
			errs[i] = attempt(i)
		})
	}
	close(start)
	done.Wait()
	for _, err := range errs {
		if err == nil {
			winners++
			continue
		}
		require.True(t, slices.ContainsFunc(reasons, func(kind ledger.ErrorKind) bool { return ledger.IsKind(err, kind) }), "%v", err)
	}
	return winners
}

func TestRacingDebitsWinExactlyTheBalance(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	for round := range *raceRounds {
		merchant := fmt.Sprintf("mch_%d", round)
		b.mustPost(collect("p-"+merchant, merchant, 100))
		// All of the balance: one wins. A thirtieth more than a tenth: nine win.
		each, expect := int64(100), 1
		if round%2 == 1 {
			each, expect = 11, 9
		}
		winners := race(t, func(i int) error {
			_, err := b.post(spend(fmt.Sprintf("r-%s-%d", merchant, i), merchant, each, ""))
			return err
		}, ledger.Insufficient)
		require.Equal(t, expect, winners)
		require.EqualValues(t, 100-int64(expect)*each, b.balance(key(ledger.MerchantAvailable, merchant)).Posted)
	}
	b.requireSound()
}

func TestRacingHoldsAndDebitsWinExactlyTheBalance(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	for round := range *raceRounds {
		merchant := fmt.Sprintf("mch_%d", round)
		account := key(ledger.MerchantAvailable, merchant)
		b.mustPost(collect("p-"+merchant, merchant, 100))
		winners := race(t, func(i int) error {
			reference := fmt.Sprintf("%s-%d", merchant, i)
			var err error
			if i%2 == 0 {
				_, err = b.hold(ledger.HoldRequest{Account: account, Amount: 7, Reference: reference})
			} else {
				_, err = b.post(spend(reference, merchant, 7, ""))
			}
			return err
		}, ledger.Insufficient)
		require.Equal(t, 14, winners)
		require.EqualValues(t, 2, b.balance(account).Available())
	}
	b.requireSound()
}

func TestRacingHoldsWinExactlyTheBalance(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	tries, won := 0, 0
	for round := range *raceRounds {
		merchant := fmt.Sprintf("mch_%d", round)
		account := key(ledger.MerchantAvailable, merchant)
		each := int64(round%20 + 1)
		expect := min(int(100/each), racers)
		b.mustPost(collect("p-"+merchant, merchant, 100))
		winners := race(t, func(i int) error {
			_, err := b.hold(ledger.HoldRequest{Account: account, Amount: each, Reference: fmt.Sprintf("%s-%d", merchant, i)})
			return err
		}, ledger.Insufficient)
		require.Equal(t, expect, winners)
		require.Equal(t, int64(winners)*each, b.balance(account).Held)
		tries, won = tries+racers, won+winners
	}
	b.requireSound()
	b.logSettings()
	t.Logf("%d rounds, %d tries to hold, %d won, as many as the balances allow", *raceRounds, tries, won)
}

func TestRacingCapturesWinExactlyTheHold(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	tries, won := 0, 0
	for round := range *raceRounds {
		merchant := fmt.Sprintf("mch_%d", round)
		account := key(ledger.MerchantAvailable, merchant)
		each := int64(round%20 + 1)
		expect := min(int(90/each), racers)
		b.mustPost(collect("p-"+merchant, merchant, 100))
		_, err := b.hold(ledger.HoldRequest{Account: account, Amount: 90, Reference: merchant})
		require.NoError(t, err)
		winners := race(t, func(i int) error {
			_, err := b.post(spend(fmt.Sprintf("%s-%d", merchant, i), merchant, each, merchant))
			return err
		}, ledger.HoldExceeded, ledger.HoldClosed)
		require.Equal(t, expect, winners)
		after := b.balance(account)
		require.Equal(t, 100-int64(winners)*each, after.Posted)
		require.Equal(t, 90-int64(winners)*each, after.Held)
		tries, won = tries+racers, won+winners
	}
	b.requireSound()
	b.logSettings()
	t.Logf("%d rounds, %d tries to capture, %d won, as many as the holds allow", *raceRounds, tries, won)
}

func TestRacingCapturesAndReleaseOfOneHold(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	b.mustPost(collect("p1", "mch_a", 100))
	_, err := b.hold(held("h1", 50))
	require.NoError(t, err)
	var captured, released sync.Map
	var done sync.WaitGroup
	for i := range 40 {
		done.Go(func() {
			if i%10 == 5 {
				released.Store(i, b.release("h1"))
				return
			}
			_, err := b.post(spend(fmt.Sprintf("r%d", i), "mch_a", 1, "h1"))
			captured.Store(i, err)
		})
	}
	done.Wait()
	wins := int64(0)
	captured.Range(func(_, err any) bool {
		if err == nil {
			wins++
		} else {
			require.True(t, ledger.IsKind(err.(error), ledger.HoldClosed), "%v", err)
		}
		return true
	})
	released.Range(func(_, err any) bool {
		require.Nil(t, err)
		return true
	})
	h := b.getHold("h1")
	require.Equal(t, ledger.HoldReleased, h.Status)
	require.Equal(t, wins, h.Captured)
	require.Equal(t, 50-wins, h.Released)
	b.requireSound()
}

func TestCrossingAccountsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	merchants := []string{"mch_a", "mch_b", "mch_c", "mch_d"}
	for _, m := range merchants {
		b.mustPost(collect("p-"+m, m, 1000))
	}
	var deadlocks int64
	require.NoError(t, b.Pool.QueryRow(context.Background(), `select deadlocks from pg_stat_database where datname = current_database()`).Scan(&deadlocks))
	errs := make([]error, 160)
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() {
			from, to := merchants[i%4], merchants[(i+1+i/4%3)%4]
			_, errs[i] = b.post(entry(ledger.Transfer, fmt.Sprintf("t%d", i), leg(ledger.MerchantAvailable, from, 1), leg(ledger.MerchantAvailable, to, -1)))
		})
	}
	done.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	var after int64
	require.NoError(t, b.Pool.QueryRow(context.Background(), `select deadlocks from pg_stat_database where datname = current_database()`).Scan(&after))
	require.Equal(t, deadlocks, after, "locks are taken in one order")
	b.requireSound()
}

// Two calls in one transaction can cross another transaction's; InTenant runs
// the victim again and no caller sees the deadlock.
func TestDeadlocksAcrossCallsAreRunAgain(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	b.mustPost(collect("p-a", "mch_a", 1000), collect("p-b", "mch_b", 1000))
	var meet sync.WaitGroup
	meet.Add(2)
	errs := make([]error, 2)
	var done sync.WaitGroup
	for i, order := range [][]string{{"mch_a", "mch_b"}, {"mch_b", "mch_a"}} {
		done.Go(func() {
			first := true
			errs[i] = b.in(func(ctx context.Context, tx pgx.Tx) error {
				if _, err := ledger.Post(ctx, tx, b.tenant, spend(fmt.Sprintf("r%d-1", i), order[0], 1, "")); err != nil {
					return err
				}
				if first {
					first = false
					meet.Done()
					meet.Wait()
				}
				_, err := ledger.Post(ctx, tx, b.tenant, spend(fmt.Sprintf("r%d-2", i), order[1], 1, ""))
				return err
			})
		})
	}
	done.Wait()
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	require.EqualValues(t, 998, b.balance(key(ledger.MerchantAvailable, "mch_a")).Posted)
	require.EqualValues(t, 998, b.balance(key(ledger.MerchantAvailable, "mch_b")).Posted)
	b.requireSound()
}

func TestRacingReferencesBookOnce(t *testing.T) {
	t.Parallel()
	internal := func(number string) ledger.Entry {
		return entry(ledger.Collect, number, leg(ledger.ChannelUnsettled, "chn", 5), leg(ledger.UnidentifiedReceipts, "chn", -5))
	}
	for name, entries := range map[string][]ledger.Entry{
		"locked account":        {collect("x", "mch_a", 5)},
		"all of the balance":    {spend("x", "mch_full", 100, "")},
		"internal accounts":     {internal("x")},
		"group":                 {collect("x", "mch_a", 5), internal("y"), spend("z", "mch_full", 100, "")},
		"group of two accounts": {internal("y"), internal("x")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t).wide()
			b.mustPost(collect("start", "mch_full", 100))
			posted, errs := make([][]ledger.Posted, 100), make([]error, 100)
			var done sync.WaitGroup
			for i := range errs {
				done.Go(func() { posted[i], errs[i] = b.post(entries...) })
			}
			done.Wait()
			fresh := 0
			for i, err := range errs {
				require.NoError(t, err)
				for j := range entries {
					require.Equal(t, posted[0][j].EntryID, posted[i][j].EntryID)
					if !posted[i][j].Replayed {
						fresh++
					}
				}
			}
			require.Equal(t, len(entries), fresh)
			b.requireSound()
		})
	}
}

// Groups that share some references, in different orders and on accounts
// without locks: whoever comes second runs again and finds what is there.
func TestRacingOverlappingGroups(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	internal := func(n int) ledger.Entry {
		return entry(ledger.Collect, fmt.Sprintf("p%d", n), leg(ledger.ChannelUnsettled, "chn", 5), leg(ledger.UnidentifiedReceipts, "chn", -5))
	}
	errs := make([]error, 60)
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() { _, errs[i] = b.post(internal(i%7), internal((i+3)%7), internal((i+5)%7)) })
	}
	done.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.EqualValues(t, 35, b.balance(key(ledger.ChannelUnsettled, "chn")).Posted)
	b.requireSound()
}

func TestRacingContentIsAMismatchForTheLoser(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	errs := make([]error, 50)
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() { _, errs[i] = b.post(collect("x", fmt.Sprintf("mch_%d", i), 5)) })
	}
	done.Wait()
	wins := 0
	for _, err := range errs {
		if err == nil {
			wins++
		} else {
			require.True(t, ledger.IsKind(err, ledger.Mismatch), "%v", err)
		}
	}
	require.Equal(t, 1, wins)
	b.requireSound()
}
