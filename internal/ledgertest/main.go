// Command ledgertest kills a process that posts to the ledger, and PostgreSQL
// under it, with SIGKILL at random moments, and then looks whether every posting
// that was acknowledged is in the books once and none is there by half.
//
// It brings up a PostgreSQL of its own, with the settings of production, and
// removes it when all is right.
//
// Usage: ledgertest [-data DIR] [-kills N] [-seed N] [-workers N]
//
// It may not be imported; it is run by hand and, at smoke size, by continuous
// integration. The model test and the races of the ledger are tests of package
// ledger.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/postgres"
)

type options struct {
	data    string
	kills   int
	seed    uint64
	workers int
	// The client's own.
	client             bool
	url, tenant, round string
}

func main() {
	var o options
	flag.StringVar(&o.data, "data", ".data/ledgertest", "folder of the server it brings up and removes")
	flag.IntVar(&o.kills, "kills", 50, "how many processes are killed")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "decides what is killed when")
	flag.IntVar(&o.workers, "workers", 6, "goroutines that post")
	flag.BoolVar(&o.client, "client", false, "be the process that posts (used by itself)")
	flag.StringVar(&o.url, "url", "", "the client's database")
	flag.StringVar(&o.tenant, "tenant", "", "the client's tenant")
	flag.StringVar(&o.round, "round", "", "the client's prefix of numbers")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := crash
	if o.client {
		run = post
	}
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "ledgertest:", err)
		os.Exit(1)
	}
}

// crash runs the kills and judges.
func crash(ctx context.Context, o options) error {
	fmt.Printf("seed %d, %d kills\n", o.seed, o.kills)
	if err := os.RemoveAll(o.data); err != nil {
		return err
	}
	w := &world{options: o, random: rand.New(rand.NewPCG(o.seed, o.seed))}
	if err := w.begin(ctx); err != nil {
		return errors.Join(err, w.end())
	}
	began := time.Now()
	for w.killed() < o.kills {
		if err := w.round(ctx); err != nil {
			return errors.Join(err, w.end()) // the data stays: it is evidence
		}
	}
	judged, err := w.judge(ctx)
	if err = errors.Join(err, w.end()); err != nil {
		return err
	}
	fmt.Printf("%d kills of the client, %d of PostgreSQL in %s\n", w.clients, w.servers, time.Since(began).Round(time.Second))
	fmt.Println(judged)
	return errors.Join(os.RemoveAll(o.data), os.RemoveAll(w.dir))
}

// world is the server, and what was done to it.
type world struct {
	options
	random           *rand.Rand
	server           *postgres.Server
	dir              string // where the server's data is
	rounds           int
	clients, servers int // killed
}

func (w *world) killed() int { return w.clients + w.servers }

// start runs PostgreSQL as production does: nothing about durability is set.
func (w *world) start(ctx context.Context) (err error) {
	w.server, err = postgres.Start(ctx, postgres.Options{DataDir: filepath.Join(w.data, "pg"), DieWithParent: true,
		Say: func(format string, args ...any) { fmt.Printf(format+"\n", args...) }})
	if err == nil {
		w.dir = w.server.Dir()
	}
	return err
}

func (w *world) begin(ctx context.Context) error {
	if err := w.start(ctx); err != nil {
		return err
	}
	if err := w.server.CreateDatabase(ctx, "suanpan"); err != nil {
		return err
	}
	w.url = w.server.URL("suanpan")
	if _, _, err := app.Migrate(ctx, w.url); err != nil {
		return err
	}
	return w.settle(ctx)
}

func (w *world) end() error {
	if w.server == nil {
		return nil
	}
	return w.server.Stop()
}

// round lets a client post, kills it or the server under it, and in the second
// case lets it go on, with the same numbers, once the server is back.
func (w *world) round(ctx context.Context) error {
	w.rounds++
	self, err := os.Executable()
	if err != nil {
		return err
	}
	client := exec.Command(self, "-client", "-data", w.data, "-url", w.url, "-tenant", w.tenant,
		"-workers", fmt.Sprint(w.workers), "-round", fmt.Sprintf("r%d", w.rounds))
	client.Stdout, client.Stderr = os.Stdout, os.Stderr
	before := w.journalled()
	if err := client.Start(); err != nil {
		return err
	}
	err = w.posting(ctx, before)
	if err == nil && w.random.IntN(2) == 0 {
		before = w.journalled()
		if err = w.killServer(ctx); err == nil {
			err = w.posting(ctx, before)
		}
	}
	if err != nil {
		return errors.Join(err, client.Process.Kill())
	}
	if err := client.Process.Kill(); err != nil {
		return fmt.Errorf("the client ended by itself: %w", err)
	}
	_ = client.Wait() // it was killed
	w.clients++
	if w.rounds%10 == 0 {
		fmt.Printf("  %d kills\n", w.killed())
	}
	return ctx.Err()
}

func (w *world) journalled() int64 {
	info, err := os.Stat(journalOf(w.data))
	if err != nil {
		return 0 // no client has written yet
	}
	return info.Size()
}

// posting waits until the client has been acknowledged something since before,
// and then for a random moment while it goes on.
func (w *world) posting(ctx context.Context, before int64) error {
	deadline := time.Now().Add(time.Minute)
	for w.journalled() == before {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.New("the client does not get anything acknowledged")
		}
		pause(ctx, w.random, 5, 10)
	}
	pause(ctx, w.random, 10, 900)
	return nil
}

// killServer kills the postmaster; its children notice and end. A new one waits
// until they have.
func (w *world) killServer(ctx context.Context) error {
	id, ok := w.server.Running()
	if !ok {
		return errors.New("PostgreSQL does not run")
	}
	if err := syscall.Kill(id.PID, syscall.SIGKILL); err != nil {
		return err
	}
	w.servers++
	<-w.server.Done()
	var err error
	for range 40 {
		if err = w.start(ctx); err == nil {
			return nil
		}
		pause(ctx, w.random, 200, 300)
	}
	return err
}

// pause waits for a random time between two bounds in milliseconds.
func pause(ctx context.Context, random *rand.Rand, from, to int) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(from+random.IntN(to-from)) * time.Millisecond):
	}
}
