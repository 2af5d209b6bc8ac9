// Command sandbox stands in for Alipay and WeChat Pay on this machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/sandbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

type options struct {
	listen, data, publicURL string
	timeScale               int
}

func parse(arguments []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8900", "loopback address to listen on")
	flags.StringVar(&o.data, "data", "", "directory of the journal and the keys (required)")
	flags.StringVar(&o.publicURL, "public-url", "", "base of the addresses in QR codes; default http://<listen>")
	flags.IntVar(&o.timeScale, "time-scale", 1, "divides the waits between notifications and the delay of refunds")
	if err := flags.Parse(arguments); err != nil {
		return options{}, err
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.data == "":
		return options{}, errors.New("--data is missing: name a directory for the journal")
	case o.timeScale < 1:
		return options{}, errors.New("--time-scale must be at least 1")
	}
	return o, nil
}

func run(ctx context.Context, arguments []string, stderr io.Writer) error {
	o, err := parse(arguments, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	if address, ok := listener.Addr().(*net.TCPAddr); !ok || !address.IP.IsLoopback() {
		return fmt.Errorf("--listen %s is not a loopback address: whoever reaches the sandbox can move its money and clock", o.listen)
	}
	if o.publicURL == "" {
		o.publicURL = "http://" + listener.Addr().String()
	}
	server, err := sandbox.Open(sandbox.Config{DataDir: o.data, PublicURL: strings.TrimRight(o.publicURL, "/"), TimeScale: o.timeScale})
	if err != nil {
		return err
	}
	slog.New(slog.NewTextHandler(stderr, nil)).Info("sandbox is ready",
		"listen", listener.Addr().String(), "data", o.data, "public_url", o.publicURL, "time_scale", o.timeScale)
	return errors.Join(serve(ctx, server, listener), server.Close())
}

// serve answers until ctx ends, then lets the requests under way finish.
func serve(ctx context.Context, server *sandbox.Server, listener net.Listener) error {
	httpServer := &http.Server{
		Handler:           server.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	duties, stopDuties := context.WithCancel(ctx)
	defer stopDuties()
	var running sync.WaitGroup
	running.Go(func() { server.Run(duties) })
	ended := make(chan error, 1)
	go func() { ended <- httpServer.Serve(listener) }()
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-ended:
	}
	stopDuties()
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	failed = errors.Join(failed, httpServer.Shutdown(grace))
	running.Wait()
	return failed
}
