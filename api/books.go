package api

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/clock"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// GetAccount implements GET /v1/accounts/{account_id}.
func (h *handlers) GetAccount(ctx context.Context, r gen.GetAccountRequestObject) (gen.GetAccountResponseObject, error) {
	c := callOf(ctx)
	if r.Params.At != nil && r.Params.Seal != nil {
		return nil, fault.Invalid("seal", "parameters_exclusive", "Give at or seal, not both.")
	}
	var out gen.Account
	err := h.read(c, func(tx pgx.Tx) error {
		found, err := ledger.GetAccount(c.ctx, tx, c.tenant, r.AccountID)
		if err != nil {
			return err
		}
		out = showAccount(found)
		if r.Params.At != nil || r.Params.Seal != nil {
			out.Past, err = pastBalance(c, tx, found, r.Params)
		}
		return err
	})
	return gen.GetAccount200JSONResponse(out), err
}

func pastBalance(c call, tx pgx.Tx, a ledger.Account, params gen.GetAccountParams) (*gen.PastBalance, error) {
	var moment ledger.Moment
	if params.Seal != nil {
		moment.Seal = *params.Seal
	} else {
		moment.At = *params.At
	}
	seal, err := ledger.SealAt(c.ctx, tx, c.tenant, moment)
	if err != nil {
		return nil, err
	}
	posted, err := ledger.PostedAt(c.ctx, tx, c.tenant, a.ID, seal)
	return &gen.PastBalance{Posted: showAmount(money.Of(posted, a.Key.Currency)), Seal: seal.Number, SealedAt: showTime(seal.SealedAt)}, err
}

// ListAccounts implements GET /v1/accounts.
func (h *handlers) ListAccounts(ctx context.Context, r gen.ListAccountsRequestObject) (gen.ListAccountsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Account)
	if err != nil {
		return nil, err
	}
	var list []ledger.Account
	var last string
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, last, err = ledger.Accounts(c.ctx, tx, c.tenant, ledger.AccountFilter{
			Type: ledger.Type(text(r.Params.Type)), Owner: text(r.Params.Owner), After: page.before, Limit: page.limit,
		})
		return err
	})
	return gen.ListAccounts200JSONResponse{Data: mapped(list, showAccount), NextCursor: nextCursor(last)}, err
}

func showAccount(a ledger.Account) gen.Account {
	amount := func(minor int64) gen.Amount { return showAmount(money.Of(minor, a.Key.Currency)) }
	return gen.Account{
		ID: a.ID, Type: gen.AccountType(a.Key.Type), GlCode: a.GLCode, Book: gen.Book(a.Book),
		NormalSide: gen.Side(a.NormalSide), Owner: orNull(a.Key.Owner), Name: a.Key.Name, Status: gen.AccountStatus(a.Status),
		Posted: amount(a.Posted), Held: amount(a.Held), Available: amount(a.Available()),
		Withdrawable: amount(a.Withdrawable()), CreatedAt: showTime(a.CreatedAt),
	}
}

// GetTrialBalance implements GET /v1/trial_balance. One statement reads all
// lines, so they are of one moment.
func (h *handlers) GetTrialBalance(ctx context.Context, _ gen.GetTrialBalanceRequestObject) (gen.GetTrialBalanceResponseObject, error) {
	c := callOf(ctx)
	var out gen.TrialBalance
	err := h.read(c, func(tx pgx.Tx) error {
		at, err := clock.Now(c.ctx, tx)
		if err != nil {
			return err
		}
		lines, err := ledger.TrialBalance(c.ctx, tx, c.tenant)
		if err != nil {
			return err
		}
		out = showTrialBalance(lines)
		out.At = showTime(at)
		return nil
	})
	return gen.GetTrialBalance200JSONResponse(out), err
}

func showTrialBalance(lines []ledger.TrialLine) gen.TrialBalance {
	out := gen.TrialBalance{Lines: []gen.TrialBalanceLine{}, Totals: []gen.TrialBalanceTotal{}, Balanced: true}
	for _, l := range lines {
		out.Lines = append(out.Lines, gen.TrialBalanceLine{
			Type: gen.AccountType(l.Type), GlCode: l.GLCode, Book: gen.Book(l.Book), NormalSide: gen.Side(l.NormalSide),
			Currency: gen.Currency(l.Currency), Accounts: l.Accounts, Debit: l.Debit, Credit: l.Credit,
		})
		out.Totals = addTotal(out.Totals, l)
	}
	for _, t := range out.Totals {
		out.Balanced = out.Balanced && t.Debit == t.Credit
	}
	return out
}

func addTotal(totals []gen.TrialBalanceTotal, l ledger.TrialLine) []gen.TrialBalanceTotal {
	for i := range totals {
		if totals[i].Book == gen.Book(l.Book) && totals[i].Currency == gen.Currency(l.Currency) {
			totals[i].Debit += l.Debit
			totals[i].Credit += l.Credit
			return totals
		}
	}
	return append(totals, gen.TrialBalanceTotal{
		Book: gen.Book(l.Book), Currency: gen.Currency(l.Currency), Debit: l.Debit, Credit: l.Credit,
	})
}
