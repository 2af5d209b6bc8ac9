package temporaltest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/suanpan/suanpan/internal/freeport"
	"github.com/suanpan/suanpan/internal/temporaldev"
)

// AddressVariable names the server tests use, as host:port.
const AddressVariable = "SUANPAN_TEST_TEMPORAL_ADDRESS"

// Runner is what TestMain is given; *testing.M is one.
type Runner interface{ Run() int }

// With returns a runner that has a Temporal server while it runs. A package
// that needs a database too writes
//
//	func TestMain(m *testing.M) { pgtest.Main(temporaltest.With(m)) }
func With(next Runner) Runner { return runner{next} }

type runner struct{ next Runner }

func (r runner) Run() int {
	if os.Getenv(AddressVariable) != "" {
		return r.next.Run()
	}
	server, remove, err := StartServer(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "temporaltest:", err)
		return 1
	}
	defer remove()
	if err := os.Setenv(AddressVariable, server.Address()); err != nil {
		fmt.Fprintln(os.Stderr, "temporaltest:", err)
		return 1
	}
	return r.next.Run()
}

// StartServer starts a server in memory, without Web UI, on a free port. It
// dies with this process. remove stops it and deletes its log.
func StartServer(ctx context.Context) (server *temporaldev.Server, remove func(), err error) {
	return StartServerOn(ctx, "")
}

// StartServerOn is StartServer for one that keeps its database in a file.
func StartServerOn(ctx context.Context, file string) (server *temporaldev.Server, remove func(), err error) {
	tools, err := toolsDir()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "suanpan-temporal-")
	if err != nil {
		return nil, nil, err
	}
	port, err := freeport.Reserve()
	if err != nil {
		return nil, nil, err
	}
	server, err = temporaldev.Start(ctx, temporaldev.Options{
		Binary: temporaldev.Binary{
			Tools: tools,
			Say:   func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
		},
		File:      file,
		Port:      port,
		Namespace: "suanpan",
		// A namespace of its own per test is of use only if it can be used at once.
		Settings:      map[string]string{"system.namespaceCacheRefreshInterval": `"200ms"`},
		Log:           filepath.Join(dir, "temporal.log"),
		DieWithParent: true,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%w (files in %s)", err, dir)
	}
	return server, func() {
		_ = server.Stop()
		_ = os.RemoveAll(dir)
	}, nil
}

// toolsDir finds tools/ above the package under test.
func toolsDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		candidate := filepath.Join(dir, "tools")
		if _, err := os.Stat(filepath.Join(candidate, "temporal-cli", "go.mod")); err == nil {
			return candidate, nil
		}
	}
	return "", errors.New("tools/temporal-cli was not found above the working directory")
}
