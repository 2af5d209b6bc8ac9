package recon_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/money"
)

func mustDay(t require.TestingT, date string) recon.Day {
	day, err := recon.ParseDay(date)
	require.NoError(t, err)
	return day
}

func record(kind channel.BillKind, amount, fee int64, at time.Time) recon.Record {
	return recon.Record{Kind: kind, Number: id.Number(), Amount: money.Fen(amount), Fee: fee, At: at}
}

// lineOf is the line a provider in full agreement prints for r.
func lineOf(r recon.Record) channel.BillLine {
	fee := r.Fee
	if r.Kind == channel.BillRefund {
		fee = -fee
	}
	return channel.BillLine{Kind: r.Kind, Number: r.Number, TradeNumber: r.Number, ChannelTradeNo: "2026" + r.Number,
		Amount: r.Amount, FeeText: decimal.New(fee, -2).StringFixed(5), Status: "SUCCESS", At: r.At.Truncate(time.Second)}
}

func number(lines []channel.BillLine) []channel.BillLine {
	for i := range lines {
		lines[i].Row = i + 1
	}
	return lines
}

// seed is one difference: how the two sides look, and what must come out. An
// empty kind is none.
type seed struct {
	name   string
	kind   recon.Kind
	status recon.DiscrepancyStatus
	make   func(day recon.Day, r recon.Record) (ours []recon.Record, theirs []channel.BillLine)
	// matched is how many pairs agree in everything beside the difference.
	matched int64
}

func seeds() []seed {
	change := func(f func(day recon.Day, r *recon.Record, l *channel.BillLine)) func(recon.Day, recon.Record) ([]recon.Record, []channel.BillLine) {
		return func(day recon.Day, r recon.Record) ([]recon.Record, []channel.BillLine) {
			line := lineOf(r)
			f(day, &r, &line)
			return []recon.Record{r}, []channel.BillLine{line}
		}
	}
	return []seed{
		{name: "agrees", matched: 1, make: change(func(recon.Day, *recon.Record, *channel.BillLine) {})},
		{name: "missing line", kind: recon.MissingInBill, status: recon.DiscrepancyOpen,
			make: func(_ recon.Day, r recon.Record) ([]recon.Record, []channel.BillLine) { return []recon.Record{r}, nil }},
		{name: "carried and still missing", kind: recon.MissingInBill, status: recon.DiscrepancyOpen,
			make: func(day recon.Day, r recon.Record) ([]recon.Record, []channel.BillLine) {
				r.At, r.Carried = day.Start().Add(-time.Second), true
				return []recon.Record{r}, nil
			}},
		{name: "extra line", kind: recon.MissingInBooks, status: recon.DiscrepancyOpen,
			make: func(_ recon.Day, r recon.Record) ([]recon.Record, []channel.BillLine) {
				return nil, []channel.BillLine{lineOf(r)}
			}},
		{name: "known and not paid", kind: recon.MissingInBooks, status: recon.DiscrepancyOpen,
			make: change(func(_ recon.Day, r *recon.Record, _ *channel.BillLine) { r.Unfinished = true })},
		{name: "number of another form", kind: recon.ForeignLine, status: recon.DiscrepancyOpen,
			make: func(_ recon.Day, r recon.Record) ([]recon.Record, []channel.BillLine) {
				line := lineOf(r)
				line.Number = "T" + r.Number + "-x"
				return nil, []channel.BillLine{line}
			}},
		{name: "another account's", kind: recon.ForeignLine, status: recon.DiscrepancyOpen,
			make: change(func(_ recon.Day, r *recon.Record, _ *channel.BillLine) { r.OtherAccount = true })},
		{name: "amount", kind: recon.AmountMismatch, status: recon.DiscrepancyOpen,
			make: change(func(_ recon.Day, _ *recon.Record, l *channel.BillLine) { l.Amount.Minor++ })},
		{name: "currency", kind: recon.CurrencyMismatch, status: recon.DiscrepancyOpen,
			make: change(func(_ recon.Day, _ *recon.Record, l *channel.BillLine) { l.Amount.Currency = "USD" })},
		{name: "kind", kind: recon.KindMismatch, status: recon.DiscrepancyOpen,
			make: change(func(_ recon.Day, r *recon.Record, l *channel.BillLine) {
				r.Kind, l.Kind = channel.BillRefund, channel.BillPayment
			})},
		{name: "status", kind: recon.StatusMismatch, status: recon.DiscrepancyOpen,
			make: change(func(_ recon.Day, _ *recon.Record, l *channel.BillLine) { l.Status = "PROCESSING" })},
		{name: "small fee", kind: recon.FeeMismatch, status: recon.DiscrepancyAdjusted,
			make: change(func(_ recon.Day, r *recon.Record, l *channel.BillLine) { l.FeeText = signed(*r, 37) })},
		{name: "large fee", kind: recon.FeeMismatch, status: recon.DiscrepancyOpen,
			make: change(func(_ recon.Day, r *recon.Record, l *channel.BillLine) { l.FeeText = signed(*r, 101) })},
		{name: "unreadable fee", kind: recon.FeeMismatch, status: recon.DiscrepancyOpen,
			make: change(func(_ recon.Day, _ *recon.Record, l *channel.BillLine) { l.FeeText = "1e9" })},
		{name: "fee below a fen", kind: recon.FeeRounding, status: recon.DiscrepancyExplained,
			make: change(func(_ recon.Day, _ *recon.Record, l *channel.BillLine) {
				l.FeeText = decimal.RequireFromString(l.FeeText).Sub(decimal.RequireFromString("0.00499")).String()
			})},
		{name: "other day", kind: recon.OtherDay, status: recon.DiscrepancyOpen,
			make: change(func(day recon.Day, r *recon.Record, l *channel.BillLine) {
				r.At = day.Start().Add(-25 * time.Hour)
			})},
		{name: "line of another day", kind: recon.OtherDay, status: recon.DiscrepancyOpen,
			make: change(func(day recon.Day, r *recon.Record, l *channel.BillLine) {
				r.At, l.At = day.Start().Add(12*time.Hour), day.End().Add(time.Hour)
			})},
		{name: "payment line of the day before", kind: recon.OtherDay, status: recon.DiscrepancyOpen,
			make: change(func(day recon.Day, r *recon.Record, l *channel.BillLine) {
				r.Kind, l.Kind = channel.BillPayment, channel.BillPayment
				l.FeeText = signed(*r, 0)
				r.At, l.At = day.Start().Add(12*time.Hour), day.Start().Add(-time.Hour)
			})},
		{name: "across midnight", kind: recon.NextDay, status: recon.DiscrepancyExplained,
			make: change(func(day recon.Day, r *recon.Record, l *channel.BillLine) {
				r.At, l.At = day.Start().Add(-100*time.Millisecond), day.Start()
			})},
		{name: "line just after its day", kind: recon.NextDay, status: recon.DiscrepancyExplained,
			make: change(func(day recon.Day, r *recon.Record, l *channel.BillLine) {
				r.At, l.At = day.End().Add(-100*time.Millisecond), day.End()
			})},
		{name: "before midnight, not printed yet", kind: recon.NextDay, status: recon.DiscrepancyExplained,
			make: func(day recon.Day, r recon.Record) ([]recon.Record, []channel.BillLine) {
				r.At = day.End().Add(-time.Millisecond)
				return []recon.Record{r}, nil
			}},
		{name: "printed the day before", kind: recon.NextDay, status: recon.DiscrepancyExplained,
			make: func(day recon.Day, r recon.Record) ([]recon.Record, []channel.BillLine) {
				r.At, r.InPreviousBill = day.Start(), true
				return []recon.Record{r}, nil
			}},
		{name: "printed on both days", kind: recon.DuplicateLine, status: recon.DiscrepancyOpen,
			make: change(func(_ recon.Day, r *recon.Record, _ *channel.BillLine) { r.InPreviousBill = true })},
		{name: "printed twice", kind: recon.DuplicateLine, status: recon.DiscrepancyOpen, matched: 1,
			make: func(_ recon.Day, r recon.Record) ([]recon.Record, []channel.BillLine) {
				return []recon.Record{r}, []channel.BillLine{lineOf(r), lineOf(r)}
			}},
		{name: "printed twice, once wrong", kind: recon.DuplicateLine, status: recon.DiscrepancyOpen, matched: 1,
			make: func(_ recon.Day, r recon.Record) ([]recon.Record, []channel.BillLine) {
				wrong := lineOf(r)
				wrong.Amount.Minor += 5
				return []recon.Record{r}, []channel.BillLine{wrong, lineOf(r)}
			}},
	}
}

// signed prints r's fee with the provider taking more fen than accrued.
func signed(r recon.Record, more int64) string {
	fee := r.Fee
	if r.Kind == channel.BillRefund {
		fee = -fee
	}
	return decimal.New(fee+more, -2).String()
}

func key(kind recon.Kind, status recon.DiscrepancyStatus, number string) string {
	return fmt.Sprintf("%s %s %s", kind, status, number)
}

func keysOf(result recon.Result) []string {
	keys := make([]string, 0, len(result.Differences))
	for _, d := range result.Differences {
		keys = append(keys, key(d.Kind, d.Status, d.Number))
	}
	slices.Sort(keys)
	return keys
}

// TestEveryDifferenceIsFoundAndNoneInvented seeds any number of each kind and
// compares the sets exactly, whatever the order of both sides (B6.1, C24).
func TestEveryDifferenceIsFoundAndNoneInvented(t *testing.T) {
	t.Parallel()
	day := mustDay(t, "2026-03-01")
	rapid.Check(t, func(t *rapid.T) {
		var ours []recon.Record
		var theirs []channel.BillLine
		want := []string{}
		var matched, due int64
		for _, s := range seeds() {
			for range rapid.IntRange(0, 4).Draw(t, s.name) {
				kind := rapid.SampledFrom([]channel.BillKind{channel.BillPayment, channel.BillRefund}).Draw(t, "kind")
				r := record(kind, rapid.Int64Range(200, 1_000_000_00).Draw(t, "amount"),
					rapid.Int64Range(0, 60_000_00).Draw(t, "fee"),
					day.Start().Add(time.Duration(rapid.Int64Range(0, 23*3600).Draw(t, "second"))*time.Second))
				if s.kind == recon.FeeRounding || s.name == "kind" {
					r.Kind = channel.BillPayment
				}
				o, l := s.make(day, r)
				ours, theirs = append(ours, o...), append(theirs, l...)
				matched += s.matched
				for _, r := range o {
					if r.Carried || !r.Unfinished && !r.OtherAccount && day.Contains(r.At) {
						due++
					}
				}
				if s.kind != "" {
					number := r.Number
					if len(o) == 0 {
						number = l[0].Number
					}
					want = append(want, key(s.kind, s.status, number))
				}
			}
		}
		slices.Sort(want)
		theirs = number(theirs)
		result, err := recon.Match(day, ours, theirs, recon.DefaultRules())
		require.NoError(t, err)
		require.Equal(t, want, keysOf(result))
		require.Equal(t, matched, result.Matched)
		requireExactlyOnce(t, day, result, theirs, due)
		requireSettled(t, ours, result)

		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "shuffle"), 1))
		rng.Shuffle(len(ours), func(i, j int) { ours[i], ours[j] = ours[j], ours[i] })
		rng.Shuffle(len(theirs), func(i, j int) { theirs[i], theirs[j] = theirs[j], theirs[i] })
		again, err := recon.Match(day, ours, theirs, recon.DefaultRules())
		require.NoError(t, err)
		require.Equal(t, result, again)
	})
}

// requireExactlyOnce holds C24: each line and each due record is in exactly one
// of {matched, discrepancy}.
func requireExactlyOnce(t require.TestingT, day recon.Day, result recon.Result, theirs []channel.BillLine, due int64) {
	rows, records := map[int]int{}, map[string]int{}
	for _, d := range result.Differences {
		require.NotEmpty(t, d.Explanation)
		require.Equal(t, d.Status == recon.DiscrepancyAdjusted, d.AdjustFen != 0)
		require.Equal(t, d.Row > 0, d.Line != nil)
		if d.Row > 0 {
			rows[d.Row]++
			require.Equal(t, 1, rows[d.Row], "row %d", d.Row)
		}
		r := d.Ours
		if r == nil || r.Unfinished || r.OtherAccount || !(r.Carried || day.Contains(r.At)) {
			continue
		}
		// A repeated line names the record whose own fate is another line.
		if d.Kind != recon.DuplicateLine || r.InPreviousBill {
			records[r.Number]++
			require.Equal(t, 1, records[r.Number], r.Number)
		}
	}
	require.Equal(t, int64(len(theirs)), result.Matched+int64(len(rows)))
	require.Equal(t, due, result.Matched+int64(len(records)))
	require.Equal(t, int64(len(theirs)), result.Theirs.PaymentCount+result.Theirs.RefundCount)
}

// requireSettled recomputes what the provider settled from the pairs.
func requireSettled(t require.TestingT, ours []recon.Record, result recon.Result) {
	apart := map[string]bool{}
	var want int64
	net := func(r recon.Record) int64 {
		if r.Kind == channel.BillRefund {
			return -r.Amount.Minor + r.Fee
		}
		return r.Amount.Minor - r.Fee
	}
	for _, d := range result.Differences {
		if d.Kind == recon.DuplicateLine && !(d.Ours != nil && d.Ours.InPreviousBill) || d.Ours == nil {
			continue
		}
		apart[d.Number] = true
		if d.Line != nil && d.Status != recon.DiscrepancyOpen {
			want += net(*d.Ours) - d.AdjustFen
		}
	}
	for _, r := range ours {
		if !apart[r.Number] {
			want += net(r)
		}
	}
	require.Equal(t, want, result.SettledFen)
}

func TestBoundaryOfTheDay(t *testing.T) {
	t.Parallel()
	for _, date := range []string{"2028-02-29", "2026-12-31", "2027-01-01", "2026-03-01"} {
		day := mustDay(t, date)
		require.Equal(t, date, day.String())
		require.Equal(t, date, recon.DayOf(day.Start().UTC()).String())
		require.Equal(t, date, recon.DayOf(day.End().Add(-time.Nanosecond).UTC()).String())
		require.Equal(t, day.Next().String(), recon.DayOf(day.End().UTC()).String())
		require.Equal(t, date, day.Next().Previous().String())

		// Ours paid at 23:59:59.9 and printed by the provider at 00:00:00.1.
		r := record(channel.BillPayment, 100, 1, day.End().Add(-100*time.Millisecond))
		line := lineOf(r)
		line.Row, line.At = 1, day.End().Add(100*time.Millisecond)

		first, err := recon.Match(day, []recon.Record{r}, nil, recon.DefaultRules())
		require.NoError(t, err)
		require.Equal(t, []string{key(recon.NextDay, recon.DiscrepancyExplained, r.Number)}, keysOf(first))
		require.Zero(t, first.SettledFen)

		carried := r
		carried.Carried = true
		second, err := recon.Match(day.Next(), []recon.Record{carried}, []channel.BillLine{line}, recon.DefaultRules())
		require.NoError(t, err)
		require.Equal(t, []string{key(recon.NextDay, recon.DiscrepancyExplained, r.Number)}, keysOf(second))
		require.Equal(t, int64(99), second.SettledFen)

		gone, err := recon.Match(day.Next(), []recon.Record{carried}, nil, recon.DefaultRules())
		require.NoError(t, err)
		require.Equal(t, []string{key(recon.MissingInBill, recon.DiscrepancyOpen, r.Number)}, keysOf(gone))
	}
	for _, wrong := range []string{"", "2026-02-29", "2026-2-1", "20260201", "2026-02-01T00:00:00Z", "2026-13-01"} {
		_, err := recon.ParseDay(wrong)
		require.Error(t, err, wrong)
	}
}

func TestARefundLineMayCarryThePaymentsTime(t *testing.T) {
	t.Parallel()
	day := mustDay(t, "2026-03-05")
	r := record(channel.BillRefund, 500, 3, day.Start().Add(time.Hour))
	line := lineOf(r)
	line.Row, line.At, line.Status = 1, day.Start().Add(-72*time.Hour), "REFUND/SUCCESS"
	result, err := recon.Match(day, []recon.Record{r}, []channel.BillLine{line}, recon.DefaultRules())
	require.NoError(t, err)
	require.Empty(t, result.Differences)
	require.Equal(t, int64(1), result.Matched)
	require.Equal(t, int64(-497), result.SettledFen)
}

func TestFeesAreComparedExactly(t *testing.T) {
	t.Parallel()
	day := mustDay(t, "2026-03-05")
	for _, c := range []struct {
		ours   int64
		text   string
		kind   recon.Kind
		status recon.DiscrepancyStatus
		adjust int64
	}{
		{12, "0.12", "", "", 0},
		{12, "0.12000", "", "", 0},
		{0, "", "", "", 0},
		{0, "-0.00000", "", "", 0},
		{12, "0.11500", recon.FeeRounding, recon.DiscrepancyExplained, 0},
		{12, "0.12499", recon.FeeRounding, recon.DiscrepancyExplained, 0},
		{12, "0.12500", recon.FeeMismatch, recon.DiscrepancyAdjusted, 1},
		{12, "0.11499", recon.FeeMismatch, recon.DiscrepancyAdjusted, -1},
		{12, "1.12", recon.FeeMismatch, recon.DiscrepancyAdjusted, 100},
		{12, "1.13", recon.FeeMismatch, recon.DiscrepancyOpen, 0},
		{112, "0.12", recon.FeeMismatch, recon.DiscrepancyAdjusted, -100},
		{113, "0.12", recon.FeeMismatch, recon.DiscrepancyOpen, 0},
		{12, "", recon.FeeMismatch, recon.DiscrepancyAdjusted, -12},
		{12, "0.1.2", recon.FeeMismatch, recon.DiscrepancyOpen, 0},
		{12, "1e-900000000", recon.FeeMismatch, recon.DiscrepancyOpen, 0},
		{12, "99999999999999999999999", recon.FeeMismatch, recon.DiscrepancyOpen, 0},
	} {
		r := record(channel.BillPayment, 2000, c.ours, day.Start().Add(time.Hour))
		line := lineOf(r)
		line.Row, line.FeeText = 1, c.text
		result, err := recon.Match(day, []recon.Record{r}, []channel.BillLine{line}, recon.DefaultRules())
		require.NoError(t, err)
		if c.kind == "" {
			require.Empty(t, result.Differences, c.text)
			continue
		}
		require.Len(t, result.Differences, 1, c.text)
		d := result.Differences[0]
		require.Equal(t, []any{c.kind, c.status, c.adjust}, []any{d.Kind, d.Status, d.AdjustFen}, c.text)
	}
}

// TestRecordsMayComeAfterTheLines: those that Wanted asks for do.
func TestRecordsMayComeAfterTheLines(t *testing.T) {
	t.Parallel()
	day := mustDay(t, "2026-03-05")
	r := record(channel.BillPayment, 2000, 12, day.Start().Add(-time.Minute))
	line := lineOf(r)
	line.Row, line.At = 1, day.Start()
	m := recon.NewMatcher(day, recon.DefaultRules(), true)
	require.NoError(t, m.AddLine(line))
	require.Equal(t, []string{r.Number}, m.Wanted())
	require.NoError(t, m.AddRecord(r))
	require.Empty(t, m.Wanted())
	require.Error(t, m.AddRecord(r), "twice")
	result, err := m.Result()
	require.NoError(t, err)
	require.Equal(t, []string{key(recon.NextDay, recon.DiscrepancyExplained, r.Number)}, keysOf(result))
}

// TestWithoutASuccessor: the next day was reconciled before this day ever was,
// so nobody takes over what midnight explains.
func TestWithoutASuccessor(t *testing.T) {
	t.Parallel()
	day := mustDay(t, "2026-03-05")
	there := record(channel.BillPayment, 2000, 12, day.End().Add(-time.Second))
	there.InNextBill = true
	gone := record(channel.BillPayment, 2000, 12, day.End().Add(-time.Second))
	m := recon.NewMatcher(day, recon.DefaultRules(), false)
	require.NoError(t, m.AddRecord(there))
	require.NoError(t, m.AddRecord(gone))
	result, err := m.Result()
	require.NoError(t, err)
	require.Equal(t, []string{
		key(recon.MissingInBill, recon.DiscrepancyOpen, gone.Number),
		key(recon.NextDay, recon.DiscrepancyExplained, there.Number),
	}, keysOf(result))
}

func TestOurOwnWrongRecordsAreErrors(t *testing.T) {
	t.Parallel()
	day := mustDay(t, "2026-03-05")
	good := record(channel.BillPayment, 1, 0, day.Start())
	for name, spoil := range map[string]func(*recon.Record){
		"number":   func(r *recon.Record) { r.Number = "x" },
		"zero":     func(r *recon.Record) { r.Amount = money.Fen(0) },
		"currency": func(r *recon.Record) { r.Amount.Currency = "USD" },
		"fee":      func(r *recon.Record) { r.Fee = -1 },
	} {
		bad := good
		spoil(&bad)
		_, err := recon.Match(day, []recon.Record{bad}, nil, recon.DefaultRules())
		require.Error(t, err, name)
	}
}

// TestAHundredThousandLines is a check of memory by construction: it keeps only
// the lines that do not match at sight.
func TestAHundredThousandLines(t *testing.T) {
	t.Parallel()
	day := mustDay(t, "2026-03-05")
	const count = 100_000
	m := recon.NewMatcher(day, recon.DefaultRules(), true)
	records := make([]recon.Record, count)
	for i := range records {
		records[i] = record(channel.BillPayment, 1000, 6, day.Start().Add(time.Duration(i)*100*time.Millisecond))
		require.NoError(t, m.AddRecord(records[i]))
	}
	for i, r := range records {
		if i%1000 == 0 {
			continue
		}
		line := lineOf(r)
		line.Row = i + 1
		require.NoError(t, m.AddLine(line))
	}
	require.Empty(t, m.Wanted())
	result, err := m.Result()
	require.NoError(t, err)
	require.Equal(t, int64(count-100), result.Matched)
	require.Len(t, result.Differences, 100)
	require.Equal(t, int64(100), result.Open())
	require.Equal(t, int64(count-100)*994, result.SettledFen)
	require.True(t, result.Ours.Fee.Equal(decimal.New(600_000, -2)))
}
