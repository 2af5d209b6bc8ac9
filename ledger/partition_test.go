package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

func (b *bench) makePartitions() (made int) {
	b.t.Helper()
	require.NoError(b.t, b.DB.AsSystem(context.Background(), func(tx pgx.Tx) (err error) {
		made, err = ledger.MakePartitions(context.Background(), tx)
		return err
	}))
	return made
}

// shortOfPartitions names the tables that verify complains about.
func (b *bench) shortOfPartitions() (tables []string) {
	b.t.Helper()
	require.NoError(b.t, b.DB.Snapshot(context.Background(), func(tx pgx.Tx) error {
		report, err := ledger.Check(context.Background(), tx, []ledger.Invariant{ledger.PartitionInvariant()}, ledger.VerifyOptions{})
		for _, found := range report.Results[0].Breaks {
			tables = append(tables, found.Subject)
		}
		return err
	}))
	return tables
}

func TestPartitionsAreMadeAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	require.Zero(t, b.makePartitions(), "the migrations made a year of them")
	require.Empty(t, b.shortOfPartitions())

	b.ahead("11 months")
	require.ElementsMatch(t, []string{"postings", "accepted_responses", "bill_lines", "channel_calls", "webhook_attempts"}, b.shortOfPartitions())
	require.GreaterOrEqual(t, b.makePartitions(), 5*3)
	require.Empty(t, b.shortOfPartitions())
	require.Zero(t, b.makePartitions(), "again makes none")

	// Far ahead, each month from the last one on, whatever the session's time zone.
	b.ahead("2 years")
	_, err := b.Pool.Exec(ctx, `alter role suanpan_system in database `+pgx.Identifier{b.name()}.Sanitize()+` set timezone = 'America/New_York'`)
	require.NoError(t, err)
	require.GreaterOrEqual(t, b.makePartitions(), 5*22)
	b.mustPost(collect("p1", "mch_a", 500))
	var inRest, holes int
	require.NoError(t, b.Pool.QueryRow(ctx, `select count(*) from postings_rest`).Scan(&inRest))
	require.Zero(t, inRest)
	require.NoError(t, b.Pool.QueryRow(ctx, `
		select count(*) from (
		  select b.bound[1]::timestamptz - lag(b.bound[2]::timestamptz) over (order by b.bound[1]::timestamptz) as hole
		  from pg_inherits i join pg_class c on c.oid = i.inhrelid,
		  lateral regexp_match(pg_get_expr(c.relpartbound, c.oid), '''([^'']+)''.*''([^'']+)''') b (bound)
		  where i.inhparent = 'postings'::regclass and b.bound is not null
		) m where hole <> interval '0'`).Scan(&holes))
	require.Zero(t, holes)

	// They can be used through the table only.
	next := time.Now().AddDate(2, 11, 0).Format("200601")
	require.ErrorContains(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `select * from postings_`+next)
		return err
	}), "permission denied")
	require.ErrorContains(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `select make_partitions_ahead(1)`)
		return err
	}), "permission denied", "the application's role makes none")
}

func (b *bench) name() (name string) {
	b.t.Helper()
	require.NoError(b.t, b.Pool.QueryRow(context.Background(), `select current_database()`).Scan(&name))
	return name
}
