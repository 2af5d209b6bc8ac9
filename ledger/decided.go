package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// LimitState is what bounds an account, and what has passed over it since it has
// limits. It is for showing; a decision is made under the account's lock.
type LimitState struct {
	Limits Limits
	// Day is the current business day, YYYY-MM-DD, which the counters belong to.
	Day           string
	Debit, Credit Passed
}

// Passed is what passed on one side in a day and its month: minor units and counts.
type Passed struct {
	DayAmount, DayCount, MonthAmount, MonthCount int64
}

// GetLimits returns the limits of an account, none for one without, or an *Error
// of kind NotFound.
func GetLimits(ctx context.Context, q pg.Querier, tenant, accountID string) (LimitState, error) {
	a := &account{id: accountID}
	var limits, used []byte
	var today string
	err := q.QueryRow(ctx, `select limits, limit_usage, suanpan_date(suanpan_now())::text from ledger_accounts
		where tenant_id = $1 and id = $2`, tenant, accountID).Scan(&limits, &used, &today)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return LimitState{}, &Error{NotFound, "account_id", "no such account"}
	case err != nil:
		return LimitState{}, fmt.Errorf("ledger: limits: %w", err)
	}
	if err := a.readLimits(limits, used, &today); err != nil {
		return LimitState{}, err
	}
	state := LimitState{Day: today, Debit: Passed(a.usage.Debit), Credit: Passed(a.usage.Credit)}
	if a.limits != nil {
		state.Limits = *a.limits
	}
	return state, nil
}

// AccountChange is one decision about an account: its status, floor or limits
// before and after.
type AccountChange struct {
	// Number orders the changes of an account; it has gaps.
	Number                    int64
	StatusBefore, StatusAfter Status
	// FloorBefore and FloorAfter are in minor units.
	FloorBefore, FloorAfter   *int64
	LimitsBefore, LimitsAfter Limits
	Reason                    string
	ChangedAt                 time.Time
}

// AccountChanges lists what was decided about an account, newest first. before is
// the cursor of the page before, 0 for the first page; next is that of the
// following page, 0 on the last. limit 0 means 50, at most 200.
func AccountChanges(
	ctx context.Context, q pg.Querier, tenant, accountID string, before int64, limit int,
) (page []AccountChange, next int64, err error) {
	limit = pageSize(limit)
	rows, err := q.Query(ctx, `
		select id, status_before, status_after, floor_before, floor_after, limits_before, limits_after, reason, changed_at
		from account_changes where tenant_id = $1 and account_id = $2 and ($3 = 0 or id < $3)
		order by id desc limit $4`, tenant, accountID, before, limit+1)
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: account changes: %w", err)
	}
	page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (AccountChange, error) {
		var c AccountChange
		var was, is []byte
		err := row.Scan(&c.Number, &c.StatusBefore, &c.StatusAfter, &c.FloorBefore, &c.FloorAfter, &was, &is, &c.Reason, &c.ChangedAt)
		return c, errors.Join(err, limitsFrom(was, &c.LimitsBefore), limitsFrom(is, &c.LimitsAfter))
	})
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: account changes: %w", err)
	}
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Number
	}
	return page, next, nil
}

func limitsFrom(text []byte, to *Limits) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, to)
}
