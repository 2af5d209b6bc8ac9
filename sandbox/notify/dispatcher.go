package notify

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
)

// Channel is how one provider notifies.
type Channel interface {
	// Request makes the HTTP request of one attempt. With forge set its
	// signature must not verify.
	Request(n books.Notification, forge bool) (*http.Request, error)
	// Acknowledged says whether the merchant's answer ends the delivery.
	Acknowledged(status int, body []byte) bool
	// Schedule are the waits between attempts: the second attempt is due
	// Schedule()[0] after the first.
	Schedule() []time.Duration
}

const (
	// answerTimeout is how long a merchant may take to answer.
	answerTimeout = 5 * time.Second
	// answerLimit is how much of the merchant's answer is read and kept.
	answerLimit = 256
	// concurrentDeliveries bounds the open connections to merchants.
	concurrentDeliveries = 32
)

// Dispatcher delivers the notifications in the books.
type Dispatcher struct {
	books    *books.Books
	channels map[books.Provider]Channel
	rules    *Rules
	scale    time.Duration
	client   *http.Client

	mu       sync.Mutex
	inFlight map[string]struct{}
	running  sync.WaitGroup
}

// NewDispatcher makes a Dispatcher. Every wait of a schedule is divided by
// timeScale, which must be at least 1.
func NewDispatcher(b *books.Books, channels map[books.Provider]Channel, rules *Rules, timeScale int) *Dispatcher {
	transport := &http.Transport{Proxy: nil, DisableKeepAlives: true, ResponseHeaderTimeout: answerTimeout}
	return &Dispatcher{
		books: b, channels: channels, rules: rules, scale: time.Duration(timeScale),
		client: &http.Client{
			Transport:     transport,
			Timeout:       answerTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		inFlight: map[string]struct{}{},
	}
}

// RunDue starts an attempt for every notification that is due, without waiting
// for the answers, and returns the moment the next one is due: zero if none.
func (d *Dispatcher) RunDue(ctx context.Context) (time.Time, error) {
	var open []books.Notification
	if err := d.books.View(func(r books.Reader) error { open = r.OpenNotifications(); return nil }); err != nil {
		return time.Time{}, err
	}
	now := d.books.RealNow()
	for _, n := range open {
		if n.NextAt.After(now) {
			return n.NextAt, nil
		}
		if !d.claim(n.ID) {
			continue
		}
		d.running.Go(func() {
			defer d.release(n.ID)
			d.attempt(ctx, n)
		})
	}
	return time.Time{}, nil
}

// Wait returns when no attempt is under way.
func (d *Dispatcher) Wait() { d.running.Wait() }

func (d *Dispatcher) claim(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, taken := d.inFlight[id]; taken || len(d.inFlight) >= concurrentDeliveries {
		return false
	}
	d.inFlight[id] = struct{}{}
	return true
}

func (d *Dispatcher) release(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.inFlight, id)
}

// attempt sends n once and records what came of it. An attempt that the
// shutdown interrupted is not recorded and is repeated by the next process.
func (d *Dispatcher) attempt(ctx context.Context, claimed books.Notification) {
	n, open := d.current(claimed.ID)
	if !open || n.NextAt.After(d.books.RealNow()) {
		return // another attempt ended between the look and the claim
	}
	delivery := books.Delivery{
		NotificationID: n.ID, Provider: n.Provider, Event: n.Event, Number: n.Number, URL: n.URL,
		Attempt: n.Attempts, State: books.NotificationPending, At: d.books.RealNow(),
	}
	rule := d.rules.take(n)
	switch rule.Kind {
	case Drop:
		delivery.State, delivery.Note = books.NotificationDropped, "dropped by rule "+rule.ID
		d.record(delivery)
		return
	case Delay:
		delivery.Note = "delayed by rule " + rule.ID
		delivery.NextAt = delivery.At.Add(time.Duration(rule.DelayMS) * time.Millisecond)
		d.record(delivery)
		return
	case Duplicate:
		delivery.Note = "sent twice by rule " + rule.ID
		d.send(ctx, n, false)
	case Forge:
		delivery.Note = "preceded by a forged copy by rule " + rule.ID
		if status, _, err := d.send(ctx, n, true); err == nil {
			delivery.Note += fmt.Sprintf(", answered %d", status)
		}
	}
	status, body, err := d.send(ctx, n, false)
	if ctx.Err() != nil {
		return
	}
	channel := d.channels[n.Provider]
	delivery.Attempt++
	delivery.Status, delivery.Answer = status, strings.ToValidUTF8(string(body), "�")
	delivery.Acknowledged = err == nil && channel.Acknowledged(status, body)
	if err != nil {
		delivery.Error = err.Error()
	}
	schedule := channel.Schedule()
	switch {
	case delivery.Acknowledged:
		delivery.State = books.NotificationDelivered
	case delivery.Attempt > len(schedule):
		delivery.State = books.NotificationExhausted
	default:
		delivery.NextAt = delivery.At.Add(schedule[delivery.Attempt-1] / d.scale)
	}
	d.record(delivery)
}

func (d *Dispatcher) current(id string) (n books.Notification, open bool) {
	err := d.books.View(func(r books.Reader) error {
		n, open = r.Notification(id)
		return nil
	})
	return n, err == nil && open && n.State == books.NotificationPending
}

func (d *Dispatcher) send(ctx context.Context, n books.Notification, forge bool) (status int, body []byte, err error) {
	channel, ok := d.channels[n.Provider]
	if !ok {
		return 0, nil, fmt.Errorf("no channel for provider %q", n.Provider)
	}
	request, err := channel.Request(n, forge)
	if err != nil {
		return 0, nil, err
	}
	response, err := d.client.Do(request.WithContext(ctx))
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, answerLimit))
	return response.StatusCode, body, err
}

// record writes the delivery. If the books cannot be written the process is
// about to refuse every request; the attempt is then repeated after a restart.
func (d *Dispatcher) record(delivery books.Delivery) {
	_ = d.books.Update("notification_attempt", func(tx *books.Tx) error {
		tx.PutDelivery(delivery)
		return nil
	})
}
