package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// minimumVersion is the oldest major version our schema runs on.
const minimumVersion = 15

// ErrNotInstalled names the package to install.
var ErrNotInstalled = errors.New("PostgreSQL 15 or newer was not found on PATH or in its usual places: " +
	"install it with `apt-get install postgresql`, `dnf install postgresql-server` or `brew install postgresql@17`")

// binaries is one installation.
type binaries struct {
	dir     string
	version int // major
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// findBinaries returns the newest installation that is new enough.
func findBinaries(ctx context.Context) (binaries, error) {
	var found []binaries
	for _, dir := range candidateDirs() {
		if version, ok := versionOf(ctx, dir); ok && version >= minimumVersion {
			found = append(found, binaries{dir: dir, version: version})
		}
	}
	if len(found) == 0 {
		return binaries{}, ErrNotInstalled
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].version > found[j].version })
	return found[0], nil
}

// candidateDirs lists the folders that may hold postgres and initdb: the one
// on PATH (links followed, because a server finds its own files beside its
// real binary), then the versioned folders of Debian, Red Hat and Homebrew.
func candidateDirs() []string {
	var dirs []string
	if onPath, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(onPath); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
		"/usr/local/pgsql/bin",
	} {
		matches, _ := filepath.Glob(pattern) // the only error is a bad pattern
		dirs = append(dirs, matches...)
	}
	return dirs
}

func versionOf(ctx context.Context, dir string) (int, bool) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0, false
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0, false
	}
	number := regexp.MustCompile(`\d+`).FindString(string(out))
	version, err := strconv.Atoi(number)
	return version, err == nil
}

// install adds the package where that is ours to do: on Debian, as root.
func install(ctx context.Context, say func(string, ...any)) error {
	if os.Geteuid() != 0 {
		return ErrNotInstalled
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return ErrNotInstalled
	}
	say("PostgreSQL is not installed: running apt-get install postgresql (about a minute)")
	for _, args := range [][]string{
		{"update", "-qq"},
		{"install", "-y", "-qq", "--no-install-recommends", "postgresql"},
	} {
		out, err := exec.CommandContext(ctx, "apt-get", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("apt-get %s failed (%w): %s; %w", args[0], err, lastLine(string(out)), ErrNotInstalled)
		}
	}
	return nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}
