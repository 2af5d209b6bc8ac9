package event

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Bounds of one exchange.
const (
	sendTimeout    = 15 * time.Second
	maxAnswerBytes = 64 << 10
	maxAnswerRunes = 256
	maxRetryAfter  = 24 * time.Hour
)

// message is one POST to one endpoint, the same bytes at every retry.
type message struct {
	url     string
	id      string
	body    []byte
	secrets []string
}

// answer is what came of a message.
type answer struct {
	// status is the receiver's HTTP status; 0 when there was no complete answer.
	status int
	// words are the start of the receiver's body, masked, or what went wrong.
	words      string
	retryAfter time.Duration
	// took is how long the exchange lasted.
	took time.Duration
}

func (a answer) accepted() bool { return a.status >= 200 && a.status <= 299 }
func (a answer) gone() bool     { return a.status == http.StatusGone }

// sender does one HTTP exchange. It follows no redirect, uses no proxy, reads no
// more than it must and connects only where its Guard allows.
type sender struct {
	client  *http.Client
	timeout time.Duration
}

// newSender returns a sender that accepts certificates of roots, nil for the system's.
func newSender(guard *Guard, timeout time.Duration, roots *x509.CertPool) *sender {
	return &sender{
		timeout: timeout,
		client: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				Proxy:                  nil, // a proxy from the environment would dial in our place, past the guard
				DialContext:            guard.DialContext,
				TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
				TLSHandshakeTimeout:    5 * time.Second,
				DisableCompression:     true, // a small answer must not unpack into a large one
				MaxResponseHeaderBytes: maxAnswerBytes,
				MaxIdleConnsPerHost:    2,
				MaxIdleConns:           128,
				IdleConnTimeout:        30 * time.Second,
				ForceAttemptHTTP2:      true,
			},
		},
	}
}

// send posts m once and never fails: trouble is an answer without a status.
func (s *sender) send(ctx context.Context, m message) answer {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(m.body))
	if err != nil {
		return answer{words: "the URL is not usable"}
	}
	at := time.Now()
	signature, err := sign(m.secrets, m.id, at, m.body)
	if err != nil {
		return answer{words: "the endpoint has no usable signing secret"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Suanpan-Webhooks/1")
	req.Header.Set("webhook-id", m.id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	req.Header.Set("webhook-signature", signature)

	resp, err := s.client.Do(req)
	if err != nil {
		return answer{words: s.explain(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	// The status alone decides. The body is only an excerpt for the tenant's eyes,
	// so a receiver that never ends its body has still answered.
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil && len(body) == 0 {
		return answer{status: resp.StatusCode, words: s.explain(err)}
	}
	words := excerpt(body)
	if resp.StatusCode >= 300 && resp.StatusCode <= 399 {
		words = "redirects are not followed; give the final URL"
	}
	return answer{status: resp.StatusCode, words: words, retryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), at)}
}

// explain puts an exchange's error into words that show nothing of our network.
func (s *sender) explain(err error) string {
	var (
		netErr  net.Error
		certErr *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
		dnsErr  *net.DNSError
	)
	switch {
	case errors.Is(err, errForbiddenAddress):
		return errForbiddenAddress.Error()
	case errors.As(err, &certErr), errors.As(err, &unknown):
		return "the TLS certificate was not accepted"
	case errors.As(err, &dnsErr):
		return "the host name does not resolve"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return fmt.Sprintf("no complete answer within %s", s.timeout)
	case errors.Is(err, context.Canceled):
		return "the sending process stopped"
	default:
		return "the connection failed or broke off"
	}
}

// excerpt keeps the printable start of a body, without what looks like a secret or
// personal data.
func excerpt(body []byte) string {
	// Masked before it is cut: half a secret would not be recognised.
	text := []rune(mask(strings.ToValidUTF8(string(body[:min(len(body), 4<<10)]), "")))
	text = text[:min(len(text), maxAnswerRunes)]
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, string(text))
}

// parseRetryAfter reads both forms of Retry-After, bounded to 24 hours; what it
// cannot read is no wish.
func parseRetryAfter(value string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, maxRetryAfter))
}
