package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// process is what a command may use of the operating system.
type process struct {
	environ []string
	stdout  io.Writer
	stderr  io.Writer
}

func main() { os.Exit(run()) }

func run() int {
	// The first signal asks commands to finish; a second one ends the program.
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer restore()
	context.AfterFunc(ctx, restore)

	p := process{environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr}
	if err := rootCommand(p).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "starter:", err)
		return 1
	}
	return 0
}
