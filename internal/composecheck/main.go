package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const composeFile = "docker-compose.temporal.yml"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "composecheck:", err)
		stop()
		os.Exit(1)
	}
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func run(ctx context.Context) error {
	content, err := os.ReadFile(composeFile)
	if err != nil {
		return err
	}
	file, err := parse(content)
	if err != nil {
		return fmt.Errorf("%s: %w", composeFile, err)
	}
	if err := file.check(); err != nil {
		return fmt.Errorf("%s: %w", composeFile, err)
	}
	say("%s: %d services; every SUANPAN_ variable is known and sufficient", composeFile, len(file.Services))
	return runServices(ctx, file)
}
