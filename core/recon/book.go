package recon

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// postBatch is how many entries go to the ledger at once.
const postBatch = 200

// BookingKind says what a booking is for.
type BookingKind string

const (
	// BookFeeMismatch corrects the accrued fee of one payment or refund.
	BookFeeMismatch BookingKind = "fee_mismatch"
	// BookCustodyTransfer moves what the provider settled from its unsettled to
	// its settled balance.
	BookCustodyTransfer BookingKind = "custody_transfer"
)

// Booking is one thing to book, or booked. Account, date, kind and number are
// its natural key. A key is booked again, as its next phase, only when a later
// run of the day comes to another amount; the amount is then the difference.
type Booking struct {
	Kind             BookingKind
	ChannelAccountID string
	// Date is the provider's day, yyyy-mm-dd.
	Date string
	// Number is the payment's or refund's number at the provider, or empty for
	// the transfer of the whole day.
	Number string
	// Phase is 1 for the first booking of the key.
	Phase int
	// Amount is in fen, never zero. Of a fee: positive when the provider took
	// more than we accrued. Of a transfer: positive when it settled money to us.
	Amount int64
	// Reason is a sentence for the reader of the books.
	Reason string
	// EntryID names the journal entry.
	EntryID string
}

// reference is the number under which the ledger books b once, for ever: the
// natural key, and the phase from the second on. Never change its form.
func (b Booking) reference() string {
	parts := []string{b.ChannelAccountID, b.Date, string(b.Kind)}
	if b.Number != "" {
		parts = append(parts, b.Number)
	}
	if b.Phase > 1 {
		parts = append(parts, strconv.Itoa(b.Phase))
	}
	return strings.Join(parts, "/")
}

// entries is b in the words of the books.
func (b Booking) entries() []ledger.Entry {
	amount := money.Of(b.Amount, currency)
	if b.Kind == BookCustodyTransfer {
		return books.CustodyTransfer(books.CustodyMove{Number: b.reference(), ChannelAccount: b.ChannelAccountID,
			Amount: amount, ChannelDate: b.Date})
	}
	return books.Adjustment(books.Correction{Discrepancy: b.reference(), ChannelAccount: b.ChannelAccountID,
		Cause: books.FeeDiffers, Amount: amount, Reason: b.Reason, ChannelDate: b.Date})
}

// post books all of bookings and notes their entries' ids in place.
func post(ctx context.Context, tx pgx.Tx, tenant string, bookings []Booking) error {
	for start := 0; start < len(bookings); start += postBatch {
		batch := bookings[start:min(start+postBatch, len(bookings))]
		var entries []ledger.Entry
		for _, b := range batch {
			entries = append(entries, b.entries()...)
		}
		posted, err := ledger.Post(ctx, tx, tenant, entries...)
		if err != nil {
			return err
		}
		if len(posted) != len(batch) {
			return fmt.Errorf("%d bookings gave %d entries", len(batch), len(posted))
		}
		for i := range batch {
			batch[i].EntryID = posted[i].EntryID
		}
	}
	return nil
}

// bookedKey tells the bookings of one account's day apart.
type bookedKey struct {
	kind   BookingKind
	number string
}

// booked is what the books hold for a key.
type booked struct {
	amount  int64
	phase   int
	entryID string
}

// bookChanges brings the books to what the result demands: it books the
// difference between that and what earlier runs of the day booked, and takes
// back what the result no longer supports. entries names, by number, the latest
// entry of every adjusted fee.
func bookChanges(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation, found Result) (
	added []Booking, entries map[string]string, err error) {
	before, err := loadBooked(ctx, tx, tenant, r)
	if err != nil {
		return nil, nil, err
	}
	for key, amount := range demanded(found, before) {
		if amount == before[key].amount {
			continue
		}
		b := Booking{Kind: key.kind, ChannelAccountID: r.ChannelAccountID, Date: r.Date, Number: key.number,
			Phase: before[key].phase + 1, Amount: amount - before[key].amount}
		b.Reason = b.reason(r)
		added = append(added, b)
	}
	slices.SortFunc(added, func(a, b Booking) int { return strings.Compare(a.reference(), b.reference()) })
	if err := post(ctx, tx, tenant, added); err != nil {
		return nil, nil, fmt.Errorf("book reconciliation %s: %w", r.ID, err)
	}
	if err := storeBookings(ctx, tx, tenant, r, added); err != nil {
		return nil, nil, err
	}
	entries = map[string]string{}
	for key, was := range before {
		if key.kind == BookFeeMismatch {
			entries[key.number] = was.entryID
		}
	}
	for _, b := range added {
		if b.Kind == BookFeeMismatch {
			entries[b.Number] = b.EntryID
		}
	}
	return added, entries, nil
}

// demanded is what the books must hold by the result; keys that were booked
// before and are no longer supported are demanded as zero.
func demanded(found Result, before map[bookedKey]booked) map[bookedKey]int64 {
	want := map[bookedKey]int64{}
	for key := range before {
		want[key] = 0
	}
	for _, d := range found.Differences {
		if d.Status == DiscrepancyAdjusted {
			want[bookedKey{BookFeeMismatch, d.Number}] = d.AdjustFen
		}
	}
	want[bookedKey{BookCustodyTransfer, ""}] = found.SettledFen
	return want
}

func (b Booking) reason(r Reconciliation) string {
	again := ""
	if b.Phase > 1 {
		again = " (corrected by run " + strconv.Itoa(r.Run) + ")"
	}
	if b.Kind == BookCustodyTransfer {
		return "settled by the provider for " + r.Date + ", net of refunds and fees" + again
	}
	return feeReason(b.Amount) + again
}

func loadBooked(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation) (map[bookedKey]booked, error) {
	rows, err := tx.Query(ctx, `
		select kind, number, amount, phase, entry_id from reconciliation_bookings
		where tenant_id = $1 and channel_account_id = $2 and bill_date = $3::text::date
		order by kind, number, phase`, tenant, r.ChannelAccountID, r.Date)
	if err != nil {
		return nil, fmt.Errorf("earlier bookings: %w", err)
	}
	defer rows.Close()
	sums := map[bookedKey]booked{}
	for rows.Next() {
		var key bookedKey
		var b booked
		if err := rows.Scan(&key.kind, &key.number, &b.amount, &b.phase, &b.entryID); err != nil {
			return nil, fmt.Errorf("earlier bookings: %w", err)
		}
		b.amount += sums[key].amount
		sums[key] = b
	}
	return sums, rows.Err()
}

func storeBookings(ctx context.Context, tx pgx.Tx, tenant string, r Reconciliation, added []Booking) error {
	n := len(added)
	if n == 0 {
		return nil
	}
	kinds, numbers, entryIDs := make([]string, n), make([]string, n), make([]string, n)
	phases, amounts := make([]int, n), make([]int64, n)
	for i, b := range added {
		kinds[i], numbers[i], entryIDs[i], phases[i], amounts[i] = string(b.Kind), b.Number, b.EntryID, b.Phase, b.Amount
	}
	_, err := tx.Exec(ctx, `
		insert into reconciliation_bookings (tenant_id, channel_account_id, bill_date, reconciliation_id,
			kind, number, phase, amount, entry_id)
		select $1, $2, $3::text::date, $4, u.* from unnest($5::text[], $6::text[], $7::int[], $8::bigint[], $9::text[]) u`,
		tenant, r.ChannelAccountID, r.Date, r.ID, kinds, numbers, phases, amounts, entryIDs)
	if err != nil {
		return fmt.Errorf("store bookings of %s: %w", r.ID, err)
	}
	return nil
}
