package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/telemetry"
	"github.com/suanpan/suanpan/ledger"
)

// problem is the body of every error (RFC 9457). It names no request and no
// object, so that two answers of the same kind are the same bytes.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Field  string `json:"field,omitempty"`
	Limit  string `json:"limit,omitempty"`
}

// status is the one switch from kinds of refusal to HTTP.
func status(k fault.Kind) (code int, title string) {
	switch k {
	case fault.KindInvalid:
		return http.StatusBadRequest, "Invalid request"
	case fault.KindUnauthenticated:
		return http.StatusUnauthorized, "Not authenticated"
	case fault.KindForbidden:
		return http.StatusForbidden, "Not allowed"
	case fault.KindNotFound:
		return http.StatusNotFound, "Not found"
	case fault.KindConflict:
		return http.StatusConflict, "Conflict"
	case fault.KindRefused:
		return http.StatusUnprocessableEntity, "Refused"
	case fault.KindLimited:
		return http.StatusTooManyRequests, "Too many requests"
	case fault.KindUnavailable:
		return http.StatusServiceUnavailable, "Unavailable"
	}
	return http.StatusInternalServerError, "Internal error"
}

// Refusals that only HTTP knows.
const (
	kindTooLarge         fault.Kind = "too_large"
	kindTimeout          fault.Kind = "timeout"
	kindMethodNotAllowed fault.Kind = "method_not_allowed"
	kindInternal         fault.Kind = "internal"
)

func httpStatus(k fault.Kind) (code int, title string) {
	switch k {
	case kindTooLarge:
		return http.StatusRequestEntityTooLarge, "Too large"
	case kindTimeout:
		return http.StatusRequestTimeout, "Timeout"
	case kindMethodNotAllowed:
		return http.StatusMethodNotAllowed, "Method not allowed"
	}
	return status(k)
}

// refuse ends the request with the answer for err. What is not a refusal is
// logged and answered as unavailable or, when it is nobody's fault but ours, as
// an internal error; its text is never shown.
func (s *server) refuse(c *gin.Context, err error) {
	f := s.asFault(c, err)
	c.Set(keyRefusal, f.Code)
	if f.Cause != nil {
		s.log(c).Warn("request refused", "code", f.Code, "cause", f.Cause.Error())
	}
	code, title := httpStatus(f.Kind)
	if f.RetryAfter > 0 {
		seconds := int(math.Ceil(f.RetryAfter.Seconds()))
		c.Header("Retry-After", strconv.Itoa(seconds))
	}
	if code == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", `Bearer realm="suanpan"`)
	}
	body, err := json.Marshal(problem{
		Type: "urn:suanpan:problem:" + f.Code, Title: title, Status: code,
		Code: f.Code, Detail: f.Detail, Field: f.Field, Limit: f.Limit,
	})
	if err != nil { // strings always encode
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Abort()
	c.Data(code, "application/problem+json", body)
}

func (s *server) asFault(c *gin.Context, err error) *fault.Error {
	if f, ok := fault.As(err); ok {
		return f
	}
	var tooLarge *http.MaxBytesError
	var books *ledger.Error
	switch {
	case errors.As(err, &tooLarge):
		return &fault.Error{Kind: kindTooLarge, Code: "body_too_large", Detail: "The body is larger than 64 KiB."}
	case errors.As(err, &books) && booksFault(books) != nil:
		return limitNamed(booksFault(books), err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), pg.IsUnavailable(err):
		return fault.Unavailable(err, time.Second)
	}
	s.log(c).Error("request failed", "error", err.Error())
	return &fault.Error{Kind: kindInternal, Code: "internal",
		Detail: "Something went wrong on our side; it has been logged under the request id in the header X-Request-Id."}
}

// limitNamed puts the name of the limit beside its refusal.
func limitNamed(f *fault.Error, err error) *fault.Error {
	var limit *ledger.LimitError
	if errors.As(err, &limit) {
		f.Limit = limit.Limit
	}
	return f
}

// booksFault words the refusals of the ledger that a caller can do something
// about; the others are mistakes of ours and nil.
func booksFault(e *ledger.Error) *fault.Error {
	switch e.Kind {
	case ledger.NotFound:
		return fault.NotFound()
	case ledger.Insufficient:
		return fault.Refused("", "funds_insufficient", "An account has too little money for this: "+e.Rule+".")
	case ledger.AccountStatus:
		return fault.Refused("", "account_not_active", "An account is frozen or closed: "+e.Rule+".")
	case ledger.LimitExceeded:
		return fault.Refused("", "limit_exceeded", "A limit of an account does not allow this: "+e.Rule+".")
	case ledger.NotEmpty:
		return fault.Refused("", "account_not_empty", "The account cannot be closed: "+e.Rule+".")
	case ledger.CustodyMode:
		return fault.Refused("", "custody_mode_forbids", "The tenant's custody mode does not allow this: "+e.Rule+".")
	case ledger.NoData:
		return fault.Refused(e.Field, "no_data", e.Rule+".")
	case ledger.Invalid, ledger.Unbalanced, ledger.Forbidden, ledger.Mismatch, ledger.HoldClosed, ledger.HoldExceeded,
		ledger.Reversed, ledger.Broken:
		return nil
	}
	return nil
}

// log is the server's logger with what identifies the request.
func (s *server) log(c *gin.Context) *slog.Logger {
	log := s.opts.Log.With("request_id", c.GetString(keyRequestID), "method", c.Request.Method, "route", c.FullPath())
	if trace := telemetry.TraceID(c.Request.Context()); trace != "" {
		log = log.With("trace_id", trace)
	}
	return log
}
