package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	only   string
	share  int
	seed   uint64
	places bool
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "the name of one bug")
	flag.IntVar(&o.share, "share", 1, "try one bug in so many, drawn by the seed")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "draws the share")
	flag.BoolVar(&o.places, "places", false, "only look whether every bug still has its place in the code")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "seededbugs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	all := bugs()
	if err := wellFormed(all); err != nil {
		return err
	}
	fmt.Printf("%d seeded bugs have their place in the code\n", len(all))
	if o.places {
		return nil
	}
	drawn, err := draw(all, o)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "suanpan-bugs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := guardsPass(ctx, drawn); err != nil {
		return err
	}
	missed := 0
	for _, b := range drawn {
		err := b.caught(ctx, dir)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			missed++
			fmt.Printf("  MISSED  %-34s %v\n", b.name, err)
			continue
		}
		fmt.Printf("  caught  %-34s by %s\n", b.name, b.test)
	}
	fmt.Printf("%d of %d caught (seed %d, of %d in the list)\n", len(drawn)-missed, len(drawn), o.seed, len(all))
	if missed > 0 {
		return fmt.Errorf("%d of %d seeded bugs were not caught", missed, len(drawn))
	}
	return nil
}

// wellFormed demands that names are unique and that every bug has its place.
func wellFormed(all []bug) error {
	seen := map[string]bool{}
	for _, b := range all {
		if seen[b.name] {
			return fmt.Errorf("two bugs have the name %s", b.name)
		}
		seen[b.name] = true
		if _, err := b.changed(); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return nil
}

func draw(all []bug, o options) ([]bug, error) {
	if o.only != "" {
		for _, b := range all {
			if b.name == o.only {
				return []bug{b}, nil
			}
		}
		return nil, fmt.Errorf("-only: there is no bug with the name %s", o.only)
	}
	if o.share < 1 {
		return nil, fmt.Errorf("-share is at least 1, not %d", o.share)
	}
	random := rand.New(rand.NewPCG(o.seed, o.seed))
	var drawn []bug
	for i, at := range random.Perm(len(all)) {
		if i%o.share == 0 {
			drawn = append(drawn, all[at])
		}
	}
	return drawn, nil
}
