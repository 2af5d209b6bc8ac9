package account

import (
	"context"
	"fmt"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
)

// Limit is one bound of an account. Its name is the side and the bound, such as
// debit.day_amount; a refusal by the limit names it the same.
type Limit struct {
	Name string
	// Max is in minor units, or a count.
	Max int64
	// Used is what has passed in the running day or month; 0 for a single posting.
	Used int64
}

// Limits are those of an account with the business day that Used belongs to.
type Limits struct {
	Day  string
	Data []Limit
}

// GetLimits returns the limits of an account in a fixed order, or a NotFound.
func GetLimits(ctx context.Context, q pg.Querier, tenantID, accountID string) (Limits, error) {
	state, err := ledger.GetLimits(ctx, q, tenantID, accountID)
	if err != nil {
		return Limits{}, changeRefusal(err)
	}
	return Limits{Day: state.Day, Data: named(state)}, nil
}

// Named gives limits their names; nothing is used of them.
func Named(l ledger.Limits) []Limit { return named(ledger.LimitState{Limits: l}) }

func named(state ledger.LimitState) (list []Limit) {
	for _, b := range bounds(&state) {
		if *b.max != 0 {
			list = append(list, Limit{Name: b.name, Max: *b.max, Used: b.used})
		}
	}
	return list
}

type bound struct {
	name string
	max  *int64
	used int64
}

// bounds are all limits there are, each with its place in state.
func bounds(state *ledger.LimitState) []bound {
	side := func(name string, l *ledger.SideLimits, passed ledger.Passed) []bound {
		return []bound{
			{name + ".posting_amount", &l.PostingAmount, 0},
			{name + ".day_amount", &l.DayAmount, passed.DayAmount},
			{name + ".day_count", &l.DayCount, passed.DayCount},
			{name + ".month_amount", &l.MonthAmount, passed.MonthAmount},
			{name + ".month_count", &l.MonthCount, passed.MonthCount},
		}
	}
	return append(side("debit", &state.Limits.Debit, state.Debit), side("credit", &state.Limits.Credit, state.Credit)...)
}

// fromNames puts named limits where the ledger keeps them.
func fromNames(list []Limit) (ledger.Limits, error) {
	var state ledger.LimitState
	places := bounds(&state)
	for i, l := range list {
		place := (*int64)(nil)
		for _, b := range places {
			if b.name == l.Name {
				place = b.max
			}
		}
		field := fmt.Sprintf("limits[%d]", i)
		switch {
		case place == nil:
			return ledger.Limits{}, fault.Invalid(field+".name", "value_unknown", "There is no such limit.")
		case *place != 0:
			return ledger.Limits{}, fault.Invalid(field+".name", "limit_repeated", "This limit is given twice; give each once.")
		case l.Max <= 0:
			return ledger.Limits{}, fault.Invalid(field+".max", "out_of_range", "A limit is above zero; leave it out to have none.")
		}
		*place = l.Max
	}
	return state.Limits, nil
}
