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

// Version is the CLI that tools/temporal-cli/go.mod pins; a test holds them equal.
const Version = "v1.5.1"

// buildNotice is how often a running build says that it still runs.
const buildNotice = 10 * time.Second

// Binary says where the CLI is kept and how it is made.
type Binary struct {
	// Source is the folder tools/temporal-cli of a checkout.
	Source string
	// Cache is the folder that keeps the built binary; empty means the user's
	// cache folder, shared by all checkouts.
	Cache string
	// Say tells the user that a build runs and how far it is; nil is silence.
	Say func(format string, args ...any)
}

// Ensure returns the path of the CLI and builds it when it is not there yet.
// Several processes may ask at once: one builds, the others wait.
func (b Binary) Ensure(ctx context.Context) (string, error) {
	if b.Say == nil {
		b.Say = func(string, ...any) {}
	}
	cache, err := b.cacheDir()
	if err != nil {
		return "", err
	}
	target := filepath.Join(cache, "temporal-cli-"+Version)
	if executable(target) {
		return target, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the folder for the Temporal CLI: %w", err)
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
		return "", fmt.Errorf("no place for the Temporal CLI: %w: set HOME or XDG_CACHE_HOME", err)
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
	if _, err := os.Stat(filepath.Join(b.Source, "go.mod")); err != nil {
		return fmt.Errorf("the Temporal CLI is not built yet and %s is no checkout of Suanpan to build it from: "+
			"run this inside one, or set SUANPAN_TEMPORAL_ADDRESS to a server that runs already", b.Source)
	}
	b.Say("building the Temporal CLI %s: about three minutes on two cores, only this once", Version)
	making := fmt.Sprintf("%s.making-%d", target, os.Getpid())
	defer os.Remove(making)
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-trimpath", "-o", making,
		"-ldflags", "-X github.com/temporalio/cli/temporalcli.Version="+strings.TrimPrefix(Version, "v"),
		"github.com/temporalio/cli/cmd/temporal")
	cmd.Dir = b.Source
	output, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot build the Temporal CLI: %w: install Go from https://go.dev/dl", err)
	}
	last := b.reportProgress(output, began)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("building the Temporal CLI failed (%w): %s", err, last)
	}
	if err := os.Rename(making, target); err != nil {
		return err
	}
	b.Say("built the Temporal CLI in %s", time.Since(began).Round(time.Second))
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
