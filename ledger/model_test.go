package ledger_test

import (
	"maps"

	"github.com/suanpan/suanpan/ledger"
)

// model is the ledger as somebody would write it who has never seen ours: maps,
// one operation at a time, nothing shared with package ledger but the names of
// its refusals. Accounts are numbered; all of them are owed to somebody, may not
// fall below zero and live within one business day.
type model struct {
	accounts map[int]mAccount
	holds    map[string]mHold
	entries  map[string]mEntry // by reference
	reversed map[string]bool   // by reference of the entry that was reversed
	history  map[int][]mMove
}

type mAccount struct {
	status       ledger.Status
	posted, held int64
	limits       *ledger.Limits
	// out and in are what was counted against the limits of the two sides.
	out, in mUsed
}

type mUsed struct{ amount, count int64 }

type mHold struct {
	account          int
	amount, left     int64
	captured         int64
	state            string // open, captured, released, expired
	expires, counted bool
}

// mEntry is what a booking asked for, and what it was answered with.
type mEntry struct {
	kind    string
	content string
	moves   []mMove
}

// mMove is one leg on one of the model's accounts: + money in, − money out.
type mMove struct {
	account int
	amount  int64
	hold    string
	after   int64 // in a history: the balance it left
}

const (
	yes      = "ok"
	replayed = "replayed"
)

func newModel() *model {
	return &model{map[int]mAccount{}, map[string]mHold{}, map[string]mEntry{}, map[string]bool{}, map[int][]mMove{}}
}

func (m *model) account(i int) mAccount {
	if a, ok := m.accounts[i]; ok {
		return a
	}
	return mAccount{status: ledger.Active}
}

// mBooking is an entry that somebody wants booked.
type mBooking struct {
	reference string
	mEntry
	reverses string // the reference of another booking; "?" is none that exists
}

// book books all or nothing. overdue says whether a hold's time was over.
func (m *model) book(all []mBooking, overdue func(hold string) bool) string {
	accounts, holds, answer := map[int]mAccount{}, map[string]mHold{}, replayed
	at := func(i int) mAccount {
		if a, ok := accounts[i]; ok {
			return a
		}
		return m.account(i)
	}
	for _, b := range all {
		if before, ok := m.entries[b.reference]; ok {
			if before.content != b.content {
				return string(ledger.Mismatch)
			}
			continue
		}
		answer = yes
		if b.kind == "reversal" {
			switch {
			case b.reverses == "?":
				return string(ledger.NotFound)
			case m.entries[b.reverses].kind == "reversal", m.reversed[b.reverses]:
				return string(ledger.Reversed)
			}
		}
		start := map[int]int64{}
		for _, move := range b.moves {
			a := at(move.account)
			if _, ok := start[move.account]; !ok {
				start[move.account] = a.posted - a.held
			}
			if !a.lets(move) {
				return string(ledger.AccountStatus)
			}
			if move.hold != "" {
				h, ok := holds[move.hold]
				if !ok {
					h, ok = m.holds[move.hold]
				}
				switch {
				case !ok:
					return string(ledger.NotFound)
				case h.account != move.account:
					return string(ledger.HoldExceeded)
				case h.state != "open", h.expires && overdue(move.hold):
					return string(ledger.HoldClosed)
				case h.left < -move.amount:
					return string(ledger.HoldExceeded)
				}
				h.left += move.amount
				h.captured -= move.amount
				if h.left == 0 {
					h.state = "captured"
				}
				a.held += move.amount
				holds[move.hold] = h
			} else if b.kind != "reversal" {
				if limit := a.use(move.amount); limit != "" {
					return limit
				}
			}
			a.posted += move.amount
			accounts[move.account] = a
		}
		for _, move := range b.moves {
			a := at(move.account)
			if left := a.posted - a.held; left < 0 && left < start[move.account] {
				return string(ledger.Insufficient)
			}
		}
	}
	for _, b := range all {
		if _, ok := m.entries[b.reference]; ok {
			continue
		}
		m.entries[b.reference] = b.mEntry
		m.reversed[b.reverses] = true
		for _, move := range b.moves {
			before := m.account(move.account).posted
			if h := m.history[move.account]; len(h) > 0 {
				before = h[len(h)-1].after
			}
			move.after = before + move.amount
			m.history[move.account] = append(m.history[move.account], move)
		}
	}
	maps.Copy(m.accounts, accounts)
	maps.Copy(m.holds, holds)
	return answer
}

func (a mAccount) lets(move mMove) bool {
	switch a.status {
	case ledger.Closed:
		return false
	case ledger.Frozen:
		return move.hold != ""
	case ledger.DebitFrozen:
		return move.amount > 0 || move.hold != ""
	case ledger.CreditFrozen:
		return move.amount < 0
	}
	return true
}

// use counts amount (+ in, − out) against the limits and returns the refusal.
func (a *mAccount) use(amount int64) string {
	if a.limits == nil {
		return ""
	}
	side, limits, used := "debit", a.limits.Debit, &a.out
	if amount > 0 {
		side, limits, used = "credit", a.limits.Credit, &a.in
	} else {
		amount = -amount
	}
	over := func(limit, sum int64) bool { return limit > 0 && sum > limit }
	switch {
	case over(limits.PostingAmount, amount):
		return "limit_exceeded " + side + ".posting_amount"
	case over(limits.DayAmount, used.amount+amount):
		return "limit_exceeded " + side + ".day_amount"
	case over(limits.DayCount, used.count+1):
		return "limit_exceeded " + side + ".day_count"
	case over(limits.MonthAmount, used.amount+amount):
		return "limit_exceeded " + side + ".month_amount"
	case over(limits.MonthCount, used.count+1):
		return "limit_exceeded " + side + ".month_count"
	}
	used.amount += amount
	used.count++
	return ""
}

func (m *model) hold(reference string, account int, amount int64, expires bool) string {
	if h, ok := m.holds[reference]; ok {
		if h.account != account || h.amount != amount {
			return string(ledger.Mismatch)
		}
		return replayed
	}
	a := m.account(account)
	switch {
	case !a.lets(mMove{amount: -amount}):
		return string(ledger.AccountStatus)
	case a.posted-a.held < amount:
		return string(ledger.Insufficient)
	}
	if limit := a.use(-amount); limit != "" {
		return limit
	}
	a.held += amount
	m.accounts[account] = a
	m.holds[reference] = mHold{account: account, amount: amount, left: amount, state: "open", expires: expires, counted: a.limits != nil}
	return yes
}

func (m *model) reduce(reference string, left int64) string {
	h, ok := m.holds[reference]
	switch {
	case !ok:
		return string(ledger.NotFound)
	case h.state == "captured":
		return string(ledger.HoldClosed)
	case h.state == "open" && h.left > left:
		m.free(reference, left, "released")
	}
	return yes
}

func (m *model) free(reference string, left int64, end string) {
	h := m.holds[reference]
	a := m.account(h.account)
	gone := h.left - left
	h.left = left
	a.held -= gone
	if h.left == 0 {
		h.state = end
	}
	if a.limits != nil && h.counted {
		a.out.amount = max(a.out.amount-gone, 0)
		if h.left == 0 && h.captured == 0 {
			a.out.count = max(a.out.count-1, 0)
		}
	}
	m.holds[reference], m.accounts[h.account] = h, a
}

func (m *model) status(account int, to ledger.Status) string {
	a := m.account(account)
	switch {
	case a.status == to:
		return yes
	case a.status == ledger.Closed:
		return string(ledger.AccountStatus)
	case to == ledger.Closed && (a.posted != 0 || a.held != 0):
		return string(ledger.NotEmpty)
	}
	a.status = to
	m.accounts[account] = a
	return yes
}

func (m *model) limit(account int, limits ledger.Limits) string {
	a := m.account(account)
	if a.status == ledger.Closed {
		return string(ledger.AccountStatus)
	}
	if limits == (ledger.Limits{}) {
		a.limits, a.out, a.in = nil, mUsed{}, mUsed{}
	} else {
		a.limits = &limits
	}
	m.accounts[account] = a
	return yes
}
