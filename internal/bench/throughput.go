package main

import (
	"context"
	"fmt"
	"os"
)

// measurement is one row of the table of throughput.
type measurement struct {
	name    string
	callers int
	op      operation
	// beside names the row that this one is a part of, for a second ratio.
	beside string
	target string
}

const referenceName = "pgbench TPC-B"

func measurements(o options, b *books) []measurement {
	var all []measurement
	for _, callers := range o.callers {
		all = append(all, measurement{name: fmt.Sprintf("Post, uniform, %d callers", callers), callers: callers, op: b.uniform,
			target: "≥ 1.2 × pgbench"})
	}
	most := o.callers[len(o.callers)-1]
	receipts := fmt.Sprintf("Post of receipts, %d internal accounts, %d callers", len(b.channels), most)
	return append(all,
		measurement{name: receipts, callers: most, op: b.receipts},
		measurement{name: fmt.Sprintf("Post of receipts, one hot internal account, %d callers", most), callers: most,
			op: b.hotReceipts, beside: receipts, target: "≥ 0.9 of uniform"},
		measurement{name: fmt.Sprintf("Post, one hot merchant, %d callers", most), callers: most, op: b.hotMerchant,
			beside: all[len(all)-1].name},
	)
}

// throughput measures our operations and the reference in turns.
func throughput(ctx context.Context, o options, s *server, r *report) error {
	ref, err := newReference(ctx, s, o.scale)
	if err != nil {
		return err
	}
	b, err := openBooks(ctx, s, "bench_books", o)
	if err != nil {
		return err
	}
	defer b.close()
	all := measurements(o, b)
	taken := map[string][]sample{}
	for round := range o.rounds {
		got, err := ref.measure(ctx, o.duration())
		if err != nil {
			return err
		}
		taken[referenceName] = append(taken[referenceName], got)
		progress(round, referenceName, got)
		for _, m := range all {
			if !o.wants(m.name) {
				continue
			}
			got := measure(ctx, m.callers, o.duration(), m.op)
			if err := got.check(m.name); err != nil {
				return err
			}
			taken[m.name] = append(taken[m.name], got)
			progress(round, m.name, got)
		}
	}
	r.throughput(all, taken)
	return nil
}

func progress(round int, name string, s sample) {
	fmt.Fprintf(os.Stderr, "round %d  %-60s %8.0f/s  p50 %-10s p99 %s\n", round+1, name, s.perSecond, brief(s.p50), brief(s.p99))
}
