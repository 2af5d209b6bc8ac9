package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/suanpan/suanpan/client"
)

// days lets business days pass: it moves both business clocks and has each day
// that ended settled and reconciled.
type days struct {
	*load
	db     *reader
	mu     sync.Mutex
	today  string
	closed []string
	nights int
}

func shanghai() *time.Location { return time.FixedZone("Asia/Shanghai", 8*60*60) }

// begin brings both clocks to half past ten of the next day.
func (d *days) begin(ctx context.Context) error {
	theirs, err := d.provider.now(ctx)
	if err != nil {
		return err
	}
	return d.moveTo(ctx, "begin", morningAfter(theirs.In(shanghai()).Format(time.DateOnly)))
}

func morningAfter(date string) time.Time {
	day, err := time.ParseInLocation(time.DateOnly, date, shanghai())
	if err != nil {
		panic(err) // dates here are made by Format
	}
	return day.AddDate(0, 0, 1).Add(10*time.Hour + 30*time.Minute)
}

// moveTo moves our business clock, then the providers'.
func (d *days) moveTo(ctx context.Context, what string, to time.Time) error {
	key := d.key("clock-" + what)
	var now time.Time
	_, err := d.post(ctx, record{Operation: "moveTestClock", Key: key}, func(api *client.API) (outcome, error) {
		a, err := api.MoveTestClockWithResponse(ctx, &client.MoveTestClockParams{IdempotencyKey: key}, client.MoveTestClock{Now: to})
		if err != nil {
			return outcome{}, err
		}
		return outcome{id: a.JSON200.Now.Format(time.RFC3339)}, nil
	})
	if err != nil {
		return err
	}
	err = d.get(ctx, "getTestClock", func(api *client.API) error {
		a, err := api.GetTestClockWithResponse(ctx)
		if err == nil {
			now = a.JSON200.Now
		}
		return err
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.today = now.In(shanghai()).Format(time.DateOnly)
	d.mu.Unlock()
	return d.provider.moveClock(ctx, now)
}

// evenings are how long the day's refunds may take to end. The jump to the next
// morning is longer than any real night: a refund across it would have happened
// on one day there and on the next here.
const evenings = 20 * time.Second

func (d *days) refundsDone(ctx context.Context) {
	for deadline := time.Now().Add(evenings); time.Now().Before(deadline); rest(ctx, shopperLooks) {
		if open, err := d.db.unfinished(ctx); err == nil && open["refunds"] == 0 {
			return
		}
	}
}

// night lets the flows under way end, moves on to the next morning and starts
// the daily operations of the day that ended.
func (d *days) night(ctx context.Context) error {
	d.evening.Store(true)
	d.open.Lock()
	d.evening.Store(false)
	d.refundsDone(ctx)
	ended := d.day()
	err := d.moveTo(ctx, ended, morningAfter(ended))
	d.open.Unlock()
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.closed = append(d.closed, ended)
	d.nights++
	d.mu.Unlock()
	return d.operate(ctx, ended)
}

func (d *days) day() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.today
}

// past are the days that ended.
func (d *days) past() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.closed...)
}

// operate asks for a day's operations; somebody else's open run is as good.
func (d *days) operate(ctx context.Context, date string) error {
	key := d.key("daily-" + date)
	out, err := d.post(ctx, record{Operation: "createDailyOperation", Key: key}, func(api *client.API) (outcome, error) {
		a, err := api.CreateDailyOperationWithResponse(ctx, &client.CreateDailyOperationParams{IdempotencyKey: key},
			client.CreateDailyOperation{BusinessDate: date})
		if err != nil {
			return outcome{}, err
		}
		return outcome{id: a.JSON201.ID, status: string(a.JSON201.Status)}, nil
	})
	if err == nil && out.refused != "" {
		d.refusals.add("daily operation " + out.refused)
	}
	return err
}

// keep lets the nights come at even distances until ctx ends, and pays some of
// the payments that nobody paid in time after each.
func (d *days) keep(ctx context.Context, every time.Duration) {
	for rest(ctx, every) {
		if err := d.night(context.WithoutCancel(ctx)); err != nil {
			d.trouble.add(fmt.Sprintf("the night after %s: %v", d.day(), err))
		}
		if rest(ctx, 10*time.Second) {
			d.payLate(context.WithoutCancel(ctx))
		}
	}
}

// payLate pays half of the stale payments.
func (d *days) payLate(ctx context.Context) {
	d.load.mu.Lock()
	stale := d.stale
	d.stale = nil
	d.load.mu.Unlock()
	for i, o := range stale {
		if i%2 == 0 && d.provider.payLate(ctx, o.channel, o.number) {
			d.late.Add(1)
		}
	}
}

// errUnsettled says that something is not final yet.
var errUnsettled = errors.New("not final yet")

// reconciled asks for one more reconciliation of a day, waits for it and returns
// how many lines agree and how many differences have no explanation.
func (d *days) reconciled(ctx context.Context, channel, date string) (matched, open int64, err error) {
	accountID := d.accounts[channel]
	key := d.key("again-" + channel + "-" + date)
	out, err := d.post(ctx, record{Operation: "createReconciliation", Key: key}, func(api *client.API) (outcome, error) {
		a, err := api.CreateReconciliationWithResponse(ctx, &client.CreateReconciliationParams{IdempotencyKey: key},
			client.CreateReconciliation{BillDate: date, ChannelAccountID: accountID})
		if err != nil {
			return outcome{}, err
		}
		return outcome{id: a.JSON201.ID, status: string(a.JSON201.Status)}, nil
	})
	id, err := out.made(err)
	if err != nil {
		return 0, 0, err
	}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		var r *client.Reconciliation
		err := d.get(ctx, "getReconciliation", func(api *client.API) error {
			a, err := api.GetReconciliationWithResponse(ctx, id)
			if err == nil {
				r = a.JSON200
			}
			return err
		})
		switch {
		case err != nil:
			return 0, 0, err
		case r.Status == client.ReconciliationStatusFailed:
			return 0, 0, fmt.Errorf("it failed: %s", *r.Failure)
		case r.Status != client.ReconciliationStatusProcessing:
			return *r.MatchedCount, *r.OpenCount, nil
		case time.Now().After(deadline):
			return 0, 0, errUnsettled
		}
		rest(ctx, 300*time.Millisecond)
	}
}
