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
	ID string
	// Channel is "alipay" or "wechatpay".
	Channel string
	Name    string
	// Params are public identifiers (app id, merchant id, serials), never keys.
	Params map[string]string
	// FeeBasisPoints is the provider's rate in 1/10000 of a trade, 0 to 1000.
	FeeBasisPoints int
	// FeeReturned says whether the provider gives its fee back with a refund.
	FeeReturned bool
	Status      string
	CreatedAt   time.Time
}

const channelAccountColumns = `id, channel, name, params, fee_basis_points, fee_returned, status, created_at`

func scanChannelAccount(row pgx.Row) (ChannelAccount, error) {
	var a ChannelAccount
	err := row.Scan(&a.ID, &a.Channel, &a.Name, &a.Params, &a.FeeBasisPoints, &a.FeeReturned, &a.Status, &a.CreatedAt)
	return a, err
}

// AddChannelAccount stores a new, active account. It needs the system role. An
// empty a.ID mints one; Status and CreatedAt are ignored. A fault of kind
// Invalid names the bad field. Not idempotent unless a.ID is given, when the
// second call is a Conflict.
func AddChannelAccount(ctx context.Context, q pg.Querier, tenant string, a ChannelAccount) (ChannelAccount, error) {
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
		insert into channel_accounts (tenant_id, id, channel, name, params, fee_basis_points, fee_returned)
		values ($1, $2, $3, $4, $5, $6, $7)
		on conflict do nothing
		returning `+channelAccountColumns,
		tenant, a.ID, a.Channel, a.Name, a.Params, a.FeeBasisPoints, a.FeeReturned))
	if errors.Is(err, pgx.ErrNoRows) {
		return ChannelAccount{}, fault.Conflict("id", "channel_account_exists",
			"a channel account with this id exists; leave the id out to get a new one")
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
	if len(a.Params) > 32 {
		return fault.Invalid("params", "params_out_of_range", "params must have at most 32 entries")
	}
	for name, value := range a.Params {
		if err := checkText("params."+name, value, 512); err != nil {
			return err
		}
		if strings.Contains(value, "-----BEGIN") {
			return fault.Invalid("params."+name, "key_in_params",
				"params are public; put keys as files into the secrets directory")
		}
	}
	return nil
}

// ListChannelAccounts returns the tenant's accounts in the order they were added.
func ListChannelAccounts(ctx context.Context, q pg.Querier, tenant string) ([]ChannelAccount, error) {
	rows, err := q.Query(ctx, `
		select `+channelAccountColumns+` from channel_accounts where tenant_id = $1 order by id`, tenant)
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
		select `+channelAccountColumns+` from channel_accounts where tenant_id = $1 and id = $2`,
		tenant, accountID))
	if errors.Is(err, pgx.ErrNoRows) {
		return ChannelAccount{}, fault.NotFound()
	}
	if err != nil {
		return ChannelAccount{}, fmt.Errorf("read channel account: %w", err)
	}
	return a, nil
}

// CodeChannelNotOpen is the refusal of a channel the tenant has no active account at.
const CodeChannelNotOpen = "channel_not_open"

// PickChannelAccount returns the account that new trades of channel go through:
// the first active one. Without one it is refused with CodeChannelNotOpen.
func PickChannelAccount(ctx context.Context, q pg.Querier, tenant, channel string) (ChannelAccount, error) {
	a, err := scanChannelAccount(q.QueryRow(ctx, `
		select `+channelAccountColumns+` from channel_accounts
		where tenant_id = $1 and channel = $2 and status = 'active' order by id limit 1`,
		tenant, channel))
	if errors.Is(err, pgx.ErrNoRows) {
		return ChannelAccount{}, fault.Refused("method.channel", CodeChannelNotOpen,
			"there is no active account at this channel; have one opened or use another channel")
	}
	if err != nil {
		return ChannelAccount{}, fmt.Errorf("pick channel account: %w", err)
	}
	return a, nil
}

// SetChannelAccountStatus makes an account active or suspended. It needs the
// system role and is idempotent; an unknown id is NotFound.
func SetChannelAccountStatus(ctx context.Context, q pg.Querier, tenant, accountID, status string) error {
	if status != AccountActive && status != AccountSuspended {
		return fault.Invalid("status", "status_unknown", "status must be active or suspended")
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
