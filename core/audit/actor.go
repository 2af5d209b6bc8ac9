package audit

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// Kind says what somebody who acts is to us.
type Kind string

// The kinds of actors.
const (
	// APIKey is a key that stands for a tenant's application.
	APIKey Kind = "api_key"
	// Principal is a person or service of a tenant, by a key of its own.
	Principal Kind = "principal"
	// Operator is a key of those who run the platform.
	Operator Kind = "operator"
	// Command is the command line of an installation.
	Command Kind = "command"
	// System is the platform itself, or whoever changed a row without a name.
	System Kind = "system"
)

// Kinds lists them all.
func Kinds() []Kind { return []Kind{APIKey, Principal, Operator, Command, System} }

// Actor is who acts, and by what.
type Actor struct {
	Kind Kind `json:"kind"`
	// KeyID is the key that was used, PrincipalID whose it is; empty where there is none.
	KeyID       string `json:"key_id,omitempty"`
	PrincipalID string `json:"principal_id,omitempty"`
	// Name is who acts on a command line.
	Name string `json:"actor,omitempty"`
	// Operation is the contract's name of the operation, or the command.
	Operation string `json:"operation,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// Acting returns a context in whose transactions every change that the log keeps is
// the actor's.
func Acting(ctx context.Context, a Actor) context.Context {
	text, err := json.Marshal(a)
	if err != nil { // texts always encode
		panic(err)
	}
	return pg.By(ctx, string(text))
}

// Platform is the TenantID of entries that belong to no tenant.
const Platform = "platform"

// Note keeps that something was done which changes no row under the log, in the
// transaction of what was done; what is for people and machines to read, without
// secrets. tx is one of the system role, in a context of Acting.
func Note(ctx context.Context, tx pgx.Tx, tenantID, objectType, objectID string, what map[string]any) error {
	_, err := tx.Exec(ctx, `select audit($1, 'done', $2, $3, null, $4)`, tenantID, objectType, objectID, what)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	return nil
}
