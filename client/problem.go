package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Error is an answer other than success.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Code is stable; decide by it. It is empty when the answer was no problem of
	// the API, such as a proxy's error page.
	Code string
	// Detail is for people.
	Detail string
	// Field names the failing field of the request, if there is a single one.
	Field string
	// Limit names the limit that refuses, with the code limit_exceeded.
	Limit string
	// RequestID finds the request in the service's log.
	RequestID string
}

// Error puts the answer into one line.
func (e *Error) Error() string {
	text := fmt.Sprintf("suanpan: %d %s: %s", e.Status, e.Code, e.Detail)
	if e.Field != "" {
		text += " (field " + e.Field + ")"
	}
	return text
}

// IsCode reports whether err holds an answer with this code.
func IsCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// IsUnknown reports whether a request that ended with err may have been done
// nevertheless: nobody answered, or the answer was "later" (408, 429, 5xx). Ask
// again under the same idempotency key, or look with a GET. Any other *Error
// means that the service refused the request and did nothing.
func IsUnknown(err error) bool {
	var e *Error
	return err != nil && (!errors.As(err, &e) || isLater(e.Status))
}

// isLater tells the statuses after which the same request may succeed.
func isLater(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= http.StatusInternalServerError
}

// problemOf reads the error out of an answer.
func problemOf(resp *http.Response, body []byte) *Error {
	e := &Error{Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id")}
	var p Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Code == "" {
		e.Detail = "the answer is not an answer of the API; is the address right?"
		return e
	}
	e.Code, e.Detail = p.Code, p.Detail
	if p.Field != nil {
		e.Field = *p.Field
	}
	if p.Limit != nil {
		e.Limit = *p.Limit
	}
	return e
}
