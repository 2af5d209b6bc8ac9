package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/client"
)

// maxRetries is how often a client repeats a request before it gives up.
const maxRetries = 3

// patientPauses are how long a client waits at least before each repetition; then
// it waits for an instance that calls itself healthy, as a load balancer would.
func patientPauses() [maxRetries]time.Duration {
	return [maxRetries]time.Duration{time.Second, 3 * time.Second, 8 * time.Second}
}

// healthPatience bounds that wait.
const healthPatience = time.Minute

// perTry bounds one exchange.
const perTry = 20 * time.Second

// caller makes the clients' calls: each under one Idempotency-Key, sent again to
// the other instance when one does not answer, and written down before and after.
type caller struct {
	apis    []*client.API
	healthy []func(context.Context) error
	journal *journal
	pauses  [maxRetries]time.Duration
	turn    atomic.Int64

	mu       sync.Mutex
	inFlight []map[string]int // by instance: operations without an answer

	calls, retries, failovers atomic.Int64
	byRetries                 [maxRetries + 1]atomic.Int64
	longest                   atomic.Int64 // of all calls, in nanoseconds
	failed                    faultList
}

// faultList collects what must not happen.
type faultList struct {
	mu   sync.Mutex
	list []string
}

func (f *faultList) add(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, text)
}

func (f *faultList) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.list...)
}

func newCaller(urls []string, key string, j *journal) (*caller, error) {
	c := &caller{journal: j, pauses: patientPauses()}
	for _, base := range urls {
		api, err := client.New(client.Config{BaseURLs: []string{base}, Key: key, Patience: -1, HTTP: &http.Client{
			Timeout: perTry, Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 10 * time.Second}}})
		if err != nil {
			return nil, err
		}
		c.apis = append(c.apis, api)
		c.healthy = append(c.healthy, answers(base+"/healthz"))
		c.inFlight = append(c.inFlight, map[string]int{})
	}
	return c, nil
}

// busy names a POST that instance i (from 0) has not answered, or "".
func (c *caller) busy(i int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for operation, n := range c.inFlight[i] {
		if n > 0 {
			return operation
		}
	}
	return ""
}

func (c *caller) count(i int, operation string, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight[i][operation] += by
}

// outcome is what became of a POST: the made object's id and status, or the code
// of a refusal.
type outcome struct{ id, status, refused string }

// post asks for something under a key. ask says what, for the journal.
func (c *caller) post(ctx context.Context, ask record, do func(*client.API) (outcome, error)) (outcome, error) {
	ask.What = "ask"
	if err := c.journal.write(ask); err != nil {
		return outcome{}, err
	}
	var out outcome
	err := c.try(ctx, ask.Operation, func(i, retry int) error {
		if err := c.journal.write(record{What: "try", Key: ask.Key, Instance: i + 1, Retry: retry}); err != nil {
			return err
		}
		c.count(i, ask.Operation, 1)
		defer c.count(i, ask.Operation, -1)
		var err error
		out, err = do(c.apis[i])
		return err
	})
	var refusal *client.Error
	if errors.As(err, &refusal) && refusal.Status < 500 {
		out, err = outcome{refused: fmt.Sprintf("%d %s", refusal.Status, refusal.Code)}, nil
	}
	if err != nil {
		return out, err
	}
	return out, c.journal.write(record{What: "answer", Key: ask.Key, ID: out.id, Status: out.status, Refused: out.refused})
}

// get reads something.
func (c *caller) get(ctx context.Context, what string, do func(*client.API) error) error {
	return c.try(ctx, what, func(i, _ int) error { return do(c.apis[i]) })
}

// try sends until there is an answer, at most maxRetries times again. An instance
// that cannot be connected to has been sent nothing: the other one is asked at
// once, and that is counted apart.
func (c *caller) try(ctx context.Context, what string, send func(instance, retry int) error) error {
	c.calls.Add(1)
	began := time.Now()
	defer func() {
		for took := int64(time.Since(began)); ; {
			longest := c.longest.Load()
			if took <= longest || c.longest.CompareAndSwap(longest, took) {
				return
			}
		}
	}()
	at := int(c.turn.Add(1))
	var err error
	for retry := 0; ; retry++ {
		for range c.apis {
			if err = send(at%len(c.apis), retry); !errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
			c.failovers.Add(1)
			at++
		}
		if !worthRepeating(err) {
			c.byRetries[retry].Add(1)
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		if retry == maxRetries {
			c.failed.add(fmt.Sprintf("%s failed after %d retries: %v", what, maxRetries, err))
			return err
		}
		c.retries.Add(1)
		if !rest(ctx, c.pauses[retry]) {
			return err
		}
		at = c.somebodyHealthy(ctx, at+1)
	}
}

// somebodyHealthy waits until an instance says that it is healthy, and prefers
// the one given.
func (c *caller) somebodyHealthy(ctx context.Context, preferred int) int {
	for deadline := time.Now().Add(healthPatience); time.Now().Before(deadline); {
		for i := range c.healthy {
			bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
			err := c.healthy[(preferred+i)%len(c.healthy)](bounded)
			cancel()
			if err == nil {
				return preferred + i
			}
		}
		if !rest(ctx, lookEvery) {
			break
		}
	}
	return preferred
}

func worthRepeating(err error) bool {
	if err == nil {
		return false
	}
	var refusal *client.Error
	if !errors.As(err, &refusal) {
		return true
	}
	return refusal.Status >= 500 || refusal.Status == http.StatusTooManyRequests || refusal.Status == http.StatusRequestTimeout
}
