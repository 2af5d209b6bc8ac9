// Package fault owns the words in which the platform refuses: a kind that says
// who must act, a stable code, the field at fault and a sentence that names the
// way out. Every floor from core/ up returns these; the API turns kinds into
// HTTP statuses in one switch and the workflows into Temporal errors in another.
//
// It may not import anything of ours, and a Detail may not hold secrets,
// personal data or provider messages.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of refusal it is, that is: what the caller can do now.
type Kind string

const (
	// KindInvalid: the request itself is wrong; sending it again unchanged is useless.
	KindInvalid Kind = "invalid"
	// KindUnauthenticated: no key, or a key that is unknown or revoked.
	KindUnauthenticated Kind = "unauthenticated"
	// KindForbidden: the key is known and lacks the scope.
	KindForbidden Kind = "forbidden"
	// KindNotFound: no such object in this tenant (also: another tenant's object).
	KindNotFound Kind = "not_found"
	// KindConflict: something else already holds this place, such as a reference
	// or an idempotency key.
	KindConflict Kind = "conflict"
	// KindRefused: well understood and refused by a rule of the business, such as
	// too little money. Nothing was started.
	KindRefused Kind = "refused"
	// KindLimited: too many requests; wait RetryAfter.
	KindLimited Kind = "limited"
	// KindUnavailable: the platform cannot answer now; nothing was decided, and the
	// same request with the same idempotency key may be sent again after RetryAfter.
	KindUnavailable Kind = "unavailable"
)

// Error is a refusal that the caller is meant to read. Compare by Code with
// errors.Is(err, &fault.Error{Code: "…"}) or with Is.
type Error struct {
	Kind Kind
	// Code is stable, lower snake case, and part of the public contract.
	Code string
	// Field names the failing field in the words of the request, dotted for
	// nested ones ("amount.amount"); empty when no single field is at fault.
	Field string
	// Detail is one sentence for a person: what is wrong and the way out.
	Detail string
	// Limit names the limit that refuses, such as debit.day_amount, or is "".
	Limit string
	// RetryAfter is set on KindLimited and KindUnavailable.
	RetryAfter time.Duration
	// Cause is logged and never shown.
	Cause error
}

// Error gives the code, the field and the detail; never the cause's secrets.
func (e *Error) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%s: %s", e.Code, e.Detail)
	}
	return fmt.Sprintf("%s (%s): %s", e.Code, e.Field, e.Detail)
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is an *Error of the same code, or, when target has
// no code, of the same kind.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	if !ok {
		return false
	}
	if t.Code == "" {
		return t.Kind == e.Kind
	}
	return t.Code == e.Code
}

// As finds the first *Error in err's chain.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// Is reports whether err holds a refusal with this code.
func Is(err error, code string) bool {
	e, ok := As(err)
	return ok && e.Code == code
}

// Invalid says that field holds something the contract does not allow.
func Invalid(field, code, detail string) *Error {
	return &Error{Kind: KindInvalid, Field: field, Code: code, Detail: detail}
}

// Unauthenticated says that the API key is missing, unknown or revoked; the
// answer does not tell which.
func Unauthenticated(detail string) *Error {
	return &Error{Kind: KindUnauthenticated, Code: "unauthenticated", Detail: detail}
}

// Forbidden says that the key lacks a scope.
func Forbidden(scope string) *Error {
	return &Error{Kind: KindForbidden, Code: "scope_missing",
		Detail: "This API key does not hold the scope " + scope + "; use one that does."}
}

// RoleMissing says that the key belongs to a principal none of whose roles may do this.
func RoleMissing(action string) *Error {
	return &Error{Kind: KindForbidden, Code: "role_missing",
		Detail: "None of the roles behind this API key may perform " + action + "; docs/security.md lists who may."}
}

// NotAllowed says that this caller, of all, may not do it.
func NotAllowed(code, detail string) *Error {
	return &Error{Kind: KindForbidden, Code: code, Detail: detail}
}

// NotFound says that there is no such object in this tenant. All not-found
// answers of the platform are alike, whether the object never existed or
// belongs to someone else, so nothing about the object may be passed in.
func NotFound() *Error {
	return &Error{Kind: KindNotFound, Code: "not_found",
		Detail: "There is no such object under this API key; check the id and the key."}
}

// Conflict says that field's value is already taken by something else.
func Conflict(field, code, detail string) *Error {
	return &Error{Kind: KindConflict, Field: field, Code: code, Detail: detail}
}

// Refused says that a rule of the business forbids it; field may be empty.
func Refused(field, code, detail string) *Error {
	return &Error{Kind: KindRefused, Field: field, Code: code, Detail: detail}
}

// Limited says that the caller must slow down for retryAfter.
func Limited(code, detail string, retryAfter time.Duration) *Error {
	return &Error{Kind: KindLimited, Code: code, Detail: detail, RetryAfter: retryAfter}
}

// Unavailable says that the platform cannot answer now; cause is logged, not shown.
func Unavailable(cause error, retryAfter time.Duration) *Error {
	return &Error{Kind: KindUnavailable, Code: "unavailable", RetryAfter: retryAfter, Cause: cause,
		Detail: "The service cannot answer right now; send the same request with the same Idempotency-Key again."}
}
