package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/account"
	"github.com/suanpan/suanpan/core/approval"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/oauth"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/failpoint"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/workflows"
)

// Sweeper drives on what a dead process left behind: accepted objects without a
// workflow, stored notifications that woke nobody, payments and holds whose time
// is over. Every instance runs one; rows that another instance works on are
// skipped or waited for.
type Sweeper struct {
	DB      *pg.DB
	Starter workflows.Starter
	Log     *slog.Logger
	// Grace is how long after expiry a payment is closed.
	Grace time.Duration
	// CallMonths is for how many whole months the record of calls to providers is
	// kept; 0 keeps it for ever.
	CallMonths int
	// TryMonths is the same for tries of webhooks.
	TryMonths int
	// ReturnWatch is how long after a withdrawal or refund was paid its provider is asked
	// whether it came back; 0 never asks.
	ReturnWatch time.Duration
}

// The rhythm of the sweeps. A workflow that its own API call did not start is
// started within startAge + the rhythm.
const (
	startAge       = 2 * time.Second
	startEvery     = time.Second
	notifyEvery    = 250 * time.Millisecond
	overdueEvery   = 2 * time.Second
	sealEvery      = 5 * time.Second
	aheadEvery     = time.Hour
	secretsEvery   = 30 * time.Second
	redeliverEvery = time.Second
	returnsEvery   = 2 * time.Second
	sweepBatch     = 100
	sweepTimeLimit = 20 * time.Second
)

// sweep is one of the sweeper's jobs.
type sweep struct {
	name  string
	every time.Duration
	once  func(context.Context) (int, error)
}

func (s *Sweeper) sweeps() []sweep {
	return []sweep{
		{"start missing workflows", startEvery, s.StartMissing},
		{"relay notifications", notifyEvery, s.RelayNotifications},
		{"wake overdue payments", overdueEvery, s.WakeOverdue},
		{"tell payments what was asked", notifyEvery, s.TellPayments},
		{"seal the books", sealEvery, s.SealBooks},
		{"expire holds", overdueEvery, s.ExpireHolds},
		{"expire approvals", overdueEvery, s.ExpireApprovals},
		{"make partitions", aheadEvery, s.MakePartitions},
		{"forget old calls", aheadEvery, s.ForgetCalls},
		{"forget one-time secrets", secretsEvery, s.ForgetSecrets},
		{"forget payers' trips", aheadEvery, s.ForgetTrips},
		{"forget nonces", secretsEvery, s.ForgetNonces},
		{"redeliver events", redeliverEvery, s.RedeliverEvents},
		{"look for returns", returnsEvery, s.LookForReturns},
	}
}

// Sweeps names everything that Run does; the names are also those of the scopes
// of its failpoints.
func (s *Sweeper) Sweeps() []string {
	var names []string
	for _, job := range s.sweeps() {
		names = append(names, job.name)
	}
	return names
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	done := make(chan struct{})
	jobs := s.sweeps()
	for _, job := range jobs {
		go func() {
			defer func() { done <- struct{}{} }()
			s.repeat(ctx, job.name, job.every, job.once)
		}()
	}
	for range jobs {
		<-done
	}
}

// repeat runs once every so often, at once again while it finds full batches.
func (s *Sweeper) repeat(ctx context.Context, name string, every time.Duration, once func(context.Context) (int, error)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, sweepTimeLimit)
		n, err := once(failpoint.Scope(bounded, name))
		cancel()
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("sweep failed; it is tried again", "sweep", name, "error", err)
		}
		if n == sweepBatch && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// StartMissing starts workflows that were required and not started by the
// process that accepted them. It returns how many it looked at.
func (s *Sweeper) StartMissing(ctx context.Context) (int, error) {
	return s.startMissing(ctx, startAge)
}

func (s *Sweeper) startMissing(ctx context.Context, age time.Duration) (int, error) {
	var n int
	err := s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		missing, err := accept.ClaimMissing(ctx, tx, age, sweepBatch)
		if err != nil {
			return err
		}
		n = len(missing)
		for _, start := range missing {
			if err := s.Starter.Start(ctx, start); err != nil {
				return err
			}
			if err := accept.MarkStarted(ctx, tx, start); err != nil {
				return err
			}
			s.Log.Info("made sure of a workflow", "workflow", start.WorkflowID)
		}
		return nil
	})
	return n, err
}

// RelayNotifications tells workflows about stored notifications. It returns how
// many it relayed.
func (s *Sweeper) RelayNotifications(ctx context.Context) (int, error) {
	var n int
	err := s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		waiting, err := channel.ClaimNotifications(ctx, tx, sweepBatch)
		if err != nil {
			return err
		}
		n = len(waiting)
		for _, notification := range waiting {
			if err := s.relay(ctx, tx, notification); err != nil {
				return err
			}
			if err := channel.MarkHandled(ctx, tx, notification); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

func (s *Sweeper) relay(ctx context.Context, tx pgx.Tx, n channel.StoredNotification) error {
	var err error
	switch n.Kind {
	case channel.NotifyRefund:
		err = s.relayRefund(ctx, tx, n)
	case channel.NotifyTransfer:
		err = s.relayTransfer(ctx, tx, n)
	default:
		err = s.relayTrade(ctx, tx, n)
	}
	if errors.Is(err, &fault.Error{Kind: fault.KindNotFound}) {
		s.Log.Warn("a verified notification names a number that is not ours", "tenant", n.Tenant,
			"channel_account", n.ChannelAccountID, "number", n.Number)
		return nil
	}
	return err
}

func (s *Sweeper) relayTrade(ctx context.Context, tx pgx.Tx, n channel.StoredNotification) error {
	p, err := payment.ByNumberAtRest(ctx, tx, n.Tenant, n.TradeNumber)
	if err != nil {
		return err
	}
	switch {
	case p.Attempt.Status.Live():
		return s.signal(ctx, tx, n.Tenant, payment.WorkflowID(p.ID), workflows.SignalNotified, p.Attempt.ID)
	case p.Attempt.Status == payment.Paid:
		return nil
	}
	return payment.LookIntoLate(ctx, tx, n.Tenant, p, n.ID)
}

func (s *Sweeper) relayRefund(ctx context.Context, tx pgx.Tx, n channel.StoredNotification) error {
	r, err := refund.ByNumber(ctx, tx, n.Tenant, n.Number)
	switch {
	case err != nil:
		return err
	case r.Status.Open():
		return s.signal(ctx, tx, n.Tenant, r.Workflow(), workflows.SignalNotified, "")
	case r.Status == refund.Succeeded && n.State == channel.StateAbnormal:
		return refund.LookForReturn(ctx, tx, n.Tenant, r.ID, n.ID)
	}
	return nil
}

// relayTransfer wakes the withdrawal, or, when it is over, has it looked at.
func (s *Sweeper) relayTransfer(ctx context.Context, tx pgx.Tx, n channel.StoredNotification) error {
	w, err := payout.ByNumber(ctx, tx, n.Tenant, n.Number)
	switch {
	case err != nil:
		return err
	case w.Status == payout.Processing:
		return s.signal(ctx, tx, n.Tenant, payout.WorkflowID(w.ID), workflows.SignalNotified, "")
	case w.Status == payout.Succeeded && n.State != stateDone:
		return payout.LookForReturn(ctx, tx, n.Tenant, w, n.ID)
	}
	return nil
}

// stateDone is the state of a transfer that its payee has; only Alipay tells of any.
const stateDone = "SUCCESS"

func (s *Sweeper) signal(ctx context.Context, tx pgx.Tx, tenantID, workflowID, signal, about string) error {
	start, err := accept.Required(ctx, tx, tenantID, workflowID)
	if err != nil {
		return err
	}
	return s.Starter.Signal(ctx, start, signal, about)
}

// WakeOverdue tells the workflows of payments whose time and grace are over. It
// returns how many it told.
func (s *Sweeper) WakeOverdue(ctx context.Context) (int, error) {
	var n int
	err := s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		overdue, err := payment.ClaimOverdue(ctx, tx, s.Grace, sweepBatch)
		if err != nil {
			return err
		}
		n = len(overdue)
		return s.tell(ctx, tx, overdue, workflows.SignalExpired)
	})
	return n, err
}

// TellPayments tells workflows that another attempt, or the end, of their payment
// was asked for. It returns how many it told.
func (s *Sweeper) TellPayments(ctx context.Context) (int, error) {
	var n int
	err := s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		news, err := payment.ClaimNews(ctx, tx, sweepBatch)
		if err != nil {
			return err
		}
		n = len(news)
		return s.tell(ctx, tx, news, workflows.SignalChanged)
	})
	return n, err
}

func (s *Sweeper) tell(ctx context.Context, tx pgx.Tx, all []payment.ToTell, signal string) error {
	for _, p := range all {
		if err := s.signal(ctx, tx, p.Tenant, payment.WorkflowID(p.PaymentID), signal, ""); err != nil {
			return err
		}
	}
	return nil
}

// LookForReturns requires a look for everything that was paid and may have come back.
// It returns how many of the kind of which there are more.
func (s *Sweeper) LookForReturns(ctx context.Context) (n int, err error) {
	if s.ReturnWatch == 0 {
		return 0, nil
	}
	err = s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		withdrawals, err := payout.LookForReturns(ctx, tx, s.ReturnWatch, sweepBatch)
		if err != nil {
			return err
		}
		refunds, err := refund.LookForReturns(ctx, tx, s.ReturnWatch, sweepBatch)
		n = max(withdrawals, refunds)
		return err
	})
	return n, err
}

// ExpireHolds frees what is left of holds whose time is over. It returns how many.
func (s *Sweeper) ExpireHolds(ctx context.Context) (n int, err error) {
	err = s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		n, err = account.ExpireHolds(ctx, tx, sweepBatch)
		return err
	})
	return n, err
}

// ExpireApprovals ends what waited too long for a second person. It returns how many.
func (s *Sweeper) ExpireApprovals(ctx context.Context) (n int, err error) {
	err = s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		n, err = approval.Expire(ctx, tx, sweepBatch)
		return err
	})
	return n, err
}

// SealBooks seals what is booked, and the audit log, until now. It returns how many seals
// it made.
func (s *Sweeper) SealBooks(ctx context.Context) (int, error) { return sealAll(ctx, s.DB) }

// ForgetSecrets deletes one-time secrets whose time is over. It returns how many.
func (s *Sweeper) ForgetSecrets(ctx context.Context) (n int, err error) {
	err = s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		n, err = secret.SweepOneTime(ctx, tx, sweepBatch)
		return err
	})
	return n, err
}

// ForgetTrips deletes payers' trips to a provider's OAuth that are long over. It
// returns how many.
func (s *Sweeper) ForgetTrips(ctx context.Context) (n int, err error) {
	err = s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		n, err = oauth.Sweep(ctx, tx, sweepBatch)
		return err
	})
	return n, err
}

// ForgetNonces deletes nonces of signatures that nobody believes any more. It returns
// how many.
func (s *Sweeper) ForgetNonces(ctx context.Context) (n int, err error) {
	err = s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		n, err = tenant.ForgetNonces(ctx, tx, sweepBatch)
		return err
	})
	return n, err
}

// MakePartitions gives the tables partitioned by month their next months. It returns
// how many partitions it made.
func (s *Sweeper) MakePartitions(ctx context.Context) (n int, err error) {
	err = s.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		n, err = ledger.MakePartitions(ctx, tx)
		return err
	})
	if n > 0 && err == nil {
		s.Log.Info("made partitions for months to come", "partitions", n)
	}
	return n, err
}
