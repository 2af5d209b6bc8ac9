package recon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/pg"
)

// insertBatch is how many rows travel in one statement. COPY is refused under
// row-level security, and arrays need no staging table.
const insertBatch = 10_000

// rawColumn is where bills are, under the data keys of their tenants.
func rawColumn() secret.Column {
	return secret.Column{Table: "bill_files", Name: "raw", Row: "channel_account_id || '/' || bill_date || '/' || version",
		Where: "sealed", Fixed: true}
}

// SealedColumns lists what this package keeps sealed.
func SealedColumns() []secret.Column { return []secret.Column{rawColumn()} }

// SealBill seals one bill from before bills were sealed, and reports whether there was
// one. It needs the system role.
func SealBill(ctx context.Context, tx pgx.Tx, box *secret.Box) (bool, error) {
	var tenant, account, date, row string
	var version int
	var raw []byte
	err := tx.QueryRow(ctx, `
		select tenant_id, channel_account_id, bill_date::text, version, `+rawColumn().Row+`, raw from bill_files
		where not sealed order by tenant_id, channel_account_id, bill_date, version limit 1 for update`).
		Scan(&tenant, &account, &date, &version, &row, &raw)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("bill in plain: %w", err)
	}
	if raw, err = box.Seal(ctx, tx, rawColumn().Place(tenant, row), raw); err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `
		update bill_files set raw = $5, sealed = true
		where tenant_id = $1 and channel_account_id = $2 and bill_date = $3::text::date and version = $4`,
		tenant, account, date, version, raw)
	if err != nil {
		return false, fmt.Errorf("seal bill: %w", err)
	}
	return true, nil
}

// StoreBill keeps a downloaded bill as evidence, sealed because it names payers, and makes it the one that run
// reconciliationID uses. The same bytes again change nothing; other bytes for a
// day that has a bill become its next version, and both are kept. A bill of a
// day without trades has no lines and may have no bytes.
//
// It returns an error, and stores nothing, when the bill is of another date,
// its digest is not that of its bytes, or it does not have as many lines as it
// counts.
func StoreBill(
	ctx context.Context, tx pgx.Tx, box *secret.Box, tenant, reconciliationID string, bill channel.Bill,
) (Reconciliation, error) {
	r, err := lock(ctx, tx, tenant, reconciliationID)
	if err != nil {
		return Reconciliation{}, err
	}
	if r.Status != Processing {
		return Reconciliation{}, fmt.Errorf("reconciliation %s is %s and takes no bill", reconciliationID, r.Status)
	}
	digest := sha256.Sum256(bill.Raw)
	if err := checkBill(bill, r.Date, hex.EncodeToString(digest[:])); err != nil {
		return Reconciliation{}, err
	}
	bill.SHA256 = hex.EncodeToString(digest[:])
	version, err := storeFile(ctx, tx, box, tenant, r, bill)
	if err != nil {
		return Reconciliation{}, err
	}
	_, err = tx.Exec(ctx, `
		update reconciliations set bill_version = $3, bill_sha256 = $4, waiting_for = null
		where tenant_id = $1 and id = $2 and status = 'processing'`, tenant, reconciliationID, version, bill.SHA256)
	if err != nil {
		return Reconciliation{}, fmt.Errorf("bill of reconciliation %s: %w", reconciliationID, err)
	}
	r.BillVersion, r.BillSHA256, r.WaitingFor = version, bill.SHA256, ""
	return r, nil
}

func checkBill(bill channel.Bill, date, digest string) error {
	switch {
	case bill.Date != date:
		return fmt.Errorf("bill: it is of %q, not of %s", bill.Date, date)
	case len(bill.Raw) == 0 && len(bill.Lines) > 0:
		return errors.New("bill: it has lines and no bytes")
	case bill.SHA256 != digest && (bill.SHA256 != "" || len(bill.Raw) > 0):
		return fmt.Errorf("bill: its digest is %s, its bytes give %s", bill.SHA256, digest)
	}
	payments, refunds := 0, 0
	for _, line := range bill.Lines {
		switch line.Kind {
		case channel.BillPayment:
			payments++
		case channel.BillRefund:
			refunds++
		default:
			return fmt.Errorf("bill: row %d is of kind %q", line.Row, line.Kind)
		}
	}
	// The sums are the parser's to check: a footer may add up another column.
	if payments != bill.PaymentCount || refunds != bill.RefundCount {
		return fmt.Errorf("bill: its totals count %d payments and %d refunds, its lines are %d and %d",
			bill.PaymentCount, bill.RefundCount, payments, refunds)
	}
	return nil
}

// storeFile returns the version that holds the bill's bytes, a new one if none does.
func storeFile(ctx context.Context, tx pgx.Tx, box *secret.Box, tenant string, r Reconciliation, bill channel.Bill) (int, error) {
	var version int
	err := tx.QueryRow(ctx, `
		select version from bill_files
		where tenant_id = $1 and channel_account_id = $2 and bill_date = $3::text::date and sha256 = $4`,
		tenant, r.ChannelAccountID, r.Date, bill.SHA256).Scan(&version)
	if err == nil || !errors.Is(err, pgx.ErrNoRows) {
		return version, err
	}
	// Only the one open run of the day, whose row is locked, comes here.
	err = tx.QueryRow(ctx, `
		select coalesce(max(version), 0) + 1 from bill_files
		where tenant_id = $1 and channel_account_id = $2 and bill_date = $3::text::date`,
		tenant, r.ChannelAccountID, r.Date).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("version of bill: %w", err)
	}
	raw, err := box.Seal(ctx, tx, rawColumn().Place(tenant, fmt.Sprintf("%s/%s/%d", r.ChannelAccountID, r.Date, version)), bill.Raw)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		insert into bill_files (tenant_id, channel_account_id, bill_date, version, sha256, raw, sealed, line_count)
		values ($1, $2, $3::text::date, $4, $5, $6, true, $7)`,
		tenant, r.ChannelAccountID, r.Date, version, bill.SHA256, raw, len(bill.Lines))
	if err != nil {
		return 0, fmt.Errorf("store bill: %w", err)
	}
	for start := 0; start < len(bill.Lines); start += insertBatch {
		batch := bill.Lines[start:min(start+insertBatch, len(bill.Lines))]
		if err := storeLines(ctx, tx, tenant, r, version, batch); err != nil {
			return 0, err
		}
	}
	return version, nil
}

func storeLines(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation, version int, lines []channel.BillLine) error {
	n := len(lines)
	rows, amounts, times := make([]int, n), make([]int64, n), make([]time.Time, n)
	texts := [8][]string{}
	for i := range texts {
		texts[i] = make([]string, n)
	}
	for i, line := range lines {
		rows[i], amounts[i], times[i] = line.Row, line.Amount.Minor, line.At
		for j, text := range []string{string(line.Kind), line.Number, line.TradeNumber, line.ChannelTradeNo,
			line.ChannelRefundNo, string(line.Amount.Currency), line.FeeText, line.Status} {
			texts[j][i] = text
		}
	}
	_, err := tx.Exec(ctx, `
		insert into bill_lines (tenant_id, channel_account_id, bill_date, version, row, kind, number, trade_number,
			channel_trade_no, channel_refund_no, currency, fee_text, status, amount, at)
		select $1, $2, $3::text::date, $4, u.* from unnest($5::int[], $6::text[], $7::text[], $8::text[], $9::text[],
			$10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[], $15::timestamptz[]) u`,
		tenant, r.ChannelAccountID, r.Date, version, rows, texts[0], texts[1], texts[2], texts[3],
		texts[4], texts[5], texts[6], texts[7], amounts, times)
	if err != nil {
		return fmt.Errorf("store bill lines from row %d: %w", lines[0].Row, err)
	}
	return nil
}

// eachLine streams the lines of one stored bill version in the file's order.
func eachLine(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation, use func(channel.BillLine) error) error {
	rows, err := tx.Query(ctx, `
		select row, kind, number, trade_number, channel_trade_no, channel_refund_no, currency, amount, fee_text, status, at
		from bill_lines
		where tenant_id = $1 and channel_account_id = $2 and bill_date = $3::text::date and version = $4
		order by row`, tenant, r.ChannelAccountID, r.Date, r.BillVersion)
	if err != nil {
		return fmt.Errorf("bill lines: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var line channel.BillLine
		if err := rows.Scan(&line.Row, &line.Kind, &line.Number, &line.TradeNumber, &line.ChannelTradeNo, &line.ChannelRefundNo,
			&line.Amount.Currency, &line.Amount.Minor, &line.FeeText, &line.Status, &line.At); err != nil {
			return fmt.Errorf("bill lines: %w", err)
		}
		if err := use(line); err != nil {
			return err
		}
	}
	return rows.Err()
}

// BillFile is a kept bill.
type BillFile struct {
	Version    int
	SHA256     string
	Raw        []byte
	LineCount  int
	ReceivedAt time.Time
}

// BillFiles returns every kept version of a day's bill with its bytes, the
// first received first.
func BillFiles(ctx context.Context, q pg.Querier, tenant, channelAccountID, date string) ([]BillFile, error) {
	day, err := ParseDay(date)
	if err != nil {
		return nil, err
	}
	rows, err := q.Query(ctx, `
		select version, sha256, raw, line_count, received_at from bill_files
		where tenant_id = $1 and channel_account_id = $2 and bill_date = $3 order by version`,
		tenant, channelAccountID, day.Start())
	if err != nil {
		return nil, fmt.Errorf("bill files: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[BillFile])
}
