package api

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// GetEntry implements GET /v1/entries/{entry_id}.
func (h *handlers) GetEntry(ctx context.Context, r gen.GetEntryRequestObject) (gen.GetEntryResponseObject, error) {
	c := callOf(ctx)
	var found ledger.BookedEntry
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = ledger.GetEntry(c.ctx, tx, c.tenant, r.EntryID)
		return err
	})
	return gen.GetEntry200JSONResponse(showEntry(found)), err
}

// ListEntries implements GET /v1/entries.
func (h *handlers) ListEntries(ctx context.Context, r gen.ListEntriesRequestObject) (gen.ListEntriesResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Entry)
	if err != nil {
		return nil, err
	}
	var list []ledger.BookedEntry
	var next int64
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, next, err = ledger.Entries(c.ctx, tx, c.tenant, ledger.EntryFilter{
			AccountID: text(r.Params.AccountID), Kind: ledger.Kind(text(r.Params.Kind)), Number: text(r.Params.Number),
			NewestFirst: true, AfterID: page.before, Limit: page.limit,
		})
		return err
	})
	out := gen.ListEntries200JSONResponse{Data: mapped(list, showEntry)}
	if next != 0 {
		out.NextCursor = nextCursor(list[len(list)-1].ID)
	}
	return out, err
}

func showEntry(e ledger.BookedEntry) gen.Entry {
	metadata := e.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	return gen.Entry{
		ID: e.ID, Kind: gen.EntryKind(e.Kind), Number: e.Number, Phase: e.Phase, BookedAt: showTime(e.BookedAt),
		BusinessDate: e.BusinessDate, ChannelDate: orNull(e.ChannelDate), Reverses: orNull(e.Reverses), Metadata: metadata,
		Postings: mapped(e.Postings, func(p ledger.BookedPosting) gen.EntryPosting { return showPosting(p, e.Currency) }),
	}
}

func showPosting(p ledger.BookedPosting, c money.Currency) gen.EntryPosting {
	side, amount := sideOf(p.Amount)
	out := gen.EntryPosting{
		AccountID: p.AccountID, AccountType: gen.AccountType(p.Account.Type), Owner: orNull(p.Account.Owner), Side: side,
		Amount: showAmount(money.Of(amount, c)), HoldReference: orNull(p.HoldReference),
	}
	if p.BalanceAfter != nil {
		out.BalanceAfter = showBalance(*p.BalanceAfter, c)
	}
	return out
}
