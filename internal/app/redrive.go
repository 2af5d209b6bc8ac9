package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/audit"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/workflows"
)

// Redrive starts the workflow of every object that is not final. Those that run
// are left alone; those that were terminated, cancelled or failed go on from the
// state of their rows. It returns how many objects are not final.
func Redrive(ctx context.Context, cfg config.Vault, log *slog.Logger) (int64, error) {
	db, err := pg.Open(ctx, cfg.DatabaseURL, pg.Options{MaxConns: 4})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	box, err := OpenBox(cfg.Secrets)
	if err != nil {
		return 0, err
	}
	temporal, err := DialTemporal(cfg.Core, NewCodec(db, box), log)
	if err != nil {
		return 0, err
	}
	defer temporal.Close()
	sweeper := &Sweeper{DB: db, Starter: workflows.Starter{Client: temporal}, Log: log, Grace: PaymentGrace}
	return sweeper.Redrive(ctx)
}

// Redrive is the body of the function of the same name, on the sweeper's own
// connections.
func (s *Sweeper) Redrive(ctx context.Context) (int64, error) {
	var total int64
	err := s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		total = 0
		for _, redrive := range []func(context.Context, pgx.Tx) (int64, error){
			payment.Redrive, refund.Redrive, payout.Redrive, recon.Redrive,
		} {
			n, err := redrive(ctx, tx)
			if err != nil {
				return err
			}
			total += n
		}
		return audit.Note(ctx, tx, audit.Platform, "workflows", "redrive", map[string]any{"unfinished": total})
	})
	if err != nil {
		return 0, fmt.Errorf("redrive: %w", err)
	}
	for {
		n, err := s.startMissing(ctx, 0)
		if err != nil || n == 0 {
			return total, err
		}
	}
}
