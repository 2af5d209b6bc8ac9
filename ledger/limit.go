package ledger

import (
	"encoding/json"
	"fmt"
)

// Limits bound what may pass over an account with a floor, in addition to the
// money it has. They are judged and counted under the account's lock, in the
// transaction that books.
//
// Counting begins when an account gets its first limit and goes by business days
// and months. A hold is counted when it is placed, and its captures are not
// counted again, so that no limit can refuse what was promised to somebody
// outside. Reversals are corrections and not counted at all. A limit on the side
// on which a provider's facts arrive would refuse facts: bound the requests
// (holds, transfers), not the receipts.
type Limits struct {
	Debit  SideLimits `json:"debit,omitzero"`
	Credit SideLimits `json:"credit,omitzero"`
}

// SideLimits are the bounds of one side. Amounts are in minor units of the
// account's currency; 0 means no bound.
type SideLimits struct {
	// PostingAmount bounds a single posting or hold.
	PostingAmount int64 `json:"posting_amount,omitempty"`
	// DayAmount and DayCount bound a business day.
	DayAmount int64 `json:"day_amount,omitempty"`
	DayCount  int64 `json:"day_count,omitempty"`
	// MonthAmount and MonthCount bound a calendar month of business days.
	MonthAmount int64 `json:"month_amount,omitempty"`
	MonthCount  int64 `json:"month_count,omitempty"`
}

func (l Limits) none() bool { return l == Limits{} }

func (l Limits) check() error {
	for side, s := range map[Side]SideLimits{Debit: l.Debit, Credit: l.Credit} {
		for _, bound := range s.bounds(sideUsage{}, 0) {
			if bound.max < 0 || bound.max > maxBalance {
				return &Error{Invalid, "limits." + string(side) + "." + bound.name, fmt.Sprintf("between 0 (no limit) and %d", maxBalance)}
			}
		}
	}
	return nil
}

// bound is one limit with what it is held against.
type bound struct {
	name              string
	max, used, wanted int64
}

func (s SideLimits) bounds(used sideUsage, amount int64) []bound {
	return []bound{
		{"posting_amount", s.PostingAmount, 0, amount},
		{"day_amount", s.DayAmount, used.DayAmount, amount},
		{"day_count", s.DayCount, used.DayCount, 1},
		{"month_amount", s.MonthAmount, used.MonthAmount, amount},
		{"month_count", s.MonthCount, used.MonthCount, 1},
	}
}

// usage is what has passed over an account in one day and its month.
type usage struct {
	Day    string    `json:"day"`
	Debit  sideUsage `json:"debit"`
	Credit sideUsage `json:"credit"`
}

type sideUsage struct {
	DayAmount   int64 `json:"day_amount"`
	DayCount    int64 `json:"day_count"`
	MonthAmount int64 `json:"month_amount"`
	MonthCount  int64 `json:"month_count"`
}

// month is the month of a day written YYYY-MM-DD.
func month(day string) string { return day[:min(len(day), len("2006-01"))] }

// on is u as it stands on day, the counters of past periods at zero.
func (u usage) on(day string) usage {
	if u.Day == day {
		return u
	}
	next := usage{Day: day}
	if month(u.Day) == month(day) {
		next.Debit = sideUsage{MonthAmount: u.Debit.MonthAmount, MonthCount: u.Debit.MonthCount}
		next.Credit = sideUsage{MonthAmount: u.Credit.MonthAmount, MonthCount: u.Credit.MonthCount}
	}
	return next
}

func (u *usage) side(side Side) *sideUsage {
	if side == Debit {
		return &u.Debit
	}
	return &u.Credit
}

// sideOf is the side a posting's signed amount is written on.
func sideOf(amount int64) Side {
	if amount > 0 {
		return Debit
	}
	return Credit
}

// outSide is the side on which money leaves the account.
func (a *account) outSide() Side {
	if a.normalSide == Debit {
		return Credit
	}
	return Debit
}

func (a *account) readLimits(limits, used []byte, today *string) error {
	if limits == nil {
		return nil
	}
	a.limits, a.today = &Limits{}, *today
	if err := json.Unmarshal(limits, a.limits); err != nil {
		return fmt.Errorf("limits of %s: %w", a.id, err)
	}
	if err := json.Unmarshal(used, &a.usage); err != nil {
		return fmt.Errorf("limit usage of %s: %w", a.id, err)
	}
	a.usage = a.usage.on(a.today)
	return nil
}

// usageText is nil for an account without limits.
func (a *account) usageText() *string {
	if a.limits == nil {
		return nil
	}
	return jsonText(a.usage)
}

// jsonText is v, which must be made of strings and integers, as JSON.
func jsonText(v any) *string {
	text, err := json.Marshal(v)
	if err != nil { // never, of such a v
		return nil
	}
	return new(string(text))
}

// count judges amount by the account's limits and adds it to what has passed.
func (a *account) count(side Side, amount int64, field string) error {
	if a.limits == nil {
		return nil
	}
	used, limits := a.usage.side(side), a.limits.Debit
	if side == Credit {
		limits = a.limits.Credit
	}
	for _, b := range limits.bounds(*used, amount) {
		if b.max != 0 && b.used+b.wanted > b.max {
			name := string(side) + "." + b.name
			return &LimitError{
				Refusal: &Error{LimitExceeded, field + ".amount", fmt.Sprintf(
					"the limit %s of %s is %d: %d is used, this needs %d", name, a.key, b.max, b.used, b.wanted)},
				Account: a.key, Limit: name, Max: b.max, Used: b.used, Wanted: b.wanted,
			}
		}
	}
	used.DayAmount, used.MonthAmount = bounded(used.DayAmount+amount), bounded(used.MonthAmount+amount)
	used.DayCount++
	used.MonthCount++
	a.changed = true
	return nil
}

// bounded keeps a counter without a limit from running over.
func bounded(n int64) int64 { return min(n, maxBalance) }

// giveBack takes from the counters what a hold set aside on a day and did not
// use. The count goes with the money when nothing of the hold was captured.
func (a *account) giveBack(day string, amount int64, unused bool) {
	if a.limits == nil || day == "" {
		return
	}
	used, count := a.usage.side(a.outSide()), int64(0)
	if unused {
		count = 1
	}
	// Limits may have been taken off and set anew in between: never below zero.
	if day == a.today {
		used.DayAmount, used.DayCount = max(used.DayAmount-amount, 0), max(used.DayCount-count, 0)
	}
	if month(day) == month(a.today) {
		used.MonthAmount, used.MonthCount = max(used.MonthAmount-amount, 0), max(used.MonthCount-count, 0)
	}
	a.changed = true
}
