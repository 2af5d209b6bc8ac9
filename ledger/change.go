package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/money"
)

// Open makes sure that an account is open and returns its id. Accounts also open
// on first use; this is for one that must be frozen or limited before.
func Open(ctx context.Context, tx pgx.Tx, tenant string, key AccountKey) (string, error) {
	if _, err := key.check("account"); err != nil {
		return "", err
	}
	known, err := look(ctx, tx, tenant, []AccountKey{key}, nil, nil)
	if err != nil {
		return "", err
	}
	return known.accounts.of(key).id, nil
}

// ChangeStatus freezes, unfreezes or closes an account with a floor, in the
// caller's transaction; reason, 1 to 256 bytes without personal data, is kept with
// the change for ever. The status that it has already is no change. It returns an
// *Error of kind
//
//	Invalid        for an unknown status, no reason, or an internal account
//	AccountStatus  for an account that is closed: closed is final
//	NotEmpty       for closing an account that has money or open holds
func ChangeStatus(ctx context.Context, tx pgx.Tx, tenant string, key AccountKey, to Status, reason string) error {
	if !slices.Contains([]Status{Active, DebitFrozen, CreditFrozen, Frozen, Closed}, to) {
		return &Error{Invalid, "status", fmt.Sprintf("an account has no status %q", string(to))}
	}
	a, err := lockForChange(ctx, tx, tenant, key, reason)
	switch {
	case err != nil:
		return err
	case a.status == to:
		return nil
	case a.status == Closed:
		return &Error{AccountStatus, "status", a.key.String() + " is closed, which is final: open another account"}
	case to == Closed && (a.posted != 0 || a.held != 0):
		return &Error{NotEmpty, "status", fmt.Sprintf("%s has %d, of which %d is held: only an account at zero without holds closes",
			a.key, a.posted, a.held)}
	}
	return change(ctx, tx, `update ledger_accounts set status = $3, reason = $4 where tenant_id = $1 and id = $2`,
		tenant, a.id, to, reason)
}

// ChangeFloor sets how low the available balance of an account may fall, in minor
// units; below zero is a credit line. The transaction is one of the system role:
// the application's may not. It returns an *Error of kind Invalid, AccountStatus
// (closed), or Insufficient when the account has less than floor available now.
func ChangeFloor(ctx context.Context, tx pgx.Tx, tenant string, key AccountKey, floor int64, reason string) error {
	if floor < -money.MaxMinor || floor > money.MaxMinor {
		return &Error{Invalid, "floor", fmt.Sprintf("between ±%d minor units, not %d", money.MaxMinor, floor)}
	}
	a, err := lockForChange(ctx, tx, tenant, key, reason)
	switch {
	case err != nil:
		return err
	case a.status == Closed:
		return &Error{AccountStatus, "account", a.key.String() + " is closed"}
	case *a.floor == floor:
		return nil
	case a.available() < floor:
		return &Error{Insufficient, "floor", fmt.Sprintf("%s has %d available, less than that floor", a.key, a.available())}
	}
	return change(ctx, tx, `update ledger_accounts set floor = $3, reason = $4 where tenant_id = $1 and id = $2`,
		tenant, a.id, floor, reason)
}

// ChangeLimits replaces the limits of an account with a floor; none takes them
// off. What has passed stays counted while some limit remains. It returns an
// *Error of kind Invalid or AccountStatus (closed).
func ChangeLimits(ctx context.Context, tx pgx.Tx, tenant string, key AccountKey, limits Limits, reason string) error {
	if err := limits.check(); err != nil {
		return err
	}
	a, err := lockForChange(ctx, tx, tenant, key, reason)
	if err != nil {
		return err
	}
	if a.status == Closed {
		return &Error{AccountStatus, "account", a.key.String() + " is closed"}
	}
	var written, used *string
	switch {
	case limits.none() && a.limits == nil, a.limits != nil && *a.limits == limits:
		return nil
	case !limits.none():
		written, used = jsonText(limits), jsonText(a.usage)
	}
	return change(ctx, tx, `
		update ledger_accounts set limits = $3::jsonb, limit_usage = $4::jsonb, reason = $5 where tenant_id = $1 and id = $2`,
		tenant, a.id, written, used, reason)
}

// maxReason bounds a reason, in bytes.
const maxReason = 256

// lockForChange opens and locks the account of a change that may be made.
func lockForChange(ctx context.Context, tx pgx.Tx, tenant string, key AccountKey, reason string) (*account, error) {
	info, err := key.check("account")
	switch {
	case err != nil:
		return nil, err
	case !info.Floored:
		return nil, &Error{Invalid, "account.type", fmt.Sprintf("accounts of type %s are internal: "+
			"their balance is derived, so they have no status, floor or limits", info.Type)}
	case reason == "" || !isText(reason, maxReason):
		return nil, &Error{Invalid, "reason", fmt.Sprintf("1 to %d bytes of text", maxReason)}
	}
	known, err := look(ctx, tx, tenant, []AccountKey{key}, nil, nil)
	if err != nil {
		return nil, err
	}
	return known.accounts.of(key), nil
}

func change(ctx context.Context, tx pgx.Tx, sql string, args ...any) error {
	if _, err := tx.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("ledger: change account: %w", translate(err))
	}
	return nil
}
