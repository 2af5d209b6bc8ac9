package devstack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/suanpan/suanpan/internal/devstack"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/internal/temporaltest"
)

// roleVariable makes this test binary run a supervisor instead of the tests,
// so that a test can signal and kill a real one.
const roleVariable = "DEVSTACK_TEST_SUPERVISOR"

// role is what the re-executed binary is told.
type role struct {
	Root, Data string
	Ports      devstack.Ports
	Environ    []string
}

func TestMain(m *testing.M) {
	if text := os.Getenv(roleVariable); text != "" {
		os.Exit(supervise(text))
	}
	pgtest.Main(temporaltest.With(m))
}

func supervise(text string) int {
	var r role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		fmt.Println("role:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := devstack.Run(ctx, devstack.Options{Root: r.Root, DataDir: r.Data, Ports: r.Ports, Environ: r.Environ,
		Out: os.Stdout})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}
