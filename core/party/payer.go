package party

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/pg"
)

// Payer is what a provider needs to know of who pays: personal data. Printing or
// logging it shows nothing of it.
type Payer struct {
	// ID is what the provider calls the payer, IP the payer's address; either may be empty.
	ID, IP string
}

// String, GoString and LogValue hide the payer.
func (p Payer) String() string {
	if p == (Payer{}) {
		return "nobody"
	}
	return "a payer"
}

// GoString is String.
func (p Payer) GoString() string { return p.String() }

// LogValue is String.
func (p Payer) LogValue() slog.Value { return slog.StringValue(p.String()) }

// SealedPayer is a Payer as an attempt keeps it; the zero value is nobody. It is a
// person for as long as the attempt is under way.
type SealedPayer struct {
	// Person names whose key sealed ID and IP; empty when there is no payer, or for one
	// who is Plain.
	Person string
	ID, IP []byte
	// Plain is the payer of an attempt from before payers were sealed.
	Plain Payer
}

// SealPayer seals p for an attempt and queues what must be inserted before the
// attempt, so that it travels with it. Nobody stays nobody.
func SealPayer(
	ctx context.Context, q pg.Querier, box *secret.Box, tenant string, p Payer, insert *pgx.Batch,
) (SealedPayer, error) {
	if p == (Payer{}) {
		return SealedPayer{}, nil
	}
	who, key, err := newPerson(ctx, q, box, tenant)
	if err != nil {
		return SealedPayer{}, err
	}
	insert.Queue(sqlInsertPerson, tenant, who.id, "", who.key)
	return SealedPayer{Person: who.id, ID: who.seal(key, tenant, payerIDColumn(), p.ID),
		IP: who.seal(key, tenant, payerIPColumn(), p.IP)}, nil
}

// HasID reports whether the provider's name of the payer is kept.
func (s SealedPayer) HasID() bool { return s.ID != nil || s.Plain.ID != "" }

// Frozen is what stands for the payer's id and address in a hash of what is sent: the
// sealed texts, so that no hash lets anybody try addresses.
func (s SealedPayer) Frozen() (payerID, payerIP string) {
	if s.Person == "" {
		return s.Plain.ID, s.Plain.IP
	}
	return string(s.ID), string(s.IP)
}

// Open returns the payer, or ErrForgotten. It is personal data: only what asks the
// provider may call it, and what compares payers.
func (s SealedPayer) Open(ctx context.Context, q pg.Querier, box *secret.Box, tenant string) (Payer, error) {
	if s.Person == "" {
		return s.Plain, nil
	}
	who := person{id: s.Person}
	err := q.QueryRow(ctx, `select sealed_key from persons where tenant_id = $1 and id = $2`, tenant, s.Person).Scan(&who.key)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Payer{}, fmt.Errorf("key of a payer: %w", err)
	}
	key, err := who.open(ctx, q, box, tenant)
	if err != nil {
		return Payer{}, err
	}
	var p Payer
	if p.ID, err = who.text(key, tenant, payerIDColumn(), s.ID); err != nil {
		return Payer{}, err
	}
	p.IP, err = who.text(key, tenant, payerIPColumn(), s.IP)
	return p, err
}

// DropPayer ends a payer with the attempt, which no longer names him: nothing is left.
func DropPayer(ctx context.Context, tx pgx.Tx, tenant string, s SealedPayer) error {
	if s.Person == "" {
		return nil
	}
	_, err := tx.Exec(ctx, `delete from persons where tenant_id = $1 and id = $2 and merchant_id is null`, tenant, s.Person)
	if err != nil {
		return fmt.Errorf("drop a payer: %w", err)
	}
	return nil
}

// ForgetPayers destroys the keys of payers whose attempts are still under way.
// Idempotent.
func ForgetPayers(ctx context.Context, tx pgx.Tx, tenant string, persons []string, reason string) error {
	return forget(ctx, tx, tenant, `merchant_id is null and id = any($2)`, persons, reason)
}
