package payment

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/secret"
)

// ForgetPayer destroys the keys of everybody who is paying a payment. Attempts that
// their provider has prepared go on without; one that it has not heard of fails. Of an
// attempt at its end nothing is kept anyhow. Idempotent.
func ForgetPayer(ctx context.Context, tx pgx.Tx, tenantID, paymentID, reason string) error {
	if _, err := Lock(ctx, tx, tenantID, paymentID); err != nil {
		return err
	}
	all, err := Attempts(ctx, tx, tenantID, paymentID)
	if err != nil {
		return err
	}
	var persons []string
	for _, a := range all {
		if a.Payer.Person != "" {
			persons = append(persons, a.Payer.Person)
		}
	}
	return party.ForgetPayers(ctx, tx, tenantID, persons, reason)
}

// SealPayers seals payers of attempts from before payers were sealed, of at most limit
// attempts, and freezes the attempts anew; one that was tampered with stays what it is.
// It returns how many it sealed. It needs the system role.
func SealPayers(ctx context.Context, tx pgx.Tx, box *secret.Box, limit int) (int, error) {
	rows, err := tx.Query(ctx, `
		select tenant_id, id from attempts
		where status in ('preparing', 'awaiting_payer') and num_nonnulls(payer_id, payer_ip) > 0
		order by tenant_id, id limit $1`, limit)
	if err != nil {
		return 0, fmt.Errorf("payers in plain: %w", err)
	}
	type row struct{ Tenant, ID string }
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return 0, fmt.Errorf("payers in plain: %w", err)
	}
	for _, r := range found {
		if err := sealPayer(ctx, tx, box, r.Tenant, r.ID); err != nil {
			return 0, fmt.Errorf("payer of attempt %s: %w", r.ID, err)
		}
	}
	return len(found), nil
}

func sealPayer(ctx context.Context, tx pgx.Tx, box *secret.Box, tenantID, attemptID string) error {
	p, err := LockAttempt(ctx, tx, tenantID, attemptID)
	if err != nil || p.Attempt.Payer.Plain == (party.Payer{}) {
		return err // it came to its end meanwhile
	}
	sound := p.CheckFrozen() == nil
	var both pgx.Batch
	sealed, err := party.SealPayer(ctx, tx, box, tenantID, p.Attempt.Payer.Plain, &both)
	if err != nil {
		return err
	}
	hash := p.Attempt.RequestHash
	if p.Attempt.Payer = sealed; sound {
		hash = p.requestHash()
	}
	both.Queue(`
		update attempts set payer_person = $3, sealed_payer_id = $4, sealed_payer_ip = $5, payer_id = null, payer_ip = null,
			request_hash = $6
		where tenant_id = $1 and id = $2`, tenantID, attemptID, sealed.Person, sealed.ID, sealed.IP, hash)
	return tx.SendBatch(ctx, &both).Close()
}
