package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/child"
)

// superuser is the role initdb makes; our own roles are made by migrations.
const superuser = "suanpan"

// stopGrace is how long a fast shutdown may take before it becomes a kill.
const stopGrace = 20 * time.Second

// Options says what server is wanted.
type Options struct {
	// DataDir holds the data; made when absent. Under root it may move: see Locate.
	DataDir string
	// Port is where the server listens on 127.0.0.1 with a password; 0 means
	// only a Unix socket, in a folder that only we and the server can enter.
	Port int
	// Settings are written on the command line, e.g. {"fsync": "off"}.
	Settings map[string]string
	// Log receives the server's output; empty means <DataDir>.log.
	Log string
	// DieWithParent ends the server when this process dies (tests want it).
	DieWithParent bool
	// Say tells the user what takes time or is not as asked; nil is silence.
	Say func(format string, args ...any)
}

// Cluster is a data directory with everything known that is needed to run it.
type Cluster struct {
	options  Options
	binaries binaries
	owner    owner
	dir      string // where the data is
	socket   string // the socket's folder; empty with TCP
	password string // empty without TCP
}

// Prepare finds the binaries and makes the data directory, both only when
// needed; it starts nothing that stays.
func Prepare(ctx context.Context, o Options) (*Cluster, error) {
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	found, err := findBinaries(ctx)
	if errors.Is(err, ErrNotInstalled) {
		if err = install(ctx, o.Say); err == nil {
			found, err = findBinaries(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	who, err := findOwner()
	if err != nil {
		return nil, err
	}
	dir, err := Locate(o.DataDir)
	if err != nil {
		return nil, err
	}
	if abs, _ := filepath.Abs(o.DataDir); abs != dir {
		o.Say("PostgreSQL runs as user %s, who cannot reach %s: its data is in %s", who.name, abs, dir)
	}
	if o.Log == "" {
		o.Log = dir + ".log"
	}
	c := &Cluster{options: o, binaries: found, owner: who, dir: dir}
	if o.Port == 0 {
		c.socket = dir + ".sock"
		if len(c.socket) > 80 { // the system's limit for a socket's path is about 100
			return nil, fmt.Errorf("the path %s is too long for a Unix socket: choose a shorter data directory", dir)
		}
	}
	return c, c.init(ctx)
}

// init makes the data directory. A half-made one (no PG_VERSION) is made anew.
func (c *Cluster) init(ctx context.Context) error {
	// The server's user must pass through our folder even if the umask is strict.
	if err := os.MkdirAll(filepath.Dir(c.dir), 0o755); err != nil {
		return fmt.Errorf("cannot make the data directory: %w: choose another place or fix its permissions", err)
	}
	if c.socket != "" {
		if err := c.owner.mkdir(c.socket); err != nil {
			return err
		}
	}
	if err := c.checkVersion(); err == nil {
		return c.readPassword()
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Remove(c.dir); err != nil && !errors.Is(err, os.ErrNotExist) { // only an empty one goes
		return fmt.Errorf("%s is not a PostgreSQL data directory and not empty: choose another place", c.dir)
	}
	return c.initdb(ctx)
}

func (c *Cluster) checkVersion() error {
	content, err := os.ReadFile(filepath.Join(c.dir, "PG_VERSION"))
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || version != c.binaries.version {
		return fmt.Errorf("%s was made by PostgreSQL %s but PostgreSQL %d is installed: install the old version, "+
			"or remove the directory to begin anew", c.dir, strings.TrimSpace(string(content)), c.binaries.version)
	}
	return nil
}

// initdb works beside the final place and moves the result there, so that a
// crash in the middle leaves no directory that looks complete.
func (c *Cluster) initdb(ctx context.Context) error {
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	password := hex.EncodeToString(secret)
	making := c.dir + ".making"
	if err := os.RemoveAll(making); err != nil {
		return err
	}
	if err := c.owner.mkdir(making); err != nil {
		return fmt.Errorf("cannot make the data directory: %w", err)
	}
	secretFile := making + ".password"
	if err := c.owner.writeSecret(secretFile, password); err != nil {
		return err
	}
	defer os.Remove(secretFile)
	cmd := exec.CommandContext(ctx, c.binaries.path("initdb"), "-D", making, "-U", superuser,
		"--pwfile="+secretFile, "--encoding=UTF8", "--locale=C",
		"--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync")
	cmd.Dir = "/"
	cmd.SysProcAttr = c.owner.attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb failed (%w): %s", err, lastLine(string(out)))
	}
	file := filepath.Join(making, passwordFile)
	if err := c.owner.writeSecret(file, password); err != nil {
		return err
	}
	if err := os.Rename(making, c.dir); err != nil {
		return err
	}
	return c.readPassword()
}

const passwordFile = "suanpan.password"

func (c *Cluster) readPassword() error {
	content, err := os.ReadFile(filepath.Join(c.dir, passwordFile))
	if err != nil {
		return fmt.Errorf("%s has no %s, so it was not made by this program: choose another data directory",
			c.dir, passwordFile)
	}
	c.password = string(content)
	return nil
}

// Dir is where the data really is.
func (c *Cluster) Dir() string { return c.dir }

// Log is where the server's output goes.
func (c *Cluster) Log() string { return c.options.Log }

// Command returns the command that runs the server in the foreground. SIGINT
// stops it fast: it ends the connections and keeps everything committed.
func (c *Cluster) Command() (cmd *exec.Cmd, stop os.Signal) {
	args := []string{"-D", c.dir}
	if c.socket != "" {
		args = append(args, "-c", "listen_addresses=", "-c", "unix_socket_directories="+c.socket)
	} else {
		args = append(args, "-p", strconv.Itoa(c.options.Port),
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
	}
	names := make([]string, 0, len(c.options.Settings))
	for name := range c.options.Settings {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		args = append(args, "-c", name+"="+c.options.Settings[name])
	}
	cmd = exec.Command(c.binaries.path("postgres"), args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = c.owner.attributes()
	return cmd, syscall.SIGINT
}

// URL is where a database of this server is reached, as its superuser.
func (c *Cluster) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database}
	if c.socket != "" {
		u.RawQuery = url.Values{"host": {c.socket}}.Encode()
		return u.String()
	}
	u.User = url.UserPassword(superuser, c.password)
	u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(c.options.Port))
	u.RawQuery = "sslmode=disable"
	return u.String()
}

// Ready returns nil once the server answers a query, and the reason why not.
func (c *Cluster) Ready(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return conn.Ping(ctx)
}

// CreateDatabase makes a database unless it is there.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	err = conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&there)
	if err != nil {
		return err
	}
	if there {
		return nil
	}
	_, err = conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize())
	return err
}

// Running returns the identity of the server that runs on this data directory
// already, started by whomever.
func (c *Cluster) Running() (child.Identity, bool) {
	content, err := os.ReadFile(filepath.Join(c.dir, "postmaster.pid"))
	if err != nil {
		return child.Identity{}, false
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return child.Identity{}, false
	}
	id, ok := child.Identify(pid)
	if !ok || filepath.Base(id.Command) != "postgres" {
		return child.Identity{}, false // stale: the pid is somebody else's now
	}
	return id, true
}

// Server is a running server.
type Server struct {
	*Cluster
	process *child.Process
	// Adopted says that it ran already; Stop stops it all the same.
	Adopted bool
}

// Start runs the server, or adopts the one running on its data directory, and
// returns when it answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	cluster, err := Prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	cmd, stop := cluster.Command()
	s := &Server{Cluster: cluster}
	if id, ok := cluster.Running(); ok {
		s.process, s.Adopted = child.Adopt(id, stop)
	}
	if s.process == nil {
		s.process, err = child.Start(child.Options{Cmd: cmd, Log: cluster.Log(), StopSignal: stop,
			DieWithParent: o.DieWithParent})
		if err != nil {
			return nil, fmt.Errorf("cannot start PostgreSQL: %w", err)
		}
	}
	if err := s.waitReady(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := s.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.Done():
			return fmt.Errorf("PostgreSQL ended at once: %s (see %s)", tailOf(s.Log()), s.Log())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w (see %s)", err, s.Log())
		case <-ticker.C:
		}
	}
}

func tailOf(file string) string {
	content, _ := os.ReadFile(file)
	return lastLine(string(content))
}

// Done is closed when the server has ended.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Stop ends the server with a fast shutdown; it does nothing the second time.
func (s *Server) Stop() error { return s.process.Stop(stopGrace) }
