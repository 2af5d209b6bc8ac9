package pg_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	askTenant = `select current_setting('suanpan.tenant', true)`
	askCount  = `select count(*) from things`
)

func open(t *testing.T) *pgtest.Database {
	t.Helper()
	t.Parallel()
	d := pgtest.New(t)
	_, err := d.Pool.Exec(t.Context(), `create table things (n int primary key); grant all on things to suanpan_app`)
	require.NoError(t, err)
	return d
}

func count(t *testing.T, d *pgtest.Database) (n int) {
	t.Helper()
	require.NoError(t, d.Pool.QueryRow(t.Context(), askCount).Scan(&n))
	return n
}

// Whatever the first statement is, it runs inside the transaction and the tenant.
func TestTenantIsNamedBeforeTheFirstStatement(t *testing.T) {
	d := open(t)
	tenant := id.New(id.Tenant)
	firsts := map[string]func(tx pgx.Tx) (string, error){
		"row": func(tx pgx.Tx) (got string, err error) {
			err = tx.QueryRow(t.Context(), askTenant).Scan(&got)
			return got, err
		},
		"rows": func(tx pgx.Tx) (string, error) {
			rows, err := tx.Query(t.Context(), askTenant)
			if err != nil {
				return "", err
			}
			return pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
		},
		"batch of functions": func(tx pgx.Tx) (got string, err error) {
			batch := &pgx.Batch{}
			batch.Queue(askTenant).QueryRow(func(row pgx.Row) error { return row.Scan(&got) })
			return got, tx.SendBatch(t.Context(), batch).Close()
		},
		"batch read in turn": func(tx pgx.Tx) (got string, err error) {
			batch := &pgx.Batch{}
			batch.Queue(`insert into things values (1)`)
			batch.Queue(askTenant)
			results := tx.SendBatch(t.Context(), batch)
			_, insertErr := results.Exec()
			err = results.QueryRow().Scan(&got)
			return got, errors.Join(insertErr, err, results.Close())
		},
	}
	undo := errors.New("undo")
	for name, first := range firsts {
		err := d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
			got, err := first(tx)
			require.NoError(t, err, name)
			require.Equal(t, tenant, got, name)
			require.NoError(t, tx.QueryRow(t.Context(), askTenant).Scan(&got), name)
			require.Equal(t, tenant, got, name)
			return undo
		})
		require.ErrorIs(t, err, undo, name)
		require.Zero(t, count(t, d), "%s: rolled back", name)
	}
	var left string
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), `select coalesce(current_setting('suanpan.tenant', true), '')`).Scan(&left)
	}))
	require.Empty(t, left)
}

func TestTransactionCommitsOnceOrNotAtAll(t *testing.T) {
	d := open(t)
	tenant := id.New(id.Tenant)
	insert := func(tx pgx.Tx, n int) error {
		batch := &pgx.Batch{}
		batch.Queue(`insert into things values ($1)`, n)
		return tx.SendBatch(t.Context(), batch).Close()
	}
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(pgx.Tx) error { return nil }), "nothing to do")
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error { return insert(tx, 1) }))
	require.Equal(t, 1, count(t, d))

	// The first batch fails: the error comes out, the connection is good again.
	require.Error(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error { return insert(tx, 1) }))
	// An error that the caller swallows cannot commit.
	err := d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		require.NoError(t, insert(tx, 2))
		require.Error(t, insert(tx, 2))
		return nil
	})
	require.ErrorIs(t, err, pgx.ErrTxCommitRollback)
	require.Panics(t, func() {
		_ = d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
			require.NoError(t, insert(tx, 3))
			panic("in the middle")
		})
	})
	require.Equal(t, 1, count(t, d))
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error { return insert(tx, 4) }))
	require.Equal(t, 2, count(t, d))
}

func TestWhatIsLeftForLaterCommits(t *testing.T) {
	d := open(t)
	tenant := id.New(id.Tenant)
	insert := func(n ...int) func(tx pgx.Tx) error {
		return func(tx pgx.Tx) error {
			batch := &pgx.Batch{}
			for _, one := range n {
				batch.Queue(`insert into things values ($1)`, one)
			}
			return pg.Later(t.Context(), tx, batch)
		}
	}
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, insert(1, 2)))
	require.Equal(t, 2, count(t, d))
	require.True(t, pg.IsUnique(d.DB.InTenant(t.Context(), tenant, insert(3, 1)), "things_pkey"))
	require.Equal(t, 2, count(t, d))
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		var n int
		require.NoError(t, insert(3)(tx))
		require.NoError(t, tx.QueryRow(t.Context(), askCount).Scan(&n))
		require.Equal(t, 3, n, "it comes before the next statement")
		require.NoError(t, insert(4)(tx))
		require.NoError(t, pg.CommitNow(t.Context(), tx))
		_, err := tx.Exec(t.Context(), askCount)
		require.ErrorIs(t, err, pgx.ErrTxClosed)
		return nil
	}))
	require.Equal(t, 4, count(t, d))
	require.ErrorContains(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		require.NoError(t, insert(5)(tx))
		return errors.New("no")
	}), "no")
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		nested, err := tx.Begin(t.Context())
		require.NoError(t, err)
		require.NoError(t, insert(6)(nested), "a savepoint does not wait")
		return nested.Rollback(t.Context())
	}))
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(`select 1`)
		require.NoError(t, pg.Later(t.Context(), tx, batch))
		require.NoError(t, pg.CommitNow(t.Context(), tx), "its owner commits")
		_, err := tx.Exec(t.Context(), `select 1`)
		return err
	}))
	require.Equal(t, 4, count(t, d))
}

func TestSavepointsGoBackOnTheirOwn(t *testing.T) {
	d := open(t)
	require.NoError(t, d.DB.InTenant(t.Context(), id.New(id.Tenant), func(tx pgx.Tx) error {
		undone, err := tx.Begin(t.Context())
		require.NoError(t, err)
		_, err = undone.Exec(t.Context(), `insert into things values (1)`)
		require.NoError(t, err)
		_, err = undone.Exec(t.Context(), `insert into things values (1)`)
		require.Error(t, err)
		require.NoError(t, undone.Rollback(t.Context()))
		require.ErrorIs(t, undone.Rollback(t.Context()), pgx.ErrTxClosed)
		kept, err := tx.Begin(t.Context())
		require.NoError(t, err)
		_, err = kept.Exec(t.Context(), `insert into things values (2)`)
		require.NoError(t, err)
		return kept.Commit(t.Context())
	}))
	require.Equal(t, 1, count(t, d))
}

// A serialization failure in the very first batch runs the function again.
func TestFirstBatchIsRetried(t *testing.T) {
	d := open(t)
	_, err := d.Pool.Exec(t.Context(), `
		create sequence tries; grant all on sequence tries to suanpan_app;
		create function fail_first() returns void language plpgsql as $$ begin
		  if nextval('tries') = 1 then raise serialization_failure; end if; end $$`)
	require.NoError(t, err)
	runs := 0
	require.NoError(t, d.DB.InTenant(t.Context(), id.New(id.Tenant), func(tx pgx.Tx) error {
		runs++
		batch := &pgx.Batch{}
		batch.Queue(`select fail_first()`)
		return tx.SendBatch(t.Context(), batch).Close()
	}))
	require.Equal(t, 2, runs)
}
