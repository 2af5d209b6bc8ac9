package temporaldev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/suanpan/suanpan/internal/child"
)

// stopGrace is how long the server may take to end before it is killed.
const stopGrace = 15 * time.Second

// SearchAttributes are those our workflows set; all of type Keyword.
func SearchAttributes() []string {
	return []string{"SuanpanBusinessId", "SuanpanChannel", "SuanpanMerchant", "SuanpanTenant"}
}

// Options says what server is wanted.
type Options struct {
	Binary Binary
	// File keeps workflows across restarts; empty keeps them in memory.
	File string
	// Port serves gRPC on 127.0.0.1.
	Port int
	// Namespace is made when the server starts.
	Namespace string
	// Settings are Temporal's dynamic configuration; values are JSON.
	Settings map[string]string
	// Log receives the server's output.
	Log string
	// DieWithParent ends the server when this process dies (tests want it).
	DieWithParent bool
}

// Launch is a server ready to be run.
type Launch struct {
	options Options
	binary  string
}

// Prepare finds or builds the CLI; it starts nothing that stays.
func Prepare(ctx context.Context, o Options) (*Launch, error) {
	binary, err := o.Binary.Ensure(ctx)
	if err != nil {
		return nil, err
	}
	if o.File != "" {
		if err := os.MkdirAll(filepath.Dir(o.File), 0o755); err != nil {
			return nil, fmt.Errorf("cannot make the folder for Temporal's data: %w", err)
		}
	}
	return &Launch{options: o, binary: binary}, nil
}

// Binary is the path of the CLI, which is also the operator's tool.
func (l *Launch) Binary() string { return l.binary }

// Address is where the server serves gRPC.
func (l *Launch) Address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(l.options.Port))
}

// Command returns the command that runs the server in the foreground. The
// user's own Temporal profile must not change what is started, so it is off.
func (l *Launch) Command() (cmd *exec.Cmd, stop os.Signal) {
	o := l.options
	args := []string{"server", "start-dev", "--disable-config-env", "--disable-config-file", "--log-format", "json",
		"--ip", "127.0.0.1", "--port", strconv.Itoa(o.Port), "--namespace", o.Namespace, "--headless"}
	if o.File != "" {
		args = append(args, "--db-filename", o.File)
	}
	for _, name := range SearchAttributes() {
		args = append(args, "--search-attribute", name+"=Keyword")
	}
	keys := make([]string, 0, len(o.Settings))
	for key := range o.Settings {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		args = append(args, "--dynamic-config-value", key+"="+o.Settings[key])
	}
	return exec.Command(l.binary, args...), syscall.SIGTERM
}

// Ready returns nil once the namespace and the search attributes can be used,
// and the reason why not.
func (l *Launch) Ready(ctx context.Context) error {
	return Ready(ctx, l.Address(), l.options.Namespace)
}

// Ready asks any Temporal server whether namespace and our search attributes
// can be used there.
func Ready(ctx context.Context, address, namespace string) error {
	c, err := client.DialContext(ctx, client.Options{HostPort: address, Namespace: namespace, Logger: Quiet()})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.WorkflowService().DescribeNamespace(ctx,
		&workflowservice.DescribeNamespaceRequest{Namespace: namespace}); err != nil {
		return err
	}
	found, err := c.OperatorService().ListSearchAttributes(ctx,
		&operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	for _, name := range SearchAttributes() {
		if _, ok := found.GetCustomAttributes()[name]; !ok {
			return fmt.Errorf("search attribute %s is not registered in namespace %s", name, namespace)
		}
	}
	return nil
}

// Reachable returns nil when a Temporal server answers at address.
func Reachable(ctx context.Context, address string) error {
	c, err := client.DialContext(ctx, client.Options{HostPort: address, Logger: Quiet()})
	if err != nil {
		return err
	}
	c.Close()
	return nil
}

// Quiet is a logger for SDK clients whose failures are told by their errors.
func Quiet() log.Logger {
	return log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// Server is a running server.
type Server struct {
	*Launch
	process *child.Process
}

// Start runs the server and returns when it answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	launch, err := Prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	cmd, stop := launch.Command()
	process, err := child.Start(child.Options{Cmd: cmd, Log: o.Log, StopSignal: stop, DieWithParent: o.DieWithParent})
	if err != nil {
		return nil, fmt.Errorf("cannot start the Temporal server: %w", err)
	}
	s := &Server{Launch: launch, process: process}
	if err := s.waitReady(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := s.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.Done():
			return fmt.Errorf("the Temporal server ended at once: %s", lastLine(s.options.Log))
		case <-ctx.Done():
			return fmt.Errorf("the Temporal server does not answer: %w (see %s)", err, s.options.Log)
		case <-ticker.C:
		}
	}
}

func lastLine(file string) string {
	content, _ := os.ReadFile(file)
	text := strings.TrimSpace(string(content))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// Done is closed when the server has ended.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Stop ends the server; it does nothing the second time.
func (s *Server) Stop() error { return s.process.Stop(stopGrace) }
