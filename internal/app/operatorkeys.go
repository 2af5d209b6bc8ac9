package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/audit"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/pg"
)

// OperatorScopes are all that an operator's key can hold.
func OperatorScopes() []string { return tenant.OperatorScopes() }

// NewOperatorKey makes an operator's key and returns its id and its secret. A lifetime
// of zero is for ever.
func NewOperatorKey(
	ctx context.Context, cfg config.Core, name string, scopes []string, lifetime time.Duration,
) (keyID, secret string, err error) {
	var expires *time.Time
	if lifetime != 0 {
		at := time.Now().Add(lifetime)
		expires = &at
	}
	err = asOperator(ctx, cfg, func(tx pgx.Tx) error {
		created, made, err := tenant.CreateOperatorKey(ctx, tx, name, scopes, expires)
		keyID, secret = created.ID, made
		return err
	})
	return keyID, secret, err
}

// OperatorKeys describes the operators' keys, a line each.
func OperatorKeys(ctx context.Context, cfg config.Core) ([]string, error) {
	var lines []string
	err := asOperator(ctx, cfg, func(tx pgx.Tx) error {
		keys, err := tenant.ListOperatorKeys(ctx, tx)
		for _, k := range keys {
			lines = append(lines, fmt.Sprintf("%s  %-9s %-24s last used %s, expires %s, %s", k.ID, operatorKeyStatus(k), k.Name,
				moment(k.LastUsedAt), moment(k.ExpiresAt), strings.Join(k.Scopes, " ")))
		}
		return err
	})
	return lines, err
}

func operatorKeyStatus(k tenant.Key) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked"
	case k.ExpiresAt != nil && k.ExpiresAt.Before(time.Now()):
		return "expired"
	}
	return "good"
}

func moment(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// RevokeOperatorKey ends an operator's key for good.
func RevokeOperatorKey(ctx context.Context, cfg config.Core, keyID string) error {
	return asOperator(ctx, cfg, func(tx pgx.Tx) error { return tenant.RevokeOperatorKey(ctx, tx, keyID) })
}

// asOperator runs fn as the system role, on a connection of its own.
func asOperator(ctx context.Context, cfg config.Core, fn func(tx pgx.Tx) error) error {
	db, err := pg.Open(ctx, cfg.DatabaseURL, pg.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.AsSystem(ctx, fn)
}

// ActingOnCommandLine returns a context whose changes the audit log keeps as those of
// a command and the system's user who runs it.
func ActingOnCommandLine(ctx context.Context, command, user string) context.Context {
	return audit.Acting(ctx, audit.Actor{Kind: audit.Command, Name: user, Operation: command})
}
