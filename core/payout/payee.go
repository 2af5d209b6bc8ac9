package payout

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/secret"
)

// ForgetPayee is party.ForgetPayee, refused while money that was sent to the payee is
// under way: its order may have to be repeated. A withdrawal that was not sent yet fails
// when it is its turn. Idempotent.
func ForgetPayee(ctx context.Context, tx pgx.Tx, tenantID, merchantID, reason string) error {
	// First, so that whoever is about to send waits, or is waited for.
	if err := party.ForgetPayee(ctx, tx, tenantID, merchantID, reason); err != nil {
		return err
	}
	var underWay bool
	err := tx.QueryRow(ctx, `select exists (select from withdrawals
		where tenant_id = $1 and merchant_id = $2 and status = 'processing' and sent_at is not null)`,
		tenantID, merchantID).Scan(&underWay)
	if err != nil {
		return fmt.Errorf("withdrawals of merchant %s: %w", merchantID, err)
	}
	if underWay {
		return fault.Refused("merchant_id", "withdrawal_under_way",
			"Money is on its way to the payee; forget him when the withdrawal has succeeded or failed.")
	}
	return nil
}

// SealPayee seals the payee of a merchant from before payees were sealed, and freezes
// the merchant's withdrawals anew; one that was tampered with stays what it is. It
// returns how many it froze. It needs the system role. Idempotent.
func SealPayee(ctx context.Context, tx pgx.Tx, box *secret.Box, tenantID, merchantID string) (int, error) {
	before, after, err := party.SealPayee(ctx, tx, box, tenantID, merchantID)
	if err != nil {
		return 0, err
	}
	rows, err := tx.Query(ctx, `select `+columns()+` from withdrawals
		where tenant_id = $1 and merchant_id = $2 order by id for update`, tenantID, merchantID)
	if err != nil {
		return 0, fmt.Errorf("withdrawals of merchant %s: %w", merchantID, err)
	}
	all, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return 0, fmt.Errorf("withdrawals of merchant %s: %w", merchantID, err)
	}
	var ids []string
	var hashes [][]byte
	for _, w := range all {
		if w.CheckFrozen(before) == nil {
			ids, hashes = append(ids, w.ID), append(hashes, requestHash(w.Number, w.Amount, after))
		}
	}
	_, err = tx.Exec(ctx, `
		update withdrawals w set request_hash = u.hash from unnest($2::text[], $3::bytea[]) u (id, hash)
		where w.tenant_id = $1 and w.id = u.id`, tenantID, ids, hashes)
	if err != nil {
		return 0, fmt.Errorf("freeze withdrawals of merchant %s: %w", merchantID, err)
	}
	return len(ids), nil
}
