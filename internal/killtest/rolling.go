package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// load is tenants' calls without a pause: merchants and payments are created and
// read, at one API and, if that call fails, once more at the other.
type load struct {
	apis             []string
	key              string
	http             *http.Client
	calls, retries   atomic.Int64
	mu               sync.Mutex
	failures         []string
	merchant, prefix string
}

// rolling ends the stack's APIs and workers with SIGTERM, one after the other,
// under load and during demos. No call may fail twice, every demo must end
// right, and the books must be sound.
func rolling(ctx context.Context, o options) error {
	l, err := newLoad(o.data)
	if err != nil {
		return err
	}
	if o.oldWorker != "" {
		stop, err := runOldWorker(ctx, o)
		if err != nil {
			return err
		}
		defer stop()
	}
	loading, end := context.WithCancel(ctx)
	var background sync.WaitGroup
	for i := range 3 {
		background.Go(func() { l.run(loading, i) })
	}
	demos := make(chan error, 1)
	background.Go(func() { demos <- demosUntil(loading, o) })
	random := rand.New(rand.NewPCG(o.seed, o.seed))
	names := []string{"worker-1", "api-1", "worker-2", "api-2"}
	err = nil
	for i := 0; i < o.rolling && err == nil; i++ {
		err = restart(ctx, o.data, names[i%len(names)])
		if err == nil {
			err = sleep(ctx, time.Duration(200+random.IntN(1500))*time.Millisecond)
		}
	}
	end()
	background.Wait()
	if err = errors.Join(err, <-demos, l.judge()); err != nil {
		return err
	}
	if err := verify(ctx, o); err != nil {
		return err
	}
	fmt.Printf("%d restarts under load: %d calls, %d of them needed their retry, 0 failed; the books are sound\n",
		o.rolling, l.calls.Load(), l.retries.Load())
	return nil
}

// demosUntil runs demos until ctx ends; the last is let finish.
func demosUntil(ctx context.Context, o options) error {
	for n := 1; ; n++ {
		out, err := exec.CommandContext(context.WithoutCancel(ctx), o.starter, "demo", "--data", o.data).CombinedOutput()
		if err != nil {
			return fmt.Errorf("demo %d ended wrong (%w):\n%s", n, err, out)
		}
		fmt.Printf("  demo %d ended right\n", n)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// restart ends the part with SIGTERM and waits until the supervisor has a new
// one that is healthy.
func restart(ctx context.Context, data, name string) error {
	old, err := find(data, name)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := syscall.Kill(old.Process.PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("SIGTERM to %s: %w", name, err)
	}
	for time.Since(began) < time.Minute {
		now, err := find(data, name)
		if err == nil && now.Process.PID != old.Process.PID && healthy(ctx, now.Address) {
			fmt.Printf("  %-8s restarted in %s\n", name, time.Since(began).Round(100*time.Millisecond))
			return nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s has not come back within a minute", name)
}

func healthy(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/healthz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// runOldWorker starts a worker of another build beside the stack's own, on the
// same task queues, with the environment of worker-1.
func runOldWorker(ctx context.Context, o options) (stop func(), err error) {
	beside, err := find(o.data, "worker-1")
	if err != nil {
		return nil, err
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", beside.Process.PID))
	if err != nil {
		return nil, err
	}
	old := exec.CommandContext(ctx, o.oldWorker)
	old.Cancel = func() error { return old.Process.Signal(syscall.SIGTERM) }
	old.Stdout, old.Stderr = io.Discard, io.Discard
	for _, variable := range strings.Split(string(environ), "\x00") {
		if variable != "" && !strings.HasPrefix(variable, "SUANPAN_WORKER_HEALTH_LISTEN=") {
			old.Env = append(old.Env, variable)
		}
	}
	old.Env = append(old.Env, "SUANPAN_WORKER_HEALTH_LISTEN=127.0.0.1:0")
	if err := old.Start(); err != nil {
		return nil, err
	}
	fmt.Printf("  %s runs beside the stack's workers\n", o.oldWorker)
	return func() {
		_ = old.Process.Signal(syscall.SIGTERM)
		_ = old.Wait()
	}, nil
}

func newLoad(data string) (*load, error) {
	text, err := os.ReadFile(filepath.Join(data, "dev.json"))
	if err != nil {
		return nil, err
	}
	var dev struct {
		Key  string   `json:"api_key"`
		APIs []string `json:"api_urls"`
	}
	if err := json.Unmarshal(text, &dev); err != nil {
		return nil, err
	}
	l := &load{apis: dev.APIs, key: dev.Key, http: &http.Client{Timeout: 30 * time.Second},
		prefix: fmt.Sprintf("rolling-%d", time.Now().UnixNano())}
	answer, err := l.call(context.Background(), 0, http.MethodPost, "/v1/merchants", l.prefix,
		fmt.Sprintf(`{"reference":%q,"name":"Rolling","settlement":"T0"}`, l.prefix))
	l.merchant = answer
	return l, err
}

// run creates and reads payments until ctx ends.
func (l *load) run(ctx context.Context, worker int) {
	for i := 0; ctx.Err() == nil; i++ {
		reference := fmt.Sprintf("%s-%d-%d", l.prefix, worker, i)
		body := fmt.Sprintf(`{"merchant_id":%q,"reference":%q,"subject":"tea","amount":{"amount":100,"currency":"CNY"},`+
			`"method":{"channel":"alipay","product":"qr"},"expires_in":60}`, l.merchant, reference)
		paymentID, err := l.call(ctx, i, http.MethodPost, "/v1/payments", reference, body)
		if err == nil {
			_, err = l.call(ctx, i+1, http.MethodGet, "/v1/payments/"+paymentID, "", "")
		}
		if err != nil && ctx.Err() == nil {
			l.mu.Lock()
			l.failures = append(l.failures, err.Error())
			l.mu.Unlock()
		}
	}
}

// call makes one call, and once more at the other API if there was no good
// answer. It returns the id in the answer.
func (l *load) call(ctx context.Context, turn int, method, path, key, body string) (string, error) {
	l.calls.Add(1)
	id, err := l.once(ctx, l.apis[turn%len(l.apis)]+path, method, key, body)
	if err == nil || ctx.Err() != nil {
		return id, err
	}
	l.retries.Add(1)
	id, again := l.once(ctx, l.apis[(turn+1)%len(l.apis)]+path, method, key, body)
	if again != nil {
		return "", fmt.Errorf("%s %s: %w; then %w", method, path, err, again)
	}
	return id, nil
}

func (l *load) once(ctx context.Context, url, method, key, body string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+l.key)
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := l.http.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode/100 != 2 {
		return "", fmt.Errorf("%d %s", response.StatusCode, text)
	}
	var object struct{ ID string }
	if err := json.Unmarshal(text, &object); err != nil {
		return "", err
	}
	return object.ID, nil
}

func (l *load) judge() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d calls failed twice, the first: %s", len(l.failures), l.calls.Load(), l.failures[0])
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
