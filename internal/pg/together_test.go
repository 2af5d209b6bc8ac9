package pg_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/pgtest"
)

const addThing = `insert into things values ($1)`

// crowd runs calls that all wait while the tenant's lanes are busy, so that they
// go in company, and returns their errors.
func crowd(t *testing.T, d *pgtest.Database, tenant string, calls []func(tx pgx.Tx) error) []error {
	t.Helper()
	errs := make([]error, len(calls))
	var busy, done sync.WaitGroup
	release := make(chan struct{})
	for range 2 {
		busy.Add(1)
		first := sync.OnceFunc(busy.Done) // it may run again
		done.Go(func() {
			err := d.DB.Together(t.Context(), tenant, "", func(pgx.Tx) error {
				first()
				<-release
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		busy.Wait()
	}
	var arrived sync.WaitGroup
	for i, call := range calls {
		arrived.Add(1)
		done.Go(func() {
			arrived.Done()
			errs[i] = d.DB.Together(t.Context(), tenant, "", call)
		})
	}
	arrived.Wait()
	close(release)
	done.Wait()
	return errs
}

func TestCallsThatWaitShareATransaction(t *testing.T) {
	d := open(t)
	tenant := id.New(id.Tenant)
	var mu sync.Mutex
	transactions := map[int64]int{}
	var calls []func(tx pgx.Tx) error
	for i := range 60 {
		calls = append(calls, func(tx pgx.Tx) error {
			var seen string
			var number int64
			batch := &pgx.Batch{}
			batch.Queue(askTenant).QueryRow(func(row pgx.Row) error { return row.Scan(&seen) })
			if err := tx.SendBatch(t.Context(), batch).Close(); err != nil {
				return err
			}
			if err := tx.QueryRow(t.Context(), `select txid_current()`).Scan(&number); err != nil {
				return err
			}
			mu.Lock()
			transactions[number]++
			mu.Unlock()
			if seen != tenant {
				return fmt.Errorf("runs in tenant %q", seen)
			}
			if i%2 == 0 {
				_, err := tx.Exec(t.Context(), addThing, i)
				return err
			}
			if err := addLater(t.Context(), tx, i); err != nil {
				return err
			}
			return pg.CommitNow(t.Context(), tx)
		})
	}
	for _, err := range crowd(t, d, tenant, calls) {
		require.NoError(t, err)
	}
	require.Equal(t, 60, count(t, d))
	require.Less(t, len(transactions), 30, "most of the 60 had company")
}

// One of many is refused, one is refused by the database, one uses a savepoint and
// one cannot tell its rows apart: each ends as if it were alone, and nobody else notices.
func TestWhoFailsFailsAlone(t *testing.T) {
	d := open(t)
	refused := errors.New("refused")
	var rows atomic.Int64
	var calls []func(tx pgx.Tx) error
	for i := range 40 {
		calls = append(calls, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), addThing, i)
			switch i {
			case 7:
				return refused
			case 11:
				_, err = tx.Exec(t.Context(), addThing, i)
			case 13:
				nested, savepointErr := tx.Begin(t.Context())
				if savepointErr != nil {
					return savepointErr
				}
				_, _ = nested.Exec(t.Context(), addThing, i)
				err = nested.Rollback(t.Context())
			case 17:
				found, queryErr := tx.Query(t.Context(), askCount)
				if queryErr != nil {
					return queryErr
				}
				n, _ := pgx.CollectExactlyOneRow(found, pgx.RowTo[int64])
				rows.Store(n)
			case 19:
				var n int
				missing := tx.QueryRow(t.Context(), `select n from things where n = -1`).Scan(&n)
				if !errors.Is(missing, pgx.ErrNoRows) {
					return fmt.Errorf("wanted no row: %w", missing)
				}
			}
			return err
		})
	}
	for i, err := range crowd(t, d, id.New(id.Tenant), calls) {
		switch i {
		case 7:
			require.ErrorIs(t, err, refused)
		case 11:
			require.True(t, pg.IsUnique(err, "things_pkey"), "%v", err)
		default:
			require.NoError(t, err, i)
		}
	}
	require.Equal(t, 38, count(t, d))
	require.Positive(t, rows.Load())
}

// addLater leaves a number to travel with the next statement or the commit.
func addLater(ctx context.Context, tx pgx.Tx, n int) error {
	add := func(ctx context.Context, tx pgx.Tx, numbers []int) []error {
		batch := &pgx.Batch{}
		for _, n := range numbers {
			batch.Queue(addThing, n)
		}
		return slices.Repeat([]error{pg.Later(ctx, tx, batch)}, len(numbers))
	}
	met, err := pg.Meet(ctx, tx, n, add)
	if !met {
		err = add(ctx, tx, []int{n})[0]
	}
	return err
}

// What was left for later is there for the next statement, whoever sends it, and for
// a meeting that follows.
func TestWhatIsLeftForLaterComesBeforeWhatFollows(t *testing.T) {
	d := open(t)
	look := func(ctx context.Context, tx pgx.Tx, asked []string) []error {
		var n int
		err := tx.QueryRow(ctx, askCount).Scan(&n)
		if err == nil && n < len(asked) {
			err = fmt.Errorf("%d things are there for %d who left one", n, len(asked))
		}
		return slices.Repeat([]error{err}, len(asked))
	}
	var calls []func(tx pgx.Tx) error
	for i := range 40 {
		calls = append(calls, func(tx pgx.Tx) error {
			if err := addLater(t.Context(), tx, i); err != nil {
				return err
			}
			if i%2 == 0 {
				_, err := pg.Meet(t.Context(), tx, "all", look)
				return err
			}
			var found bool
			err := tx.QueryRow(t.Context(), `select exists (select from things where n = $1)`, i).Scan(&found)
			if err == nil && !found {
				err = fmt.Errorf("%d is not there", i)
			}
			return err
		})
	}
	for _, err := range crowd(t, d, id.New(id.Tenant), calls) {
		require.NoError(t, err)
	}
	require.Equal(t, 40, count(t, d))
}

// A failure in the statements that travel with the commit commits nothing of anybody.
func TestFailureBesideTheCommitIsUndone(t *testing.T) {
	d := open(t)
	var calls []func(tx pgx.Tx) error
	for i := range 30 {
		calls = append(calls, func(tx pgx.Tx) error {
			err := addLater(t.Context(), tx, i/2) // each number twice: one of two is refused
			if err != nil || i%3 == 0 {
				return err
			}
			return pg.CommitNow(t.Context(), tx)
		})
	}
	failed := 0
	for _, err := range crowd(t, d, id.New(id.Tenant), calls) {
		if err != nil {
			require.True(t, pg.IsUnique(err, "things_pkey"), "%v", err)
			failed++
		}
	}
	require.Equal(t, 15, failed)
	require.Equal(t, 15, count(t, d))
}

func TestMeetingsGetEverybodysCalls(t *testing.T) {
	d := open(t)
	var meetings, met atomic.Int64
	var calls []func(tx pgx.Tx) error
	for i := range 40 {
		calls = append(calls, func(tx pgx.Tx) error {
			shared, err := pg.Meet(t.Context(), tx, i, func(ctx context.Context, tx pgx.Tx, numbers []int) []error {
				meetings.Add(1)
				met.Add(int64(len(numbers)))
				errs := make([]error, len(numbers))
				for j, n := range numbers {
					if _, err := tx.Exec(ctx, addThing, n); err != nil {
						errs[j] = err
					}
				}
				return errs
			})
			if !shared {
				_, err = tx.Exec(t.Context(), addThing, i)
			}
			return err
		})
	}
	for _, err := range crowd(t, d, id.New(id.Tenant), calls) {
		require.NoError(t, err)
	}
	require.Equal(t, 40, count(t, d))
	require.Greater(t, met.Load(), 2*meetings.Load())
}

func TestOneNameIsNeverItsOwnCompany(t *testing.T) {
	d := open(t)
	tenant := id.New(id.Tenant)
	var inside, most atomic.Int64
	var calls sync.WaitGroup
	transactions := sync.Map{}
	for range 20 {
		calls.Go(func() {
			err := d.DB.Together(t.Context(), tenant, "same", func(tx pgx.Tx) error {
				most.Store(max(most.Load(), inside.Add(1)))
				defer inside.Add(-1)
				var number int64
				if err := tx.QueryRow(t.Context(), `select txid_current()`).Scan(&number); err != nil {
					return err
				}
				if _, twice := transactions.LoadOrStore(number, true); twice {
					return errors.New("two of one name in one transaction")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	require.LessOrEqual(t, most.Load(), int64(2), "one in each lane")
}

// Whoever holds a lock for long holds up those who want it, and nobody else.
func TestALongLockHoldsUpNobodyElse(t *testing.T) {
	d := open(t)
	tenant := id.New(id.Tenant)
	_, err := d.Pool.Exec(t.Context(), `insert into things values (1000)`)
	require.NoError(t, err)
	holder, err := d.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), `select from things where n = 1000 for update`)
	require.NoError(t, err)

	wantsIt := make(chan error, 1)
	go func() {
		wantsIt <- d.DB.Together(t.Context(), tenant, "", func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `select from things where n = 1000 for update`)
			return err
		})
	}()
	var calls []func(tx pgx.Tx) error
	for i := range 10 {
		calls = append(calls, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), addThing, i)
			return err
		})
	}
	for _, err := range crowd(t, d, tenant, calls) {
		require.NoError(t, err)
	}
	require.Empty(t, wantsIt)
	require.NoError(t, holder.Rollback(t.Context()))
	require.NoError(t, <-wantsIt)
}

// In company or alone, a panic is its caller's and nobody else's.
func TestAPanicReachesItsOwnCaller(t *testing.T) {
	d := open(t)
	tenant := id.New(id.Tenant)
	five := func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), addThing, 5); err != nil {
			return err
		}
		panic("five")
	}
	require.PanicsWithValue(t, "five", func() { _ = d.DB.Together(t.Context(), tenant, "", five) })
	var calls []func(tx pgx.Tx) error
	for i := range 20 {
		calls = append(calls, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), addThing, 100+i)
			return err
		})
	}
	var panicking sync.WaitGroup
	for range 10 {
		panicking.Go(func() {
			defer func() {
				if reason := recover(); reason != "five" {
					t.Errorf("recovered %v", reason)
				}
			}()
			_ = d.DB.Together(t.Context(), tenant, "", five)
		})
	}
	for _, err := range crowd(t, d, tenant, calls) {
		require.NoError(t, err)
	}
	panicking.Wait()
	require.Equal(t, 20, count(t, d))
}

func TestACallerThatGivesUpLeavesNothing(t *testing.T) {
	d := open(t)
	tenant := id.New(id.Tenant)
	gone, cancel := context.WithCancel(t.Context())
	var calls []func(tx pgx.Tx) error
	for i := range 20 {
		calls = append(calls, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), addThing, i)
			return err
		})
	}
	var givingUp sync.WaitGroup
	givingUp.Go(func() {
		err := d.DB.Together(gone, tenant, "", func(tx pgx.Tx) error {
			if _, err := tx.Exec(gone, addThing, 100); err != nil {
				return err
			}
			cancel()
			_, err := tx.Exec(gone, addThing, 101)
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("wanted that it was cancelled, got %v", err)
		}
	})
	for _, err := range crowd(t, d, tenant, calls) {
		require.NoError(t, err)
	}
	givingUp.Wait()
	require.Equal(t, 20, count(t, d))
}
