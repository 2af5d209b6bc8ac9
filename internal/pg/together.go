package pg

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/telemetry"
)

const (
	// maxMembers bounds how many calls share a transaction.
	maxMembers = 64
	// maxShared is how many shared transactions of one tenant run at once in a
	// process: while one is flushed to disk, the next one works.
	maxShared = 2
	// lockNotAvailable is the SQLSTATE of a lock_timeout.
	lockNotAvailable = "55P03"
	// maxTogether bounds how often a call tries in company before it runs alone.
	maxTogether = 3
	// maxDoubt bounds for how many transactions nothing is promised after a promise
	// was not kept.
	maxDoubt = 256
)

// errAlone sends a call away to run alone; errAgain lets it try again in company.
var (
	errAlone = errors.New("pg: this cannot run in a shared transaction")
	errAgain = errors.New("pg: another call of the shared transaction failed")
)

// Together is InTenant for short transactions that come in numbers. Calls of one
// tenant that wait at the same time share one transaction of the server, and with
// it the round trips, the locks and the flush to disk; nobody waits for company.
// Their statements travel together: when all of the company wait for the server,
// what they wait for is sent at once.
//
// It is an optimisation that only success can be told from. Whenever something
// goes wrong, from a refusal of fn to a lock that takes long, the shared transaction
// is rolled back, who caused it runs alone as in InTenant, and the others share
// another one. So fn may run more than once, here as there, and a call returns nil
// only when what its last fn did is committed.
//
// fn must be fit for company: it waits for nothing but tx; what it decides it
// decides by Meet or lets a constraint decide, because locks do not part members
// of one transaction; it sends batches with functions for their results. Savepoints
// and queries that are read row by row end the company. Calls of one name, unless it
// is empty, never share a transaction.
func (db *DB) Together(ctx context.Context, tenant, name string, fn func(tx pgx.Tx) error) error {
	if err := id.Check(id.Tenant, tenant); err != nil {
		return fmt.Errorf("tenant id %q: %w", tenant, err)
	}
	if merchantOf(ctx) != "" || actorOf(ctx) != "" { // sees less, or is somebody else, than its company
		return db.InTenant(ctx, tenant, fn)
	}
	o := db.inCompany(ctx, tenant, name, fn)
	switch {
	case o.panicked != nil:
		panic(o.panicked)
	case o.alone:
		return db.InTenant(ctx, tenant, fn)
	}
	return o.err
}

// inCompany lets a call go with those that wait at the same time.
func (db *DB) inCompany(ctx context.Context, tenant, name string, fn func(tx pgx.Tx) error) outcome {
	within, span := telemetry.InTransaction(ctx, RoleApp)
	m := &member{ctx: within, name: name, fn: fn, outcome: make(chan outcome, 1)}
	if db.lanes.join(tenant, m) {
		go db.runLane(tenant)
	}
	o := <-m.outcome
	span.Ended(o.err == nil && !o.alone && o.panicked == nil)
	return o
}

// member is a call of Together.
type member struct {
	ctx     context.Context
	name    string
	fn      func(tx pgx.Tx) error
	tries   int
	outcome chan outcome
}

// outcome is how a member's part ended: with err, unless it is to run alone.
type outcome struct {
	err      error
	alone    bool
	panicked any
}

// lanes are the members that wait, by tenant.
type lanes struct {
	mu sync.Mutex
	of map[string]*lane
	// doubts are the tenants whose last promise was not kept.
	doubts map[string]doubt
}

// doubt lets nothing be promised for left transactions; each time that a promise is
// not kept it lasts twice as long.
type doubt struct{ left, length int }

type lane struct {
	waiting []*member
	runners int
}

// join lets m wait and reports whether another runner is needed.
func (l *lanes) join(tenant string, m *member) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]*lane{}
	}
	own := l.of[tenant]
	if own == nil {
		own = &lane{}
		l.of[tenant] = own
	}
	own.waiting = append(own.waiting, m)
	if own.runners == maxShared {
		return false
	}
	own.runners++
	return true
}

// hope reports whether the next transaction of tenant may promise anything.
func (l *lanes) hope(tenant string, members []*member) bool {
	for _, m := range members {
		if m.tries > 0 {
			return false
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.doubts[tenant]
	if d.left == 0 {
		return true
	}
	d.left--
	l.doubts[tenant] = d
	return false
}

// learn notes whether a promise was kept.
func (l *lanes) learn(tenant string, kept bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if kept {
		delete(l.doubts, tenant)
		return
	}
	if l.doubts == nil {
		l.doubts = map[string]doubt{}
	}
	length := min(max(1, 2*l.doubts[tenant].length), maxDoubt)
	l.doubts[tenant] = doubt{length, length}
}

// back lets members wait again, before those who came later.
func (l *lanes) back(tenant string, members []*member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.of[tenant] // there is one: its runner calls
	own.waiting = append(members, own.waiting...)
}

// take returns those who go together next; none ends the runner.
func (l *lanes) take(tenant string) []*member {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.of[tenant]
	var taken, left []*member
	names := map[string]bool{}
	for _, m := range own.waiting {
		if len(taken) == maxMembers || m.name != "" && names[m.name] {
			left = append(left, m)
			continue
		}
		names[m.name] = true
		taken = append(taken, m)
	}
	own.waiting = left
	if len(taken) == 0 {
		if own.runners--; own.runners == 0 {
			delete(l.of, tenant)
		}
	}
	return taken
}

// runLane runs whoever waits in tenant's lane until nobody does.
func (db *DB) runLane(tenant string) {
	for {
		runtime.Gosched() // whoever was just answered may come again, and go with the others
		members := db.lanes.take(tenant)
		switch len(members) {
		case 0:
			return
		case 1:
			members[0].outcome <- db.runLone(tenant, members[0])
		default:
			if again := db.runTogether(tenant, members); len(again) > 0 {
				db.lanes.back(tenant, again)
			}
		}
	}
}

// runLone runs a member that has no company. A lock that takes long, or a retry, is
// no reason to hold up those who come.
func (db *DB) runLone(tenant string, m *member) outcome {
	tx := &tenantTx{tenant: tenant, impatient: true, hopeful: db.lanes.hope(tenant, []*member{m})}
	o := m.guarded(func() error { return runTenantTx(m.ctx, db.app, tx, m.fn) })
	if tx.promised {
		db.lanes.learn(tenant, o.err == nil)
		if o.err != nil && !tx.unsure { // perhaps nobody but the promise is to blame
			return outcome{alone: true}
		}
	}
	var refused *pgconn.PgError
	if errors.As(o.err, &refused) && (refused.Code == lockNotAvailable || retryable(o.err)) {
		return outcome{alone: true}
	}
	return o
}

// guarded runs what calls fn, and keeps a panic for the caller of Together.
func (m *member) guarded(run func() error) (o outcome) {
	defer func() {
		if reason := recover(); reason != nil {
			o = outcome{panicked: reason}
		}
	}()
	return outcome{err: run()}
}

// runTogether runs members in one transaction and tells each how it ended, but
// for those that it returns: they are to try again.
func (db *DB) runTogether(tenant string, members []*member) (again []*member) {
	ctx, cancel := untilAllGaveUp(members)
	defer cancel()
	conn, err := db.app.Acquire(ctx)
	if err != nil {
		for _, m := range members {
			m.outcome <- outcome{err: err}
		}
		return nil
	}
	defer conn.Release() // one that is not idle is closed, and so rolled back
	c := &company{ctx: ctx, tx: &tenantTx{conn: conn, tenant: tenant, impatient: true, hopeful: db.lanes.hope(tenant, members)},
		live: len(members),
		asks: make(chan *ask, len(members)), left: make([]outcome, len(members))}
	for i, m := range members {
		go func() {
			tx := &sharedTx{company: c, at: i, ctx: m.ctx}
			o := m.guarded(func() error { return m.fn(tx) })
			c.asks <- &ask{at: i, kind: askLeave, outcome: o}
		}()
	}
	c.run()
	if c.tx.promised {
		db.lanes.learn(tenant, c.ended)
	}
	if err := c.tx.Rollback(ctx); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		_ = conn.Conn().Close(ctx) // its end undoes what could not be rolled back
	}
	for i, m := range members {
		o := c.left[i]
		switch m.tries++; {
		case c.ended || o.panicked != nil:
			m.outcome <- o
		case errors.Is(o.err, errAgain) && m.tries < maxTogether:
			again = append(again, m)
		default:
			m.outcome <- outcome{alone: true}
		}
	}
	return again
}

// untilAllGaveUp is a context that ends when those of all members have ended.
func untilAllGaveUp(members []*member) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(members[0].ctx))
	var waiting atomic.Int64
	waiting.Store(int64(len(members)))
	stops := make([]func() bool, len(members))
	for i, m := range members {
		stops[i] = context.AfterFunc(m.ctx, func() {
			if waiting.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
