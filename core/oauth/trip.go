package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

// Trip is a payer on the way.
type Trip struct {
	Tenant string
	// PaymentID is what the payer is about to pay; its checkout page is where they
	// come back to.
	PaymentID string
	// ChannelAccountID is whose application the provider names the payer to.
	ChannelAccountID string
}

// Begin records a trip and returns the state to send along.
func Begin(ctx context.Context, q pg.Querier, t Trip) (state string, err error) {
	state = rand.Text()
	_, err = q.Exec(ctx, `
		insert into oauth_trips (tenant_id, state_hash, payment_id, channel_account_id)
		values ($1, $2, $3, $4)`, t.Tenant, hashOf(state), t.PaymentID, t.ChannelAccountID)
	if err != nil {
		return "", fmt.Errorf("begin an OAuth trip: %w", err)
	}
	return state, nil
}

// End finds the trip that state was made for, at the named channel, and ends it.
// fresh is false when it had ended before or took too long: the payer may go back
// to the page, and nothing else may be done with it. A state that is not known, or
// came back at another channel, is NotFound. It needs the system role, because
// nothing else says whose payment it is.
func End(ctx context.Context, tx pgx.Tx, channelName, state string) (t Trip, fresh bool, err error) {
	err = tx.QueryRow(ctx, `
		with ended as (
			update oauth_trips set used_at = clock_timestamp()
			where state_hash = $1 and used_at is null and expires_at > clock_timestamp()
			  and exists (select from channel_accounts a where a.tenant_id = oauth_trips.tenant_id
			    and a.id = oauth_trips.channel_account_id and a.channel = $2)
			returning state_hash)
		select t.tenant_id, t.payment_id, t.channel_account_id, exists (select from ended)
		from oauth_trips t
		join channel_accounts a on a.tenant_id = t.tenant_id and a.id = t.channel_account_id
		where t.state_hash = $1 and a.channel = $2`, hashOf(state), channelName).
		Scan(&t.Tenant, &t.PaymentID, &t.ChannelAccountID, &fresh)
	if errors.Is(err, pgx.ErrNoRows) {
		return Trip{}, false, fault.NotFound()
	}
	if err != nil {
		return Trip{}, false, fmt.Errorf("end an OAuth trip: %w", err)
	}
	return t, fresh, nil
}

// Sweep forgets up to limit trips whose time was over a day ago, and returns how
// many. It needs the system role.
func Sweep(ctx context.Context, q pg.Querier, limit int) (int, error) {
	tag, err := q.Exec(ctx, `
		delete from oauth_trips where (tenant_id, state_hash) in (
			select tenant_id, state_hash from oauth_trips
			where expires_at < clock_timestamp() - interval '1 day' limit $1 for update skip locked)`, limit)
	if err != nil {
		return 0, fmt.Errorf("sweep OAuth trips: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

func hashOf(state string) []byte {
	digest := sha256.Sum256([]byte(state))
	return digest[:]
}
