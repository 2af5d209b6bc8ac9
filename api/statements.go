package api

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// GetAccountStatement implements GET /v1/accounts/{account_id}/statement.
func (h *handlers) GetAccountStatement(ctx context.Context, r gen.GetAccountStatementRequestObject) (gen.GetAccountStatementResponseObject, error) {
	c := callOf(ctx)
	query := ledger.StatementQuery{AccountID: r.AccountID, From: text(r.Params.From), To: text(r.Params.To), Limit: defaultLimit}
	if format := formatOf(ctx, text(r.Params.Format)); format != formatJSON {
		return statementFile{tableFile{format, "statement-" + r.AccountID, func(t table) error { return h.fillStatement(c, query, t) }}}, nil
	}
	if r.Params.Limit != nil {
		query.Limit = *r.Params.Limit
	}
	var err error
	if query.After, err = readPosition(r.Params.Cursor); err != nil {
		return nil, err
	}
	var out ledger.Statement
	err = h.read(c, func(tx pgx.Tx) (err error) {
		out, err = ledger.GetStatement(c.ctx, tx, c.tenant, query)
		return invalidDates(err)
	})
	return gen.GetAccountStatement200JSONResponse(showStatement(out)), err
}

// invalidDates words what the ledger says of dates that the contract let pass.
func invalidDates(err error) error {
	var refusal *ledger.Error
	if errors.As(err, &refusal) && refusal.Kind == ledger.Invalid {
		return fault.Invalid(refusal.Field, "date_invalid", "This must be "+refusal.Rule+".")
	}
	return err
}

func showStatement(st ledger.Statement) gen.Statement {
	currency := st.Account.Key.Currency
	out := gen.Statement{AccountID: st.Account.ID, From: st.From, To: st.To, NoData: orNull(st.NoData),
		Data: mapped(st.Lines, func(l ledger.StatementLine) gen.StatementLine { return showLine(l, currency) })}
	if st.NoData == "" {
		out.Opening, out.Closing = showBalance(st.Opening, currency), showBalance(st.Closing, currency)
	}
	if st.Next != (ledger.Position{}) {
		out.NextCursor = nextCursor(fmt.Sprintf("s.%d.%d", st.Next.Seq, st.Next.Leg))
	}
	return out
}

func showBalance(minor int64, c money.Currency) *gen.BalanceOrNull {
	return &gen.BalanceOrNull{Amount: minor, Currency: gen.Currency(c)}
}

func showLine(l ledger.StatementLine, c money.Currency) gen.StatementLine {
	side, amount := sideOf(l.Amount)
	return gen.StatementLine{
		EntryID: l.EntryID, Leg: l.Leg, Kind: gen.EntryKind(l.Kind), Number: l.Number, Phase: l.Phase, Side: side,
		Amount: showAmount(money.Of(amount, c)), Balance: showAmount(money.Of(l.Balance, c)),
		BookedAt: showTime(l.BookedAt), BusinessDate: l.BusinessDate, ChannelDate: orNull(l.ChannelDate),
	}
}

// sideOf turns a signed posting into a side and a positive amount.
func sideOf(amount int64) (gen.Side, int64) {
	if amount < 0 {
		return gen.SideCredit, -amount
	}
	return gen.SideDebit, amount
}

// readPosition reads the cursor of a statement.
func readPosition(cursor *string) (ledger.Position, error) {
	if cursor == nil {
		return ledger.Position{}, nil
	}
	malformed := fault.Invalid("cursor", "cursor_malformed", "This is not a next_cursor of this list; start again without a cursor.")
	raw, err := base64.RawURLEncoding.DecodeString(*cursor)
	numbers, ok := strings.CutPrefix(string(raw), cursorPrefix+"s.")
	seqText, legText, found := strings.Cut(numbers, ".")
	seq, seqErr := strconv.ParseInt(seqText, 10, 64)
	leg, legErr := strconv.ParseInt(legText, 10, 16)
	if err != nil || !ok || !found || seqErr != nil || legErr != nil || seq < 1 || leg < 1 {
		return ledger.Position{}, malformed
	}
	return ledger.Position{Seq: seq, Leg: leg}, nil
}

// statementFile is a statement as a file.
type statementFile struct{ tableFile }

func (f statementFile) VisitGetAccountStatementResponse(w http.ResponseWriter) error {
	return f.write(w)
}

func (h *handlers) fillStatement(c call, query ledger.StatementQuery, t table) error {
	var currency money.Currency
	var closing ledger.Statement
	begin := func(st ledger.Statement) error {
		currency, closing = st.Account.Key.Currency, st
		err := t.row("business_date", "booked_at", "entry_id", "kind", "number", "phase", "channel_date",
			"debit", "credit", "balance", "currency")
		switch {
		case err != nil:
			return err
		case st.NoData != "":
			return t.row(st.From, "", "", "no data", st.NoData, "", "", "", "", "", "")
		}
		return t.row(st.From, "", "", "opening", "", "", "", "", "", money.Of(st.Opening, currency), currency)
	}
	err := h.read(c, func(tx pgx.Tx) error {
		return ledger.StreamStatement(c.ctx, tx, c.tenant, query, begin, func(l ledger.StatementLine) error {
			debit, credit := sides(l.Amount, currency)
			return t.row(l.BusinessDate, l.BookedAt.UTC().Format("2006-01-02T15:04:05.000Z"), l.EntryID, l.Kind, l.Number, l.Phase,
				l.ChannelDate, debit, credit, money.Of(l.Balance, currency), currency)
		})
	})
	if err != nil || closing.NoData != "" {
		return invalidDates(err)
	}
	return t.row(closing.To, "", "", "closing", "", "", "", "", "", money.Of(closing.Closing, currency), currency)
}

// sides puts an amount into the column of its side and nothing into the other.
func sides(amount int64, c money.Currency) (debit, credit any) {
	if amount < 0 {
		return "", money.Of(-amount, c)
	}
	return money.Of(amount, c), ""
}

// ListVouchers implements GET /v1/vouchers.
func (h *handlers) ListVouchers(ctx context.Context, r gen.ListVouchersRequestObject) (gen.ListVouchersResponseObject, error) {
	c := callOf(ctx)
	var lines []ledger.VoucherLine
	err := h.read(c, func(tx pgx.Tx) (err error) {
		lines, err = ledger.Vouchers(c.ctx, tx, c.tenant, r.Params.Date)
		return invalidDates(err)
	})
	if err != nil {
		return nil, err
	}
	nothing := ""
	if len(lines) == 0 {
		nothing = "nothing was booked on " + r.Params.Date
	}
	if format := formatOf(ctx, text(r.Params.Format)); format != formatJSON {
		return voucherFile{tableFile{format, "vouchers-" + r.Params.Date, func(t table) error {
			return fillVouchers(t, r.Params.Date, nothing, lines)
		}}}, nil
	}
	return gen.ListVouchers200JSONResponse{Date: r.Params.Date, NoData: orNull(nothing), Lines: mapped(lines, showVoucherLine)}, nil
}

func showVoucherLine(l ledger.VoucherLine) gen.VoucherLine {
	return gen.VoucherLine{
		Voucher: l.Voucher, Kind: gen.EntryKind(l.Kind), Book: gen.Book(l.Book), Currency: gen.Currency(l.Currency),
		GlCode: l.GLCode, AccountType: gen.AccountType(l.Type), Debit: l.Debit, Credit: l.Credit, Postings: l.Postings,
	}
}

// voucherFile is a day's vouchers as a file.
type voucherFile struct{ tableFile }

func (f voucherFile) VisitListVouchersResponse(w http.ResponseWriter) error { return f.write(w) }

func fillVouchers(t table, date, nothing string, lines []ledger.VoucherLine) error {
	if err := t.row("date", "voucher", "summary", "book", "gl_code", "account_type", "currency", "debit", "credit", "postings"); err != nil {
		return err
	}
	if nothing != "" {
		return t.row(date, "", "no data: "+nothing, "", "", "", "", "", "", "")
	}
	for _, l := range lines {
		number := fmt.Sprintf("%s-%04d", strings.ReplaceAll(date, "-", ""), l.Voucher)
		err := t.row(date, number, l.Kind, l.Book, l.GLCode, l.Type, l.Currency,
			money.Of(l.Debit, l.Currency), money.Of(l.Credit, l.Currency), l.Postings)
		if err != nil {
			return err
		}
	}
	return nil
}
