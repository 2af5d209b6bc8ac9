package temporalserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/internal/child"
	"github.com/suanpan/suanpan/internal/freeport"
	"github.com/suanpan/suanpan/internal/temporaldev"
)

// Programs is a folder with temporal-server and temporal-sql-tool under these
// names, as the images of an installation have them.
type Programs struct{ dir string }

// Link builds the programs unless the user's cache has them, and links them in
// dir. tools is the folder tools of a checkout.
func Link(ctx context.Context, tools, dir string, say func(string, ...any)) (Programs, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Programs{}, err
	}
	for _, program := range []temporaldev.Program{temporaldev.FullServer(), temporaldev.SQLTool()} {
		path, err := temporaldev.Binary{Program: program, Tools: tools, Say: say}.Ensure(ctx)
		if err != nil {
			return Programs{}, err
		}
		if err := os.Symlink(path, filepath.Join(dir, program.Name)); err != nil && !errors.Is(err, os.ErrExist) {
			return Programs{}, err
		}
	}
	return Programs{dir: dir}, nil
}

// Schema runs the installation's own script, which makes both databases and
// brings their schemas to the server's version. environ says where PostgreSQL
// is, in the SQL tool's variables. Idempotent.
func (p Programs) Schema(ctx context.Context, shell, script string, environ []string) error {
	cmd := exec.CommandContext(ctx, shell, script)
	cmd.Env = append(append([]string{}, environ...), "PATH="+p.dir+":/usr/bin:/bin")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("temporal schema: %w: %s", err, Tail(string(out)))
	}
	return nil
}

// Ports are the server's, all on 127.0.0.1. They stay below 32768: the server
// keeps its members' ports in a column for small integers.
type Ports struct {
	Frontend, FrontendHTTP, FrontendMember int
	History, HistoryMember                 int
	Matching, MatchingMember               int
	Worker, WorkerMember                   int
}

// ReservePorts finds ports that are this process's own until it ends.
func ReservePorts() (Ports, error) {
	var p Ports
	for _, port := range []*int{&p.Frontend, &p.FrontendHTTP, &p.FrontendMember, &p.History, &p.HistoryMember,
		&p.Matching, &p.MatchingMember, &p.Worker, &p.WorkerMember} {
		var err error
		if *port, err = freeport.Reserve(); err != nil {
			return Ports{}, err
		}
	}
	return p, nil
}

func (p Ports) environ() []string {
	var lines []string
	for name, port := range map[string]int{
		"FRONTEND_GRPC_PORT": p.Frontend, "FRONTEND_HTTP_PORT": p.FrontendHTTP, "FRONTEND_MEMBERSHIP_PORT": p.FrontendMember,
		"HISTORY_GRPC_PORT": p.History, "HISTORY_MEMBERSHIP_PORT": p.HistoryMember,
		"MATCHING_GRPC_PORT": p.Matching, "MATCHING_MEMBERSHIP_PORT": p.MatchingMember,
		"WORKER_GRPC_PORT": p.Worker, "WORKER_MEMBERSHIP_PORT": p.WorkerMember,
	} {
		lines = append(lines, name+"="+strconv.Itoa(port))
	}
	return lines
}

// Options says what server is wanted.
type Options struct {
	Programs Programs
	Ports    Ports
	// Environ are the server's own variables without those of the ports.
	Environ []string
	// DynamicConfig is the file of the dynamic configuration.
	DynamicConfig string
	// Log receives the server's output.
	Log string
}

// Launch is a server ready to be run on a database that has the schema.
type Launch struct{ options Options }

// Prepare checks the dynamic configuration; it starts nothing that stays.
func Prepare(ctx context.Context, o Options) (*Launch, error) {
	l := &Launch{options: o}
	check := exec.CommandContext(ctx, l.program(), "validate-dynamic-config", o.DynamicConfig)
	if out, err := check.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", o.DynamicConfig, err, Tail(string(out)))
	}
	return l, nil
}

func (l *Launch) program() string { return filepath.Join(l.options.Programs.dir, "temporal-server") }

// Address is where the server serves gRPC.
func (l *Launch) Address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(l.options.Ports.Frontend))
}

// Command returns the command that runs the server in the foreground.
func (l *Launch) Command() (cmd *exec.Cmd, stop os.Signal) {
	cmd = exec.Command(l.program(), "--allow-no-auth", "start")
	cmd.Env = append(append([]string{}, l.options.Environ...), l.options.Ports.environ()...)
	cmd.Env = append(cmd.Env, "DYNAMIC_CONFIG_FILE_PATH="+l.options.DynamicConfig)
	return cmd, syscall.SIGTERM
}

// Ready returns nil once the server answers, and the reason why not.
func (l *Launch) Ready(ctx context.Context) error { return temporaldev.Reachable(ctx, l.Address()) }

// startPatience is how long the server may take to answer for the first time.
const startPatience = 2 * time.Minute

// Start runs the server, which ends with this process, and returns when it answers.
func (l *Launch) Start(ctx context.Context) (*child.Process, error) {
	cmd, stop := l.Command()
	process, err := child.Start(child.Options{Cmd: cmd, Log: l.options.Log, StopSignal: stop, DieWithParent: true})
	if err != nil {
		return nil, fmt.Errorf("temporal: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		err := l.Ready(bounded)
		if err == nil {
			return process, nil
		}
		select {
		case <-process.Done():
			return nil, fmt.Errorf("temporal ended: %s", l.lastWords())
		case <-bounded.Done():
			return nil, errors.Join(fmt.Errorf("temporal does not answer: %w: %s", err, l.lastWords()), process.Stop(time.Second))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (l *Launch) lastWords() string {
	content, _ := os.ReadFile(l.options.Log)
	return Tail(string(content))
}

// Tail is the end of a program's output, where failures say why; long lines are cut.
func Tail(text string) string {
	const lines, letters = 5, 400
	all := strings.Split(strings.TrimSpace(text), "\n")
	all = all[max(0, len(all)-lines):]
	for i, line := range all {
		all[i] = line[:min(len(line), letters)]
	}
	return strings.Join(all, "\n")
}
