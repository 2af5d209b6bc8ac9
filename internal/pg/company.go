package pg

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// company is a shared transaction under way. All of it but the members' functions
// runs in one goroutine; a member that asks waits until it is answered.
type company struct {
	ctx  context.Context
	tx   *tenantTx
	asks chan *ask
	// live counts members that have not left, waiting are those that ask.
	live    int
	waiting []*ask
	// broken says that nothing more can come of this transaction; ended that its
	// outcome is decided: committed, or not known because the connection broke in
	// the commit.
	broken, ended bool
	left          []outcome
}

type askKind int

const (
	askStatements askKind = iota // wants its batch run
	askMeet                      // wants its call run with those of others
	askCommit                    // has nothing to do but to commit, with its batch before
	askLeave                     // its function has returned
)

// ask is what a member waits for.
type ask struct {
	at    int
	kind  askKind
	batch *pgx.Batch
	// call is run by meet with the calls of the same type.
	call any
	meet func(ctx context.Context, tx pgx.Tx, calls []any) []error

	outcome outcome
	answer  chan error
}

// run serves the members until the last one has left.
func (c *company) run() {
	for {
		for len(c.waiting) < c.live {
			c.hear(<-c.asks)
		}
		switch {
		case c.live == 0:
			return
		case c.broken || c.ended:
			c.dismiss()
		default:
			c.round()
		}
	}
}

// hear notes what a member asks for. Without a commit of its own, one that has
// returned waits for the commit like one that asks for it.
func (c *company) hear(a *ask) {
	if a.kind == askLeave {
		c.left[a.at] = a.outcome
		failed := a.outcome.err != nil || a.outcome.panicked != nil
		switch {
		case failed && !c.ended:
			c.broken = true
		case !failed && !c.ended && !c.broken:
			a.kind, a.batch = askCommit, &pgx.Batch{}
			c.waiting = append(c.waiting, a)
			return
		case !failed && !c.ended:
			c.left[a.at].err = errAgain
		}
		c.live--
		return
	}
	c.waiting = append(c.waiting, a)
}

// dismiss sends everybody away from a transaction that failed.
func (c *company) dismiss() {
	for _, a := range c.takeWaiting(func(*ask) bool { return true }) {
		c.tell(a, errAgain)
	}
}

// tell answers a member. One whose function has returned already leaves with it.
func (c *company) tell(a *ask, err error) {
	if a.answer == nil {
		c.left[a.at].err = err
		c.live--
		return
	}
	a.answer <- err
}

// takeWaiting removes those that wait for something from the list, in the order
// in which the members came.
func (c *company) takeWaiting(wanted func(*ask) bool) (taken []*ask) {
	var others []*ask
	for _, a := range c.waiting {
		if wanted(a) {
			taken = append(taken, a)
		} else {
			others = append(others, a)
		}
	}
	c.waiting = others
	slices.SortFunc(taken, func(a, b *ask) int { return a.at - b.at })
	return taken
}

// round does what the members wait for: statements first, so that all come to
// meetings and to the commit together.
func (c *company) round() {
	of := func(kind askKind) []*ask { return c.takeWaiting(func(a *ask) bool { return a.kind == kind }) }
	if asks := of(askStatements); len(asks) > 0 {
		failed, _ := c.send(asks, false)
		for i, a := range asks {
			c.tell(a, failed[i])
		}
		return
	}
	for _, a := range c.waiting {
		if a.kind == askMeet {
			c.hold(a)
			return
		}
	}
	c.commit(of(askCommit))
}

// hold runs the meeting of all calls of the type of first's.
func (c *company) hold(first *ask) {
	same := c.takeWaiting(func(a *ask) bool {
		return a.kind == askMeet && reflect.TypeOf(a.call) == reflect.TypeOf(first.call)
	})
	calls := make([]any, len(same))
	for i, a := range same {
		calls[i] = a.call
	}
	var errs []error
	failure := calmly(func() error {
		errs = first.meet(c.ctx, c.tx, calls)
		return nil
	})
	for i, a := range same {
		err := failure
		if err == nil {
			err = errs[i]
		}
		c.broken = c.broken || err != nil
		c.tell(a, err)
	}
}

// calmly makes an error of a panic: whoever is told it runs alone, and panics in
// the goroutine of its caller.
func calmly(fn func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("pg: panic in a shared transaction: %v", reason)
		}
	}()
	return fn()
}

// commit sends what was left for later and commits.
func (c *company) commit(asks []*ask) {
	failed, err := c.send(asks, true)
	var refused *pgconn.PgError
	switch {
	case err == nil:
		c.tx.ended, c.ended = true, true
	case errors.As(err, &refused) || errors.Is(err, pgx.ErrTxCommitRollback):
		c.broken = true
	default: // nobody knows, as after any commit that was not answered
		c.ended = true
		for i := range failed {
			failed[i] = err
		}
	}
	for i, a := range asks {
		c.tell(a, failed[i])
	}
}

// send runs the batches of asks in one round trip and returns the error of each:
// its own, or errAgain after a failure of another that ends the transaction. That
// failure is returned too.
func (c *company) send(asks []*ask, commit bool) (errs []error, failure error) {
	whole := &pgx.Batch{}
	for _, a := range asks {
		whole.QueuedQueries = append(whole.QueuedQueries, a.batch.QueuedQueries...)
	}
	errs = make([]error, len(asks))
	if commit {
		if c.tx.idle() && whole.Len() == 0 {
			return errs, nil
		}
		whole.Queue("commit")
	}
	results := c.tx.SendBatch(c.ctx, whole)
	for i, a := range asks {
		for _, q := range a.batch.QueuedQueries {
			if failure != nil {
				break
			}
			err := receive(q, results, errs[i] != nil)
			if err != nil {
				errs[i] = err
			}
			if ends(err, commit) {
				failure = err
			}
		}
	}
	if commit && failure == nil {
		tag, err := results.Exec()
		if failure = err; err == nil && tag.String() == "ROLLBACK" {
			failure = pgx.ErrTxCommitRollback
		}
	}
	if err := results.Close(); failure == nil {
		failure = err
	}
	if failure != nil {
		c.broken = true
		for i := range errs {
			if errs[i] == nil {
				errs[i] = errAgain
			}
		}
	}
	return errs, failure
}

// ends reports whether err ends the transaction. That a row is missing does not. A
// commit that travels behind is stopped by the server's errors alone.
func ends(err error, commit bool) bool {
	var refused *pgconn.PgError
	if commit {
		return errors.As(err, &refused)
	}
	return err != nil && !errors.Is(err, pgx.ErrNoRows)
}

// receive reads the result of one query; after an error its function is not called.
func receive(q *pgx.QueuedQuery, results pgx.BatchResults, failed bool) error {
	if q.Fn != nil && !failed {
		return calmly(func() error { return q.Fn(results) })
	}
	_, err := results.Exec()
	return err
}
