// Command worker runs the workflows, their activities, the sweeps and the webhook
// dispatcher. Any number may run; docs/configuration.md lists its variables.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/failpoint"
)

func main() { os.Exit(run()) }

func run() int {
	cfg, err := config.LoadWorker(os.Environ())
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx = failpoint.Load(ctx, os.Environ())
	if err := app.RunWorker(ctx, cfg, app.NewLogger(os.Stderr, cfg.Core)); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	return 0
}
