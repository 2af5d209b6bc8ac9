package accept

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Ref is the input of every workflow that belongs to one object.
type Ref struct {
	Tenant string `json:"tenant"`
	ID     string `json:"id"`
}

// Attributes are what operators search workflows by. They are ids only, never
// a tenant's own text, because search attributes are not encrypted.
type Attributes struct {
	Merchant   string `json:"merchant,omitempty"`
	BusinessID string `json:"business_id"`
	Channel    string `json:"channel,omitempty"`
}

// Start is a workflow that must run.
type Start struct {
	// WorkflowID is derived from the object, so a second start finds the first.
	WorkflowID string
	// Type is the registered name of the workflow.
	Type       string
	Ref        Ref
	Attributes Attributes
}

// RequireWorkflow records in tx that s must run. Requiring it again after it
// was started makes it due again, which is how a finished-by-hand workflow is
// driven on; a running one is left alone by its id.
func RequireWorkflow(ctx context.Context, tx pgx.Tx, s Start) error {
	input, err := json.Marshal(s.Ref)
	if err != nil {
		return fmt.Errorf("workflow input: %w", err)
	}
	attributes, err := json.Marshal(s.Attributes)
	if err != nil {
		return fmt.Errorf("workflow attributes: %w", err)
	}
	_, err = tx.Exec(ctx, `
		insert into workflow_starts (tenant_id, workflow_id, workflow_type, input, attributes)
		values ($1, $2, $3, $4, $5)
		on conflict (tenant_id, workflow_id) do update set started_at = null, created_at = clock_timestamp()`,
		s.Ref.Tenant, s.WorkflowID, s.Type, input, attributes)
	if err != nil {
		return fmt.Errorf("require workflow %s: %w", s.WorkflowID, err)
	}
	return nil
}

// ClaimMissing locks up to limit workflows that were required at least age ago
// and not started, for the rest of tx (skipping those another sweeper holds).
func ClaimMissing(ctx context.Context, tx pgx.Tx, age time.Duration, limit int) ([]Start, error) {
	rows, err := tx.Query(ctx, `
		select workflow_id, workflow_type, input, attributes from workflow_starts
		where started_at is null and created_at <= clock_timestamp() - $1::interval
		order by created_at limit $2 for update skip locked`, age, limit)
	if err != nil {
		return nil, fmt.Errorf("missing workflows: %w", err)
	}
	return pgx.CollectRows(rows, scanStart)
}

func scanStart(row pgx.CollectableRow) (Start, error) {
	var s Start
	var input, attributes []byte
	if err := row.Scan(&s.WorkflowID, &s.Type, &input, &attributes); err != nil {
		return s, err
	}
	if err := json.Unmarshal(input, &s.Ref); err != nil {
		return s, err
	}
	return s, json.Unmarshal(attributes, &s.Attributes)
}

// Required returns the workflow recorded under workflowID.
func Required(ctx context.Context, tx pgx.Tx, tenant, workflowID string) (Start, error) {
	rows, err := tx.Query(ctx, `
		select workflow_id, workflow_type, input, attributes from workflow_starts
		where tenant_id = $1 and workflow_id = $2`, tenant, workflowID)
	if err != nil {
		return Start{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanStart)
}

// MarkStarted notes that the workflow runs or has run. Idempotent.
func MarkStarted(ctx context.Context, tx pgx.Tx, s Start) error {
	_, err := tx.Exec(ctx, `
		update workflow_starts set started_at = clock_timestamp()
		where tenant_id = $1 and workflow_id = $2 and started_at is null`, s.Ref.Tenant, s.WorkflowID)
	if err != nil {
		return fmt.Errorf("mark workflow %s started: %w", s.WorkflowID, err)
	}
	return nil
}
