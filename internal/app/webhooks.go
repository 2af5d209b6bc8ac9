package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/internal/config"
)

// webhookGuard returns the guard of a process, and says at its start when it lets
// webhooks into private networks, which only development may.
func webhookGuard(cfg config.Webhooks, log *slog.Logger) *event.Guard {
	if len(cfg.WebhookDialAllow) > 0 {
		log.Warn("webhooks may be sent to private networks (SUANPAN_WEBHOOK_DIAL_ALLOW, development only)",
			"networks", fmt.Sprint(cfg.WebhookDialAllow))
	}
	return event.NewGuard(cfg.WebhookDialAllow, nil)
}

// redeliverySteps bounds what one sweep queues.
const redeliverySteps = 20

// RedeliverEvents goes on with redeliveries of ranges of time. It returns how many
// events it looked at.
func (s *Sweeper) RedeliverEvents(ctx context.Context) (n int, err error) {
	for range redeliverySteps {
		var examined int
		err = s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
			examined, err = event.AdvanceRedeliveries(ctx, tx)
			return err
		})
		n += examined
		if err != nil || examined == 0 {
			return n, err
		}
	}
	return n, nil
}
