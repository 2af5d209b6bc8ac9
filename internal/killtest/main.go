// Command killtest runs the demo on a development stack of its own and kills one
// part of the stack with SIGKILL in the middle of each run: a worker, an API, the
// Temporal server, PostgreSQL, the sandbox, and at last all of them at once. Each
// demo must still end right, which includes that the providers' own books equal
// ours, and `starter verify --deep` must find the books sound.
//
// With -rolling it restarts the APIs and the workers with SIGTERM instead, as a
// deployment does, under load: no tenant's call may fail more than once. With
// -old-worker a worker of another build works beside them on the same task queues.
//
// Usage: killtest [-starter PATH] [-data DIR] [-port-base N] [-seed N] [-rounds N | -rolling N [-old-worker PATH]] [-keep]
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

type options struct {
	starter, data string
	portBase      int
	seed          uint64
	rounds        int
	rolling       int
	oldWorker     string
	keep          bool
}

func main() {
	var o options
	flag.StringVar(&o.starter, "starter", "bin/starter", "the starter program")
	flag.StringVar(&o.data, "data", ".data/killtest", "folder of the stack it brings up and removes")
	flag.IntVar(&o.portBase, "port-base", 31000, "first of the stack's ports")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "decides when each part is killed")
	flag.IntVar(&o.rounds, "rounds", 1, "how often every part is killed")
	flag.IntVar(&o.rolling, "rolling", 0, "restart so many times under load instead of killing")
	flag.StringVar(&o.oldWorker, "old-worker", "", "with -rolling: a worker program of another build that runs beside")
	flag.BoolVar(&o.keep, "keep", false, "leave the stack running")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "killtest:", err)
		os.Exit(1)
	}
}

// victims returns what is killed in each demo of a round.
func victims() [][]string {
	return [][]string{
		{"worker-1"}, {"api-1"}, {"temporal"}, {"postgres"}, {"sandbox"},
		{"worker-1", "worker-2", "api-1", "api-2", "temporal", "postgres", "sandbox"},
	}
}

func run(ctx context.Context, o options) (err error) {
	fmt.Printf("seed %d, %d rounds\n", o.seed, o.rounds)
	up := exec.CommandContext(ctx, o.starter, "dev", "--data", o.data, "--port-base", fmt.Sprint(o.portBase), "--detach")
	up.Stdout, up.Stderr = os.Stdout, os.Stderr
	if err := up.Run(); err != nil {
		return fmt.Errorf("bring the stack up: %w", err)
	}
	defer func() {
		if o.keep {
			return
		}
		clean := exec.Command(o.starter, "dev", "clean", "--data", o.data)
		if err != nil {
			clean = exec.Command(o.starter, "dev", "stop", "--data", o.data) // its logs are evidence
		}
		err = errors.Join(err, clean.Run())
	}()
	if o.rolling > 0 {
		return rolling(ctx, o)
	}
	random := rand.New(rand.NewPCG(o.seed, o.seed))
	for range o.rounds {
		for _, names := range victims() {
			// The payments of a demo take some five seconds, the rest as long again.
			delay := time.Duration(200+random.IntN(7800)) * time.Millisecond
			if err := demoWithKill(ctx, o, names, delay); err != nil {
				return fmt.Errorf("kill -9 of %s: %w", strings.Join(names, ", "), err)
			}
		}
	}
	fmt.Printf("every demo ended right: %d kills, 0 lost, 0 doubled\n", o.rounds*len(victims()))
	return nil
}

// demoWithKill runs one demo, kills the named parts delay after the demo's first
// payments began, and demands a right end, a kill that came before it, and sound
// books.
func demoWithKill(ctx context.Context, o options, names []string, delay time.Duration) error {
	began := time.Now()
	demo := exec.CommandContext(ctx, o.starter, "demo", "--data", o.data)
	output, err := demo.StdoutPipe()
	if err != nil {
		return err
	}
	demo.Stderr = demo.Stdout
	if err := demo.Start(); err != nil {
		return err
	}
	var text strings.Builder
	lines := bufio.NewScanner(io.TeeReader(output, &text))
	var hit <-chan error
	for lines.Scan() {
		if hit == nil && strings.Contains(lines.Text(), "previews agree") {
			hit = killAfter(ctx, o.data, names, delay)
		}
	}
	ended := time.Now()
	if err := demo.Wait(); err != nil {
		return fmt.Errorf("the demo ended wrong (%w):\n%s", err, text.String())
	}
	if hit == nil {
		return fmt.Errorf("the demo never began its payments:\n%s", text.String())
	}
	select {
	case err := <-hit:
		if err != nil {
			return err
		}
	default:
		return fmt.Errorf("the demo ended before the kill at %s", delay)
	}
	if err := verify(ctx, o); err != nil {
		return err
	}
	fmt.Printf("  %-66s killed %5s into the payments, the demo ended right after %s, the books are sound\n",
		strings.Join(names, " "), delay.Round(100*time.Millisecond), ended.Sub(began).Round(100*time.Millisecond))
	return nil
}

func killAfter(ctx context.Context, data string, names []string, delay time.Duration) <-chan error {
	hit := make(chan error, 1)
	go func() {
		select {
		case <-ctx.Done():
			hit <- ctx.Err()
			return
		case <-time.After(delay):
		}
		var failed error
		for _, name := range names {
			failed = errors.Join(failed, kill(data, name))
		}
		hit <- failed
	}()
	return hit
}

// kill sends SIGKILL to the part that the stack's state file names.
func kill(data, name string) error {
	p, err := find(data, name)
	if err != nil {
		return err
	}
	return syscall.Kill(p.Process.PID, syscall.SIGKILL)
}

// part is one process of the stack, as its state file says.
type part struct {
	Name, Address string
	Process       struct{ PID int }
}

func find(data, name string) (part, error) {
	text, err := os.ReadFile(filepath.Join(data, "stack.json"))
	if err != nil {
		return part{}, err
	}
	var state struct{ Parts []part }
	if err := json.Unmarshal(text, &state); err != nil {
		return part{}, err
	}
	for _, p := range state.Parts {
		if p.Name == name {
			return p, nil
		}
	}
	return part{}, fmt.Errorf("the stack has no part %q", name)
}

// verify runs `starter verify --deep` on the stack's database.
func verify(ctx context.Context, o options) error {
	text, err := os.ReadFile(filepath.Join(o.data, "stack.json"))
	if err != nil {
		return err
	}
	var state struct {
		Addresses []struct{ What, URL string }
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return err
	}
	check := exec.CommandContext(ctx, o.starter, "verify", "--deep")
	check.Env = []string{"SUANPAN_MASTER_KEY_FILE=" + filepath.Join(o.data, "secrets", "master.key")}
	for _, address := range state.Addresses {
		if address.What == "database" {
			check.Env = append(check.Env, "SUANPAN_DATABASE_URL="+address.URL)
		}
	}
	if out, err := check.CombinedOutput(); err != nil {
		return fmt.Errorf("verify (%w):\n%s", err, out)
	}
	return nil
}
