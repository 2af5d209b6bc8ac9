package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/suanpan/suanpan/client"
)

// hookNote marks the demo's endpoints, so that a later run finds those which
// an interrupted one left behind.
const hookNote = "starter demo"

// hooks is the tenant's own webhook receiver.
type hooks struct {
	url    string
	server *http.Server

	mu      sync.Mutex
	secrets []string
	seen    map[string]int
	forged  int
}

// listen starts a receiver on a free loopback port.
func listen(ctx context.Context) (*hooks, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("webhook receiver: %w", err)
	}
	h := &hooks{url: "http://" + listener.Addr().String() + "/webhooks", seen: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhooks", h.receive)
	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = h.server.Serve(listener) }() // ends with close
	return h, nil
}

func (h *hooks) close() { _ = h.server.Close() }

// trust adds a signing secret.
func (h *hooks) trust(secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets = append(h.secrets, secret)
}

// receive counts a webhook whose signature verifies, and refuses any other.
func (h *hooks) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, "incomplete", http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var event client.Event
	if !h.genuine(r.Header, body) || json.Unmarshal(body, &event) != nil {
		h.forged++
		http.Error(w, "the signature does not verify", http.StatusUnauthorized)
		return
	}
	h.seen[event.ID]++
	w.WriteHeader(http.StatusNoContent)
}

func (h *hooks) genuine(header http.Header, body []byte) bool {
	for _, secret := range h.secrets {
		if client.VerifyWebhook(secret, header, body, time.Now()) == nil {
			return true
		}
	}
	return false
}

// counted tells how many different events came, how many messages in all, and
// how many did not verify.
func (h *hooks) counted() (events, messages, forged int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.seen {
		messages += n
	}
	return len(h.seen), messages, h.forged
}

func (h *hooks) has(eventID string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[eventID] > 0
}

// subscribe has the platform post every event to h, and removes endpoints that
// interrupted runs left.
func (r *run) subscribe(ctx context.Context) error {
	endpoints, err := r.endpoints(ctx)
	if err != nil {
		return err
	}
	for _, e := range endpoints {
		if e.Description == hookNote {
			if err := r.unsubscribe(ctx, e.ID); err != nil {
				return err
			}
		}
	}
	made, err := created[client.WebhookEndpointWithSecret](r.api.CreateWebhookEndpointWithResponse(ctx,
		&client.CreateWebhookEndpointParams{IdempotencyKey: r.key("endpoint")},
		client.CreateWebhookEndpoint{URL: r.hooks.url, Description: ptr(hookNote)}))
	if client.IsCode(err, "secret_already_shown") {
		return r.rotate(ctx) // the answer got lost with an API that died
	}
	if err != nil {
		return fmt.Errorf("webhook endpoint: %w", err)
	}
	r.endpoint = made.ID
	r.hooks.trust(made.Secret)
	return nil
}

func (r *run) endpoints(ctx context.Context) ([]client.WebhookEndpoint, error) {
	return all(func(cursor *string) ([]client.WebhookEndpoint, *string, error) {
		page, err := got[client.WebhookEndpointPage](r.api.ListWebhookEndpointsWithResponse(ctx,
			&client.ListWebhookEndpointsParams{Limit: ptr(100), Cursor: cursor}))
		return page.Data, page.NextCursor, err
	})
}

// rotate gets a new secret for the endpoint whose first one nobody saw.
func (r *run) rotate(ctx context.Context) error {
	endpoints, err := r.endpoints(ctx)
	if err != nil {
		return err
	}
	for _, e := range endpoints {
		if e.URL != r.hooks.url {
			continue
		}
		for try := 1; ; try++ { // this answer may get lost as well
			shown, err := got[client.WebhookEndpointWithSecret](r.api.RotateWebhookSecretWithResponse(ctx, e.ID,
				&client.RotateWebhookSecretParams{IdempotencyKey: r.key(fmt.Sprintf("secret-%d", try))}))
			if client.IsCode(err, "secret_already_shown") {
				continue
			}
			r.endpoint = e.ID
			r.hooks.trust(shown.Secret)
			return err
		}
	}
	return fmt.Errorf("the webhook endpoint %s was accepted and is not there", r.hooks.url)
}

func (r *run) unsubscribe(ctx context.Context, id string) error {
	_, err := r.api.DeleteWebhookEndpointWithResponse(ctx, id)
	var refusal *client.Error
	if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
		return nil // deleted by a try whose answer was lost
	}
	return err
}
