package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

// at moves the business clock of the bench's database forward to a time.
func (b *bench) at(moment string) {
	b.t.Helper()
	_, err := b.Pool.Exec(context.Background(), `update business_clock set ahead = $1::timestamptz - clock_timestamp()`, moment)
	require.NoError(b.t, err)
}

func (b *bench) read(fn func(ctx context.Context, tx pgx.Tx)) {
	b.t.Helper()
	require.NoError(b.t, b.in(func(ctx context.Context, tx pgx.Tx) error { fn(ctx, tx); return nil }))
}

// threeDays books on the 1st, 2nd and 4th of March 2027, on both sides of midnight.
func threeDays(t *testing.T, seal bool) *bench {
	b := setup(t)
	n := 0
	for _, day := range []string{"2027-03-01 10:00:00+08", "2027-03-01 23:59:58+08", "2027-03-02 00:00:01+08", "2027-03-04 12:00:00+08"} {
		b.at(day)
		for range 3 {
			n++
			b.mustPost(collect(fmt.Sprint("p", n), "mch_a", int64(100*n)))
		}
		b.mustPost(spend(fmt.Sprint("r", n), "mch_a", 50, ""))
		if seal {
			b.seal()
		}
	}
	return b
}

func TestStatementsOpenRunAndClose(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{true, false} {
		b := threeDays(t, sealed)
		for _, account := range []ledger.Account{b.balance(key(ledger.MerchantAvailable, "mch_a")), b.balance(key(ledger.ChannelUnsettled, "chn"))} {
			for _, c := range []struct {
				from, to         string
				opening, closing int64
				lines            int
			}{
				{"2027-03-01", "2027-03-01", 0, 2100 - 100, 8},
				{"2027-03-02", "2027-03-02", 2000, 2000 + 2400 - 50, 4},
				{"2027-03-03", "2027-03-03", 4350, 4350, 0},
				{"2027-03-02", "2027-03-04", 2000, 4350 + 3300 - 50, 8},
				{"2020-01-01", "2099-12-31", 0, 7600, 16},
			} {
				b.read(func(ctx context.Context, tx pgx.Tx) {
					query := ledger.StatementQuery{AccountID: account.ID, From: c.from, To: c.to, Limit: 3}
					running, seen := c.opening, 0
					for {
						st, err := ledger.GetStatement(ctx, tx, b.tenant, query)
						require.NoError(t, err)
						require.Empty(t, st.NoData)
						require.Equal(t, []int64{c.opening, c.closing}, []int64{st.Opening, st.Closing}, "%s %+v", account.Key, c)
						for _, l := range st.Lines {
							change := l.Amount
							if account.NormalSide == ledger.Credit {
								change = -change
							}
							running += change
							require.Equal(t, running, l.Balance)
							require.GreaterOrEqual(t, l.BusinessDate, c.from)
							require.LessOrEqual(t, l.BusinessDate, c.to)
							seen++
						}
						if st.Next == (ledger.Position{}) {
							break
						}
						query.After = st.Next
					}
					require.Equal(t, c.closing, running)
					require.Equal(t, c.lines, seen, "%+v", c)
				})
			}
		}
	}
}

func TestAStreamedStatementIsThePagedOne(t *testing.T) {
	t.Parallel()
	b := threeDays(t, true)
	account := b.balance(key(ledger.ChannelUnsettled, "chn"))
	b.read(func(ctx context.Context, tx pgx.Tx) {
		var streamed []ledger.StatementLine
		var head ledger.Statement
		query := ledger.StatementQuery{AccountID: account.ID, From: "2027-03-01", To: "2027-03-31"}
		require.NoError(t, ledger.StreamStatement(ctx, tx, b.tenant, query, func(st ledger.Statement) error { head = st; return nil },
			func(l ledger.StatementLine) error { streamed = append(streamed, l); return nil }))
		paged, err := ledger.GetStatement(ctx, tx, b.tenant, query)
		require.NoError(t, err)
		require.Equal(t, paged.Lines, streamed)
		require.Equal(t, paged.Closing, head.Closing)
	})
}

func TestNoDataIsSaidAndNeverAZero(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.at("2027-03-01 10:00:00+08")
	b.mustPost(collect("p1", "mch_a", 100))
	account := b.balance(key(ledger.MerchantAvailable, "mch_a"))
	b.read(func(ctx context.Context, tx pgx.Tx) {
		st, err := ledger.GetStatement(ctx, tx, b.tenant, ledger.StatementQuery{AccountID: account.ID, From: "2027-02-01", To: "2027-02-28"})
		require.NoError(t, err)
		require.Contains(t, st.NoData, "opened at 2027-03-01T02:00")
		_, err = ledger.SealAt(ctx, tx, b.tenant, ledger.Moment{At: time.Now().AddDate(10, 0, 0)})
		require.True(t, ledger.IsKind(err, ledger.NoData), "nothing is sealed yet")
		_, err = ledger.GetStatement(ctx, tx, b.tenant, ledger.StatementQuery{AccountID: account.ID, From: "2027-02-30", To: "2027-03-01"})
		require.True(t, ledger.IsKind(err, ledger.Invalid))
		_, err = ledger.GetStatement(ctx, tx, b.tenant, ledger.StatementQuery{AccountID: account.ID, From: "2027-03-02", To: "2027-03-01"})
		require.True(t, ledger.IsKind(err, ledger.Invalid))
		_, err = ledger.GetStatement(ctx, tx, b.tenant, ledger.StatementQuery{AccountID: "acc_none", From: "2027-03-02", To: "2027-03-02"})
		require.True(t, ledger.IsKind(err, ledger.NotFound))
		vouchers, err := ledger.Vouchers(ctx, tx, b.tenant, "2027-02-01")
		require.NoError(t, err)
		require.Empty(t, vouchers)
	})
	b.seal()
	b.mustPost(collect("p2", "mch_b", 100))
	later := b.balance(key(ledger.MerchantAvailable, "mch_b"))
	b.read(func(ctx context.Context, tx pgx.Tx) {
		_, err := ledger.SealAt(ctx, tx, b.tenant, ledger.Moment{At: time.Now()})
		require.True(t, ledger.IsKind(err, ledger.NoData), "before the first seal")
		_, err = ledger.SealAt(ctx, tx, b.tenant, ledger.Moment{Seal: 2})
		require.True(t, ledger.IsKind(err, ledger.NoData))
		first, err := ledger.SealAt(ctx, tx, b.tenant, ledger.Moment{Seal: 1})
		require.NoError(t, err)
		_, err = ledger.PostedAt(ctx, tx, b.tenant, later.ID, first)
		require.True(t, ledger.IsKind(err, ledger.NoData), "opened after the seal")
		_, err = ledger.PostedAt(ctx, tx, b.tenant, "acc_none", first)
		require.True(t, ledger.IsKind(err, ledger.NotFound))
	})
}

func TestTheBalanceAtASealIsThatOfItsTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var want []int64
	total := int64(0)
	for day := range 6 {
		b.at(fmt.Sprintf("2027-03-%02d 10:00:00+08", day+1))
		if day != 3 { // a day on which the account stands still
			b.mustPost(collect(fmt.Sprint("p", day), "mch_a", int64(day+1)))
			total += int64(day + 1)
		}
		b.mustPost(entry(ledger.Collect, fmt.Sprint("o", day), leg(ledger.Bank, "b", 1), leg(ledger.MerchantAvailable, "mch_o", -1)))
		b.seal()
		want = append(want, total)
	}
	b.mustPost(collect("tail", "mch_a", 1000))
	require.EqualValues(t, total+1000, b.balance(key(ledger.ChannelUnsettled, "chn")).Posted, "seals and what is not sealed yet")
	for _, account := range []ledger.Account{b.balance(key(ledger.MerchantAvailable, "mch_a")), b.balance(key(ledger.ChannelUnsettled, "chn"))} {
		for day, balance := range want {
			b.read(func(ctx context.Context, tx pgx.Tx) {
				byNumber, err := ledger.SealAt(ctx, tx, b.tenant, ledger.Moment{Seal: int64(day + 1)})
				require.NoError(t, err)
				at, err := time.Parse(time.RFC3339, fmt.Sprintf("2027-03-%02dT20:00:00+08:00", day+1))
				require.NoError(t, err)
				byTime, err := ledger.SealAt(ctx, tx, b.tenant, ledger.Moment{At: at})
				require.NoError(t, err)
				require.Equal(t, byNumber, byTime)
				posted, err := ledger.PostedAt(ctx, tx, b.tenant, account.ID, byNumber)
				require.NoError(t, err)
				require.Equal(t, balance, posted)
			})
		}
	}
	b.requireSound()
}

func TestVouchersBalanceAndSumUpTheDay(t *testing.T) {
	t.Parallel()
	b := threeDays(t, true)
	b.mustPost(entry(ledger.Fee, "p1", leg(ledger.MerchantAvailable, "mch_a", 10), leg(ledger.OwnStakeInCustody, "", -10),
		leg(ledger.CustodyClaim, "", 10), leg(ledger.FeeIncome, "", -10)))
	b.read(func(ctx context.Context, tx pgx.Tx) {
		lines, err := ledger.Vouchers(ctx, tx, b.tenant, "2027-03-04")
		require.NoError(t, err)
		debit, credit := map[int64]int64{}, map[int64]int64{}
		for _, l := range lines {
			debit[l.Voucher] += l.Debit
			credit[l.Voucher] += l.Credit
		}
		require.Equal(t, debit, credit)
		require.Len(t, debit, 4, "collect, fee and refund in the trust book, fee in the own book")
		require.Equal(t, ledger.VoucherLine{Voucher: 1, Kind: ledger.Collect, Book: ledger.Trust, Currency: "CNY", GLCode: "1012.01",
			Type: ledger.ChannelUnsettled, Debit: 3300, Postings: 3}, lines[0])
	})
}

func TestWithdrawableLeavesOutWhatMayNotLeave(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.at("2027-03-01 10:00:00+08")
	b.mustPost(entry(ledger.Collect, "u1", leg(ledger.ChannelUnsettled, "chn", 100), leg(ledger.UserCash, "usr_a", -100)))
	require.Zero(t, b.balance(key(ledger.UserCash, "usr_a")).Withdrawable(), "recharged today, not settled")
	b.at("2027-03-02 00:00:01+08")
	b.mustPost(entry(ledger.Collect, "u2", leg(ledger.ChannelUnsettled, "chn", 30), leg(ledger.UserCash, "usr_a", -30)),
		collect("p1", "mch_a", 500), entry(ledger.Collect, "p2", leg(ledger.ChannelUnsettled, "chn", 9), leg(ledger.MerchantPending, "mch_a", -9)))
	_, err := b.hold(held("h1", 200))
	require.NoError(t, err)
	user := b.balance(key(ledger.UserCash, "usr_a"))
	require.Equal(t, []int64{130, 130, 100}, []int64{user.Posted, user.Available(), user.Withdrawable()})
	merchant := b.balance(key(ledger.MerchantAvailable, "mch_a"))
	require.Equal(t, []int64{500, 200, 300, 300}, []int64{merchant.Posted, merchant.Held, merchant.Available(), merchant.Withdrawable()})
	require.Zero(t, b.balance(key(ledger.MerchantPending, "mch_a")).Withdrawable())
}
