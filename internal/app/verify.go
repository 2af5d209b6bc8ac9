package app

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/account"
	"github.com/suanpan/suanpan/core/audit"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/core/transfer"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
)

// Invariants are all the statements that must hold, the ledger's and those of
// every business object.
func Invariants() []ledger.Invariant {
	return slices.Concat(ledger.Invariants(), []ledger.Invariant{ledger.StakeInvariant(), ledger.PartitionInvariant()},
		payment.Invariants(), split.Invariants(), refund.Invariants(), payout.Invariants(), account.Invariants(),
		transfer.Invariants(), event.Invariants(), recon.Invariants())
}

// Verify checks every invariant, and the audit log, on one snapshot.
func Verify(ctx context.Context, cfg config.Core, opts ledger.VerifyOptions) (ledger.Report, error) {
	return verify(ctx, cfg, nil, opts)
}

// VerifyDeep is Verify that also opens everything that is sealed and looks for secrets
// that are not.
func VerifyDeep(ctx context.Context, cfg config.Vault, opts ledger.VerifyOptions) (ledger.Report, error) {
	box, err := OpenBox(cfg.Secrets)
	if err != nil {
		return ledger.Report{}, err
	}
	return verify(ctx, cfg.Core, box, opts)
}

func verify(ctx context.Context, cfg config.Core, box *secret.Box, opts ledger.VerifyOptions) (ledger.Report, error) {
	db, err := pg.Open(ctx, cfg.DatabaseURL, pg.Options{MaxConns: 3})
	if err != nil {
		return ledger.Report{}, err
	}
	defer db.Close()
	opts.Beside = db.Beside
	var report ledger.Report
	err = db.Snapshot(ctx, func(tx pgx.Tx) error {
		var err error
		if report, err = ledger.Check(ctx, tx, Invariants(), opts); err != nil {
			return err
		}
		log, err := audit.Verify(ctx, tx, opts)
		report.Add(log, opts.Progress)
		if err != nil || box == nil {
			return err
		}
		secrets, err := box.Verify(ctx, tx, sealedSchema(), opts)
		report.Add(secrets, opts.Progress)
		return err
	})
	return report, err
}
