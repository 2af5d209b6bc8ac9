package wire

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
)

// requestIDHeader is in which a provider numbers its answers, for its support.
// WeChat Pay sends it; an answer without it has no such number.
const requestIDHeader = "Request-Id"

// Witness notes what happened on the wire during one call of an adapter, which
// may be several requests or, for an order signed locally, none. It is safe for
// concurrent use.
type Witness struct {
	mu        sync.Mutex
	requests  int
	requestID string
}

type witnessKey struct{}

// Watch returns a context whose requests the Witness sees.
func Watch(ctx context.Context) (context.Context, *Witness) {
	w := &Witness{}
	return context.WithValue(ctx, witnessKey{}, w), w
}

// Requests counts the requests that went to the transport.
func (w *Witness) Requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests
}

// RequestID is the provider's number of the last answer that had one, as it came.
func (w *Witness) RequestID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requestID
}

// see notes a request and its answer, which is nil when none came.
func see(ctx context.Context, answer *http.Response) {
	w, ok := ctx.Value(witnessKey{}).(*Witness)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests++
	if answer != nil && answer.Header.Get(requestIDHeader) != "" {
		w.requestID = answer.Header.Get(requestIDHeader)
	}
}

// nobodyReached reports whether a request surely never left, because there was no
// connection to send it on. net/http sends a POST again only if nothing of it was
// written, so its last error speaks for all tries.
func nobodyReached(err error) bool {
	var trouble *net.OpError
	return errors.As(err, &trouble) && trouble.Op == "dial"
}
