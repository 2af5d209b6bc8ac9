package channel

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// BreakerState says whether calls to an account's provider are let through.
type BreakerState string

const (
	// BreakerClosed: calls go through.
	BreakerClosed BreakerState = "closed"
	// BreakerOpen: no calls until a later moment.
	BreakerOpen BreakerState = "open"
	// BreakerHalfOpen: a few calls try whether the provider is well again.
	BreakerHalfOpen BreakerState = "half_open"
)

// Health is what one process noticed about an account.
type Health struct {
	Tenant           string
	ChannelAccountID string
	State            BreakerState
	// OpenFor is how long an open breaker stays so from Since on.
	OpenFor time.Duration
	Since   time.Time
	// Reason is in words, for people.
	Reason string
}

// SaveHealth stores the news; what was noticed last, by any process, stands. It
// needs the system role. Idempotent.
func SaveHealth(ctx context.Context, tx pgx.Tx, h Health) error {
	_, err := tx.Exec(ctx, `
		insert into channel_health as had (tenant_id, channel_account_id, state, since, until, reason)
		select $1, $2, $3, at, case when $3 = 'open' then at + $5 end, $6
		from (select clock_timestamp() - $4::interval as at) noticed
		on conflict (tenant_id, channel_account_id) do update
		set state = excluded.state, since = excluded.since, until = excluded.until, reason = excluded.reason
		where had.since <= excluded.since`,
		h.Tenant, h.ChannelAccountID, h.State, max(time.Since(h.Since), 0), h.OpenFor, h.Reason)
	if err != nil {
		return fmt.Errorf("save health of channel account %s: %w", h.ChannelAccountID, err)
	}
	return nil
}
