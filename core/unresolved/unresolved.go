// Package unresolved owns money whose fate nobody knows and whose number may not be
// sent again: the time in which the provider takes a repetition for a repetition is
// over. It is asked on; what else happens, two persons decide, once.
//
// It knows no noun and books nothing. A decision never stands against what the
// provider says: the packages of the nouns and their steps carry it out only when the
// provider, asked after it, does not know the number.
package unresolved

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
)

// Decision is what two persons make of it.
type Decision string

const (
	// Failed: it is over, and what was held for it is free.
	Failed Decision = "failed"
	// NewNumber: it is sent again, under another number.
	NewNumber Decision = "new_number"
)

// Case is one number that may not be sent again.
type Case struct {
	Number string `json:"number"`
	// Code is why: the provider's, or a word of package channel.
	Code  string    `json:"code"`
	Since time.Time `json:"since"`
	// AnswerCode is what the provider answered last, at AnsweredAt; empty before it was
	// asked.
	AnswerCode string     `json:"answer_code"`
	AnsweredAt *time.Time `json:"answered_at"`
	// Decision, Reason and DecidedAt are zero until it was decided.
	Decision  Decision   `json:"decision"`
	Reason    string     `json:"reason"`
	DecidedAt *time.Time `json:"decided_at"`
}

// Of is the SQL expression of a row's Case for its present number, null for most. It
// is a constant of the query, written with the name of the row's table.
func Of(table string) string {
	return `(select to_jsonb(u) from unresolved u where u.tenant_id = ` + table + `.tenant_id
		and u.object_id = ` + table + `.id and u.number = ` + table + `.number)`
}

// Note records that number may not be sent again, because of code, and reports whether
// that is news. Idempotent.
func Note(ctx context.Context, tx pgx.Tx, tenantID, objectID, number, code string) (news bool, err error) {
	done, err := tx.Exec(ctx, `insert into unresolved (tenant_id, object_id, number, code) values ($1, $2, $3, $4) on conflict do nothing`,
		tenantID, objectID, number, code)
	if err != nil {
		return false, fmt.Errorf("unresolved %s: %w", objectID, err)
	}
	return done.RowsAffected() == 1, nil
}

// Answered records what the provider answered last about number.
func Answered(ctx context.Context, tx pgx.Tx, tenantID, objectID, number, code string) error {
	_, err := tx.Exec(ctx, `update unresolved set answer_code = $4, answered_at = suanpan_now()
		where tenant_id = $1 and object_id = $2 and number = $3`, tenantID, objectID, number, code)
	if err != nil {
		return fmt.Errorf("answer about unresolved %s: %w", objectID, err)
	}
	return nil
}

// Decidable returns the refusal to decide about c, which is that of an object with
// this id, or nil.
func (c *Case) Decidable() error {
	switch {
	case c == nil:
		return fault.Refused("", "outcome_not_unresolved",
			"The platform finds out by itself what became of this; only what may not be sent again under its number (unresolved) is decided.")
	case c.Decision != "":
		return fault.Conflict("", "outcome_decided", "It was decided: "+string(c.Decision)+".")
	}
	return nil
}

// Decide records the decision about c, which belongs to the object; the caller holds
// the object's lock. It refuses what is not Decidable.
func (c *Case) Decide(ctx context.Context, tx pgx.Tx, tenantID, objectID string, d Decision, reason string) error {
	if err := c.Decidable(); err != nil {
		return err
	}
	if d != Failed && d != NewNumber {
		return fault.Invalid("decision", "value_unknown", "It either failed, or is sent under a new_number.")
	}
	_, err := tx.Exec(ctx, `update unresolved set decision = $4, reason = $5, decided_at = suanpan_now()
		where tenant_id = $1 and object_id = $2 and number = $3 and decision is null`, tenantID, objectID, c.Number, d, reason)
	if err != nil {
		return fmt.Errorf("decide about %s: %w", objectID, err)
	}
	return nil
}
