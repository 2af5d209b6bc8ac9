package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/account"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// OpenAccount implements POST /v1/accounts.
func (h *handlers) OpenAccount(ctx context.Context, r gen.OpenAccountRequestObject) (gen.OpenAccountResponseObject, error) {
	c, body := callOf(ctx), r.Body
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		accountID, err := account.Open(c.ctx, tx, c.tenant, body.MerchantID, text(body.Name), money.Currency(body.Currency))
		if err != nil {
			return "", 0, nil, err
		}
		opened, err := ledger.GetAccount(c.ctx, tx, c.tenant, accountID)
		return accountID, http.StatusCreated, showAccount(opened), err
	})
}

// ChangeAccountStatus implements POST /v1/accounts/{account_id}/status_changes.
func (h *handlers) ChangeAccountStatus(
	ctx context.Context, r gen.ChangeAccountStatusRequestObject,
) (gen.ChangeAccountStatusResponseObject, error) {
	c, body := callOf(ctx), r.Body
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		changed, err := account.ChangeStatus(c.ctx, tx, c.tenant, r.AccountID, ledger.Status(body.Status), body.Reason)
		return r.AccountID, http.StatusCreated, showAccount(changed), err
	})
}

// ChangeAccountLimits implements POST /v1/accounts/{account_id}/limit_changes.
func (h *handlers) ChangeAccountLimits(
	ctx context.Context, r gen.ChangeAccountLimitsRequestObject,
) (gen.ChangeAccountLimitsResponseObject, error) {
	c, body := callOf(ctx), r.Body
	wanted := mapped(body.Limits, func(l gen.NewLimit) account.Limit { return account.Limit{Name: string(l.Name), Max: l.Max} })
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		if err := account.ChangeLimits(c.ctx, tx, c.tenant, r.AccountID, wanted, body.Reason); err != nil {
			return "", 0, nil, err
		}
		shown, err := limitsOf(c, tx, r.AccountID)
		return r.AccountID, http.StatusCreated, shown, err
	})
}

// GetAccountLimits implements GET /v1/accounts/{account_id}/limits.
func (h *handlers) GetAccountLimits(ctx context.Context, r gen.GetAccountLimitsRequestObject) (gen.GetAccountLimitsResponseObject, error) {
	c := callOf(ctx)
	var out gen.AccountLimits
	err := h.read(c, func(tx pgx.Tx) (err error) {
		out, err = limitsOf(c, tx, r.AccountID)
		return err
	})
	return gen.GetAccountLimits200JSONResponse(out), err
}

func limitsOf(c call, tx pgx.Tx, accountID string) (gen.AccountLimits, error) {
	a, err := ledger.GetAccount(c.ctx, tx, c.tenant, accountID)
	if err != nil {
		return gen.AccountLimits{}, err
	}
	found, err := account.GetLimits(c.ctx, tx, c.tenant, accountID)
	return gen.AccountLimits{
		AccountID: accountID, Currency: gen.Currency(a.Key.Currency), BusinessDate: found.Day,
		Limits: mapped(found.Data, func(l account.Limit) gen.AccountLimit {
			return gen.AccountLimit{Name: gen.LimitName(l.Name), Max: l.Max, Used: l.Used}
		}),
	}, err
}

// ListAccountChanges implements GET /v1/accounts/{account_id}/changes.
func (h *handlers) ListAccountChanges(ctx context.Context, r gen.ListAccountChangesRequestObject) (gen.ListAccountChangesResponseObject, error) {
	c := callOf(ctx)
	before, err := readNumber(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	limit := defaultLimit
	if r.Params.Limit != nil {
		limit = *r.Params.Limit
	}
	var list []ledger.AccountChange
	var next int64
	err = h.read(c, func(tx pgx.Tx) (err error) {
		if _, err = ledger.GetAccount(c.ctx, tx, c.tenant, r.AccountID); err != nil {
			return err
		}
		list, next, err = ledger.AccountChanges(c.ctx, tx, c.tenant, r.AccountID, before, limit)
		return err
	})
	out := gen.ListAccountChanges200JSONResponse{Data: mapped(list, showAccountChange)}
	if next != 0 {
		out.NextCursor = nextCursor(fmt.Sprintf("n.%d", next))
	}
	return out, err
}

// readNumber reads the cursor of a list that is ordered by numbers.
func readNumber(cursor *string) (int64, error) {
	if cursor == nil {
		return 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*cursor)
	digits, ok := strings.CutPrefix(string(raw), cursorPrefix+"n.")
	number, numberErr := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || numberErr != nil || number < 1 {
		return 0, fault.Invalid("cursor", "cursor_malformed", "This is not a next_cursor of this list; start again without a cursor.")
	}
	return number, nil
}

func showAccountChange(a ledger.AccountChange) gen.AccountChange {
	floor := func(f *int64) int64 {
		if f == nil {
			return 0
		}
		return *f
	}
	bounds := func(l ledger.Limits) []gen.LimitBound {
		return mapped(account.Named(l), func(l account.Limit) gen.LimitBound {
			return gen.LimitBound{Name: gen.LimitName(l.Name), Max: l.Max}
		})
	}
	return gen.AccountChange{
		StatusBefore: gen.AccountStatus(a.StatusBefore), StatusAfter: gen.AccountStatus(a.StatusAfter),
		FloorBefore: floor(a.FloorBefore), FloorAfter: floor(a.FloorAfter),
		LimitsBefore: bounds(a.LimitsBefore), LimitsAfter: bounds(a.LimitsAfter), Reason: a.Reason, ChangedAt: showTime(a.ChangedAt),
	}
}
