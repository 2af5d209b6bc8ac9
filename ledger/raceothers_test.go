package ledger_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

// Holds and debits of one account race for what a day allows: by amount in even
// rounds, by count in odd ones. The money would do for all of them.
func TestRacingForADaysLimitWinsExactlyTheLimit(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	b.noon()
	tries, won := 0, 0
	for round := range *raceRounds {
		merchant := fmt.Sprintf("mch_%d", round)
		account := key(ledger.MerchantAvailable, merchant)
		each := int64(round%20 + 1)
		limit, expect := ledger.SideLimits{DayAmount: 100}, min(int(100/each), racers)
		if round%2 == 1 {
			limit, expect = ledger.SideLimits{DayCount: each}, int(each)
		}
		b.mustPost(collect("p-"+merchant, merchant, racers*each))
		require.NoError(t, b.limits(merchant, ledger.Limits{Debit: limit}))
		winners := race(t, func(i int) error {
			reference := fmt.Sprintf("%s-%d", merchant, i)
			if i%2 == 0 {
				_, err := b.hold(ledger.HoldRequest{Account: account, Amount: each, Reference: reference})
				return err
			}
			_, err := b.post(spend(reference, merchant, each, ""))
			return err
		}, ledger.LimitExceeded)
		require.Equal(t, expect, winners)
		require.EqualValues(t, (racers-int64(winners))*each, b.balance(account).Available())
		tries, won = tries+racers, won+winners
	}
	b.requireSound()
	t.Logf("%d rounds, %d tries, %d won, as many as the limits allow", *raceRounds, tries, won)
}

// A hold's time ends while it is captured in parts: each capture wins before the
// sweep or is refused, and what is captured and what is freed make up the hold.
func TestRacingCapturesAndExpiryOfOneHold(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	for round := range *raceRounds {
		merchant := fmt.Sprintf("mch_%d", round)
		account := key(ledger.MerchantAvailable, merchant)
		b.mustPost(collect("p-"+merchant, merchant, 1000))
		var now time.Time
		require.NoError(t, b.Pool.QueryRow(t.Context(), `select suanpan_now()`).Scan(&now))
		_, err := b.hold(ledger.HoldRequest{Account: account, Amount: 900, Reference: merchant, ExpiresAt: now.Add(time.Hour)})
		require.NoError(t, err)
		swept := make(chan int, 1)
		winners := race(t, func(i int) error {
			if i == racers/2 {
				b.ahead("2 hours")
				swept <- b.expire()
				return nil
			}
			_, err := b.post(spend(fmt.Sprintf("%s-%d", merchant, i), merchant, 1, merchant))
			return err
		}, ledger.HoldClosed) - 1
		require.Equal(t, 1, <-swept)
		hold := b.getHold(merchant)
		require.Equal(t, ledger.HoldExpired, hold.Status)
		require.EqualValues(t, winners, hold.Captured)
		require.EqualValues(t, 900-winners, hold.Released)
		after := b.balance(account)
		require.EqualValues(t, 1000-winners, after.Posted)
		require.Zero(t, after.Held)
	}
	b.requireSound()
}

// Freezing and closing race with postings: what was booked came before, what
// came after was refused, and no account closes with money on it.
func TestRacingPostingsAndStatus(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	for round := range *raceRounds {
		merchant := fmt.Sprintf("mch_%d", round)
		account := key(ledger.MerchantAvailable, merchant)
		b.mustPost(collect("p-"+merchant, merchant, 10))
		var mu sync.Mutex
		closed := 0
		spent := race(t, func(i int) error {
			if i%20 == 19 {
				err := b.status(merchant, ledger.Closed)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					closed++
				}
				return err
			}
			_, err := b.post(spend(fmt.Sprintf("%s-%d", merchant, i), merchant, 1, ""))
			return err
		}, ledger.Insufficient, ledger.AccountStatus, ledger.NotEmpty) - closed
		after := b.balance(account)
		require.EqualValues(t, 10-spent, after.Posted)
		require.Equal(t, 10, spent, "money for ten, and no freeze to refuse one")
		if after.Status == ledger.Closed {
			require.Zero(t, after.Posted)
		}

		frozen := fmt.Sprintf("frz_%d", round)
		b.mustPost(collect("p-"+frozen, frozen, 1000))
		taken := race(t, func(i int) error {
			if i == racers/2 {
				return b.status(frozen, ledger.DebitFrozen)
			}
			_, err := b.post(spend(fmt.Sprintf("%s-%d", frozen, i), frozen, 1, ""))
			return err
		}, ledger.AccountStatus) - 1
		left := b.balance(key(ledger.MerchantAvailable, frozen))
		require.Equal(t, ledger.DebitFrozen, left.Status)
		require.EqualValues(t, 1000-taken, left.Posted)
	}
	b.requireSound()
}
