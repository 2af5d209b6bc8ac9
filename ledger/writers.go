package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// writersPoll is how often writers under way are looked for again.
const writersPoll = 10 * time.Millisecond

// Only locks that are held count: who still waits for one has taken no seq.
const sqlWriters = `
select coalesce(array_agg(virtualtransaction), '{}') from pg_locks
where locktype = 'relation' and relation = $1::text::regclass and granted and mode = 'RowExclusiveLock'
  and database = (select oid from pg_database where datname = current_database())`

// AwaitWriters returns when every transaction that was writing table when it was
// called has ended.
//
// A seal must cover all rows up to its last one for ever, but seq is taken before the
// commit, so a lower one may become visible after a higher one. Any transaction that
// has taken a seq holds, from before it took it until its end, the lock of a writer on
// the table. So: note the highest visible seq, then note who holds that lock, and wait
// until all those are gone. What is at or below the noted seq is then complete; who
// came later took a higher one.
func AwaitWriters(ctx context.Context, db *pg.DB, table string) error {
	var waiting []string
	ticker := time.NewTicker(writersPoll)
	defer ticker.Stop()
	for first := true; ; first = false {
		var now []string
		err := db.AsSystem(ctx, func(tx pgx.Tx) error { return tx.QueryRow(ctx, sqlWriters, table).Scan(&now) })
		if err != nil {
			return fmt.Errorf("ledger: who writes %s: %w", table, err)
		}
		if first {
			waiting = now
		} else {
			waiting = slices.DeleteFunc(waiting, func(w string) bool { return !slices.Contains(now, w) })
		}
		if len(waiting) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d transactions that write %s take too long to seal behind them: %w", len(waiting), table, ctx.Err())
		case <-ticker.C:
		}
	}
}
