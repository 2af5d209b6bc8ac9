package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/internal/failpoint"
)

// DefaultTimeout bounds one call from dial to the last byte of the answer.
const DefaultTimeout = 15 * time.Second

// MaxAnswer bounds the body of an API answer and MaxBill that of a bill file,
// in bytes, after any transfer decompression.
const (
	MaxAnswer int64 = 1 << 20
	MaxBill   int64 = 256 << 20
)

// Failure says why no usable answer came. Code is one of channel.CodeNotSent,
// channel.CodeNoAnswer and channel.CodeBadBody; Reason is in words and holds no address, because an
// address can hold a token.
type Failure struct{ Code, Reason string }

// Error implements error.
func (f *Failure) Error() string { return f.Code + ": " + f.Reason }

// Options shape a Client.
type Options struct {
	// Base carries the requests; nil means a transport of our own.
	Base http.RoundTripper
	// MaxBody bounds the body of every answer, in bytes.
	MaxBody int64
	// Rewrite, when set, gives the address really dialled for the one signed.
	Rewrite func(*url.URL) *url.URL
	// Accept, when set, may refuse a complete answer.
	Accept func(status int, body []byte) *Failure
}

// Client returns an HTTP client under o. It has no timeout of its own: the
// adapter bounds each call by its context, which also covers reading the body.
func Client(o Options) *http.Client {
	if o.Base == nil {
		o.Base = Transport()
	}
	return &http.Client{
		Transport: &guard{o},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// Transport returns a transport for one provider: bounded dialling, kept-alive
// connections, no proxy.
func Transport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// guard reads the whole bounded body before anybody else sees the answer, so
// that every trouble of the wire comes out of RoundTrip as a *Failure.
type guard struct{ Options }

func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if g.Rewrite != nil {
		request = request.Clone(request.Context())
		request.URL = g.Rewrite(request.URL)
		request.Host = request.URL.Host
	}
	failpoint.At(request.Context(), failpoint.BeforeCall)
	response, err := g.Base.RoundTrip(request)
	see(request.Context(), response)
	if err != nil {
		return nil, unanswered(err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, g.MaxBody+1))
	failpoint.At(request.Context(), failpoint.AfterCall)
	closeErr := response.Body.Close()
	if err = errors.Join(err, closeErr); err != nil {
		return nil, &Failure{channel.CodeNoAnswer, "the answer broke off: " + Reason(err)}
	}
	if int64(len(body)) > g.MaxBody {
		return nil, &Failure{channel.CodeBadBody, fmt.Sprintf("the answer is longer than %d bytes", g.MaxBody)}
	}
	if g.Accept != nil {
		if failure := g.Accept(response.StatusCode, body); failure != nil {
			return nil, failure
		}
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	response.ContentLength = int64(len(body))
	return response, nil
}

// unanswered is the Failure of a request that brought no answer.
func unanswered(err error) *Failure {
	if nobodyReached(err) {
		return &Failure{channel.CodeNotSent, "nobody was reached: " + Reason(err)}
	}
	return &Failure{channel.CodeNoAnswer, Reason(err)}
}

// AsFailure finds the wire's own trouble in err: a *Failure, a context that
// ended, or anything net/http reports. It is nil when the wire worked and err
// came from reading the answer.
func AsFailure(err error) *Failure {
	if failure := (*Failure)(nil); errors.As(err, &failure) {
		return failure
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &Failure{channel.CodeNoAnswer, Reason(err)}
	}
	if trouble := (*url.Error)(nil); errors.As(err, &trouble) {
		return &Failure{channel.CodeNoAnswer, Reason(err)}
	}
	return nil
}

// Reason tells err in words without the address net/http puts in front of it.
func Reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if trouble := (*url.Error)(nil); errors.As(err, &trouble) {
		return Reason(trouble.Err)
	}
	return err.Error()
}

// Shanghai is the zone in which every provider of this country prints its
// times. It has had one offset since 1991, so no zone database is needed.
func Shanghai() *time.Location { return time.FixedZone("Asia/Shanghai", 8*60*60) }

// Moment reads a time a provider printed; a text without a zone is of Shanghai.
// A year no provider can mean is refused: it would put money on a day that no
// bill has.
func Moment(layout, text string) (time.Time, error) {
	at, err := time.ParseInLocation(layout, text, Shanghai())
	if err != nil {
		return time.Time{}, errors.New("not a time")
	}
	if at.Year() < 2000 || at.Year() > 2200 {
		return time.Time{}, errors.New("not a year of this century or the next")
	}
	return at, nil
}
