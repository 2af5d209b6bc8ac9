package activities

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
)

// Daily are the steps of a tenant's daily operations.
type Daily struct{ DB *pg.DB }

// OpenYesterday starts the daily operations of the last business date for every
// tenant that has had none since that date ended; each gets a workflow of its own.
// It returns how many it started. Idempotent: a day whose operations are done
// already is not opened again.
func (a *Daily) OpenYesterday(ctx context.Context) (int, error) {
	var tenants []string
	var date string
	err := a.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		var err error
		if tenants, err = tenant.IDs(ctx, tx); err != nil {
			return err
		}
		date, err = recon.Yesterday(ctx, tx)
		return err
	})
	if err != nil {
		return 0, err
	}
	started := 0
	for _, id := range tenants {
		var ran bool
		err := a.DB.InTenant(ctx, id, func(tx pgx.Tx) error {
			var err error
			if ran, err = recon.RanAfter(ctx, tx, id, date); err != nil || ran {
				return err
			}
			_, err = recon.DriveDaily(ctx, tx, id, date)
			return err
		})
		switch {
		case err == nil && !ran:
			started++
		case err != nil && !errors.Is(err, &fault.Error{Kind: fault.KindConflict}):
			return started, err
		}
	}
	return started, nil
}

// ChannelDay is one reconciliation that a daily operation consists of.
type ChannelDay struct {
	ReconciliationID string `json:"reconciliation_id"`
	WorkflowID       string `json:"workflow_id"`
	Channel          string `json:"channel"`
}

// OpenReconciliations opens a reconciliation of the business date for each of
// the tenant's channel accounts. Idempotent: the same operation opens each once.
func (a *Daily) OpenReconciliations(ctx context.Context, in accept.Ref) ([]ChannelDay, error) {
	var days []ChannelDay
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		days = nil
		daily, err := recon.GetDaily(ctx, tx, in.Tenant, in.ID)
		if err != nil || daily.Status != recon.DailyProcessing {
			return err
		}
		accounts, err := tenant.ListChannelAccounts(ctx, tx, in.Tenant)
		if err != nil {
			return err
		}
		for _, account := range accounts {
			r, err := recon.OpenForDaily(ctx, tx, in.Tenant, in.ID, account.ID, daily.BusinessDate)
			if errors.Is(err, &fault.Error{Kind: fault.KindConflict}) || errors.Is(err, &fault.Error{Kind: fault.KindRefused}) {
				// A person's run of the same day is on its way, or the day has not ended.
				continue
			}
			if err != nil {
				return err
			}
			start := r.Start(in.Tenant, account.Channel)
			if err := accept.RequireWorkflow(ctx, tx, start); err != nil {
				return err
			}
			days = append(days, ChannelDay{ReconciliationID: r.ID, WorkflowID: start.WorkflowID, Channel: account.Channel})
		}
		return nil
	})
	return days, err
}

// SettleDay makes the pending money of the business date, and what was left of
// earlier ones, available: one settlement and one entry per merchant.
// Idempotent: money is settled once.
func (a *Daily) SettleDay(ctx context.Context, in accept.Ref) (int, error) {
	var daily recon.Daily
	var merchants []string
	err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		var err error
		if daily, err = recon.GetDaily(ctx, tx, in.Tenant, in.ID); err != nil {
			return err
		}
		merchants, err = split.DueMerchants(ctx, tx, in.Tenant, daily.BusinessDate)
		return err
	})
	if err != nil {
		return 0, err
	}
	settled := 0
	for _, merchantID := range merchants {
		var n int
		err := a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
			var err error
			n, err = settleMerchant(ctx, tx, in.Tenant, merchantID, daily.BusinessDate)
			return err
		})
		if err != nil {
			return settled, err
		}
		settled += n
	}
	return settled, nil
}

func settleMerchant(ctx context.Context, tx pgx.Tx, tenantID, merchantID, date string) (int, error) {
	settlements, err := split.Settle(ctx, tx, tenantID, merchantID, date)
	if err != nil {
		return 0, err
	}
	for _, s := range settlements {
		entries := books.Settle(books.Settlement{Settlement: s.ID, Merchant: merchantID, Amount: s.Amount})
		if _, err := ledger.Post(ctx, tx, tenantID, entries...); err != nil {
			return 0, err
		}
	}
	return len(settlements), nil
}

// FinishDaily ends the daily operations. Idempotent.
func (a *Daily) FinishDaily(ctx context.Context, in accept.Ref) error {
	return a.DB.InTenant(ctx, in.Tenant, func(tx pgx.Tx) error {
		_, err := recon.FinishDaily(ctx, tx, in.Tenant, in.ID)
		return err
	})
}
