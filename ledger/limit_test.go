package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

// noon moves the business clock to noon of the 10th of next month, so that no day
// or month ends by itself while a test runs.
func (b *bench) noon() {
	b.t.Helper()
	_, err := b.Pool.Exec(context.Background(), `update business_clock set ahead =
		((date_trunc('month', now() at time zone 'Asia/Shanghai') + interval '1 month 9 days 12 hours') at time zone 'Asia/Shanghai') - clock_timestamp()`)
	require.NoError(b.t, err)
}

func requireLimit(t *testing.T, err error, limit string, most, used, wanted int64) {
	t.Helper()
	var refusal *ledger.LimitError
	require.True(t, errors.As(err, &refusal), "%v", err)
	require.True(t, ledger.IsKind(err, ledger.LimitExceeded))
	require.Equal(t, limit, refusal.Limit)
	require.Equal(t, [3]int64{most, used, wanted}, [3]int64{refusal.Max, refusal.Used, refusal.Wanted})
	require.ErrorContains(t, err, limit)
}

func TestLimitsRefuseAndAreNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.noon()
	b.mustPost(collect("p1", "mch_a", 10000))
	b.mustPost(spend("r0", "mch_a", 500, ""))
	require.NoError(t, b.limits("mch_a", ledger.Limits{
		Debit:  ledger.SideLimits{PostingAmount: 300, DayAmount: 1000, DayCount: 4, MonthAmount: 1500, MonthCount: 6},
		Credit: ledger.SideLimits{DayCount: 1},
	}))
	n := 0
	take := func(amount int64) error {
		n++
		_, err := b.post(spend(fmt.Sprintf("r%d", n), "mch_a", amount, ""))
		return err
	}
	requireLimit(t, take(301), "debit.posting_amount", 300, 0, 301)
	require.NoError(t, take(300))
	require.NoError(t, take(300))
	require.NoError(t, take(300))
	requireLimit(t, take(101), "debit.day_amount", 1000, 900, 101)
	require.NoError(t, take(10))
	requireLimit(t, take(1), "debit.day_count", 4, 4, 1)
	_, err := b.post(collect("p2", "mch_a", 1))
	require.NoError(t, err)
	_, err = b.post(collect("p3", "mch_a", 1))
	requireLimit(t, err, "credit.day_count", 1, 1, 1)

	b.ahead("1 day")
	require.NoError(t, take(300))
	requireLimit(t, take(291), "debit.month_amount", 1500, 1210, 291)
	require.NoError(t, take(1))
	requireLimit(t, take(1), "debit.month_count", 6, 6, 1)
	_, err = b.post(collect("p3", "mch_a", 1))
	require.NoError(t, err)

	b.ahead("1 month")
	require.NoError(t, take(300))
	require.NoError(t, b.limits("mch_a", ledger.Limits{Debit: ledger.SideLimits{DayAmount: 310}}))
	requireLimit(t, take(11), "debit.day_amount", 310, 300, 11)
	require.NoError(t, b.limits("mch_a", ledger.Limits{}))
	require.NoError(t, take(2000))
	b.requireSound()
}

func TestHoldsCountOnceAndReversalsNever(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.noon()
	b.mustPost(collect("p1", "mch_a", 10000))
	require.NoError(t, b.limits("mch_a", ledger.Limits{Debit: ledger.SideLimits{DayAmount: 100, DayCount: 2, MonthAmount: 150}}))
	_, err := b.hold(held("h1", 60))
	require.NoError(t, err)
	_, err = b.hold(held("h2", 41))
	requireLimit(t, err, "debit.day_amount", 100, 60, 41)
	b.mustPost(spend("r1", "mch_a", 50, "h1"))
	require.NoError(t, b.release("h1"), "10 are given back")
	_, err = b.hold(held("h2", 50))
	require.NoError(t, err)
	_, err = b.hold(held("h3", 1))
	requireLimit(t, err, "debit.day_amount", 100, 100, 1)
	require.NoError(t, b.release("h2"), "all of it, and its count")
	_, err = b.hold(held("h3", 50))
	require.NoError(t, err)

	// What was promised can be kept on a day that has no limit left, and what is
	// released then goes back to the month only.
	require.NoError(t, b.limits("mch_a", ledger.Limits{Debit: ledger.SideLimits{DayAmount: 1, MonthAmount: 150}}))
	b.mustPost(spend("r2", "mch_a", 20, "h3"))
	b.ahead("1 day")
	require.NoError(t, b.release("h3"))
	require.NoError(t, b.limits("mch_a", ledger.Limits{Debit: ledger.SideLimits{DayAmount: 100, MonthAmount: 150}}))
	_, err = b.hold(held("h4", 81))
	requireLimit(t, err, "debit.month_amount", 150, 70, 81)
	posted := b.mustPost(spend("r3", "mch_a", 80, ""), collect("p2", "mch_a", 5))
	reverse := entry(ledger.Reversal, "v1", leg(ledger.ChannelUnsettled, "chn", -5), leg(ledger.MerchantAvailable, "mch_a", 5))
	reverse.Reverses = posted[1].EntryID
	b.mustPost(reverse)
	b.requireSound()
}

func TestRacingDebitsStopAtTheLimit(t *testing.T) {
	t.Parallel()
	b := setup(t).wide()
	b.noon()
	b.mustPost(collect("p1", "mch_a", 1000000))
	require.NoError(t, b.limits("mch_a", ledger.Limits{Debit: ledger.SideLimits{DayAmount: 70, DayCount: 9}}))
	errs := make([]error, 100)
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() { _, errs[i] = b.post(spend(fmt.Sprintf("r%d", i), "mch_a", 10, "")) })
	}
	done.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		requireLimit(t, err, "debit.day_amount", 70, 70, 10)
	}
	require.Equal(t, 7, won)
	b.requireSound()
}
