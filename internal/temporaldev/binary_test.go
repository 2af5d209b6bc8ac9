package temporaldev_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/temporaldev"
)

func TestVersionsAreThePinnedOnes(t *testing.T) {
	t.Parallel()
	for pin, module := range map[string]string{
		"github.com/temporalio/cli " + temporaldev.CLIVersion:            "temporal-cli",
		"github.com/temporalio/ui-server/v2 " + temporaldev.WebUIVersion: "temporal-cli",
		"go.temporal.io/server " + temporaldev.ServerVersion:             "temporal-server",
	} {
		content, err := os.ReadFile(filepath.Join("../../tools", module, "go.mod"))
		require.NoError(t, err)
		require.Contains(t, string(content), pin)
	}
}

func TestBinaryIsBuiltOnceAndFailuresSayTheWayOut(t *testing.T) {
	t.Parallel()
	cache, tools := t.TempDir(), t.TempDir()
	module := filepath.Join(tools, "small")
	require.NoError(t, os.Mkdir(module, 0o755))
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(module, name), []byte(content), 0o600))
	}
	binary := temporaldev.Binary{Tools: tools, Cache: cache, Program: temporaldev.Program{
		Name: "small", Version: "v1", Module: "small", Package: "example.com/small"}}

	_, err := binary.Ensure(t.Context())
	require.ErrorContains(t, err, "run this inside a checkout")

	write("go.mod", "module example.com/small\n\ngo 1.26\n")
	write("main.go", "package main\n\nfunc main() { undefined() }\n")
	_, err = binary.Ensure(t.Context())
	require.ErrorContains(t, err, "undefined: undefined")

	write("main.go", "package main\n\nfunc main() {}\n")
	path, err := binary.Ensure(t.Context())
	require.NoError(t, err)
	require.FileExists(t, path)

	require.NoError(t, os.RemoveAll(module)) // nothing left to build from
	again, err := binary.Ensure(t.Context())
	require.NoError(t, err)
	require.Equal(t, path, again)
}
