package tenant

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

// The refusals of PickChannelAccount.
const (
	// CodeChannelNotOpen: no active account at the channel serves the merchant.
	CodeChannelNotOpen = "channel_not_open"
	// CodeProductNotOpen: there are accounts, none with the product opened.
	CodeProductNotOpen = "product_not_open"
	// CodeNoOtherAccount: there were accounts, and every one of them is in Except.
	CodeNoOtherAccount = "no_other_channel_account"
)

// Wanted says what an account is looked for.
type Wanted struct {
	// Merchant is whose trade it is.
	Merchant string
	// Channel is "alipay" or "wechatpay".
	Channel string
	// Product must be opened; empty for what is no product, such as a payout.
	Product string
	// Number is our number of the attempt. The same number among the same accounts
	// gets the same account, and many numbers spread by weight.
	Number string
	// Only is the one account that will do; empty: any.
	Only string
	// Except lists accounts that were tried already (failover).
	Except []string
}

// candidate is an active account that serves the merchant.
type candidate struct {
	ChannelAccount
	product ProductStatus
	// broken: its breaker is open.
	broken bool
}

// PickChannelAccount returns the account that a trade goes through, or the next
// one after those of Except. Healthy accounts go before those whose breaker is
// open, the merchant's own before the shared ones, any before those of weight 0;
// among equals the number decides, by weight. The refusals are those above.
func PickChannelAccount(ctx context.Context, q pg.Querier, tenant string, w Wanted) (ChannelAccount, error) {
	all, err := candidates(ctx, q, tenant, w)
	if err != nil {
		return ChannelAccount{}, err
	}
	if len(all) == 0 {
		return ChannelAccount{}, fault.Refused("method.channel", CodeChannelNotOpen,
			"there is no active account at this channel; have one opened or use another channel")
	}
	open := slices.DeleteFunc(all, func(c candidate) bool { return w.Product != "" && c.product != ProductOpened })
	if len(open) == 0 {
		return ChannelAccount{}, fault.Refused("method.product", CodeProductNotOpen,
			"no account at this channel has this product opened; have it opened or use another product")
	}
	left := slices.DeleteFunc(open, func(c candidate) bool { return slices.Contains(w.Except, c.ID) })
	if len(left) == 0 {
		return ChannelAccount{}, fault.Refused("method.channel", CodeNoOtherAccount,
			"every account at this channel that has this product was tried")
	}
	return choose(left, w.Number).ChannelAccount, nil
}

func candidates(ctx context.Context, q pg.Querier, tenant string, w Wanted) ([]candidate, error) {
	rows, err := q.Query(ctx, `
		select `+channelAccountColumns+`,
			coalesce((select p.status from channel_products p
			  where p.tenant_id = a.tenant_id and p.channel_account_id = a.id and p.product = $4
			    and p.merchant_id in ('', $3) and p.ended_at is null
			  order by p.merchant_id desc limit 1), 'not_opened'),
			coalesce(h.state = 'open' and h.until > clock_timestamp(), false)
		from channel_accounts a
		left join channel_health h on h.tenant_id = a.tenant_id and h.channel_account_id = a.id
		where a.tenant_id = $1 and a.channel = $2 and a.status = 'active'
		  and (a.merchant_id is null or a.merchant_id = $3) and ($5 = '' or a.id = $5)
		order by a.id`, tenant, w.Channel, w.Merchant, w.Product, w.Only)
	if err != nil {
		return nil, fmt.Errorf("channel accounts to choose from: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (candidate, error) {
		var c candidate
		err := row.Scan(append(c.fields(), &c.product, &c.broken)...)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("channel accounts to choose from: %w", err)
	}
	return all, nil
}

// OpenProduct is a product that some active account sells for a merchant.
type OpenProduct struct{ Channel, Product string }

// OpenProducts returns every product that PickChannelAccount finds an account for.
func OpenProducts(ctx context.Context, q pg.Querier, tenant, merchant string) ([]OpenProduct, error) {
	rows, err := q.Query(ctx, `
		select distinct a.channel, p.product
		from channel_accounts a cross join lateral (
			select distinct on (product) product, status from channel_products p
			where p.tenant_id = a.tenant_id and p.channel_account_id = a.id
			  and p.merchant_id in ('', $2) and p.ended_at is null
			order by product, merchant_id desc) p
		where a.tenant_id = $1 and a.status = 'active' and (a.merchant_id is null or a.merchant_id = $2)
		  and p.status = 'opened'
		order by a.channel, p.product`, tenant, merchant)
	if err != nil {
		return nil, fmt.Errorf("open products: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[OpenProduct])
}

// rank is lower for what is preferred.
func (c candidate) rank() int {
	rank := 0
	for _, worse := range []bool{c.broken, c.MerchantID == "", c.Weight == 0} {
		rank *= 2
		if worse {
			rank++
		}
	}
	return rank
}

// choose draws one of the best candidates by weight. The draw is a digest of the
// number, so that it is the same for everybody who asks; there are at most a few
// accounts, so the tiny bias of the remainder is of no weight.
func choose(all []candidate, number string) candidate {
	best := slices.MinFunc(all, func(a, b candidate) int { return a.rank() - b.rank() }).rank()
	var total uint64
	for _, c := range all {
		if c.rank() == best {
			total += c.share()
		}
	}
	digest := sha256.Sum256([]byte(number))
	drawn := binary.BigEndian.Uint64(digest[:8]) % total
	for _, c := range all {
		if c.rank() != best {
			continue
		}
		if drawn < c.share() {
			return c
		}
		drawn -= c.share()
	}
	panic("tenant: the shares do not add up")
}

// share is the weight; those of weight 0 are only drawn among each other.
func (c candidate) share() uint64 { return uint64(max(c.Weight, 1)) }

// Health is how an account's provider has been answering, by what package channel
// wrote down (channel.SaveHealth).
type Health struct {
	// State is that of the breaker: closed (all well), open or half_open (trying again).
	State string
	Since time.Time
	// Until is when an open breaker lets the next call try; nil otherwise.
	Until *time.Time
	// Reason is one short sentence for people, without secrets.
	Reason string
}

// ChannelHealth returns the health of every account of the tenant that something
// is known about, by the account's id.
func ChannelHealth(ctx context.Context, q pg.Querier, tenant string) (map[string]Health, error) {
	rows, err := q.Query(ctx, `
		select channel_account_id, state, since, until, reason from channel_health where tenant_id = $1`, tenant)
	if err != nil {
		return nil, fmt.Errorf("channel health: %w", err)
	}
	all := map[string]Health{}
	var accountID string
	var h Health
	_, err = pgx.ForEachRow(rows, []any{&accountID, &h.State, &h.Since, &h.Until, &h.Reason}, func() error {
		all[accountID] = h
		h = Health{}
		return nil
	})
	return all, err
}
