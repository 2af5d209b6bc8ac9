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

// Tenant is one customer of the platform; everything else belongs to one.
type Tenant struct {
	ID          string
	Name        string
	CustodyMode CustodyMode
	CreatedAt   time.Time
}

// Create adds a tenant under a new id. It needs the system role. Not
// idempotent: two calls make two tenants. An Invalid fault names the bad field.
func Create(ctx context.Context, q pg.Querier, name string, mode CustodyMode) (Tenant, error) {
	if err := checkText("name", name, 128); err != nil {
		return Tenant{}, err
	}
	if !mode.Valid() {
		return Tenant{}, fault.Invalid("custody_mode", "custody_mode_unknown",
			"custody_mode must be own_funds, channel_split, bank_custody or licensed_reserve")
	}
	t := Tenant{ID: id.New(id.Tenant), Name: name, CustodyMode: mode}
	err := q.QueryRow(ctx, `
		insert into tenants (id, name, custody_mode) values ($1, $2, $3) returning created_at`,
		t.ID, t.Name, t.CustodyMode).Scan(&t.CreatedAt)
	if err != nil {
		return Tenant{}, fmt.Errorf("create tenant: %w", err)
	}
	return t, nil
}

// Get returns the tenant, or a NotFound fault.
func Get(ctx context.Context, q pg.Querier, tenant string) (Tenant, error) {
	var t Tenant
	err := q.QueryRow(ctx, `
		select id, name, custody_mode, created_at from tenants where id = $1`,
		tenant).Scan(&t.ID, &t.Name, &t.CustodyMode, &t.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return Tenant{}, fault.NotFound()
	}
	if err != nil {
		return Tenant{}, fmt.Errorf("read tenant: %w", err)
	}
	return t, nil
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
