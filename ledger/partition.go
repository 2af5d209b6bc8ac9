package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// monthsAhead is how many months the partitioned tables are kept ready for, and
// monthsLeft how many are few enough to tell.
const (
	monthsAhead = 4
	monthsLeft  = 3
)

// MakePartitions gives the tables that are partitioned by month (postings, and those
// outside the ledger) partitions for the months to come, at least three, and returns
// how many it made. tx is of the system role. It waits at most two seconds for a
// table, whose writers wait for it meanwhile. Many instances may run it at once; one
// of two that meet returns an error, and finds nothing to do when it tries again.
func MakePartitions(ctx context.Context, tx pgx.Tx) (made int, err error) {
	if err := tx.QueryRow(ctx, `select make_partitions_ahead($1)`, monthsAhead).Scan(&made); err != nil {
		return 0, fmt.Errorf("ledger: make partitions: %w", err)
	}
	return made, nil
}

// PartitionInvariant is broken by a partitioned table that has no partitions for the
// next months. Nothing is lost by it: rows of a month without a partition go to the
// table's _rest. But no such month can be moved or detached by itself, and it can have
// its partition only when they are moved there by hand.
func PartitionInvariant() Invariant {
	return Invariant{
		ID: "PARTITIONS", Name: "months to come have partitions",
		Rule:  fmt.Sprintf("every table that is partitioned by month has partitions for the next %d months", monthsLeft),
		Count: `select count(*) from partitions_until where $1::text is not null`,
		Breaks: fmt.Sprintf(`
			select '', parent::text, format('partitions end at %%s: a worker makes them hourly, its log says why it could not', until)
			from partitions_until where $1::text is not null and until < suanpan_now() + interval '%d months'`, monthsLeft),
	}
}
