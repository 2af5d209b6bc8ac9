package ledger

import (
	"fmt"

	"github.com/suanpan/suanpan/money"
)

// Status says what may happen to an account.
type Status string

const (
	// Active: everything the rules permit.
	Active Status = "active"
	// DebitFrozen: no money out, no new holds. What was held before may still be
	// captured, because it is committed to somebody outside.
	DebitFrozen Status = "debit_frozen"
	// CreditFrozen: no money in.
	CreditFrozen Status = "credit_frozen"
	// Frozen: both.
	Frozen Status = "frozen"
	// Closed: nothing, for ever. Only an account at zero without holds closes.
	Closed Status = "closed"
)

// account is an account as one transaction knows it. Balances of accounts with
// a floor are exact, because their row is locked.
type account struct {
	id         string
	key        AccountKey
	normalSide Side
	status     Status
	floor      *int64
	posted     int64
	held       int64
	lastSeq    int64
	// limits is nil for an account without any; today is the business day as the
	// lock found it, known only with limits.
	limits *Limits
	usage  usage
	today  string
	// booked says that posted and lastSeq moved, changed that held or usage did.
	booked, changed bool
}

func (a *account) available() int64 { return a.posted - a.held }

// mayChange judges the account's status; change is signed by the normal side.
func (a *account) mayChange(change int64, fromHold bool, field string) error {
	refused := false
	switch a.status {
	case Closed:
		refused = true
	case Frozen:
		refused = !fromHold
	case DebitFrozen:
		refused = change < 0 && !fromHold
	case CreditFrozen:
		refused = change > 0
	}
	if refused {
		return &Error{AccountStatus, field + ".account", fmt.Sprintf("%s is %s", a.key, a.status)}
	}
	return nil
}

// add moves the posted balance and takes the next sequence number of the account.
func (a *account) add(change int64, field string) error {
	// Both are far inside int64 before the sum: balances are bounded here,
	// changes by Entry.Check.
	sum := a.posted + change
	if sum > maxBalance || sum < -maxBalance {
		return &Error{Invalid, field + ".amount", fmt.Sprintf("the balance would leave ±%d", maxBalance)}
	}
	a.posted = sum
	a.lastSeq++
	a.booked = true
	return nil
}

// maxBalance bounds a balance; a thousand times the largest amount.
const maxBalance = 1000 * money.MaxMinor

// balances are the accounts of one call.
type balances struct {
	byKey   map[AccountKey]*account
	inOrder []*account
}

func (b *balances) of(key AccountKey) *account { return b.byKey[key] }

func (b *balances) put(a *account) {
	if _, ok := b.byKey[a.key]; !ok {
		b.byKey[a.key] = a
		b.inOrder = append(b.inOrder, a)
	}
}

// missing returns those of keys that are not open yet.
func (b *balances) missing(keys []AccountKey) []AccountKey {
	var out []AccountKey
	for _, key := range keys {
		if b.byKey[key] == nil {
			out = append(out, key)
		}
	}
	return out
}
