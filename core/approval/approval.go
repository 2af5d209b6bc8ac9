package approval

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// Status is the state of an approval. The comment says who acts next.
type Status string

const (
	// Pending: another person, who approves or rejects it, or time.
	Pending Status = "pending"
	// Approved: nobody; it was carried out with the decision.
	Approved Status = "approved"
	// Rejected: nobody; nothing was done.
	Rejected Status = "rejected"
	// Expired: nobody; nothing was done.
	Expired Status = "expired"
)

// By is who asks or decides.
type By struct {
	KeyID string
	// PrincipalID is empty for a key that belongs to nobody.
	PrincipalID string
}

// Approval is a request that waits, or waited, for a second person.
type Approval struct {
	ID   string
	Kind Kind
	// Operation is the contract's name, Route the method and path it was asked by.
	Operation string
	Route     string
	// Content is the body as it was sent, to the byte; nil in an approval that is
	// Sealed until Open is called.
	Content []byte
	Sealed  bool
	// Preview is what is shown beside the content, one JSON object without keys and with
	// personal data masked; nil for most.
	Preview []byte
	// Hash is the SHA-256 of all that is carried out: see hash.
	Hash []byte
	// Amount is nil when the request names none.
	Amount *money.Amount
	// RequestedBy asked; Merchant is whose staff he is, or empty.
	RequestedBy By
	Merchant    string
	CreatedAt   time.Time
	ExpiresAt   time.Time
	Status      Status
	// DecidedBy, DecidedAt and DecisionReason are of the decision, zero before it.
	DecidedBy      By
	DecidedAt      *time.Time
	DecisionReason string
	// ObjectID is what carrying it out made or changed.
	ObjectID string
}

// New is a request that is to wait.
type New struct {
	Subject   Subject
	Operation string
	Route     string
	Body      []byte
	// Secret says that the body holds keys or personal data: it is kept sealed and never shown.
	Secret bool
	// Preview is what whoever decides sees beside the body, or in its place; nil for nothing.
	Preview []byte
	By      By
	// ExpiresIn is how long it waits.
	ExpiresIn time.Duration
}

// hash binds everything that is carried out, and for whom.
func hash(tenant, approvalID, operation, route string, body []byte) []byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(tenant), []byte(approvalID), []byte(operation), []byte(route), body} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return h.Sum(nil)
}

// contentColumn is where contents are that hold keys or personal data.
func contentColumn() secret.Column {
	return secret.Column{Table: "approvals", Name: "content", Row: "id", Where: "sealed", Fixed: true}
}

// SealedColumns lists what this package keeps sealed.
func SealedColumns() []secret.Column { return []secret.Column{contentColumn()} }

func place(tenant, approvalID string) secret.Place { return contentColumn().Place(tenant, approvalID) }

// Request stores n to wait for a second person and tells so. It returns the id of
// the approval. What always needs a second person is Refused while nobody could
// approve. The idempotency row of the request makes it idempotent.
func Request(ctx context.Context, tx pgx.Tx, box *secret.Box, tenant string, n New) (string, error) {
	if n.Subject.Kind == UnknownOutcome { // which no policy has prepared
		if err := requireChecker(ctx, tx, tenant, ""); err != nil {
			return "", err
		}
	}
	approvalID := id.New(id.Approval)
	content := n.Body
	if n.Secret {
		sealed, err := box.Seal(ctx, tx, place(tenant, approvalID), n.Body)
		if err != nil {
			return "", err
		}
		content = sealed
	}
	var amount *int64
	var currency *money.Currency
	if n.Subject.Amount != nil {
		amount, currency = &n.Subject.Amount.Minor, &n.Subject.Amount.Currency
	}
	_, err := tx.Exec(ctx, `
		insert into approvals (tenant_id, id, kind, operation, route, content, sealed, content_hash, amount, currency,
			requested_by_key, requested_by_principal, expires_at, preview)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, nullif($12, ''), suanpan_now() + $13::interval, $14)`,
		tenant, approvalID, n.Subject.Kind, n.Operation, n.Route, content, n.Secret,
		hash(tenant, approvalID, n.Operation, n.Route, n.Body), amount, currency, n.By.KeyID, n.By.PrincipalID, n.ExpiresIn, n.Preview)
	if err != nil {
		return "", fmt.Errorf("request approval: %w", err)
	}
	return approvalID, tell(ctx, tx, tenant, approvalID, n.Subject.Kind, event.ApprovalRequested)
}

func tell(ctx context.Context, tx pgx.Tx, tenant, approvalID string, kind Kind, what event.Type) error {
	return event.Tell(ctx, tx, tenant, event.News{Type: what, ObjectID: approvalID,
		Data: map[string]string{"approval_id": approvalID, "kind": string(kind)}})
}

const columns = `a.id, a.kind, a.operation, a.route, a.content, a.sealed, a.content_hash, a.amount, coalesce(a.currency, ''),
	a.requested_by_key, coalesce(a.requested_by_principal, ''),
	coalesce((select p.merchant_id from principals p where p.tenant_id = a.tenant_id and p.id = a.requested_by_principal), ''),
	a.created_at, a.expires_at, a.status, coalesce(a.decided_by_key, ''), coalesce(a.decided_by_principal, ''), a.decided_at,
	coalesce(a.decision_reason, ''), coalesce(a.object_id, ''), a.preview`

func scan(row pgx.CollectableRow) (Approval, error) {
	var a Approval
	var minor *int64
	var currency money.Currency
	err := row.Scan(&a.ID, &a.Kind, &a.Operation, &a.Route, &a.Content, &a.Sealed, &a.Hash, &minor, &currency,
		&a.RequestedBy.KeyID, &a.RequestedBy.PrincipalID, &a.Merchant, &a.CreatedAt, &a.ExpiresAt, &a.Status,
		&a.DecidedBy.KeyID, &a.DecidedBy.PrincipalID, &a.DecidedAt, &a.DecisionReason, &a.ObjectID, &a.Preview)
	if minor != nil {
		a.Amount = new(money.Of(*minor, currency))
	}
	return a, err
}

// Get returns the approval, or a NotFound fault.
func Get(ctx context.Context, q pg.Querier, tenant, approvalID string) (Approval, error) {
	return get(ctx, q, `select `+columns+` from approvals a where a.tenant_id = $1 and a.id = $2`, tenant, approvalID)
}

func get(ctx context.Context, q pg.Querier, sql, tenant, approvalID string) (Approval, error) {
	rows, err := q.Query(ctx, sql, tenant, approvalID)
	if err != nil {
		return Approval{}, fmt.Errorf("read approval: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, fault.NotFound()
	}
	if err != nil {
		return a, fmt.Errorf("read approval: %w", err)
	}
	return a, nil
}

// Body returns what is to be carried out, opened when it is sealed.
func (a Approval) Body(ctx context.Context, q pg.Querier, box *secret.Box, tenant string) ([]byte, error) {
	if !a.Sealed {
		return a.Content, nil
	}
	opened, err := box.Open(ctx, q, place(tenant, a.ID), a.Content)
	return opened.Reveal(), err
}

// Filter narrows List. Zero fields do not narrow.
type Filter struct {
	Status Status
	Kind   Kind
	// Before is the id of the last approval of the page before; the newest come first.
	Before string
	Limit  int
}

// List returns the tenant's approvals, newest first, at most f.Limit.
func List(ctx context.Context, q pg.Querier, tenant string, f Filter) ([]Approval, error) {
	rows, err := q.Query(ctx, `
		select `+columns+` from approvals a
		where a.tenant_id = $1 and ($2 = '' or a.status = $2) and ($3 = '' or a.kind = $3) and ($4 = '' or a.id < $4)
		order by a.id desc limit $5`, tenant, f.Status, f.Kind, f.Before, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list approvals: %w", err)
	}
	return pgx.CollectRows(rows, scan)
}
