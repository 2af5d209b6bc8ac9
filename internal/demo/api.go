package demo

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/suanpan/suanpan/client"
)

// perTry bounds one exchange; a process that hangs is left for the other.
const perTry = 25 * time.Second

// newAPI returns the client that everything goes through. It repeats requests,
// in turn at every instance, for as long as patience: somebody may be killing
// processes.
func newAPI(o Options, unanswered *atomic.Int64) (*client.API, error) {
	return client.New(client.Config{BaseURLs: o.APIURLs, Key: o.APIKey, Patience: patience,
		HTTP: &http.Client{Timeout: perTry, Transport: &witness{unanswered: unanswered}}})
}

// witness counts the exchanges that the client has to repeat.
type witness struct{ unanswered *atomic.Int64 }

func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests {
		w.unanswered.Add(1)
	}
	return response, err
}

// errOtherSuccess is an answer of a status the contract does not name.
var errOtherSuccess = errors.New("the API answered with a success that its contract does not know")

// created unpacks the answer to a POST that makes something.
func created[T any](a interface{ GetJSON201() *T }, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return unpack(a.GetJSON201())
}

// got unpacks the answer to a GET, or to a POST that makes nothing.
func got[T any](a interface{ GetJSON200() *T }, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return unpack(a.GetJSON200())
}

func unpack[T any](body *T) (T, error) {
	if body == nil {
		var none T
		return none, errOtherSuccess
	}
	return *body, nil
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
