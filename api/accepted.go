package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/fault"
)

// handlers implements the generated strict server, one file per noun.
type handlers struct{ *server }

// call is what a handler knows of its request beyond the generated types. ctx
// outlives Gin's pooled context and is what goes further down.
type call struct {
	ctx    context.Context
	tenant string
	// route is the method and the path as requested.
	route string
	body  []byte
}

// callOf unpacks the context of a handler, which Gin made.
func callOf(ctx context.Context) call {
	c := call{ctx: ctx, tenant: principal(ctx).TenantID}
	if g, ok := ctx.(*gin.Context); ok {
		c.ctx = g.Request.Context()
		c.route = g.Request.Method + " " + g.Request.URL.Path
		if body, ok := g.Get(keyBody); ok {
			c.body, _ = body.([]byte)
		}
	}
	return c
}

// read runs fn in a transaction of the caller's tenant.
func (h *handlers) read(c call, fn func(tx pgx.Tx) error) error {
	return h.opts.DB.InTenant(c.ctx, c.tenant, fn)
}

// creation is what a POST brings about.
type creation struct {
	key    string
	status int
	// create runs in the transaction that accepts the request and returns the id
	// of what it made. It may run more than once; only the last run counts.
	create func(tx pgx.Tx) (string, error)
	// workflow returns the id of the workflow that create required; nil when the
	// object needs none.
	workflow func(tx pgx.Tx, objectID string) (string, error)
	// about says of what the workflow's first answer is to be; nil when it has one.
	about func(objectID string) string
	// show renders the object for the first answer.
	show func(tx pgx.Tx, objectID string) (any, error)
}

// accepted answers a POST. In one transaction it commits the object, the
// idempotency row and the workflow that must run; then it gives the workflow a
// moment for its first answer, renders the object and stores those bytes for
// every repetition. Dying anywhere in between loses nothing: the repetition goes
// on where this one stopped.
func (h *handlers) accepted(c call, n creation) (answer, error) {
	req := accept.Request{Tenant: c.tenant, Key: n.key, Route: c.route, Body: c.body}
	done, err := accept.Do(c.ctx, h.opts.DB, req, n.create)
	if err != nil {
		return answer{}, err
	}
	if done.Response != nil {
		return answer{done.Response.Status, done.Response.Body, true}, nil
	}
	if n.workflow != nil {
		if err := h.firstAnswer(c, n, done.ObjectID); err != nil {
			return answer{}, err
		}
	}
	var shown any
	if err := h.read(c, func(tx pgx.Tx) error {
		shown, err = n.show(tx, done.ObjectID)
		return err
	}); err != nil {
		return answer{}, err
	}
	body, err := encode(shown)
	if err != nil {
		return answer{}, err
	}
	stored, err := accept.Answer(c.ctx, h.opts.DB, req, done, accept.Response{Status: n.status, Body: body})
	if err != nil {
		return answer{}, err
	}
	return answer{stored.Status, stored.Body, done.Replayed}, nil
}

// firstAnswer lets the object's workflow run up to its first answer. Trouble
// with the workflow service is no trouble of the request: the object is booked
// and the sweeper starts what is missing.
func (h *handlers) firstAnswer(c call, n creation, objectID string) error {
	var start accept.Start
	err := h.read(c, func(tx pgx.Tx) error {
		workflowID, err := n.workflow(tx, objectID)
		if err != nil {
			return err
		}
		start, err = accept.Required(c.ctx, tx, c.tenant, workflowID)
		return err
	})
	if err != nil {
		return err
	}
	about := ""
	if n.about != nil {
		about = n.about(objectID)
	}
	answered, err := h.opts.Workflows.FirstAnswer(c.ctx, start, about)
	if err != nil {
		h.opts.Log.Warn("no first answer; the sweeper will start the workflow", "workflow", start.WorkflowID, "error", err.Error())
	}
	if !answered {
		return nil
	}
	return h.read(c, func(tx pgx.Tx) error { return accept.MarkStarted(c.ctx, tx, start) })
}

// acceptedAtOnce answers a POST whose object is final when it is created, in one
// transaction: create makes the object and renders it.
func (h *handlers) acceptedAtOnce(
	c call, key string, create func(tx pgx.Tx) (objectID string, status int, shown any, err error),
) (answer, error) {
	req := accept.Request{Tenant: c.tenant, Key: key, Route: c.route, Body: c.body}
	done, err := accept.AtOnce(c.ctx, h.opts.DB, req, func(tx pgx.Tx) (string, accept.Response, error) {
		objectID, status, shown, err := create(tx)
		if err != nil {
			return "", accept.Response{}, err
		}
		body, err := encode(shown)
		return objectID, accept.Response{Status: status, Body: body}, err
	})
	if err != nil {
		return answer{}, err
	}
	return answer{done.Response.Status, done.Response.Body, done.Replayed}, nil
}

// codeSecretShown is the refusal to show a secret a second time.
const codeSecretShown = "secret_already_shown"

// acceptedOnce answers a POST whose answer holds a secret: the stored answer is
// redacted, and a repetition is refused instead of replayed.
func (h *handlers) acceptedOnce(c call, n creation, redacted func(tx pgx.Tx, objectID string) (any, error)) (answer, error) {
	req := accept.Request{Tenant: c.tenant, Key: n.key, Route: c.route, Body: c.body}
	var shown, kept any
	done, err := accept.Do(c.ctx, h.opts.DB, req, func(tx pgx.Tx) (string, error) {
		objectID, err := n.create(tx)
		if err != nil {
			return "", err
		}
		if shown, err = n.show(tx, objectID); err != nil {
			return "", err
		}
		kept, err = redacted(tx, objectID)
		return objectID, err
	})
	if err != nil {
		return answer{}, err
	}
	if done.Replayed {
		return answer{}, fault.Conflict("Idempotency-Key", codeSecretShown,
			"This request was carried out and its secret was shown once; if it was lost, rotate the secret of "+done.ObjectID+".")
	}
	body, err := encode(shown)
	if err != nil {
		return answer{}, err
	}
	redactedBody, err := encode(kept)
	if err != nil {
		return answer{}, err
	}
	_, err = accept.Answer(c.ctx, h.opts.DB, req, done, accept.Response{Status: n.status, Body: redactedBody})
	return answer{n.status, body, false}, err
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// answer is the answer to a POST, byte for byte as stored.
type answer struct {
	status   int
	body     []byte
	replayed bool
}

func (a answer) write(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	if a.replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	w.WriteHeader(a.status)
	_, err := w.Write(a.body)
	return err
}

// The generated server asks each operation's answer to write itself.

func (a answer) VisitCreatePaymentResponse(w http.ResponseWriter) error         { return a.write(w) }
func (a answer) VisitCreatePaymentAttemptResponse(w http.ResponseWriter) error  { return a.write(w) }
func (a answer) VisitCancelPaymentResponse(w http.ResponseWriter) error         { return a.write(w) }
func (a answer) VisitCreateRefundResponse(w http.ResponseWriter) error          { return a.write(w) }
func (a answer) VisitCreateWithdrawalResponse(w http.ResponseWriter) error      { return a.write(w) }
func (a answer) VisitCreateTransferResponse(w http.ResponseWriter) error        { return a.write(w) }
func (a answer) VisitCreateTransferBatchResponse(w http.ResponseWriter) error   { return a.write(w) }
func (a answer) VisitOpenAccountResponse(w http.ResponseWriter) error           { return a.write(w) }
func (a answer) VisitChangeAccountStatusResponse(w http.ResponseWriter) error   { return a.write(w) }
func (a answer) VisitChangeAccountLimitsResponse(w http.ResponseWriter) error   { return a.write(w) }
func (a answer) VisitPlaceHoldResponse(w http.ResponseWriter) error             { return a.write(w) }
func (a answer) VisitReleaseHoldResponse(w http.ResponseWriter) error           { return a.write(w) }
func (a answer) VisitCreateMerchantResponse(w http.ResponseWriter) error        { return a.write(w) }
func (a answer) VisitCreateSplitRuleResponse(w http.ResponseWriter) error       { return a.write(w) }
func (a answer) VisitCreateSplitPreviewResponse(w http.ResponseWriter) error    { return a.write(w) }
func (a answer) VisitCreateDailyOperationResponse(w http.ResponseWriter) error  { return a.write(w) }
func (a answer) VisitCreateReconciliationResponse(w http.ResponseWriter) error  { return a.write(w) }
func (a answer) VisitCreateWebhookEndpointResponse(w http.ResponseWriter) error { return a.write(w) }
func (a answer) VisitRotateWebhookSecretResponse(w http.ResponseWriter) error   { return a.write(w) }
func (a answer) VisitMoveTestClockResponse(w http.ResponseWriter) error         { return a.write(w) }
