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
	return e
}
