package client_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// receiver begin

// Receiver takes webhooks: it verifies each, stores it once and answers at once.
// What is to be done about an event is done by somebody else, from the store.
type Receiver struct {
	// Secrets are the endpoint's: one, or the old and the new while you rotate.
	Secrets []string
	// Store keeps an event under its id and says whether it is new, in one
	// statement: insert into inbox (id, …) values (…) on conflict (id) do nothing.
	Store func(ctx context.Context, event client.Event) (fresh bool, err error)
}

func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 64<<10))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !r.genuine(req.Header, body) { // over the bytes as they came, before anything is decoded
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var event client.Event
	if err := json.Unmarshal(body, &event); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if _, err := r.Store(req.Context(), event); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable) // it comes again
		return
	}
	w.WriteHeader(http.StatusNoContent) // also for one that was stored before
}

func (r *Receiver) genuine(header http.Header, body []byte) bool {
	for _, secret := range r.Secrets {
		if client.VerifyWebhook(secret, header, body, time.Now()) == nil {
			return true
		}
	}
	return false
}

// receiver end

// inbox is the table of the sample: the primary key is the event's id.
type inbox struct {
	mu   sync.Mutex
	seen map[string]client.Event
	down bool
}

func (i *inbox) store(_ context.Context, e client.Event) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.down {
		return false, io.ErrUnexpectedEOF
	}
	_, before := i.seen[e.ID]
	i.seen[e.ID] = e
	return !before, nil
}

func TestTheSampleReceiver(t *testing.T) {
	t.Parallel()
	const old, fresh = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	box := &inbox{seen: map[string]client.Event{}}
	server := httptest.NewServer(&Receiver{Secrets: []string{old, fresh}, Store: box.store})
	t.Cleanup(server.Close)
	post := func(secret, body string) int {
		signer, err := webhooks.NewWebhook(secret)
		require.NoError(t, err)
		now := time.Now()
		signature, err := signer.Sign("evt_1", now, []byte(body))
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("webhook-id", "evt_1")
		req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
		req.Header.Set("webhook-signature", signature)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	body := `{"id":"evt_1","type":"payment.succeeded","timestamp":"2026-01-01T00:00:00Z","object_id":"pay_1","sequence":1,"data":{}}`
	require.Equal(t, 204, post(old, body))
	require.Equal(t, 204, post(fresh, body), "again, signed by the other secret")
	require.Len(t, box.seen, 1)
	require.Equal(t, "pay_1", box.seen["evt_1"].ObjectID)
	require.Equal(t, 401, post("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", body))
	require.Equal(t, 400, post(old, "{"))
	box.down = true
	require.Equal(t, 503, post(old, body))
}

// The page shows this very receiver.
func TestTheDocumentedReceiverIsTheTestedOne(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("example_webhook_test.go")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(source), "// receiver begin\n\n")
	require.True(t, found)
	sample, _, found := strings.Cut(rest, "\n// receiver end")
	require.True(t, found)
	page, err := os.ReadFile("../docs/webhooks.md")
	require.NoError(t, err)
	require.Contains(t, string(page), "```go\n"+sample+"```\n", "docs/webhooks.md shows another receiver")
}
