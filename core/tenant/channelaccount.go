package tenant

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// The statuses of a channel account.
const (
	// AccountActive: new trades may go through it.
	AccountActive = "active"
	// AccountSuspended: no new trades; trades in flight are finished.
	AccountSuspended = "suspended"
)

// ChannelAccount is a tenant's account at a provider.
type ChannelAccount struct {
	ID       string
	TenantID string
	// Channel is "alipay" or "wechatpay".
	Channel string
	Name    string
	// MerchantID is whose own account it is; empty: it serves every merchant.
	MerchantID string
	// Params are public identifiers (app id, merchant id), never keys.
	Params map[string]string
	// FeeBasisPoints is the provider's rate in 1/10000 of a trade, 0 to 1000.
	FeeBasisPoints int
	// FeeReturned says whether the provider gives its fee back with a refund.
	FeeReturned bool
	// Weight is its share of the trades among accounts that could take them, 0 to
	// MaxWeight; with 0 it takes one only when no other can.
	Weight int
	Status string
	// Version grows when the account's keys change.
	Version   int
	CreatedAt time.Time
}

// Weights of channel accounts.
const (
	DefaultWeight = 100
	MaxWeight     = 1000
)

const channelAccountColumns = `a.id, a.tenant_id, a.channel, a.name, coalesce(a.merchant_id, ''), a.params,
	a.fee_basis_points, a.fee_returned, a.weight, a.status, a.version, a.created_at`

func (a *ChannelAccount) fields() []any {
	return []any{&a.ID, &a.TenantID, &a.Channel, &a.Name, &a.MerchantID, &a.Params, &a.FeeBasisPoints, &a.FeeReturned,
		&a.Weight, &a.Status, &a.Version, &a.CreatedAt}
}

func scanChannelAccount(row pgx.Row) (ChannelAccount, error) {
	var a ChannelAccount
	err := row.Scan(a.fields()...)
	return a, err
}

// AddChannelAccount stores a new account that is active at once, with the default
// weight and the product qr opened: an operator knows what it does. An empty a.ID
// mints one; TenantID, Weight, Status, Version and CreatedAt are ignored. A fault
// of kind Invalid names the bad field. Not idempotent unless a.ID is given, when
// the second call is a Conflict.
func AddChannelAccount(ctx context.Context, q pg.Querier, tenant string, a ChannelAccount) (ChannelAccount, error) {
	a.Status, a.Weight = AccountActive, DefaultWeight
	added, err := insertChannelAccount(ctx, q, tenant, a)
	if err != nil {
		return added, err
	}
	return added, SetProducts(ctx, q, tenant, added.ID, []ProductChange{{Product: "qr", Status: ProductOpened}})
}

// OpenChannelAccount stores a new account the way its tenant does it: suspended,
// until keys are entered, and with no product opened. See AddChannelAccount for
// the rest; Weight counts.
func OpenChannelAccount(ctx context.Context, q pg.Querier, tenant string, a ChannelAccount) (ChannelAccount, error) {
	a.Status = AccountSuspended
	return insertChannelAccount(ctx, q, tenant, a)
}

func insertChannelAccount(ctx context.Context, q pg.Querier, tenant string, a ChannelAccount) (ChannelAccount, error) {
	if a.ID == "" {
		a.ID = id.New(id.ChannelAccount)
	}
	if a.Params == nil {
		a.Params = map[string]string{}
	}
	if err := checkChannelAccount(a); err != nil {
		return ChannelAccount{}, err
	}
	added, err := scanChannelAccount(q.QueryRow(ctx, `
		insert into channel_accounts as a (tenant_id, id, channel, name, merchant_id, params, fee_basis_points, fee_returned,
			weight, status)
		values ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8, $9, $10)
		on conflict do nothing
		returning `+channelAccountColumns,
		tenant, a.ID, a.Channel, a.Name, a.MerchantID, a.Params, a.FeeBasisPoints, a.FeeReturned, a.Weight, a.Status))
	if errors.Is(err, pgx.ErrNoRows) {
		return ChannelAccount{}, fault.Conflict("id", "channel_account_exists",
			"a channel account with this id exists; leave the id out to get a new one")
	}
	if pg.IsForeignKey(err, "channel_accounts_tenant_id_merchant_id_fkey") {
		return ChannelAccount{}, fault.Refused("merchant_id", "merchant_unknown", "there is no such merchant; create it first")
	}
	if err != nil {
		return ChannelAccount{}, fmt.Errorf("add channel account: %w", err)
	}
	return added, nil
}

func checkChannelAccount(a ChannelAccount) error {
	if id.Check(id.ChannelAccount, a.ID) != nil {
		return fault.Invalid("id", "id_malformed", "a channel account's id is chn_ and a 26-character ULID")
	}
	if a.Channel != "alipay" && a.Channel != "wechatpay" {
		return fault.Invalid("channel", "channel_unknown", "channel must be alipay or wechatpay")
	}
	if err := checkText("name", a.Name, 128); err != nil {
		return err
	}
	if a.FeeBasisPoints < 0 || a.FeeBasisPoints > 1000 {
		return fault.Invalid("fee_basis_points", "fee_out_of_range", "fee_basis_points must be 0 to 1000 (10 %)")
	}
	if err := checkAccountStatus(a.Status); err != nil {
		return err
	}
	if a.Weight < 0 || a.Weight > MaxWeight {
		return fault.Invalid("weight", "weight_out_of_range", "weight must be 0 to 1000")
	}
	if len(a.Params) > 32 {
		return fault.Invalid("params", "params_out_of_range", "params must have at most 32 entries")
	}
	for name, value := range a.Params {
		if err := checkText("params."+name, value, 512); err != nil {
			return err
		}
		if strings.Contains(value, "-----BEGIN") {
			return fault.Invalid("params."+name, "key_in_params",
				"params are public; enter keys as the account's credentials")
		}
	}
	return nil
}

// ListChannelAccounts returns the tenant's accounts in the order they were added.
func ListChannelAccounts(ctx context.Context, q pg.Querier, tenant string) ([]ChannelAccount, error) {
	rows, err := q.Query(ctx, `
		select `+channelAccountColumns+` from channel_accounts a where tenant_id = $1 order by id`, tenant)
	if err != nil {
		return nil, fmt.Errorf("list channel accounts: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (ChannelAccount, error) {
		return scanChannelAccount(row)
	})
}

// GetChannelAccount returns one account of the tenant, whatever its status, or
// a NotFound fault.
func GetChannelAccount(ctx context.Context, q pg.Querier, tenant, accountID string) (ChannelAccount, error) {
	a, err := scanChannelAccount(q.QueryRow(ctx, `
		select `+channelAccountColumns+` from channel_accounts a where tenant_id = $1 and id = $2`,
		tenant, accountID))
	if errors.Is(err, pgx.ErrNoRows) {
		return ChannelAccount{}, fault.NotFound()
	}
	if err != nil {
		return ChannelAccount{}, fmt.Errorf("read channel account: %w", err)
	}
	return a, nil
}

// ChannelAccountChange is what may change about an account; nil leaves it alone.
type ChannelAccountChange struct {
	Name           *string
	FeeBasisPoints *int
	FeeReturned    *bool
	Weight         *int
	Status         *string
}

// CodeCredentialsMissing is the refusal to activate an account without keys.
const CodeCredentialsMissing = "credentials_missing"

// ChangeChannelAccount changes an account and returns it. Idempotent. An Invalid
// fault names the bad field; an account without keys is not made active; an
// unknown id is NotFound.
func ChangeChannelAccount(
	ctx context.Context, q pg.Querier, tenant, accountID string, change ChannelAccountChange,
) (ChannelAccount, error) {
	a, err := scanChannelAccount(q.QueryRow(ctx, `
		select `+channelAccountColumns+` from channel_accounts a where tenant_id = $1 and id = $2 for no key update`,
		tenant, accountID))
	if errors.Is(err, pgx.ErrNoRows) {
		return ChannelAccount{}, fault.NotFound()
	}
	if err != nil {
		return ChannelAccount{}, fmt.Errorf("read channel account: %w", err)
	}
	activates := change.Status != nil && *change.Status == AccountActive && a.Status != AccountActive
	set(&a.Name, change.Name)
	set(&a.FeeBasisPoints, change.FeeBasisPoints)
	set(&a.FeeReturned, change.FeeReturned)
	set(&a.Weight, change.Weight)
	set(&a.Status, change.Status)
	if err := checkChannelAccount(a); err != nil {
		return ChannelAccount{}, err
	}
	if activates {
		if _, err := currentCredentials(ctx, q, tenant, accountID); err != nil {
			return ChannelAccount{}, err
		}
	}
	_, err = q.Exec(ctx, `
		update channel_accounts set name = $3, fee_basis_points = $4, fee_returned = $5, weight = $6, status = $7
		where tenant_id = $1 and id = $2`,
		tenant, accountID, a.Name, a.FeeBasisPoints, a.FeeReturned, a.Weight, a.Status)
	if err != nil {
		return ChannelAccount{}, fmt.Errorf("change channel account: %w", err)
	}
	return a, nil
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// SetChannelAccountStatus makes an account active or suspended, whether or not it
// has keys: for operators. It is idempotent; an unknown id is NotFound.
func SetChannelAccountStatus(ctx context.Context, q pg.Querier, tenant, accountID, status string) error {
	if err := checkAccountStatus(status); err != nil {
		return err
	}
	tag, err := q.Exec(ctx, `
		update channel_accounts set status = $3 where tenant_id = $1 and id = $2`, tenant, accountID, status)
	if err != nil {
		return fmt.Errorf("set channel account status: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fault.NotFound()
	}
	return nil
}

func checkAccountStatus(status string) error {
	if status != AccountActive && status != AccountSuspended {
		return fault.Invalid("status", "status_unknown", "status must be active or suspended")
	}
	return nil
}

// ChannelAccountOwner returns the tenant and the account behind an id alone: a
// provider's notification names nothing else. It needs the system role; an
// unknown id is NotFound.
func ChannelAccountOwner(ctx context.Context, q pg.Querier, accountID string) (string, ChannelAccount, error) {
	var tenant string
	err := q.QueryRow(ctx, `select tenant_id from channel_accounts where id = $1`, accountID).Scan(&tenant)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ChannelAccount{}, fault.NotFound()
	}
	if err != nil {
		return "", ChannelAccount{}, fmt.Errorf("find channel account: %w", err)
	}
	a, err := GetChannelAccount(ctx, q, tenant, accountID)
	return tenant, a, err
}
