package recon_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/money"
)

// TestAWholeDayThroughTheDatabase is the smoke size of a large day: more lines
// than travel in one statement, and a difference in every hundredth.
func TestAWholeDayThroughTheDatabase(t *testing.T) {
	t.Parallel()
	const count = 25_000
	w := newWorld(t)
	start := mustDay(t, yesterday).Start()
	numbers, times := make([]string, count), make([]time.Time, count)
	var lines []channel.BillLine
	for i := range count {
		r := recon.Record{Kind: channel.BillPayment, Number: id.Number(), Amount: money.Fen(1000), Fee: 6,
			At: start.Add(time.Duration(i) * 3 * time.Second)}
		numbers[i], times[i] = r.Number, r.At
		line := lineOf(r)
		switch i % 100 {
		case 1:
			continue
		case 2:
			line.FeeText = "0.07"
		}
		lines = append(lines, line)
	}
	w.exec(`insert into payments (tenant_id, id, merchant_id, reference, subject, currency, amount, channel, product, status, expires_at, paid_at)
		select $1, 'pay_' || u.number, $2, u.number, 's', 'CNY', 1000, 'wechatpay', 'qr', 'succeeded', now(), u.at
		from unnest($3::text[], $4::timestamptz[]) u(number, at)`, w.tenant, w.merchant, numbers, times)
	w.exec(`insert into attempts (tenant_id, id, payment_id, channel_account_id, channel, number, request_hash, status,
			channel_trade_no, fee, paid_at)
		select $1, 'att_' || u.number, 'pay_' || u.number, $2, 'wechatpay', u.number, sha256(''), 'paid', 'c', 6, u.at
		from unnest($3::text[], $4::timestamptz[]) u(number, at)`, w.tenant, w.account, numbers, times)

	done := w.reconcile(billOf(yesterday, lines...))
	report := done.Reconciliation.Report
	require.Equal(t, int64(count), report.Ours.PaymentCount)
	require.Equal(t, int64(len(lines)), report.Theirs.PaymentCount)
	require.Equal(t, int64(count-2*count/100), report.MatchedCount)
	require.Equal(t, int64(2*count/100), report.DiscrepancyCount)
	require.Equal(t, int64(count/100), report.OpenCount)
	require.Equal(t, int64(len(lines)*994-count/100), report.SettledFen)
	require.Len(t, done.Bookings, count/100+1)

	again := w.reconcile(billOf(yesterday, lines...))
	require.Empty(t, again.Bookings)
	require.Equal(t, report, again.Reconciliation.Report)
}

// TestTheDatabaseKnowsEveryKind: the table's check and the package's words agree.
func TestTheDatabaseKnowsEveryKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(func(ctx context.Context, tx pgx.Tx) error {
		var check string
		err := tx.QueryRow(ctx, `select pg_get_constraintdef(oid) from pg_constraint
			where conrelid = 'discrepancies'::regclass and conname = 'discrepancies_kind_check'`).Scan(&check)
		for _, kind := range recon.Kinds() {
			require.Contains(t, check, "'"+string(kind)+"'")
		}
		return err
	})
}
