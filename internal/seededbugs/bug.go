package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// bug is one small change for the worse.
type bug struct {
	// name is short and unique.
	name string
	// says in words what would go wrong.
	says string
	// file is changed: old, which stands in it exactly once, becomes new.
	file, old, new string
	// pkg and test name the one test that must catch it.
	pkg, test string
}

// changed returns the file with the bug in it.
func (b bug) changed() (string, error) {
	text, err := os.ReadFile(b.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), b.old); n != 1 {
		return "", fmt.Errorf("the place of the bug stands %d times in %s, not once: give it its new place", n, b.file)
	}
	return strings.Replace(string(text), b.old, b.new, 1), nil
}

// overlay writes the changed file and the list that shows it to the compiler in
// place of the real one.
func (b bug) overlay(dir string) (string, error) {
	text, err := b.changed()
	if err != nil {
		return "", err
	}
	real, err := filepath.Abs(b.file)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(dir, b.name+filepath.Ext(b.file))
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {real: changed}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, b.name+".json")
	return path, os.WriteFile(path, list, 0o600)
}

// caught shows that the guard fails with the bug in the code.
func (b bug) caught(ctx context.Context, dir string) error {
	overlay, err := b.overlay(dir)
	if err != nil {
		return err
	}
	out, err := goTest(ctx, "-overlay", overlay, "-run", "^"+b.test+"$", b.pkg)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		return fmt.Errorf("not caught: %s in %s passes with it", b.test, b.pkg)
	case !strings.Contains(out, "--- FAIL: "+b.test) && !strings.Contains(out, "panic: "):
		return fmt.Errorf("%s in %s did not fail by itself:\n%s", b.test, b.pkg, out)
	}
	return nil
}

// guardsPass shows that the guards of some bugs run, and pass, on the code as it is.
func guardsPass(ctx context.Context, some []bug) error {
	tests := map[string][]string{}
	for _, b := range some {
		tests[b.pkg] = append(tests[b.pkg], b.test)
	}
	for pkg, names := range tests {
		out, err := goTest(ctx, "-v", "-run", "^("+strings.Join(names, "|")+")$", pkg)
		if err != nil {
			return fmt.Errorf("the guards in %s do not pass on the code as it is:\n%s", pkg, out)
		}
		for _, name := range names {
			if !strings.Contains(out, "--- PASS: "+name+" ") {
				return fmt.Errorf("%s in %s did not run", name, pkg)
			}
		}
	}
	return nil
}

func goTest(ctx context.Context, args ...string) (output string, err error) {
	args = append([]string{"test", "-count=1", "-timeout=5m"}, args...)
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	return string(out), err
}
