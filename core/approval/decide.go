package approval

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
)

// Decision is what somebody says about an approval.
type Decision struct {
	ApprovalID string
	By         By
	// Hash is the content that he has seen.
	Hash   []byte
	Reason string
}

// Approve lets carryOut do what waits, in tx, and returns the id of what it made.
// The row's lock makes those who decide at the same time take turns, so tx may not
// be shared with them. Faults: NotFound; Forbidden for a key that belongs to nobody
// and for the one who asked; Conflict for what is decided, too late or not what he
// has seen. An error of carryOut leaves the approval as it was.
func Approve(ctx context.Context, tx pgx.Tx, box *secret.Box, tenant string, d Decision, carryOut func() (string, error)) (string, error) {
	a, err := lock(ctx, tx, tenant, d.ApprovalID)
	if err != nil {
		return "", err
	}
	if err := a.another(ctx, tx, tenant, d.By); err != nil {
		return "", err
	}
	if err := a.decidable(ctx, tx); err != nil {
		return "", err
	}
	body, err := a.Body(ctx, tx, box, tenant)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(d.Hash, a.Hash) || !a.Unchanged(tenant, body) {
		return "", ContentChanged()
	}
	objectID, err := carryOut()
	if err != nil {
		return "", err
	}
	return objectID, settle(ctx, tx, tenant, a, d, Approved, objectID)
}

// Unchanged reports whether body and all that goes with it are what was asked for.
func (a Approval) Unchanged(tenant string, body []byte) bool {
	return bytes.Equal(a.Hash, hash(tenant, a.ID, a.Operation, a.Route, body))
}

// ContentChanged is the refusal to carry out anything but what was asked for and seen.
func ContentChanged() error {
	return fault.Conflict("content_sha256", "content_changed",
		"The content is not what was asked for and looked at; read the approval again, and reject it if in doubt.")
}

// Reject ends what waits without doing it. Whoever asked may take it back this way.
// Faults: NotFound, Conflict for what is decided.
func Reject(ctx context.Context, tx pgx.Tx, tenant string, d Decision) error {
	a, err := lock(ctx, tx, tenant, d.ApprovalID)
	if err != nil {
		return err
	}
	if err := a.decidable(ctx, tx); err != nil {
		return err
	}
	return settle(ctx, tx, tenant, a, d, Rejected, "")
}

func lock(ctx context.Context, tx pgx.Tx, tenant, approvalID string) (Approval, error) {
	return get(ctx, tx, `select `+columns+` from approvals a where a.tenant_id = $1 and a.id = $2 for update of a`, tenant, approvalID)
}

// another refuses the one who asked, through whichever key, and keys of nobody. It
// asks whose the key is now: one that was bound after it had asked counts too.
func (a Approval) another(ctx context.Context, tx pgx.Tx, tenant string, by By) error {
	if by.PrincipalID == "" {
		return fault.NotAllowed("second_person_unnamed",
			"This API key belongs to nobody; approve with a key of a principal that has the role finance_checker.")
	}
	var asker string
	var gone bool
	err := tx.QueryRow(ctx, `
		select coalesce(k.principal_id, ''), k.revoked_at is not null or coalesce(p.status, 'active') <> 'active'
		from api_keys k left join principals p on p.tenant_id = k.tenant_id and p.id = k.principal_id
		where k.tenant_id = $1 and k.id = $2`, tenant, a.RequestedBy.KeyID).Scan(&asker, &gone)
	if err != nil {
		return fmt.Errorf("who asked: %w", err)
	}
	if by.KeyID == a.RequestedBy.KeyID || by.PrincipalID == a.RequestedBy.PrincipalID || by.PrincipalID == asker {
		return fault.NotAllowed("own_request", "Nobody approves what he asked for himself; somebody else must.")
	}
	if gone {
		return fault.Conflict("", "requester_gone", "The key this was asked with was revoked or its principal suspended; reject it.")
	}
	return nil
}

func (a Approval) decidable(ctx context.Context, tx pgx.Tx) error {
	if a.Status != Pending {
		return fault.Conflict("", "approval_decided", "This approval is "+string(a.Status)+"; each is decided once.")
	}
	var late bool
	if err := tx.QueryRow(ctx, `select $1::timestamptz <= suanpan_now()`, a.ExpiresAt).Scan(&late); err != nil {
		return fmt.Errorf("approval expiry: %w", err)
	}
	if late {
		return fault.Conflict("", "approval_expired", "This approval has expired; ask for it again.")
	}
	return nil
}

func settle(ctx context.Context, tx pgx.Tx, tenant string, a Approval, d Decision, to Status, objectID string) error {
	_, err := tx.Exec(ctx, `
		update approvals set status = $3, decided_by_key = $4, decided_by_principal = nullif($5, ''), decided_at = suanpan_now(),
			decision_reason = nullif($6, ''), object_id = nullif($7, '')
		where tenant_id = $1 and id = $2 and status = 'pending'`,
		tenant, a.ID, to, d.By.KeyID, d.By.PrincipalID, d.Reason, objectID)
	if err != nil {
		return fmt.Errorf("decide approval: %w", err)
	}
	what := event.ApprovalApproved
	if to == Rejected {
		what = event.ApprovalRejected
	}
	return tell(ctx, tx, tenant, a.ID, a.Kind, what)
}

// Expire ends up to limit approvals whose time is over, of all tenants, and tells
// so. It needs the system role and returns how many; several may run at once.
func Expire(ctx context.Context, tx pgx.Tx, limit int) (int, error) {
	rows, err := tx.Query(ctx, `
		update approvals set status = 'expired', decided_at = suanpan_now() where (tenant_id, id) in (
			select tenant_id, id from approvals where status = 'pending' and expires_at <= suanpan_now()
			order by expires_at limit $1 for update skip locked)
		returning tenant_id, id, kind`, limit)
	if err != nil {
		return 0, fmt.Errorf("expire approvals: %w", err)
	}
	type expired struct {
		tenant, id string
		kind       Kind
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (expired, error) {
		var e expired
		err := row.Scan(&e.tenant, &e.id, &e.kind)
		return e, err
	})
	if err != nil {
		return 0, fmt.Errorf("expire approvals: %w", err)
	}
	for _, e := range all {
		if err := tell(ctx, tx, e.tenant, e.id, e.kind, event.ApprovalExpired); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}
