package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"
)

// measurement is one row of the table of throughput.
type measurement struct {
	name    string
	callers int
	op      operation
	// beside names the row that this one is a part of, for a second ratio.
	beside string
	target string
	// least and leastBeside are the target as a ratio to pgbench and to beside.
	least, leastBeside float64
}

const (
	referenceName = "pgbench TPC-B"
	// httpCallers is how many keep-alive connections POST at once.
	httpCallers = 64
	uniformHTTP = "POST /v1/transfers, 64 connections"
)

func measurements(o options, b *books, a *api) []measurement {
	var all []measurement
	for _, callers := range o.callers {
		all = append(all, measurement{name: fmt.Sprintf("Post, %d callers", callers), callers: callers,
			op: drawn(b.together, b.uniform), target: "≥ 1.2 × pgbench", least: 1.2})
	}
	most := o.callers[len(o.callers)-1]
	uniform := all[len(all)-1].name
	receipts := fmt.Sprintf("Post of receipts, %d internal accounts, %d callers", len(b.channels), most)
	return append(all,
		measurement{name: receipts, callers: most, op: drawn(b.together, b.receipt)},
		measurement{name: fmt.Sprintf("Post of receipts, one hot internal account, %d callers", most), callers: most,
			op: drawn(b.together, b.hotReceipt), beside: receipts, target: "≥ 0.9 of uniform", leastBeside: 0.9},
		measurement{name: fmt.Sprintf("Post to one hot merchant, %d callers", most), callers: most,
			op: drawn(b.together, b.hotMerchant), beside: uniform},
		measurement{name: fmt.Sprintf("Post, each in a transaction of its own, %d callers", o.callers[0]), callers: o.callers[0],
			op: drawn(b.post, b.uniform), beside: all[0].name},
		measurement{name: uniformHTTP, callers: httpCallers, op: a.transfers(b.pair), target: "≥ 0.5 × pgbench", least: 0.5},
		measurement{name: "POST /v1/transfers to one merchant", callers: httpCallers, op: a.transfers(b.toOne), beside: uniformHTTP},
	)
}

// throughput measures our operations and the reference in turns.
func throughput(ctx context.Context, o options, s *server, r *report) (err error) {
	ref, err := newReference(ctx, s, o.scale)
	if err != nil {
		return err
	}
	b, err := openBooks(ctx, s, "bench_books", o)
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.describeSchema(ctx, r); err != nil {
		return err
	}
	a, err := startAPI(ctx, b, o.conns, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.stop()) }()
	if err := b.prime(ctx, o, a); err != nil {
		return err
	}
	all := measurements(o, b, a)
	if o.traced {
		sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
		defer sink.Close()
		var traced *api
		if traced, err = startAPI(ctx, b, o.conns, sink.URL+"/v1/traces"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, traced.stop()) }()
		all = append(all, measurement{name: "POST /v1/transfers, all of them traced", callers: httpCallers,
			op: traced.transfers(b.pair), beside: uniformHTTP})
	}
	if o.part("throughput") {
		taken, err := takeTurns(ctx, o, b, ref, all)
		if err != nil {
			return err
		}
		r.throughput(all, taken)
	}
	if o.part("ladder") {
		return climb(ctx, o, b, a, r)
	}
	return nil
}

// prime lets some transfers pass and analyses the tables they filled. A statement that
// was planned while its tables were empty runs at half the speed until autovacuum has
// been there, which takes a new installation some minutes. The very first calls of all
// callers meet in one transaction that plans every statement, for half a second.
func (b *books) prime(ctx context.Context, o options, a *api) error {
	for range 2 {
		first := measure(ctx, httpCallers, max(o.duration(), time.Second), a.transfers(b.pair))
		if err := first.check("transfers before the measurements"); err != nil {
			return err
		}
		if err := b.run(ctx, []string{"vacuum analyze"}); err != nil {
			return err
		}
	}
	return nil
}

// takeTurns measures the reference and then each of all, round by round.
func takeTurns(ctx context.Context, o options, b *books, ref *reference, all []measurement) (map[string][]sample, error) {
	taken := map[string][]sample{}
	for round := range o.rounds {
		got, err := b.weighed(ctx, o.duration(), func() (sample, error) { return ref.measure(ctx, o.duration()) })
		if err != nil {
			return nil, err
		}
		taken[referenceName] = append(taken[referenceName], got)
		progress(round, referenceName, got)
		for _, m := range all {
			if !o.wants(m.name) {
				continue
			}
			got, err := b.weighed(ctx, o.duration(), func() (sample, error) {
				s := measure(ctx, m.callers, o.duration(), m.op)
				return s, s.check(m.name)
			})
			if err != nil {
				return nil, err
			}
			taken[m.name] = append(taken[m.name], got)
			progress(round, m.name, got)
		}
	}
	return taken, nil
}

const sqlMeter = `
select pg_current_wal_insert_lsn() - '0/0'::pg_lsn, w.wal_fpi, d.blks_read
from pg_stat_wal w, pg_stat_database d where d.datname = current_database()`

// weighed adds to a sample what each thing done took of the write-ahead log and in
// pages; what was done while warming up is estimated from the rate.
func (b *books) weighed(ctx context.Context, d time.Duration, take func() (sample, error)) (sample, error) {
	var before, after [3]float64
	meter := func(at *[3]float64) error { return b.super.QueryRow(ctx, sqlMeter).Scan(&at[0], &at[1], &at[2]) }
	if err := meter(&before); err != nil {
		return sample{}, err
	}
	s, err := take()
	if err != nil {
		return s, err
	}
	if err := meter(&after); err != nil {
		return s, err
	}
	done := float64(s.done) + s.perSecond*warmUp(d).Seconds()
	s.wal, s.images, s.reads = (after[0]-before[0])/done, (after[1]-before[1])/done, (after[2]-before[2])/done
	return s, nil
}

func progress(round int, name string, s sample) {
	fmt.Fprintf(os.Stderr, "round %d  %-60s %8.0f/s  p50 %-10s p99 %s\n", round+1, name, s.perSecond, brief(s.p50), brief(s.p99))
}
