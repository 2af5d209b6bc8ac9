package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// Kind is what sort of request a policy is about; the contract names the kind of
// each operation that can need a second person.
type Kind string

const (
	// Refund gives money of a payment back.
	Refund Kind = "refund"
	// Withdrawal pays a merchant's money out.
	Withdrawal Kind = "withdrawal"
	// Transfer moves money between merchants, single or in a batch.
	Transfer Kind = "transfer"
	// SplitRule says whose the money of later payments is.
	SplitRule Kind = "split_rule"
	// HoldRelease frees money that was set aside.
	HoldRelease Kind = "hold_release"
	// ChannelCredentials are the keys of an account at a provider.
	ChannelCredentials Kind = "channel_credentials"
	// AccountLimits are what may pass through an account.
	AccountLimits Kind = "account_limits"
	// AccountStatus freezes, unfreezes and closes accounts.
	AccountStatus Kind = "account_status"
	// Forget destroys what is known of a person.
	Forget Kind = "forget"
	// Access is who may do what: principals, their keys, and the policies. It has no
	// policy of its own: it needs a second person as soon as anything does, or who is
	// held by a policy could lift it.
	Access Kind = "access"
	// UnknownOutcome is what is made of money whose fate nobody knows. It has no policy of
	// its own: it always needs a second person.
	UnknownOutcome Kind = "unknown_outcome"
)

// Kinds lists the kinds that have policies.
func Kinds() []Kind {
	return []Kind{Refund, Withdrawal, Transfer, SplitRule, HoldRelease, ChannelCredentials, AccountLimits, AccountStatus, Forget}
}

// Policy says when requests of a kind need a second person.
type Policy struct {
	Kind     Kind
	Version  int
	Required bool
	// FromAmount is the smallest amount that needs one, in minor units of CNY; 0: all
	// do. A request in another currency, or for "all that is left", always does.
	FromAmount int64
	// ExpiresIn is how long a request waits, a minute to 30 days.
	ExpiresIn time.Duration
	Reason    string
	CreatedAt time.Time
}

// DefaultExpiry is how long a request waits unless the policy says otherwise.
const DefaultExpiry = 72 * time.Hour

// Subject is what a request is about, as far as policies care.
type Subject struct {
	Kind Kind
	// Amount is what it moves; nil when it names none.
	Amount *money.Amount
}

// Need is the answer for one request: whether somebody else must approve it, and
// how long it may wait.
type Need struct {
	Required  bool
	ExpiresIn time.Duration
}

// Needs says what policies ask of a request.
func (s Subject) Needs(policies []Policy) Need {
	if s.Kind == UnknownOutcome {
		return Need{true, DefaultExpiry}
	}
	for _, p := range policies {
		if p.Required && s.under(p) {
			return Need{true, p.ExpiresIn}
		}
	}
	return Need{}
}

func (s Subject) under(p Policy) bool {
	switch {
	case s.Kind == Access:
		return true
	case s.Kind != p.Kind:
		return false
	case s.Amount == nil || s.Amount.Currency != money.CNY:
		return true
	}
	return s.Amount.Minor >= p.FromAmount
}

const sqlPolicies = `
	select distinct on (kind) kind, version, required, coalesce(from_amount, 0), make_interval(secs => expires_in), reason, created_at
	from approval_policies where tenant_id = $1 order by kind, version desc`

func scanPolicy(row pgx.CollectableRow) (Policy, error) {
	var p Policy
	err := row.Scan(&p.Kind, &p.Version, &p.Required, &p.FromAmount, &p.ExpiresIn, &p.Reason, &p.CreatedAt)
	return p, err
}

// Ask queues the question what the tenant's policies need of the request; found is
// set when the batch was read, before anything of the request is done.
func (s Subject) Ask(batch *pgx.Batch, tenant string, found *Need) {
	batch.Queue(sqlPolicies, tenant).Query(func(rows pgx.Rows) error {
		policies, err := pgx.CollectRows(rows, scanPolicy)
		*found = s.Needs(policies)
		return err
	})
}

// Policies lists the policies in force, by kind. A kind without one needs nobody.
func Policies(ctx context.Context, q pg.Querier, tenant string) ([]Policy, error) {
	rows, err := q.Query(ctx, sqlPolicies, tenant)
	if err != nil {
		return nil, fmt.Errorf("approval policies: %w", err)
	}
	return pgx.CollectRows(rows, scanPolicy)
}

// InForce reports whether any policy asks for a second person. From then on nobody may
// become that person alone.
func InForce(ctx context.Context, q pg.Querier, tenant string) (bool, error) {
	policies, err := Policies(ctx, q, tenant)
	return slices.ContainsFunc(policies, func(p Policy) bool { return p.Required }), err
}

// SetPolicy replaces the policy of a kind; the former ones are kept. Version and
// CreatedAt of p are ignored. A policy that requires somebody is Refused while
// nobody has the role finance_checker and a key: nothing could ever be approved.
func SetPolicy(ctx context.Context, tx pgx.Tx, tenant string, p Policy) (Policy, error) {
	if !slices.Contains(Kinds(), p.Kind) {
		return p, fault.Invalid("kind", "value_unknown", "There is no such kind of approval.")
	}
	if p.Required {
		if err := requireChecker(ctx, tx, tenant, "required"); err != nil {
			return p, err
		}
	}
	if p.ExpiresIn == 0 {
		p.ExpiresIn = DefaultExpiry
	}
	err := tx.QueryRow(ctx, `
		insert into approval_policies (tenant_id, kind, version, required, from_amount, expires_in, reason)
		select $1, $2, coalesce(max(version), 0) + 1, $3, nullif($4::bigint, 0), $5, $6
		from approval_policies where tenant_id = $1 and kind = $2
		returning version, created_at`,
		tenant, p.Kind, p.Required, p.FromAmount, int(p.ExpiresIn/time.Second), p.Reason).Scan(&p.Version, &p.CreatedAt)
	if pg.IsUnique(err, "approval_policies_pkey") {
		return p, fault.Conflict("kind", "policy_changing", "Somebody else changes this policy at this moment; read it and try again.")
	}
	if err != nil {
		return p, fmt.Errorf("set approval policy: %w", err)
	}
	return p, nil
}

// requireChecker refuses, because of field, while nobody could approve.
func requireChecker(ctx context.Context, tx pgx.Tx, tenant, field string) error {
	var one int
	err := tx.QueryRow(ctx, `
		select 1 from principals p join api_keys k on k.tenant_id = p.tenant_id and k.principal_id = p.id
		where p.tenant_id = $1 and p.status = 'active' and 'finance_checker' = any (p.roles) and k.revoked_at is null limit 1`,
		tenant).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.Refused(field, "checker_missing",
			"Nobody could approve: first give somebody the role finance_checker and an API key of his own.")
	}
	return err
}
