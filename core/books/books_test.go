package books_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// Every flow, on PostgreSQL, in every custody mode: booked, or refused with the
// modes that permit it named.
func TestEveryFlowIsBookedOrRefusedByItsMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"licensed_reserve", "bank_custody", "channel_split", "own_funds"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			ctx := context.Background()
			tenant := id.New(id.Tenant)
			_, err := db.Pool.Exec(ctx, `insert into tenants (id, name, custody_mode) values ($1, 'Test', $2)`, tenant, mode)
			require.NoError(t, err)

			var last ledger.BookedEntry
			for _, f := range flows() {
				entries := f.entries(last)
				require.NotEmpty(t, entries, f.title)
				for _, e := range entries {
					require.NoError(t, e.Check(), f.title)
				}
				err := db.DB.InTenant(ctx, tenant, func(tx pgx.Tx) error {
					if slices.Contains(f.refusedBy, mode) {
						return refused(ctx, tx, tenant, entries)
					}
					return booked(ctx, tx, tenant, f.hold, entries, &last)
				})
				require.NoError(t, err, f.title)
			}
			require.NoError(t, db.DB.Snapshot(ctx, func(tx pgx.Tx) error {
				report, err := ledger.Check(ctx, tx, append(ledger.Invariants(), ledger.StakeInvariant()), ledger.VerifyOptions{})
				require.True(t, report.Sound, "%+v", report)
				return err
			}))
		})
	}
}

func booked(ctx context.Context, tx pgx.Tx, tenant string, hold *ledger.HoldRequest, entries []ledger.Entry, last *ledger.BookedEntry) error {
	if hold != nil {
		if _, err := ledger.PlaceHold(ctx, tx, tenant, *hold); err != nil {
			return err
		}
	}
	for range 2 { // the second time is a replay
		if _, err := ledger.Post(ctx, tx, tenant, entries...); err != nil {
			return err
		}
	}
	final := entries[len(entries)-1]
	found, _, err := ledger.Entries(ctx, tx, tenant, ledger.EntryFilter{Kind: final.Kind, Number: final.Number, Phase: final.Phase})
	if err == nil {
		*last = found[0]
	}
	return err
}

// refused expects the refusal of a custody mode. The refused statement spoils
// its transaction, so it runs in a nested one that is rolled back.
func refused(ctx context.Context, tx pgx.Tx, tenant string, entries []ledger.Entry) error {
	nested, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	_, err = ledger.Post(ctx, nested, tenant, withoutNeedOfMoney(entries)...)
	var refusal *ledger.Error
	switch {
	case !errors.As(err, &refusal) || refusal.Kind != ledger.CustodyMode:
		return errors.Join(errors.New("not refused by the custody mode"), err)
	case !strings.Contains(refusal.Rule, "bank_custody") || !strings.Contains(refusal.Rule, "licensed_reserve"):
		return errors.Join(errors.New("the refusal does not name a mode that permits the flow"), err)
	}
	return nested.Rollback(ctx)
}

// withoutNeedOfMoney is the first of entries with its exact opposite added and
// without holds. A mode judges kind and classes only; this way it has its say
// although the money such a flow needs never came in.
func withoutNeedOfMoney(entries []ledger.Entry) []ledger.Entry {
	e := entries[0]
	e.Postings = slices.Clone(e.Postings)
	var mirrored []ledger.Posting
	for i := range e.Postings {
		e.Postings[i].FromHold = ""
		mirrored = append(mirrored, ledger.Posting{Account: e.Postings[i].Account, Amount: -e.Postings[i].Amount})
	}
	e.Postings = append(e.Postings, mirrored...)
	return []ledger.Entry{e}
}

func TestNothingMovesNothing(t *testing.T) {
	t.Parallel()
	none := money.Fen(0)
	pocket := books.Pocket{Merchant: "mch_a"}
	require.Empty(t, books.ChannelFee(books.ChannelCharge{Number: "a", ChannelAccount: "chn", Amount: none}))
	require.Empty(t, books.ChannelFeeRefund(books.ChannelCharge{Number: "a", ChannelAccount: "chn", Amount: none}))
	require.Empty(t, books.PlatformFee(books.PlatformCharge{Payment: "p", From: pocket, Amount: none}))
	require.Empty(t, books.Split(books.Division{Payment: "p", From: pocket, Parts: []books.Part{{To: pocket, Amount: money.Fen(5)}, {To: books.Pocket{Merchant: "mch_b"}, Amount: none}}}))
	require.Empty(t, books.Advance(books.Credit{Number: "r", Merchant: "mch_a", Amount: none}))
	require.Empty(t, books.AdvanceRecovery(books.Credit{Number: "r", Merchant: "mch_a", Amount: none}))
	require.Empty(t, books.WriteOff(books.Credit{Number: "r", Merchant: "mch_a", Amount: none}))
	require.Empty(t, books.LossCover(books.Credit{Number: "r", Merchant: "mch_a", Amount: none}))
	require.Empty(t, books.CustodyTransfer(books.CustodyMove{Number: "d", ChannelAccount: "chn", Amount: none}))
	require.Empty(t, books.Adjustment(books.Correction{Discrepancy: "d", ChannelAccount: "chn", Cause: books.FeeDiffers, Amount: none}))
}

func TestNonsenseIsRefusedByTheLedger(t *testing.T) {
	t.Parallel()
	pocket := books.Pocket{Merchant: "mch_a"}
	for name, entries := range map[string][]ledger.Entry{
		"negative":    books.Collect(books.Collection{Attempt: "a", ChannelAccount: "chn", To: pocket, Amount: money.Fen(-5)}),
		"zero":        books.Collect(books.Collection{Attempt: "a", ChannelAccount: "chn", To: pocket, Amount: money.Fen(0)}),
		"no currency": books.Settle(books.Settlement{Settlement: "s", Merchant: "mch_a", Amount: money.Amount{Minor: 5}}),
		"two currencies": books.Split(books.Division{Payment: "p", From: pocket, Parts: []books.Part{
			{To: books.Pocket{Merchant: "b"}, Amount: money.Fen(1)}, {To: books.Pocket{Merchant: "c"}, Amount: money.Of(1, "USD")}}}),
		"parts short":   books.Refund(books.MoneyBack{Refund: "r", ChannelAccount: "chn", Amount: money.Fen(10), Merchants: []books.RefundLeg{{From: pocket, Amount: money.Fen(9)}}}),
		"no cause":      books.Adjustment(books.Correction{Discrepancy: "d", ChannelAccount: "chn", Cause: "whim", Amount: money.Fen(1)}),
		"negative loss": books.Adjustment(books.Correction{Discrepancy: "d", ChannelAccount: "chn", Cause: books.MoneyMissing, Amount: money.Fen(-1)}),
		"no merchant":   books.Settle(books.Settlement{Settlement: "s", Amount: money.Fen(5)}),
		"no number":     books.Settle(books.Settlement{Merchant: "mch_a", Amount: money.Fen(5)}),
	} {
		require.Len(t, entries, 1, name)
		var refusal *ledger.Error
		require.ErrorAs(t, entries[0].Check(), &refusal, name)
	}
}

// The waterfall takes all it needs, in order, and no more than there is.
func TestWaterfall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount  int64
		funds   books.Funds
		parts   [3]int64 // pending, available, deposit
		missing int64
	}{
		{0, books.Funds{Pending: 5}, [3]int64{}, 0},
		{10, books.Funds{Pending: 10, Available: 10}, [3]int64{10, 0, 0}, 0},
		{10, books.Funds{Pending: 4, Available: 10}, [3]int64{4, 6, 0}, 0},
		{10, books.Funds{Available: 10, Deposit: 9}, [3]int64{0, 10, 0}, 0},
		{10, books.Funds{Pending: 4, Available: 3, Deposit: 9}, [3]int64{4, 3, 3}, 0},
		{10, books.Funds{Pending: 4, Available: 3, Deposit: 2}, [3]int64{4, 3, 2}, 1},
		{10, books.Funds{Pending: -4, Available: -3}, [3]int64{}, 10},
		{-10, books.Funds{Pending: 5}, [3]int64{}, 0},
	} {
		legs, missing := books.Waterfall("mch_a", money.Fen(c.amount), c.funds)
		var got [3]int64
		for _, leg := range legs {
			require.Positive(t, leg.Amount.Minor)
			switch leg.From {
			case books.Pocket{Merchant: "mch_a"}:
				got[0] = leg.Amount.Minor
			case books.Pocket{Merchant: "mch_a", Available: true}:
				got[1] = leg.Amount.Minor
			case books.Pocket{Merchant: "mch_a", Deposit: true}:
				got[2] = leg.Amount.Minor
			}
		}
		require.Equal(t, c.parts, got, "%+v", c)
		require.Equal(t, money.Fen(c.missing), missing, "%+v", c)
	}
}

// Entries are kept for ever: what flows note beside the amounts are these keys
// and no others, none of which names a person.
func TestMetadataHasNoRoomForPersons(t *testing.T) {
	t.Parallel()
	for _, f := range flows() {
		for _, e := range f.entries(ledger.BookedEntry{ID: "ent_1"}) {
			for key := range e.Metadata {
				require.Contains(t, []string{"cause", "reason"}, key, f.title)
			}
		}
	}
}
