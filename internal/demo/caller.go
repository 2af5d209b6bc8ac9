package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/suanpan/suanpan/client"
)

const (
	// perTry bounds one exchange; a process that hangs is left for the other.
	perTry      = 25 * time.Second
	answerLimit = 8 << 20
)

// caller sends each request to one API instance after the other until one of
// them has answered it. Whoever dies meanwhile, repeating is safe: a GET
// changes nothing and a POST bears its Idempotency-Key.
type caller struct {
	bases []*url.URL
	http  *http.Client
	turn  atomic.Uint64
	// repeated counts the tries that had to be repeated.
	repeated atomic.Int64
}

func newCaller(bases []string) (*caller, error) {
	c := &caller{http: &http.Client{Timeout: perTry}}
	for _, base := range bases {
		parsed, err := url.Parse(base)
		if err != nil || parsed.Host == "" {
			return nil, fmt.Errorf("%q is not the URL of an API", base)
		}
		c.bases = append(c.bases, parsed)
	}
	return c, nil
}

// Do implements client.HttpRequestDoer.
func (c *caller) Do(r *http.Request) (*http.Response, error) {
	deadline := time.Now().Add(patience)
	wait := 100 * time.Millisecond
	for {
		response, err := c.try(r)
		if err == nil && response.StatusCode < 500 && response.StatusCode != http.StatusTooManyRequests {
			return response, nil
		}
		if r.Context().Err() != nil {
			return nil, r.Context().Err()
		}
		if time.Now().After(deadline) {
			return response, err
		}
		c.repeated.Add(1)
		if err := pause(r.Context(), wait); err != nil {
			return nil, err
		}
		wait = min(wait*3/2, 2*time.Second)
	}
}

// try sends r to the instance whose turn it is and reads the whole answer: a
// process may die in the middle of it.
func (c *caller) try(r *http.Request) (*http.Response, error) {
	base := c.bases[c.turn.Add(1)%uint64(len(c.bases))]
	request := r.Clone(r.Context())
	request.URL.Scheme, request.URL.Host, request.Host = base.Scheme, base.Host, base.Host
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		request.Body = body
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(text))
	return response, nil
}

// newAPI makes the generated client speak through c.
func newAPI(c *caller, key string) (*client.ClientWithResponses, error) {
	return client.NewClientWithResponses("http://api.invalid", client.WithHTTPClient(c),
		client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+key)
			return nil
		}))
}

// refusal is an answer other than the one hoped for.
type refusal struct {
	status string
	code   string
	detail string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the API answered %s %s: %s", r.status, r.code, r.detail)
}

// refused reports whether err is the API's refusal with this code.
func refused(err error, code string) bool {
	var r *refusal
	return errors.As(err, &r) && r.code == code
}

type answer interface {
	Status() string
	GetBody() []byte
}

type made[T any] interface {
	answer
	GetJSON201() *T
}

type found[T any] interface {
	answer
	GetJSON200() *T
}

// created unpacks the answer to a POST that makes something.
func created[T any](a made[T], err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return unpack(a, a.GetJSON201())
}

// got unpacks the answer to a GET, or to a POST that makes nothing.
func got[T any](a found[T], err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return unpack(a, a.GetJSON200())
}

func unpack[T any](a answer, body *T) (T, error) {
	if body != nil {
		return *body, nil
	}
	var none T
	var problem client.Problem
	if err := json.Unmarshal(a.GetBody(), &problem); err != nil {
		return none, &refusal{status: a.Status(), detail: string(a.GetBody())}
	}
	return none, &refusal{status: a.Status(), code: problem.Code, detail: problem.Detail}
}

// all reads every page of a list.
func all[T any](page func(cursor *string) ([]T, *string, error)) ([]T, error) {
	var list []T
	var cursor *string
	for {
		data, next, err := page(cursor)
		if err != nil {
			return nil, err
		}
		list = append(list, data...)
		if next == nil {
			return list, nil
		}
		cursor = next
	}
}

func ptr[T any](v T) *T { return &v }
