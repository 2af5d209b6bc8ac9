package temporaldev

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The versions that tools/*/go.mod pin; a test holds them equal.
const (
	CLIVersion    = "v1.5.1"
	WebUIVersion  = "v2.42.1"
	ServerVersion = "v1.32.1"
)

// Program is one of Temporal's own programs, built from a module under tools/.
type Program struct {
	Name    string // what people call it
	Version string
	Module  string // folder under tools/
	Package string // import path of its main
	Flags   string // for the linker
	Takes   string // the first build, on two cores
}

// CLI is the command line tool with the development server.
func CLI() Program {
	return Program{Name: "temporal-cli", Version: CLIVersion, Module: "temporal-cli",
		Package: "github.com/temporalio/cli/cmd/temporal", Takes: "three minutes",
		Flags: "-X github.com/temporalio/cli/temporalcli.Version=" + strings.TrimPrefix(CLIVersion, "v")}
}

// WebUI is the Web UI that an installation has.
func WebUI() Program {
	return Program{Name: "temporal-web-ui", Version: WebUIVersion, Module: "temporal-cli",
		Package: "github.com/temporalio/ui-server/v2/cmd/server", Takes: "a minute"}
}

// FullServer is the server that production runs on PostgreSQL.
func FullServer() Program {
	return Program{Name: "temporal-server", Version: ServerVersion, Module: "temporal-server",
		Package: "go.temporal.io/server/cmd/server", Takes: "four minutes"}
}

// SQLTool makes and updates the full server's schema.
func SQLTool() Program {
	return Program{Name: "temporal-sql-tool", Version: ServerVersion, Module: "temporal-server",
		Package: "go.temporal.io/server/cmd/tools/sql", Takes: "a minute"}
}

// buildNotice is how often a running build says that it still runs.
const buildNotice = 10 * time.Second

// Binary says where a program is kept and what it is built from.
type Binary struct {
	// Program is what to build; the zero value means the CLI.
	Program Program
	// Tools is the folder tools of a checkout.
	Tools string
	// Cache is the folder that keeps the built binary; empty means the user's
	// cache folder, shared by all checkouts.
	Cache string
	// Say tells the user that a build runs and how far it is; nil is silence.
	Say func(format string, args ...any)
}

// Ensure returns the path of the program and builds it when it is not there yet.
// Several processes may ask at once: one builds, the others wait.
func (b Binary) Ensure(ctx context.Context) (string, error) {
	if b.Say == nil {
		b.Say = func(string, ...any) {}
	}
	if b.Program == (Program{}) {
		b.Program = CLI()
	}
	cache, err := b.cacheDir()
	if err != nil {
		return "", err
	}
	target := filepath.Join(cache, b.Program.Name+"-"+b.Program.Version)
	if executable(target) {
		return target, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the folder for Temporal's programs: %w", err)
	}
	unlock, err := lockFile(target + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if executable(target) { // another process built it while we waited
		return target, nil
	}
	return target, b.build(ctx, target)
}

func (b Binary) cacheDir() (string, error) {
	if b.Cache != "" {
		return b.Cache, nil
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place for Temporal's programs: %w: set HOME or XDG_CACHE_HOME", err)
	}
	return filepath.Join(user, "suanpan", "bin"), nil
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o100 != 0
}

func lockFile(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// build compiles to a temporary name first: a killed build leaves no half binary.
func (b Binary) build(ctx context.Context, target string) error {
	source := filepath.Join(b.Tools, b.Program.Module)
	if _, err := os.Stat(filepath.Join(source, "go.mod")); err != nil {
		return fmt.Errorf("%s is not built yet and %s is no module to build it from: "+
			"run this inside a checkout, or set SUANPAN_TEMPORAL_ADDRESS to a server that runs already", b.Program.Name, source)
	}
	b.Say("building %s %s: about %s on two cores, only this once", b.Program.Name, b.Program.Version, b.Program.Takes)
	making := fmt.Sprintf("%s.making-%d", target, os.Getpid())
	defer os.Remove(making)
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-trimpath", "-o", making,
		"-ldflags", b.Program.Flags, b.Program.Package)
	cmd.Dir = source
	output, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot build %s: %w: install Go from https://go.dev/dl", b.Program.Name, err)
	}
	last := b.reportProgress(output, began)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("building %s failed (%w): %s", b.Program.Name, err, last)
	}
	if err := os.Rename(making, target); err != nil {
		return err
	}
	b.Say("built %s in %s", b.Program.Name, time.Since(began).Round(time.Second))
	return nil
}

// reportProgress reads the names of compiled packages until the build ends,
// and returns its last line, which after a failure says why.
func (b Binary) reportProgress(output io.Reader, began time.Time) (last string) {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	ticker := time.NewTicker(buildNotice)
	defer ticker.Stop()
	for compiled := 0; ; {
		select {
		case line, more := <-lines:
			if !more {
				return last
			}
			last = line
			compiled++
		case <-ticker.C:
			b.Say("  … %d packages compiled, %s", compiled, time.Since(began).Round(time.Second))
		}
	}
}
