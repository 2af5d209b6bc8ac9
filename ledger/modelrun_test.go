package ledger_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// The full run: go test ./ledger -run TestModel -timeout 2h -v -args -seeds 2000
// One seed again:  go test ./ledger -run TestModel -v -args -first-seed N -seeds 1
var (
	modelFirst   = flag.Uint64("first-seed", 20261123, "first seed of the model test")
	modelSeeds   = flag.Int("seeds", 6, "seeds of the model test")
	modelOps     = flag.Int("ops", 504, "operations per seed")
	modelWorkers = flag.Int("workers", 8, "goroutines per seed")
)

// seedsPerDatabase bounds how much one database collects before it is verified.
const seedsPerDatabase = 100

const modelAccounts = 6 // above these numbers come short-lived accounts, which get closed

func modelKey(i int) ledger.AccountKey {
	switch i {
	case 0, 1, 2, 3:
		return key(ledger.MerchantAvailable, fmt.Sprintf("mch_%d", i))
	case 4:
		return key(ledger.UserCash, "usr")
	case 5:
		return ledger.AccountKey{Type: ledger.UserCash, Owner: "usr", Currency: money.CNY, Name: "savings"}
	}
	return key(ledger.MerchantDeposit, fmt.Sprintf("mch_%d", i))
}

// operation is one thing somebody asked of the ledger, with its answer.
type operation struct {
	name string
	// What is asked, by kind of operation.
	bookings  []mBooking
	reference string
	account   int
	amount    int64
	expiresAt time.Time
	status    ledger.Status
	limits    ledger.Limits
	// ticket orders the operations as the locks did: it is drawn while the
	// operation's accounts are locked.
	ticket int64
	// The business time when it was asked, when its ticket was drawn, and when it
	// was over for everybody.
	asked, answered, over time.Time

	answer  string
	expired []string
}

func (o *operation) String() string {
	return fmt.Sprintf("#%d %s %s%v account %d amount %d %s: %s", o.ticket, o.name, o.reference, o.bookings, o.account, o.amount, o.status, o.answer)
}

// modelRun is one seed: a tenant, and everything that was asked of its books.
type modelRun struct {
	*bench
	seed   uint64
	ahead  time.Duration
	mu     sync.Mutex
	done   []*operation
	booked map[string]string // reference → entry id
	moves  map[string][]mMove
	// held and undoable are the holds that somebody asks for and what is booked, the latest last.
	held     []*operation
	undoable []string
	// expires is the time of the holds that have one.
	expires map[string]time.Time
}

func TestModel(t *testing.T) {
	t.Parallel()
	counts, began, operations, deadlocks := map[string]int{}, time.Now(), 0, int64(0)
	for left, seed := *modelSeeds, *modelFirst; left > 0; left -= seedsPerDatabase {
		b := setup(t).wide()
		b.noon()
		_, err := b.Pool.Exec(context.Background(), `create sequence tickets; grant usage on tickets to suanpan_app, suanpan_system`)
		require.NoError(t, err)
		for range min(left, seedsPerDatabase) {
			run := &modelRun{bench: b, seed: seed, booked: map[string]string{}, moves: map[string][]mMove{}, expires: map[string]time.Time{}}
			run.tenant = b.newTenant("licensed_reserve")
			run.play()
			run.replay(counts)
			operations += len(run.done)
			seed++
		}
		b.requireSound()
		if seed == *modelFirst+uint64(*modelSeeds) {
			b.logSettings()
		}
		var n int64
		require.NoError(t, b.Pool.QueryRow(context.Background(), `select deadlocks from pg_stat_database where datname = current_database()`).Scan(&n))
		deadlocks += n
		if *modelSeeds > 6 {
			t.Logf("%s: %d operations, seeds up to %d agree", time.Since(began).Round(time.Second), operations, seed-1)
		}
	}
	t.Logf("seeds %d to %d, %d operations in %s from %d goroutines, 0 disagreements, 0 deadlocks reached a caller (%d in the server)",
		*modelFirst, *modelFirst+uint64(*modelSeeds)-1, operations, time.Since(began).Round(time.Second), *modelWorkers, deadlocks)
	for _, answer := range slices.Sorted(keysOf(counts)) {
		t.Logf("  %-45s %d", answer, counts[answer])
	}
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// play lets the goroutines loose.
func (r *modelRun) play() {
	require.NoError(r.t, r.Pool.QueryRow(context.Background(), `select ahead from business_clock`).Scan(&r.ahead))
	errs := make([]error, *modelWorkers)
	var done sync.WaitGroup
	for w := range *modelWorkers {
		done.Go(func() {
			g := &generator{Rand: rand.New(rand.NewPCG(r.seed, uint64(w))), run: r, worker: w}
			for step := range *modelOps / *modelWorkers {
				g.step = step
				o := g.next()
				if o.name == "hold" || o.bookings != nil {
					g.asked = append(g.asked, o)
				}
				if o.name == "hold" && g.IntN(4) == 0 { // others may try it before it is there
					r.mu.Lock()
					r.held = append(r.held, o)
					r.mu.Unlock()
				}
				if err := r.ask(o); err != nil {
					errs[w] = fmt.Errorf("seed %d: %s: %w", r.seed, o, err)
					return
				}
			}
		})
	}
	done.Wait()
	require.NoError(r.t, errors.Join(errs...))
}

// generator thinks of operations: what it wants depends on the seed alone, which
// of the recent holds and entries it means on what the others have done by then.
type generator struct {
	*rand.Rand
	run          *modelRun
	worker, step int
	asked        []*operation // what can be asked again
}

// account is mostly one of the few that everybody uses.
func (g *generator) account() int {
	if g.IntN(12) == 0 {
		return modelAccounts + g.step/8
	}
	return g.IntN(modelAccounts)
}

// someHold is a hold that somebody placed, may be placing just now, or was
// refused, with its account.
func (g *generator) someHold() (reference string, account int) {
	g.run.mu.Lock()
	defer g.run.mu.Unlock()
	if n := len(g.run.held); n > 0 {
		o := g.run.held[max(n-1-g.IntN(16), 0)]
		return o.reference, o.account
	}
	return "h-none", 0
}

func (g *generator) next() *operation {
	account, amount := g.account(), g.Int64N(50)+1
	o := &operation{account: account, amount: amount, reference: fmt.Sprintf("n-%d-%d-%d", g.worker, g.step, account)}
	moves := func(name string, all ...mMove) {
		o.name, o.bookings = name, []mBooking{booking(name, o.reference, all)}
	}
	switch n := g.IntN(100); {
	case n < 20:
		moves("collect", mMove{account: account, amount: 3 * amount})
	case n < 31:
		moves("spend", mMove{account: account, amount: -amount})
	case n < 46:
		moves("transfer", mMove{account: account, amount: -amount}, mMove{account: (account + 1 + g.IntN(5)) % modelAccounts, amount: amount})
	case n < 50: // two in one call
		other := g.IntN(modelAccounts)
		moves("collect", mMove{account: account, amount: amount})
		o.bookings = append(o.bookings, booking("spend", o.reference, []mMove{{account: other, amount: -2 * amount}}))
	case n < 62:
		o.name, o.reference = "hold", fmt.Sprintf("h-%d-%d", g.worker, g.step)
		if g.IntN(3) == 0 {
			o.expiresAt = time.Now().Add(g.run.ahead + time.Duration(g.IntN(40))*time.Millisecond).Truncate(time.Microsecond)
		}
	case n < 74:
		h, account := g.someHold()
		moves("spend", mMove{account: account, amount: -g.Int64N(25) - 1, hold: h})
		if g.IntN(4) == 0 { // two holds in one entry
			other, its := g.someHold()
			moves("spend", mMove{account: account, amount: -amount, hold: h}, mMove{account: its, amount: -1, hold: other})
		}
	case n < 79:
		o.name = "release"
		o.reference, _ = g.someHold()
	case n < 82:
		o.name, o.amount = "reduce", g.Int64N(20)
		o.reference, _ = g.someHold()
	case n < 84:
		o.name = "expire"
	case n < 89:
		g.reversal(o)
	case n < 91 && len(g.asked) > 0: // something again
		again := g.asked[max(len(g.asked)-1-g.IntN(8), 0)]
		return &operation{name: again.name, bookings: again.bookings, reference: again.reference, account: again.account,
			amount: again.amount, expiresAt: again.expiresAt}
	case n < 93: // something again with other content
		o.reference = fmt.Sprintf("n-%d-%d-%d", g.worker, max(g.step-g.IntN(10), 0), account)
		moves([]string{"collect", "spend"}[g.IntN(2)], mMove{account: account, amount: amount})
		if o.bookings[0].kind == "spend" {
			o.bookings[0] = booking("spend", o.reference, []mMove{{account: account, amount: -amount}})
		}
	case n < 96:
		o.name = "status"
		o.status = []ledger.Status{ledger.Active, ledger.Active, ledger.Active, ledger.DebitFrozen, ledger.CreditFrozen, ledger.Frozen}[g.IntN(6)]
	case n < 98:
		o.name = "limits"
		if g.IntN(3) > 0 {
			o.limits = ledger.Limits{
				Debit:  ledger.SideLimits{PostingAmount: g.Int64N(60), DayAmount: g.Int64N(900), DayCount: g.Int64N(40), MonthAmount: g.Int64N(900)},
				Credit: ledger.SideLimits{PostingAmount: 30 + g.Int64N(150), DayAmount: 100 + g.Int64N(2000), MonthCount: g.Int64N(80)},
			}
		}
	default:
		o.name, o.status, o.account = "status", ledger.Closed, modelAccounts+max(g.step-g.IntN(12), 0)/8
		if g.IntN(10) == 0 {
			o.account = account
		}
	}
	return o
}

// reversal undoes something that is booked by now, or nothing.
func (g *generator) reversal(o *operation) {
	target, undone := "?", []mMove{{account: o.account, amount: -o.amount}}
	g.run.mu.Lock()
	if n := len(g.run.undoable); n > 0 && g.IntN(10) > 0 {
		target, undone = g.run.undoable[max(n-1-g.IntN(30), 0)], nil
		for _, m := range g.run.moves[target] {
			undone = append(undone, mMove{account: m.account, amount: -m.amount})
		}
	}
	g.run.mu.Unlock()
	o.name, o.bookings = "reversal", []mBooking{booking("reversal", o.reference, undone)}
	o.bookings[0].reverses = target
	o.bookings[0].content += target
}

func booking(kind, reference string, moves []mMove) mBooking {
	return mBooking{reference: kind + " " + reference, mEntry: mEntry{kind: kind, content: fmt.Sprint(moves), moves: moves}}
}

// entry words a booking for the ledger: what the model's accounts gain or lose
// comes from, or goes to, a provider unless it stays among them.
func (r *modelRun) entry(b mBooking) ledger.Entry {
	kinds := map[string]ledger.Kind{"collect": ledger.Collect, "spend": ledger.Refund, "transfer": ledger.Transfer, "reversal": ledger.Reversal}
	e := entry(kinds[b.kind], strings.TrimPrefix(b.reference, b.kind+" "))
	sum := int64(0)
	for _, m := range b.moves {
		sum += m.amount
		e.Postings = append(e.Postings, ledger.Posting{Account: modelKey(m.account), Amount: -m.amount, FromHold: m.hold})
	}
	if sum != 0 {
		e.Postings = append(e.Postings, leg(ledger.ChannelUnsettled, "chn", sum))
	}
	if b.kind == "reversal" {
		r.mu.Lock()
		defer r.mu.Unlock()
		if e.Reverses = r.booked[b.reverses]; e.Reverses == "" {
			e.Reverses = "ent_none"
		}
	}
	return e
}

// ask puts an operation to the ledger and records the answer and its place in
// the order. Whatever is not a refusal comes back as an error.
func (r *modelRun) ask(o *operation) error {
	ctx := context.Background()
	o.asked = time.Now().Add(r.ahead)
	var posted []ledger.Posted
	work := func(tx pgx.Tx) error {
		var refused error
		posted, refused = r.do(ctx, tx, o)
		var refusal *ledger.Error
		if refused != nil && !errors.As(refused, &refusal) {
			return refused
		}
		if o.name == "expire" {
			rows, err := tx.Query(ctx, `select reference from holds where tenant_id = $1 and status = 'expired'`, r.tenant)
			if err == nil {
				o.expired, err = pgx.CollectRows(rows, pgx.RowTo[string])
			}
			if err != nil {
				return err
			}
		}
		if err := tx.QueryRow(ctx, `select nextval('tickets'), suanpan_now()`).Scan(&o.ticket, &o.answered); err != nil {
			return err
		}
		return refused
	}
	var err error
	if o.name == "expire" {
		err = r.DB.AsSystem(ctx, work)
	} else {
		err = r.DB.InTenant(ctx, r.tenant, work)
	}
	var limit *ledger.LimitError
	var refusal *ledger.Error
	switch {
	case errors.As(err, &limit):
		o.answer = string(ledger.LimitExceeded) + " " + limit.Limit
	case errors.As(err, &refusal):
		o.answer = string(refusal.Kind)
	case err != nil:
		return err
	}
	r.record(o, posted)
	return nil
}

// do returns the ledger's refusal or failure; o.answer is right when there is none.
func (r *modelRun) do(ctx context.Context, tx pgx.Tx, o *operation) (posted []ledger.Posted, err error) {
	account := modelKey(o.account)
	o.answer = yes
	switch o.name {
	case "hold":
		var placed []ledger.Hold
		placed, err = ledger.PlaceHold(ctx, tx, r.tenant,
			ledger.HoldRequest{Account: account, Amount: o.amount, Reference: o.reference, ExpiresAt: o.expiresAt})
		if err == nil && placed[0].Replayed {
			o.answer = replayed
		}
	case "release":
		err = ledger.ReleaseHold(ctx, tx, r.tenant, o.reference)
	case "reduce":
		err = ledger.ReduceHold(ctx, tx, r.tenant, o.reference, o.amount)
	case "expire":
		_, err = ledger.ExpireHolds(ctx, tx, 1000)
	case "status":
		err = ledger.ChangeStatus(ctx, tx, r.tenant, account, o.status, "model")
	case "limits":
		err = ledger.ChangeLimits(ctx, tx, r.tenant, account, o.limits, "model")
	default:
		var entries []ledger.Entry
		for _, b := range o.bookings {
			entries = append(entries, r.entry(b))
		}
		if posted, err = ledger.Post(ctx, tx, r.tenant, entries...); err == nil {
			fresh := slices.ContainsFunc(posted, func(p ledger.Posted) bool { return !p.Replayed })
			if !fresh {
				o.answer = replayed
			}
		}
	}
	return posted, err
}

func (r *modelRun) record(o *operation, posted []ledger.Posted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o.over = time.Now().Add(r.ahead)
	if o.name == "hold" && o.answer == yes {
		r.held = append(r.held, o)
	}
	r.done = append(r.done, o)
	for i, p := range posted {
		if o.answer == yes && !p.Replayed {
			b := o.bookings[i]
			r.booked[b.reference] = p.EntryID
			r.moves[b.reference] = b.moves
			r.undoable = append(r.undoable, b.reference)
		}
	}
}

// replay asks the model the same, in the order of the tickets.
func (r *modelRun) replay(counts map[string]int) {
	slices.SortFunc(r.done, func(a, b *operation) int { return int(a.ticket - b.ticket) })
	m, placed := newModel(), map[string]time.Time{}
	for i, o := range r.done {
		want := r.model(m, o, placed)
		if want != o.answer {
			for _, before := range r.done[max(i-40, 0):i] {
				r.t.Log(before)
			}
			require.Equal(r.t, want, o.answer, "seed %d: the model disagrees on %s", r.seed, o)
		}
		counts[o.name+" "+o.answer]++
	}
	r.compare(m)
}

func (r *modelRun) model(m *model, o *operation, placed map[string]time.Time) string {
	switch o.name {
	case "hold":
		answer := m.hold(o.reference, o.account, o.amount, !o.expiresAt.IsZero())
		if answer == yes {
			placed[o.reference] = o.over
			if !o.expiresAt.IsZero() {
				r.expires[o.reference] = o.expiresAt
			}
		}
		return answer
	case "release", "reduce":
		// A hold that is not there locks nothing: it may have come since.
		if at, ok := placed[o.reference]; ok && at.After(o.asked) && o.answer == string(ledger.NotFound) {
			return o.answer
		}
		if o.name == "release" {
			return m.reduce(o.reference, 0)
		}
		return m.reduce(o.reference, o.amount)
	case "expire":
		for _, reference := range o.expired {
			if h := m.holds[reference]; h.state != "expired" {
				require.Equal(r.t, "open", h.state, "seed %d: %s expired %s", r.seed, o, reference)
				require.False(r.t, r.expires[reference].After(o.answered), "seed %d: too early", r.seed)
				m.free(reference, 0, "expired")
			}
		}
		return yes
	case "status":
		return m.status(o.account, o.status)
	case "limits":
		return m.limit(o.account, o.limits)
	}
	return m.book(o.bookings, func(hold string) bool {
		switch at := r.expires[hold]; {
		case at.After(o.answered):
			return false
		case at.Before(o.asked):
			return true
		}
		return o.answer == string(ledger.HoldClosed) // just then: either is right
	})
}

// compare holds what the database says at the end against the model: balances,
// every posting of every account in its order, statuses and holds.
func (r *modelRun) compare(m *model) {
	ctx := context.Background()
	rows, err := r.Pool.Query(ctx, `
		select a.type, a.owner, a.name, a.status, a.posted, a.held, coalesce(p.amounts, '{}'), coalesce(p.balances, '{}')
		from ledger_accounts a
		left join lateral (
		  select array_agg(-p.amount order by p.account_seq) as amounts, array_agg(p.balance_after order by p.account_seq) as balances
		  from postings p where p.tenant_id = a.tenant_id and p.account_id = a.id
		) p on true
		where a.tenant_id = $1 and a.floor is not null`, r.tenant)
	require.NoError(r.t, err)
	stored := map[ledger.AccountKey]mAccount{}
	histories := map[ledger.AccountKey][]mMove{}
	k := ledger.AccountKey{Currency: money.CNY}
	var a mAccount
	var amounts, balances []int64
	_, err = pgx.ForEachRow(rows, []any{&k.Type, &k.Owner, &k.Name, &a.status, &a.posted, &a.held, &amounts, &balances}, func() error {
		stored[k] = a
		for i, amount := range amounts {
			histories[k] = append(histories[k], mMove{amount: amount, after: balances[i]})
		}
		return nil
	})
	require.NoError(r.t, err)
	for i, want := range m.accounts {
		got, ok := stored[modelKey(i)]
		if !ok && want == (mAccount{status: ledger.Active}) {
			continue
		}
		require.Equal(r.t, [2]int64{want.posted, want.held}, [2]int64{got.posted, got.held}, "seed %d: account %d", r.seed, i)
		require.Equal(r.t, want.status, got.status, "seed %d: account %d", r.seed, i)
		require.Len(r.t, histories[modelKey(i)], len(m.history[i]), "seed %d: account %d", r.seed, i)
		for n, move := range m.history[i] {
			require.Equal(r.t, mMove{amount: move.amount, after: move.after}, histories[modelKey(i)][n], "seed %d: account %d, posting %d", r.seed, i, n+1)
			require.GreaterOrEqual(r.t, move.after, int64(0), "seed %d: account %d fell below its floor", r.seed, i)
		}
	}
	r.compareHolds(m)
}

func (r *modelRun) compareHolds(m *model) {
	rows, err := r.Pool.Query(context.Background(), `select reference, captured, released, status from holds where tenant_id = $1`, r.tenant)
	require.NoError(r.t, err)
	n := 0
	var reference, status string
	var captured, released int64
	_, err = pgx.ForEachRow(rows, []any{&reference, &captured, &released, &status}, func() error {
		n++
		h := m.holds[reference]
		require.Equal(r.t, h.state, status, "seed %d: hold %s", r.seed, reference)
		require.Equal(r.t, [2]int64{h.captured, h.amount - h.captured - h.left}, [2]int64{captured, released}, "seed %d: hold %s", r.seed, reference)
		return nil
	})
	require.NoError(r.t, err)
	require.Len(r.t, m.holds, n, "seed %d", r.seed)
}
