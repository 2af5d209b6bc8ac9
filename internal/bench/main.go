package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the command's flags.
type options struct {
	smoke    bool
	rounds   int
	seconds  int
	scale    int
	accounts int
	callers  []int
	conns    int
	only     string
	parts    string
	growth   int
	url      string
	appendTo string
	serve    string
	traced   bool
	traces   string
	fillOnly bool
	charts   string
}

func main() {
	o, err := readFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		work := run
		if o.serve != "" {
			work = serve
		}
		err = work(ctx, o)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func readFlags(args []string) (options, error) {
	var o options
	var callers string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.BoolVar(&o.smoke, "smoke", false, "seconds instead of minutes: shows that everything runs, its numbers mean nothing")
	f.IntVar(&o.rounds, "rounds", 5, "how often each measurement is taken, alternating")
	f.IntVar(&o.seconds, "seconds", 5, "length of one measurement, after a second of warming up")
	f.IntVar(&o.scale, "scale", 50, "pgbench's scale: a hundred thousand of its accounts each")
	f.IntVar(&o.accounts, "accounts", 10_000, "merchants with money, among whom the transfers are uniform")
	f.StringVar(&callers, "callers", "8,32,64", "numbers of concurrent callers of Post")
	f.IntVar(&o.conns, "conns", 16, "connections of each of the two pools, as SUANPAN_DATABASE_MAX_CONNS")
	f.StringVar(&o.only, "only", "", "of the throughput only rows whose name contains one of these words, comma separated; "+
		"of growth only these of reading, posting, verify")
	f.StringVar(&o.parts, "parts", "throughput,ladder,ablation,growth", "what to measure")
	f.IntVar(&o.growth, "growth", 0, "measure growth too, with this many postings present at the end (the full run: 10000000)")
	f.StringVar(&o.url, "url", "", "a running server's superuser URL, to use instead of one of our own; databases bench_* in it are replaced")
	f.StringVar(&o.appendTo, "append", "", "a file to append the report to")
	f.BoolVar(&o.fillOnly, "fill-only", false, "with -url and -growth: only make the databases bench_growth_*, which later runs find")
	f.StringVar(&o.charts, "charts", "", "a folder to write the charts to")
	f.BoolVar(&o.traced, "traced", false, "measure POST /v1/transfers at a second API process too, whose requests are all traced")
	f.StringVar(&o.serve, "serve", "", "be the API on this address (used by itself)")
	f.StringVar(&o.traces, "traces", "", "with -serve: send traces to this URL")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.smoke {
		o.rounds, o.seconds, o.scale, o.accounts, callers = 1, 1, 1, 500, "8"
		o.growth = 20_000
	}
	for _, part := range strings.Split(callers, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > 1000 {
			return o, fmt.Errorf("-callers: %q is not a number of callers", part)
		}
		o.callers = append(o.callers, n)
	}
	if o.rounds < 1 || o.seconds < 1 || o.scale < 1 || o.accounts < 10 {
		return o, errors.New("-rounds, -seconds and -scale are at least 1, -accounts at least 10")
	}
	return o, nil
}

func (o options) duration() time.Duration {
	if o.smoke {
		return 200 * time.Millisecond
	}
	return time.Duration(o.seconds) * time.Second
}

func (o options) part(name string) bool { return slices.Contains(strings.Split(o.parts, ","), name) }

// wants reports whether -only lets a measurement through.
func (o options) wants(name string) bool {
	if o.only == "" {
		return true
	}
	for _, word := range strings.Split(o.only, ",") {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

func run(ctx context.Context, o options) (err error) {
	if o.charts != "" { // now: half an hour later would be late to learn that it cannot be made
		if err := os.MkdirAll(o.charts, 0o755); err != nil {
			return fmt.Errorf("-charts: %w", err)
		}
	}
	server, err := startServer(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	r := newReport(o)
	if err := server.describe(ctx, r); err != nil {
		return err
	}
	if !o.fillOnly && (o.part("throughput") || o.part("ladder")) {
		if err := throughput(ctx, o, server, r); err != nil {
			return err
		}
	}
	if !o.fillOnly && o.part("ablation") {
		if err := ablation(ctx, o, server, r); err != nil {
			return err
		}
	}
	if o.growth > 0 && o.part("growth") {
		if err := growth(ctx, o, server, r); err != nil {
			return err
		}
	}
	return r.finish()
}
