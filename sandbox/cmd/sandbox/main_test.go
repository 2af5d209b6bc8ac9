package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{
		{}, {"--data", "x", "extra"}, {"--data", "x", "--time-scale", "0"}, {"--bogus"},
		{"--data", "x", "--listen", "0.0.0.0:0"}, {"--data", "x", "--listen", "nowhere"},
	} {
		require.Error(t, run(context.Background(), arguments, io.Discard), arguments)
	}
	require.NoError(t, run(context.Background(), []string{"--help"}, io.Discard))
}

// announced waits for the line that says where the sandbox listens. Whoever reads
// the address from it needs no port that another process may have taken meanwhile.
func announced(t *testing.T, stderr io.Reader) string {
	t.Helper()
	said := make(chan string, 1)
	go func() {
		defer close(said)
		var all strings.Builder
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if _, rest, found := strings.Cut(lines.Text(), " listen="); found {
				address, _, _ := strings.Cut(rest, " ")
				said <- address
				_, _ = io.Copy(io.Discard, stderr) // whoever logs later must not block
				return
			}
			all.WriteString(lines.Text())
		}
		said <- "it ended without listening: " + all.String()
	}()
	select {
	case address := <-said:
		require.True(t, healthy(address), address)
		return address
	case <-time.After(time.Minute):
		require.FailNow(t, "the sandbox does not say where it listens")
	}
	return ""
}

func TestItRunsUntilItIsToldToStop(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	reader, writer := io.Pipe()
	data := t.TempDir()
	go func() {
		err := run(ctx, []string{"--data", data, "--listen", "127.0.0.1:0", "--time-scale", "60"}, writer)
		ended <- errors.Join(err, writer.CloseWithError(err))
	}()
	announced(t, reader)
	stop()
	require.NoError(t, <-ended)
}

func healthy(address string) bool {
	response, err := http.Get("http://" + address + "/healthz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// TestKilledProcessKeepsWhatItAcknowledged kills the real program with SIGKILL
// while it is being written to, and compares what was acknowledged with what
// the next process knows.
func TestKilledProcessKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "sandbox")
	built, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", built)
	data := t.TempDir()
	launch := func() (*exec.Cmd, string) {
		command := exec.Command(binary, "--data", data, "--listen", "127.0.0.1:0")
		stderr, writer, err := os.Pipe() // not StderrPipe, which Wait closes under the reader
		require.NoError(t, err)
		t.Cleanup(func() { _ = stderr.Close() })
		command.Stderr = writer
		require.NoError(t, command.Start())
		require.NoError(t, writer.Close())
		return command, announced(t, stderr)
	}
	process, address := launch()
	acknowledged := make(chan string, 10_000)
	writing := make(chan struct{})
	for worker := range 4 {
		go func() {
			for i := 0; ; i++ {
				identity := strings.Repeat("w", worker+1) + "-" + strings.Repeat("x", i%7) + time.Now().Format(time.RFC3339Nano)
				response, err := http.Post("http://"+address+"/control/alipay/payees", "application/json", strings.NewReader(`{"identity":"`+identity+`","name":"n"}`))
				if err != nil {
					writing <- struct{}{}
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if err == nil && response.StatusCode == http.StatusOK {
					acknowledged <- identity
				}
			}
		}()
	}
	require.Eventually(t, func() bool { return len(acknowledged) > 50 }, 20*time.Second, time.Millisecond)
	require.NoError(t, process.Process.Kill())
	_ = process.Wait()
	for range 4 {
		<-writing
	}
	close(acknowledged)

	process, address = launch()
	journal, err := http.Get("http://" + address + "/control/books/file")
	require.NoError(t, err)
	known := map[string]bool{}
	lines := bufio.NewScanner(journal.Body)
	for lines.Scan() {
		_, rest, found := bytes.Cut(lines.Bytes(), []byte(`"identity":"`))
		if found {
			identity, _, _ := bytes.Cut(rest, []byte(`"`))
			known[string(identity)] = true
		}
	}
	require.NoError(t, journal.Body.Close())
	for identity := range acknowledged {
		require.True(t, known[identity], identity)
	}
	require.NoError(t, process.Process.Signal(os.Interrupt))
	require.NoError(t, process.Wait(), "SIGINT ends it cleanly")
}
