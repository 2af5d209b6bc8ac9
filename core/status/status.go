// Package status owns how a status changes in the database: one row, from the
// status the caller saw to one that may follow, or nothing at all. Every noun
// with a status changes it through here, so that none can be overwritten.
//
// It knows no noun: the packages of the nouns pass their table and their rule.
package status

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Table names a table whose rows have tenant_id, id and status. It is written
// into the statement, so it is a constant of the calling package and never input.
type Table string

// Kind is a status type: a string that knows what may follow it.
type Kind[S any] interface {
	~string
	CanBecome(S) bool
}

// Change moves the row from one status to another and sets more of its columns,
// written as ", column = $5, other = $6" with their values in args. It returns an
// error, and changes nothing, when to may not follow from, or when the row is
// no longer in from because another transaction was first.
func Change[S Kind[S]](
	ctx context.Context, tx pgx.Tx, table Table, tenantID, id string, from, to S, set string, args ...any,
) error {
	if !from.CanBecome(to) {
		return fmt.Errorf("%s: %s is %s and cannot become %s", table, id, from, to)
	}
	args = append([]any{tenantID, id, string(from), string(to)}, args...)
	tag, err := tx.Exec(ctx, `update `+string(table)+` set status = $4`+set+`
		where tenant_id = $1 and id = $2 and status = $3`, args...)
	if err != nil {
		return fmt.Errorf("%s: %s to %s: %w", table, id, to, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("%s: %s was changed meanwhile", table, id)
	}
	return nil
}

// Waiting notes in words what an unfinished row waits for, one that came back included.
// Idempotent; a row that is final is left as it is.
func Waiting(ctx context.Context, tx pgx.Tx, table Table, tenantID, id, why string) error {
	_, err := tx.Exec(ctx, `update `+string(table)+` set waiting_for = $3
		where tenant_id = $1 and id = $2 and status in ('processing', 'returned') and waiting_for is distinct from $3`,
		tenantID, id, why)
	if err != nil {
		return fmt.Errorf("%s: %s waiting: %w", table, id, err)
	}
	return nil
}

// Sending commits, with tx, that the row's order is about to be sent to a
// provider. Idempotent; it says nothing about the provider.
func Sending(ctx context.Context, tx pgx.Tx, table Table, tenantID, id string) error {
	_, err := tx.Exec(ctx, `update `+string(table)+` set sent_at = clock_timestamp()
		where tenant_id = $1 and id = $2 and sent_at is null`, tenantID, id)
	if err != nil {
		return fmt.Errorf("%s: %s sending: %w", table, id, err)
	}
	return nil
}
