package party

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// Settlement says when a merchant's collected money becomes withdrawable.
type Settlement string

const (
	// T0: at once.
	T0 Settlement = "T0"
	// T1: with the settlement of the day after the payment.
	T1 Settlement = "T1"
)

// MaxDepth bounds the merchant tree: a merchant without a parent is at depth 1.
const MaxDepth = 10

// Merchant is one node of a tenant's merchant tree.
type Merchant struct {
	ID string
	// Reference is the tenant's own number, unique in the tenant for ever.
	Reference string
	Name      string
	// ParentID is empty for a merchant at the top.
	ParentID   string
	Settlement Settlement
	// PayoutAccount is nil when the merchant has none.
	PayoutAccount *SealedPayoutAccount
	CreatedAt     time.Time
}

// NewMerchant is what Create needs. ID may be empty, then one is minted.
type NewMerchant struct {
	ID            string
	Reference     string
	Name          string
	ParentID      string
	Settlement    Settlement
	PayoutAccount *PayoutAccount
}

// The codes of the refusals of Create.
const (
	CodeReferenceTaken   = "reference_used"
	CodeMerchantNotFound = "merchant_unknown"
	CodeTreeTooDeep      = "merchant_tree_too_deep"
)

// Create adds a merchant. Faults: Invalid for a malformed field, Conflict for
// a reference that is taken, Refused for a parent that does not exist in the
// tenant or is already at MaxDepth. The caller's idempotency row makes it
// idempotent. box seals the payout account; without one it may be nil.
func Create(ctx context.Context, tx pgx.Tx, box *secret.Box, tenant string, n NewMerchant) (Merchant, error) {
	if n.ID == "" {
		n.ID = id.New(id.Merchant)
	}
	if err := n.check(); err != nil {
		return Merchant{}, err
	}
	if n.ParentID != "" {
		if err := checkParent(ctx, tx, tenant, n.ParentID); err != nil {
			return Merchant{}, err
		}
	}
	tag, err := tx.Exec(ctx, `
		insert into merchants (tenant_id, id, reference, name, parent_id, settlement)
		values ($1, $2, $3, $4, nullif($5, ''), $6)
		on conflict (tenant_id, reference) do nothing`,
		tenant, n.ID, n.Reference, n.Name, n.ParentID, n.Settlement)
	if err != nil {
		return Merchant{}, fmt.Errorf("create merchant: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return Merchant{}, fault.Conflict("reference", CodeReferenceTaken,
			"another merchant has this reference; use a new one or read that merchant by its reference")
	}
	if n.PayoutAccount != nil {
		if err := insertPayoutAccount(ctx, tx, box, tenant, n.ID, *n.PayoutAccount); err != nil {
			return Merchant{}, err
		}
	}
	return Get(ctx, tx, tenant, n.ID)
}

func (n NewMerchant) check() error {
	if id.Check(id.Merchant, n.ID) != nil {
		return fault.Invalid("id", "id_malformed", "a merchant's id is mch_ and a 26-character ULID")
	}
	if err := checkText("reference", n.Reference, 64); err != nil {
		return err
	}
	if err := checkText("name", n.Name, 128); err != nil {
		return err
	}
	if n.Settlement != T0 && n.Settlement != T1 {
		return fault.Invalid("settlement", "settlement_unknown", "settlement must be T0 or T1")
	}
	if n.PayoutAccount != nil {
		return n.PayoutAccount.check()
	}
	return nil
}

// checkParent walks up from the parent. Parents never change, so the depth
// found here holds for ever and no lock is needed.
func checkParent(ctx context.Context, q pg.Querier, tenant, parentID string) error {
	var depth int
	err := q.QueryRow(ctx, `
		with recursive up (parent_id, depth) as (
			select parent_id, 1 from merchants where tenant_id = $1 and id = $2
			union all
			select m.parent_id, up.depth + 1 from up
			join merchants m on m.tenant_id = $1 and m.id = up.parent_id
			where up.depth < $3
		)
		select coalesce(max(depth), 0) from up`, tenant, parentID, MaxDepth).Scan(&depth)
	switch {
	case err != nil:
		return fmt.Errorf("find parent merchant: %w", err)
	case depth == 0:
		return NotFoundIn("parent_id")
	case depth >= MaxDepth:
		return fault.Refused("parent_id", CodeTreeTooDeep,
			"the merchant tree is at most "+strconv.Itoa(MaxDepth)+" levels deep; choose a parent higher up")
	}
	return nil
}

// NotFoundIn is the refusal of an id inside a request (in field) that names no
// merchant of the tenant.
func NotFoundIn(field string) error {
	return fault.Refused(field, CodeMerchantNotFound, field+" names no merchant under this API key; create it first")
}

const selectMerchant = `
	select m.id, m.reference, m.name, coalesce(m.parent_id, ''), m.settlement, m.created_at,
	       ` + payoutColumns + `
	from merchants m left join (` + fromPayouts + `) on p.tenant_id = m.tenant_id and p.merchant_id = m.id`

func scanMerchant(row pgx.Row, tenant string) (Merchant, error) {
	var m Merchant
	var payout payoutRow
	err := row.Scan(append([]any{&m.ID, &m.Reference, &m.Name, &m.ParentID, &m.Settlement, &m.CreatedAt}, payout.fields()...)...)
	if err == nil {
		m.PayoutAccount = payout.value(tenant)
	}
	return m, err
}

// Get returns one merchant of the tenant, or a NotFound fault.
func Get(ctx context.Context, q pg.Querier, tenant, merchantID string) (Merchant, error) {
	m, err := scanMerchant(q.QueryRow(ctx, selectMerchant+` where m.tenant_id = $1 and m.id = $2`, tenant, merchantID), tenant)
	if errors.Is(err, pgx.ErrNoRows) {
		return Merchant{}, fault.NotFound()
	}
	if err != nil {
		return Merchant{}, fmt.Errorf("read merchant: %w", err)
	}
	return m, nil
}

// RequireExisting returns nil when merchantID names a merchant of the tenant,
// else a Refused fault (CodeMerchantNotFound) on field. It is for ids inside a
// request; an id that is the request's own object is NotFound (Get).
func RequireExisting(ctx context.Context, q pg.Querier, tenant, field, merchantID string) error {
	missing, err := Missing(ctx, q, tenant, []string{merchantID})
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return NotFoundIn(field)
	}
	return nil
}

// Missing returns which of the ids name no merchant of the tenant.
func Missing(ctx context.Context, q pg.Querier, tenant string, merchantIDs []string) ([]string, error) {
	rows, err := q.Query(ctx, `
		select asked.id from unnest($2::text[]) asked (id)
		where not exists (select from merchants m where m.tenant_id = $1 and m.id = asked.id)`,
		tenant, merchantIDs)
	if err != nil {
		return nil, fmt.Errorf("find merchants: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Filter narrows List; empty fields do not filter.
type Filter struct {
	ParentID  string
	Reference string
	// Before continues a list after the merchant with this id.
	Before string
	// Limit is 1 to 100; other values mean the nearest of them, 0 means 20.
	Limit int
}

func (f Filter) limit() int {
	switch {
	case f.Limit == 0:
		return 20
	case f.Limit < 1:
		return 1
	}
	return min(f.Limit, 100)
}

// List returns merchants newest first, and the id to put into Filter.Before for
// the next page; it is empty on the last page.
func List(ctx context.Context, q pg.Querier, tenant string, f Filter) ([]Merchant, string, error) {
	where := []string{"m.tenant_id = $1"}
	args := []any{tenant}
	and := func(condition string, value any) {
		args = append(args, value)
		where = append(where, condition+" $"+strconv.Itoa(len(args)))
	}
	if f.ParentID != "" {
		and("m.parent_id =", f.ParentID)
	}
	if f.Reference != "" {
		and("m.reference =", f.Reference)
	}
	if f.Before != "" {
		and("m.id <", f.Before)
	}
	// One row more than asked tells whether there is a next page.
	limit := f.limit()
	args = append(args, limit+1)
	rows, err := q.Query(ctx, selectMerchant+` where `+strings.Join(where, " and ")+
		` order by m.id desc limit $`+strconv.Itoa(len(args)), args...)
	if err != nil {
		return nil, "", fmt.Errorf("list merchants: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Merchant, error) { return scanMerchant(row, tenant) })
	if err != nil {
		return nil, "", fmt.Errorf("list merchants: %w", err)
	}
	if len(found) <= limit {
		return found, "", nil
	}
	return found[:limit], found[limit-1].ID, nil
}

// checkText refuses what cannot be shown or stored: empty or over-long text,
// spaces at the ends, control characters, broken UTF-8.
func checkText(field, s string, maxRunes int) error {
	if s == "" || utf8.RuneCountInString(s) > maxRunes {
		return fault.Invalid(field, "length_out_of_range", field+" must have 1 to "+strconv.Itoa(maxRunes)+" characters")
	}
	if !utf8.ValidString(s) || strings.TrimSpace(s) != s || strings.ContainsFunc(s, unicode.IsControl) {
		return fault.Invalid(field, "characters_not_allowed",
			field+" must be plain text without control characters or spaces at its ends")
	}
	return nil
}
