package ledger

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrorKind sorts the refusals of the ledger.
type ErrorKind string

const (
	// Invalid: the request is malformed on its face (empty reference, unknown
	// type, amount out of range, other currency, owner missing).
	Invalid ErrorKind = "invalid"
	// Unbalanced: debits and credits differ within a book, or fewer than two legs.
	Unbalanced ErrorKind = "unbalanced"
	// Forbidden: the class matrix does not let this kind touch such an account.
	Forbidden ErrorKind = "forbidden_by_class_matrix"
	// CustodyMode: the tenant's custody mode refuses the flow; Rule names the modes that permit it.
	CustodyMode ErrorKind = "forbidden_by_custody_mode"
	// Insufficient: a debit or hold would leave available below the floor.
	Insufficient ErrorKind = "insufficient_funds"
	// Mismatch: the reference was used before with other content.
	Mismatch ErrorKind = "reference_mismatch"
	// AccountStatus: the account is frozen or closed on that side.
	AccountStatus ErrorKind = "account_status"
	// NotEmpty: an account with money or open holds cannot be closed.
	NotEmpty ErrorKind = "account_not_empty"
	// NotFound: no such hold, account or entry in this tenant.
	NotFound ErrorKind = "not_found"
	// HoldClosed: the hold was captured or released before.
	HoldClosed ErrorKind = "hold_closed"
	// HoldExceeded: more is captured than the hold has left, or on another account.
	HoldExceeded ErrorKind = "hold_exceeded"
	// Reversed: the entry was reversed before, or is itself a reversal.
	Reversed ErrorKind = "not_reversible"
	// LimitExceeded: a limit of the account refuses; the error is a *LimitError, which names it.
	LimitExceeded ErrorKind = "limit_exceeded"
	// Broken: the database refused what this package should have refused first.
	Broken ErrorKind = "refused_by_database"
)

// Error is a refusal: nothing was written. Rule is a sentence for people.
type Error struct {
	Kind ErrorKind
	// Field is the path of the offending input, such as entries[0].postings[1].amount.
	Field string
	Rule  string
}

func (e *Error) Error() string { return "ledger: " + e.Field + ": " + e.Rule }

// IsKind reports whether err is or wraps an *Error of kind k.
func IsKind(err error, k ErrorKind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}

// LimitError is the refusal of a posting or a hold by a limit of its account.
// errors.As also finds the *Error in it.
type LimitError struct {
	Refusal *Error
	Account AccountKey
	// Limit names the limit: side and bound, such as debit.day_amount.
	Limit string
	// Max is the limit, Used what the period had come to before, Wanted what this
	// posting or hold adds; minor units or a count.
	Max, Used, Wanted int64
}

func (e *LimitError) Error() string { return e.Refusal.Error() }

// Unwrap gives the refusal without the numbers.
func (e *LimitError) Unwrap() error { return e.Refusal }

// sqlRefusal is the SQLSTATE with which the triggers of the books refuse.
const sqlRefusal = "SUP01"

// translate turns a refusal by the database into an *Error and leaves other
// errors as they are.
func translate(err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return err
	}
	switch {
	case pgErr.Code == sqlRefusal:
		return &Error{Kind: kindOfRule(pgErr.ConstraintName), Field: "entries", Rule: pgErr.Message}
	case pgErr.ConstraintName == "ledger_accounts_floor":
		return &Error{Kind: Insufficient, Field: "postings", Rule: "available would fall below the account's floor"}
	case pgErr.ConstraintName == "entries_reversed_once":
		return &Error{Kind: Reversed, Field: "reverses", Rule: "the entry was reversed before"}
	case strings.HasPrefix(pgErr.ConstraintName, "entries_reverses") || strings.HasSuffix(pgErr.ConstraintName, "reverses_fkey"):
		return &Error{Kind: NotFound, Field: "reverses", Rule: "no such entry"}
	}
	return err
}

func kindOfRule(rule string) ErrorKind {
	switch rule {
	case "balance", "two_legs", "all_legs":
		return Unbalanced
	case "class_matrix":
		return Forbidden
	case "custody_mode":
		return CustodyMode
	case "one_currency", "no_account", "no_entry":
		return Invalid
	case "reversal":
		return Reversed
	case "account_status", "account_closed":
		return AccountStatus
	case "reason":
		return Invalid
	case "hold_closed":
		return HoldClosed
	}
	return Broken
}
