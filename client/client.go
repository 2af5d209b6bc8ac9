package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

// Config is what New needs.
type Config struct {
	// BaseURLs are the addresses of one or more instances of the same service; a
	// request that one does not answer goes to the next.
	BaseURLs []string
	// Key is a secret API key.
	Key string
	// Signer signs every try of every request; nil means that the key needs no signatures.
	Signer *Signer
	// HTTP does the exchanges; nil means a client with a timeout of 30 s that
	// follows no redirects.
	HTTP *http.Client
	// Patience is how long a request that is not answered, or is answered with
	// "later" (429, 5xx), is repeated: 30 s unless set. Negative means no repetition.
	Patience time.Duration
}

// API is the generated client speaking through repetition, authentication and
// error decoding. Its operations end in WithResponse; with a nil error the
// answer is a success and the field for its status (JSON200, JSON201) is set,
// otherwise the error is an *Error or says why there was no answer. Lists also
// come as iterators over all their pages, whose names begin with All. It is safe
// for concurrent use.
//
// Where a POST is given no parameters (nil), it gets a new idempotency key, under
// which it is repeated. A program that may die before it has the answer makes the
// key itself and stores it first.
type API struct{ *ClientWithResponses }

const idempotencyKey = "Idempotency-Key"

// codeSignatureReplayed is the refusal of a signature that came before.
const codeSignatureReplayed = "signature_replayed"

// Bounds of repetition and of an answer.
const (
	defaultPatience = 30 * time.Second
	firstPause      = 100 * time.Millisecond
	longestPause    = 5 * time.Second
	maxAnswer       = 8 << 20
)

// New returns a client. It makes no request.
func New(cfg Config) (*API, error) {
	if cfg.Key == "" {
		return nil, errors.New("suanpan: Config.Key is empty; give a secret API key")
	}
	r := &repeater{key: cfg.Key, signer: cfg.Signer, http: cfg.HTTP, patience: cfg.Patience}
	for _, text := range cfg.BaseURLs {
		base, err := url.Parse(text)
		if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
			return nil, fmt.Errorf("suanpan: Config.BaseURLs: %q is not an http(s) URL", text)
		}
		r.bases = append(r.bases, base)
	}
	if len(r.bases) == 0 {
		return nil, errors.New("suanpan: Config.BaseURLs is empty; give the address of the API")
	}
	if r.http == nil {
		r.http = &http.Client{
			Timeout:       30 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if r.patience == 0 {
		r.patience = defaultPatience
	}
	generated, err := NewClientWithResponses(r.bases[0].String(), WithHTTPClient(r))
	if err != nil {
		return nil, fmt.Errorf("suanpan: %w", err)
	}
	return &API{generated}, nil
}

// NewIdempotencyKey returns a fresh key: one per intent, kept for its retries. A
// program that may die between deciding and asking stores the key first.
func NewIdempotencyKey() string { return rand.Text() }

// repeater sends a request until it is answered. That is safe: a GET changes
// nothing, a POST bears its Idempotency-Key and so acts once, and a DELETE that
// was carried out unheard answers 404 the second time.
type repeater struct {
	bases    []*url.URL
	key      string
	signer   *Signer
	http     *http.Client
	patience time.Duration
	turn     atomic.Uint64
}

// Do implements HttpRequestDoer.
func (r *repeater) Do(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPost && req.Header.Get(idempotencyKey) == "" {
		req.Header.Set(idempotencyKey, NewIdempotencyKey())
	}
	deadline := time.Now().Add(r.patience)
	pause := firstPause
	for {
		resp, wait, err := r.try(req)
		if err == nil || !worthRepeating(req.Context(), err) {
			return resp, err
		}
		wait = max(wait, jitter(pause))
		if time.Now().Add(wait).After(deadline) {
			return nil, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-req.Context().Done():
			timer.Stop()
			return nil, err
		case <-timer.C:
		}
		pause = min(2*pause, longestPause)
	}
}

func worthRepeating(ctx context.Context, err error) bool {
	// Somebody on the way, net/http too, may have sent a try again by itself.
	return ctx.Err() == nil && (IsUnknown(err) || IsCode(err, codeSignatureReplayed))
}

// try sends req to the instance whose turn it is and reads the whole answer, so
// that a process that dies while answering counts as no answer. The wait is
// what the service asked for.
func (r *repeater) try(req *http.Request) (*http.Response, time.Duration, error) {
	base := r.bases[r.turn.Add(1)%uint64(len(r.bases))]
	sent := req.Clone(req.Context())
	sent.URL.Scheme, sent.URL.Host, sent.Host = base.Scheme, base.Host, ""
	sent.Header.Set("Authorization", "Bearer "+r.key)
	if err := r.load(sent); err != nil {
		return nil, 0, err
	}
	resp, err := r.http.Do(sent)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, 0, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, retryAfter(resp.Header), problemOf(resp, body)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, 0, nil
}

// load gives a try a body of its own, and signs the whole.
func (r *repeater) load(sent *http.Request) error {
	var body []byte
	if sent.GetBody != nil {
		reader, err := sent.GetBody()
		if err != nil {
			return err
		}
		if body, err = io.ReadAll(reader); err != nil {
			return err
		}
		sent.Body = io.NopCloser(bytes.NewReader(body))
	}
	if r.signer != nil {
		r.signer.Sign(sent, body)
	}
	return nil
}

func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// jitter returns d/2 to d, so that clients that failed together spread out.
func jitter(d time.Duration) time.Duration {
	var b [1]byte
	_, _ = rand.Read(b[:])
	return d/2 + d/2*time.Duration(b[0])/255
}
