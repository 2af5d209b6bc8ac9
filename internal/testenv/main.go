// Command testenv gives a test command one PostgreSQL and one Temporal server:
//
//	go run ./internal/testenv -- go test ./...
//
// It exports SUANPAN_TEST_DATABASE_URL and SUANPAN_TEST_TEMPORAL_ADDRESS, runs
// the command, stops both servers and passes on the exit code. A server whose
// variable is set already is used and not started.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/internal/temporaltest"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(command []string) int {
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "usage: go run ./internal/testenv -- command [arguments]")
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	began := time.Now()
	stop, err := startServers(ctx)
	defer stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		return 1
	}
	fmt.Printf("PostgreSQL and Temporal for the tests are up after %s\n", time.Since(began).Round(100*time.Millisecond))
	return runCommand(ctx, command)
}

// startServers starts what is not given. stop is never nil.
func startServers(ctx context.Context) (stop func(), err error) {
	var removes []func()
	stop = func() {
		for i := len(removes) - 1; i >= 0; i-- {
			removes[i]()
		}
	}
	if os.Getenv(pgtest.URLVariable) == "" {
		server, remove, err := pgtest.StartServer(ctx)
		if err != nil {
			return stop, err
		}
		removes = append(removes, remove)
		if err := os.Setenv(pgtest.URLVariable, server.URL("postgres")); err != nil {
			return stop, err
		}
	}
	if os.Getenv(temporaltest.AddressVariable) == "" {
		server, remove, err := temporaltest.StartServer(ctx)
		if err != nil {
			return stop, err
		}
		removes = append(removes, remove)
		if err := os.Setenv(temporaltest.AddressVariable, server.Address()); err != nil {
			return stop, err
		}
	}
	return stop, nil
}

// runCommand passes our signals on to the command and waits for it to end.
func runCommand(ctx context.Context, command []string) int {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode()
	default:
		fmt.Fprintln(os.Stderr, "testenv:", err)
		return 1
	}
}
