package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The reference: TPC-B as pgbench knows it, prepared, 8 clients, 2 threads.
const (
	referenceClients = 8
	referenceThreads = 2
)

// reference is a database that pgbench has filled.
type reference struct {
	program, url string
}

// findPgbench looks on PATH and in Debian's versioned folders.
func findPgbench() (string, error) {
	if found, err := exec.LookPath("pgbench"); err == nil {
		return found, nil
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/pgbench", "/usr/pgsql-*/bin/pgbench"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 { // the only error is a bad pattern
			slices.Sort(found)
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("pgbench was not found: it comes with PostgreSQL's server or contrib package")
}

func newReference(ctx context.Context, s *server, scale int) (*reference, error) {
	program, err := findPgbench()
	if err != nil {
		return nil, err
	}
	at, err := s.database(ctx, "bench_reference")
	if err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, program, "-i", "-q", "-s", strconv.Itoa(scale), at).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("pgbench -i: %w: %s", err, out)
	}
	return &reference{program, at}, nil
}

// measure runs the reference for d after a warm-up. Its percentiles come from
// pgbench's log of transactions.
func (r *reference) measure(ctx context.Context, d time.Duration) (sample, error) {
	dir, err := os.MkdirTemp("", "suanpan-pgbench-")
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	if _, err := r.run(ctx, dir, warmUp(d)); err != nil {
		return sample{}, err
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return sample{}, err
	}
	for _, log := range logs {
		if err := os.Remove(log); err != nil {
			return sample{}, err
		}
	}
	out, err := r.run(ctx, dir, d)
	if err != nil {
		return sample{}, err
	}
	found := regexp.MustCompile(`tps = ([0-9.]+)`).FindStringSubmatch(out)
	if found == nil {
		return sample{}, fmt.Errorf("pgbench said no tps: %s", out)
	}
	s, err := readLog(dir)
	if err != nil {
		return s, err
	}
	s.perSecond, err = strconv.ParseFloat(found[1], 64)
	return s, err
}

func (r *reference) run(ctx context.Context, dir string, d time.Duration) (string, error) {
	cmd := exec.CommandContext(ctx, r.program, "-n", "-M", "prepared", "-c", strconv.Itoa(referenceClients),
		"-j", strconv.Itoa(referenceThreads), "-T", strconv.Itoa(max(1, int(d.Seconds()))),
		"-l", "--log-prefix", filepath.Join(dir, "log"), r.url)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("pgbench: %w: %s", err, out)
	}
	return string(out), nil
}

// readLog reads the third column of pgbench's logs: microseconds of a transaction.
func readLog(dir string) (sample, error) {
	logs, err := filepath.Glob(filepath.Join(dir, "log*"))
	if err != nil {
		return sample{}, err
	}
	var all []time.Duration
	for _, log := range logs {
		content, err := os.ReadFile(log)
		if err != nil {
			return sample{}, err
		}
		for line := range strings.Lines(string(content)) {
			if fields := strings.Fields(line); len(fields) > 2 {
				micros, err := strconv.Atoi(fields[2])
				if err != nil {
					return sample{}, fmt.Errorf("pgbench's log: %w", err)
				}
				all = append(all, time.Duration(micros)*time.Microsecond)
			}
		}
	}
	if len(all) == 0 {
		return sample{}, fmt.Errorf("pgbench logged nothing in %s", dir)
	}
	slices.Sort(all)
	return sample{done: len(all), p50: all[len(all)/2], p99: all[len(all)*99/100]}, nil
}
