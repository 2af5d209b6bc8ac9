package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// modulePath recognises a checkout of ours.
const modulePath = "module github.com/suanpan/suanpan\n"

// FindRoot returns the checkout that dir is in.
func FindRoot(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := abs; ; at = filepath.Dir(at) {
		content, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil && strings.HasPrefix(string(content), modulePath) {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not inside a checkout of Suanpan: starter dev builds what it runs, "+
				"so run it in one", abs)
		}
	}
}

// programs are what the stack runs of ours.
func programs() []string { return []string{"./starter", "./worker", "./sandbox/cmd/sandbox"} }

// buildPrograms compiles them into bin. Go's cache makes a second run short;
// the first one says that it takes time.
func buildPrograms(ctx context.Context, root, bin string, say func(string, ...any)) error {
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return notWritable(bin, err)
	}
	args := append([]string{"build", "-o", bin + string(filepath.Separator)}, programs()...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	began := time.Now()
	finished := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot build: %w: install Go from https://go.dev/dl", err)
	}
	go func() { finished <- cmd.Wait() }()
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case err := <-finished:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				return errors.Join(fmt.Errorf("building starter, worker and sandbox failed: %w", err),
					errors.New(strings.TrimSpace(output.String())))
			}
			say("  %-12s %-28s built in %s", "programs", bin, since(began))
			return nil
		case <-ticker.C:
			say("  … building starter, worker and sandbox, %s (the first build takes a few minutes)",
				time.Since(began).Round(time.Second))
		}
	}
}
