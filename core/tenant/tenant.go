package tenant

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
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// CustodyMode says who holds the clients' money. It is fixed when the tenant
// is created and decides which money flows the books permit.
type CustodyMode string

const (
	// OwnFunds: the tenant sells its own goods; nobody else's money is kept.
	OwnFunds CustodyMode = "own_funds"
	// ChannelSplit: the licensed provider splits and settles; our balances are a memo.
	ChannelSplit CustodyMode = "channel_split"
	// BankCustody: a custodian bank holds the money and follows instructions.
	BankCustody CustodyMode = "bank_custody"
	// LicensedReserve: the tenant works under a payment licence with reserve accounts.
	LicensedReserve CustodyMode = "licensed_reserve"
)

// Valid reports whether m is one of the four modes.
func (m CustodyMode) Valid() bool {
	switch m {
	case OwnFunds, ChannelSplit, BankCustody, LicensedReserve:
		return true
	}
	return false
}

// Mode says whether a tenant's money is real. It is fixed when the tenant is
// created, with the secrets of its keys; an installation serves one mode and
// knows no keys of the other.
type Mode string

const (
	// Test: a sandbox's money.
	Test Mode = "test"
	// Live: real money.
	Live Mode = "live"
)

// Tenant is one customer of the platform; everything else belongs to one.
type Tenant struct {
	ID          string
	Name        string
	Mode        Mode
	CustodyMode CustodyMode
	CreatedAt   time.Time
}

// Create adds a test tenant; see CreateIn.
func Create(ctx context.Context, q pg.Querier, name string, custody CustodyMode) (Tenant, error) {
	return CreateIn(ctx, q, Test, name, custody)
}

// CreateIn adds a tenant of this mode under a new id. It needs the system role.
// Not idempotent: two calls make two tenants. An Invalid fault names the bad field.
func CreateIn(ctx context.Context, q pg.Querier, mode Mode, name string, custody CustodyMode) (Tenant, error) {
	if err := checkText("name", name, 128); err != nil {
		return Tenant{}, err
	}
	if !custody.Valid() {
		return Tenant{}, fault.Invalid("custody_mode", "custody_mode_unknown",
			"custody_mode must be own_funds, channel_split, bank_custody or licensed_reserve")
	}
	t := Tenant{ID: id.New(id.Tenant), Name: name, Mode: mode, CustodyMode: custody}
	err := q.QueryRow(ctx, `
		insert into tenants (id, name, mode, custody_mode) values ($1, $2, $3, $4) returning created_at`,
		t.ID, t.Name, t.Mode, t.CustodyMode).Scan(&t.CreatedAt)
	if err != nil {
		return Tenant{}, fmt.Errorf("create tenant: %w", err)
	}
	return t, nil
}

// Get returns the tenant, or a NotFound fault.
func Get(ctx context.Context, q pg.Querier, tenant string) (Tenant, error) {
	var t Tenant
	err := q.QueryRow(ctx, `
		select id, name, mode, custody_mode, created_at from tenants where id = $1`,
		tenant).Scan(&t.ID, &t.Name, &t.Mode, &t.CustodyMode, &t.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return Tenant{}, fault.NotFound()
	}
	if err != nil {
		return Tenant{}, fmt.Errorf("read tenant: %w", err)
	}
	return t, nil
}

// List returns up to limit tenants, newest first, that were created before the
// tenant with the id before; "" begins at the newest. It needs the system role.
func List(ctx context.Context, q pg.Querier, before string, limit int) ([]Tenant, error) {
	rows, err := q.Query(ctx, `
		select id, name, mode, custody_mode, created_at from tenants
		where $1 = '' or id < $1 order by id desc limit $2`, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Tenant, error) {
		var t Tenant
		err := row.Scan(&t.ID, &t.Name, &t.Mode, &t.CustodyMode, &t.CreatedAt)
		return t, err
	})
}

// checkText refuses what cannot be shown or stored: empty or over-long text,
// spaces at the ends, control characters, broken UTF-8.
func checkText(field, s string, maxRunes int) error {
	if s == "" || utf8.RuneCountInString(s) > maxRunes {
		return fault.Invalid(field, "length_out_of_range",
			field+" must have 1 to "+strconv.Itoa(maxRunes)+" characters")
	}
	if !utf8.ValidString(s) || strings.TrimSpace(s) != s || strings.ContainsFunc(s, unicode.IsControl) {
		return fault.Invalid(field, "characters_not_allowed",
			field+" must be plain text without control characters or spaces at its ends")
	}
	return nil
}

// IDs lists the ids of all tenants. It needs the system role.
func IDs(ctx context.Context, q pg.Querier) ([]string, error) {
	rows, err := q.Query(ctx, `select id from tenants order by id`)
	if err != nil {
		return nil, fmt.Errorf("tenants: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
