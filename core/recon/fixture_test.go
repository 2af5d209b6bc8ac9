package recon_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// today is the business date of every test here; the day before is reconciled.
const (
	today     = "2026-03-10"
	yesterday = "2026-03-09"
	earlier   = "2026-03-08"
)

// world is one tenant with a merchant and two channel accounts.
type world struct {
	*pgtest.Database
	t                                testing.TB
	box                              *secret.Box
	tenant, merchant, account, other string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	masters, err := secret.ParseMasters(secret.NewMasterKeyText())
	require.NoError(t, err)
	box, err := secret.NewBox(masters)
	require.NoError(t, err)
	w := &world{Database: pgtest.New(t), t: t, box: box}
	w.setClock(today + " 12:00:00+08")
	w.tenant, w.merchant, w.account = w.addTenant()
	w.other = w.addAccount(w.tenant)
	return w
}

func (w *world) setClock(to string) {
	w.exec(`update business_clock set ahead = $1::timestamptz - clock_timestamp()`, to)
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	_, err := w.Pool.Exec(context.Background(), sql, args...)
	require.NoError(w.t, err)
}

func (w *world) addTenant() (tenant, merchant, account string) {
	tenant, merchant = id.New(id.Tenant), id.New(id.Merchant)
	w.exec(`insert into tenants (id, name, custody_mode) values ($1, 'T', 'licensed_reserve')`, tenant)
	w.exec(`insert into merchants (tenant_id, id, reference, name, settlement) values ($1, $2, 'm', 'M', 'T1')`, tenant, merchant)
	return tenant, merchant, w.addAccount(tenant)
}

func (w *world) addAccount(tenant string) string {
	account := id.New(id.ChannelAccount)
	w.exec(`insert into channel_accounts (tenant_id, id, channel, name, params, fee_basis_points, fee_returned)
		values ($1, $2, 'wechatpay', 'A', '{}', 60, true)`, tenant, account)
	return account
}

func (w *world) in(fn func(ctx context.Context, tx pgx.Tx) error) error {
	ctx := context.Background()
	return w.DB.InTenant(ctx, w.tenant, func(tx pgx.Tx) error { return fn(ctx, tx) })
}

func (w *world) must(fn func(ctx context.Context, tx pgx.Tx) error) {
	w.t.Helper()
	require.NoError(w.t, w.in(fn))
}

func (w *world) post(entries ...ledger.Entry) {
	w.t.Helper()
	w.must(func(ctx context.Context, tx pgx.Tx) error {
		_, err := ledger.Post(ctx, tx, w.tenant, entries...)
		return err
	})
}

// paid makes a payment that succeeded at the given time, and books it.
func (w *world) paid(account string, fen, fee int64, at time.Time) recon.Record {
	w.t.Helper()
	r := recon.Record{Kind: channel.BillPayment, Number: id.Number(), Amount: money.Fen(fen), Fee: fee, At: at}
	payment, attempt := "pay_"+r.Number, "att_"+r.Number
	w.exec(`insert into payments (tenant_id, id, merchant_id, reference, subject, currency, amount, channel, product, status, expires_at, paid_at)
		values ($1, $2, $3, $4, 's', 'CNY', $5, 'wechatpay', 'qr', 'succeeded', now(), $6)`,
		w.tenant, payment, w.merchant, r.Number, fen, at)
	w.exec(`insert into attempts (tenant_id, id, payment_id, channel_account_id, channel, number, request_hash, status,
			channel_trade_no, fee, paid_at)
		values ($1, $2, $3, $4, 'wechatpay', $5, $6, 'paid', 'c', $7, $8)`,
		w.tenant, attempt, payment, account, r.Number, make([]byte, 32), fee, at)
	w.post(books.Collect(books.Collection{Attempt: attempt, ChannelAccount: account,
		To: books.Pocket{Merchant: w.merchant, Available: true}, Amount: r.Amount})...)
	w.post(books.ChannelFee(books.ChannelCharge{Number: attempt, ChannelAccount: account, Amount: money.Fen(fee)})...)
	return r
}

// paidLate makes a payment that was closed when the money came, and books it.
func (w *world) paidLate(fen, fee int64, at time.Time) recon.Record {
	w.t.Helper()
	r := w.unpaid(fen)
	r.Fee, r.At, r.Unfinished = fee, at, false
	w.exec(`insert into late_receipts (tenant_id, attempt_id, payment_id, currency, amount, fee, channel_trade_no, paid_at, refund_id)
		values ($1, $2, $3, 'CNY', $4, $5, 'c', $6, $7)`,
		w.tenant, "att_"+r.Number, "pay_"+r.Number, fen, fee, at, id.New(id.Refund))
	w.post(books.LateReceipt(books.LateMoney{Number: "att_" + r.Number, ChannelAccount: w.account, Amount: r.Amount})...)
	w.post(books.ChannelFee(books.ChannelCharge{Number: "att_" + r.Number, ChannelAccount: w.account, Amount: money.Fen(fee)})...)
	return r
}

// unpaid makes a closed payment.
func (w *world) unpaid(fen int64) recon.Record {
	w.t.Helper()
	r := recon.Record{Kind: channel.BillPayment, Number: id.Number(), Amount: money.Fen(fen), Unfinished: true}
	w.exec(`insert into payments (tenant_id, id, merchant_id, reference, subject, currency, amount, channel, product, status, expires_at, closed_at)
		values ($1, $2, $3, $4, 's', 'CNY', $5, 'wechatpay', 'qr', 'closed', now(), now())`,
		w.tenant, "pay_"+r.Number, w.merchant, r.Number, fen)
	w.exec(`insert into attempts (tenant_id, id, payment_id, channel_account_id, channel, number, request_hash, status)
		values ($1, $2, $3, $4, 'wechatpay', $5, $6, 'closed')`,
		w.tenant, "att_"+r.Number, "pay_"+r.Number, w.account, r.Number, make([]byte, 32))
	return r
}

// refunded makes a refund of a payment that succeeded, and books it.
func (w *world) refunded(of recon.Record, fen, fee int64, at time.Time) recon.Record {
	w.t.Helper()
	r := recon.Record{Kind: channel.BillRefund, Number: id.Number(), Amount: money.Fen(fen), Fee: fee, At: at}
	w.exec(`insert into refunds (tenant_id, id, payment_id, attempt_id, origin, reference, reason, currency, amount, number,
			request_hash, status, fee_returned, refunded_at)
		values ($1, $2, $3, $4, 'request', $5, 'r', 'CNY', $6, $5, $7, 'succeeded', $8, $9)`,
		w.tenant, "rfd_"+r.Number, "pay_"+of.Number, "att_"+of.Number, r.Number, fen, make([]byte, 32), fee, at)
	w.post(ledger.Entry{Reference: ledger.Reference{Kind: ledger.Refund, Number: r.Number, Phase: "test"}, Currency: money.CNY,
		Postings: []ledger.Posting{
			{Account: books.MerchantAccount(w.merchant, money.CNY, true), Amount: fen},
			{Account: books.ChannelUnsettledAccount(w.account, money.CNY), Amount: -fen},
		}})
	w.post(books.ChannelFeeRefund(books.ChannelCharge{Number: r.Number, ChannelAccount: w.account, Amount: money.Fen(fee)})...)
	return r
}

// balance sums the postings of an account type, debits positive.
func (w *world) balance(kind ledger.Type) int64 {
	w.t.Helper()
	var sum int64
	require.NoError(w.t, w.Pool.QueryRow(context.Background(), `
		select coalesce(sum(p.amount), 0)::bigint from postings p
		join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
		where p.tenant_id = $1 and a.type = $2`, w.tenant, string(kind)).Scan(&sum))
	return sum
}

func (w *world) count(sql string, args ...any) int {
	w.t.Helper()
	var n int
	require.NoError(w.t, w.Pool.QueryRow(context.Background(), sql, args...).Scan(&n))
	return n
}

func billOf(date string, lines ...channel.BillLine) channel.Bill {
	bill := channel.Bill{Date: date, Lines: number(lines), PaymentTotal: money.Fen(0), RefundTotal: money.Fen(0)}
	for _, line := range lines {
		if line.Kind == channel.BillPayment {
			bill.PaymentCount++
			bill.PaymentTotal.Minor += line.Amount.Minor
		} else {
			bill.RefundCount++
			bill.RefundTotal.Minor += line.Amount.Minor
		}
	}
	if len(lines) > 0 {
		bill.Raw = fmt.Appendf(nil, "%v", lines)
		digest := sha256.Sum256(bill.Raw)
		bill.SHA256 = hex.EncodeToString(digest[:])
	}
	return bill
}

// reconcile does a whole run over the bill.
func (w *world) reconcile(bill channel.Bill) recon.Finished {
	w.t.Helper()
	var done recon.Finished
	w.must(func(ctx context.Context, tx pgx.Tx) error {
		r, err := recon.Open(ctx, tx, w.tenant, w.account, bill.Date)
		if err != nil {
			return err
		}
		if _, err := recon.StoreBill(ctx, tx, w.box, w.tenant, r.ID, bill); err != nil {
			return err
		}
		done, err = recon.Finish(ctx, tx, w.tenant, r.ID, recon.DefaultRules())
		return err
	})
	return done
}

// report lists the kinds, statuses and numbers of a run's discrepancies.
func (w *world) report(reconciliationID string) []string {
	w.t.Helper()
	keys := []string{}
	for _, d := range w.discrepancies(recon.DiscrepancyFilter{ReconciliationID: reconciliationID, Limit: 1000}) {
		keys = append(keys, key(d.Kind, d.Status, d.Number))
	}
	return keys
}

func (w *world) discrepancies(f recon.DiscrepancyFilter) []recon.Discrepancy {
	w.t.Helper()
	var found []recon.Discrepancy
	w.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		found, err = recon.ListDiscrepancies(ctx, tx, w.tenant, f)
		return err
	})
	return found
}

func (w *world) requireSound() {
	w.t.Helper()
	ctx := context.Background()
	require.NoError(w.t, w.DB.Snapshot(ctx, func(tx pgx.Tx) error {
		report, err := ledger.Verify(ctx, tx, ledger.VerifyOptions{Tenant: w.tenant})
		require.True(w.t, report.Sound, "%+v", report)
		return err
	}))
}
