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
	"github.com/suanpan/suanpan/core/approval"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
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
	// op is the operation of the contract, caller who asked for it.
	op     *operation
	caller tenant.Principal
	// decision is set in a request that was stored and is carried out now.
	decision *decision
}

// by is the caller as approvals name him.
func (c call) by() approval.By {
	by := approval.By{KeyID: c.caller.KeyID}
	if c.caller.Person != nil {
		by.PrincipalID = c.caller.Person.ID
	}
	return by
}

// request is what makes the call the same as another one: its own key, route and
// body, or those of the decision that carries it out.
func (c call) request(key string) accept.Request {
	if c.decision != nil {
		return c.decision.request
	}
	return accept.Request{Tenant: c.tenant, Key: key, Route: c.route, Body: c.body}
}

// callOf unpacks the context of a handler, which Gin made.
func callOf(ctx context.Context) call {
	caller := principal(ctx)
	c := call{ctx: ctx, tenant: caller.TenantID, caller: caller}
	if g, ok := ctx.(*gin.Context); ok {
		c.ctx = g.Request.Context()
		c.route = g.Request.Method + " " + g.Request.URL.Path
		if body, ok := g.Get(keyBody); ok {
			c.body, _ = body.([]byte)
		}
		if op, ok := g.Get(keyOperation); ok {
			c.op, _ = op.(*operation)
		}
		c.decision, _ = c.ctx.Value(decisionKey{}).(*decision)
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
	// preview is what a second person sees of the request, where one must approve it; nil
	// where the body says it all.
	preview preview
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
	req := c.request(n.key)
	create := h.guarded(c, &req, n.preview, func(tx pgx.Tx) (string, int, any, error) {
		objectID, err := n.create(tx)
		return objectID, 0, nil, err
	})
	done, err := accept.Do(c.ctx, h.opts.DB, req, func(tx pgx.Tx) (string, error) {
		objectID, _, _, err := create(tx)
		return objectID, err
	})
	if err != nil {
		return answer{}, err
	}
	if done.Response != nil {
		return answer{done.Response.Status, done.Response.Body, true}, nil
	}
	n = h.approvalInstead(c, n, done.ObjectID)
	if n.workflow != nil {
		about := ""
		if n.about != nil {
			about = n.about(done.ObjectID)
		}
		err := h.firstAnswer(c.ctx, c.tenant, about, func(tx pgx.Tx) (string, error) { return n.workflow(tx, done.ObjectID) })
		if err != nil {
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

// firstAnswer lets the workflow that was required run up to its first answer,
// about the payment's attempt if one is named. Trouble with the workflow service
// is no trouble of the request: the object is booked and the sweeper starts what
// is missing.
func (s *server) firstAnswer(ctx context.Context, tenantID, about string, workflow func(tx pgx.Tx) (string, error)) error {
	var start accept.Start
	err := s.opts.DB.InTenant(ctx, tenantID, func(tx pgx.Tx) error {
		workflowID, err := workflow(tx)
		if err != nil {
			return err
		}
		start, err = accept.Required(ctx, tx, tenantID, workflowID)
		return err
	})
	if err != nil {
		return err
	}
	answered, err := s.opts.Workflows.FirstAnswer(ctx, start, about)
	if err != nil {
		s.opts.Log.Warn("no first answer; the sweeper will start the workflow", "workflow", start.WorkflowID, "error", err.Error())
	}
	if !answered {
		return nil
	}
	return s.opts.DB.InTenant(ctx, tenantID, func(tx pgx.Tx) error { return accept.MarkStarted(ctx, tx, start) })
}

// acceptedAtOnce answers a POST whose object is final when it is created, in one
// transaction: create makes the object and renders it.
func (h *handlers) acceptedAtOnce(c call, key string, create maker) (answer, error) {
	req := c.request(key)
	create = h.guarded(c, &req, nil, create)
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

func secretShown(objectID string) error {
	return fault.Conflict("Idempotency-Key", codeSecretShown,
		"This request was carried out as "+objectID+", and its answer was shown once. If it was lost: rotate the secret, or ask anew.")
}

// acceptedOnce answers a POST whose answer holds a secret: the stored answer is
// redacted, and a repetition is refused instead of replayed.
func (h *handlers) acceptedOnce(c call, n creation, redacted func(tx pgx.Tx, objectID string) (any, error)) (answer, error) {
	req := c.request(n.key)
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
		return answer{}, secretShown(done.ObjectID)
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

// acceptedFromOperator answers a POST of an operator. create makes the object and
// renders it; kept is what is stored of the answer: the same, or with redactedKey in the
// place of a secret, which is shown once.
func (h *handlers) acceptedFromOperator(
	c call, key string, status int, create func(tx pgx.Tx) (objectID string, shown, kept any, err error),
) (answer, error) {
	req := accept.Request{Key: key, Route: c.route, Body: c.body}
	var body []byte
	done, err := accept.ByOperator(c.ctx, h.opts.DB, c.caller.KeyID, req, func(tx pgx.Tx) (string, accept.Response, error) {
		objectID, shown, kept, err := create(tx)
		if err != nil {
			return "", accept.Response{}, err
		}
		if body, err = encode(shown); err != nil {
			return "", accept.Response{}, err
		}
		stored, err := encode(kept)
		return objectID, accept.Response{Status: status, Body: stored}, err
	})
	switch {
	case err != nil:
		return answer{}, err
	case done.Replayed && bytes.Contains(done.Response.Body, []byte(redactedKey)):
		return answer{}, secretShown(done.ObjectID)
	case done.Replayed:
		return answer{done.Response.Status, done.Response.Body, true}, nil
	}
	return answer{status, body, false}, nil
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

func (a answer) VisitCreatePaymentResponse(w http.ResponseWriter) error           { return a.write(w) }
func (a answer) VisitCreatePaymentAttemptResponse(w http.ResponseWriter) error    { return a.write(w) }
func (a answer) VisitCancelPaymentResponse(w http.ResponseWriter) error           { return a.write(w) }
func (a answer) VisitCreateRefundResponse(w http.ResponseWriter) error            { return a.write(w) }
func (a answer) VisitRedirectRefundResponse(w http.ResponseWriter) error          { return a.write(w) }
func (a answer) VisitCreateWithdrawalResponse(w http.ResponseWriter) error        { return a.write(w) }
func (a answer) VisitCreateTransferResponse(w http.ResponseWriter) error          { return a.write(w) }
func (a answer) VisitCreateTransferBatchResponse(w http.ResponseWriter) error     { return a.write(w) }
func (a answer) VisitOpenAccountResponse(w http.ResponseWriter) error             { return a.write(w) }
func (a answer) VisitChangeAccountStatusResponse(w http.ResponseWriter) error     { return a.write(w) }
func (a answer) VisitChangeAccountLimitsResponse(w http.ResponseWriter) error     { return a.write(w) }
func (a answer) VisitPlaceHoldResponse(w http.ResponseWriter) error               { return a.write(w) }
func (a answer) VisitReleaseHoldResponse(w http.ResponseWriter) error             { return a.write(w) }
func (a answer) VisitCreateMerchantResponse(w http.ResponseWriter) error          { return a.write(w) }
func (a answer) VisitForgetPayeeResponse(w http.ResponseWriter) error             { return a.write(w) }
func (a answer) VisitForgetPayerResponse(w http.ResponseWriter) error             { return a.write(w) }
func (a answer) VisitUnmaskPayeeResponse(w http.ResponseWriter) error             { return a.write(w) }
func (a answer) VisitCreateSplitRuleResponse(w http.ResponseWriter) error         { return a.write(w) }
func (a answer) VisitCreateSplitPreviewResponse(w http.ResponseWriter) error      { return a.write(w) }
func (a answer) VisitCreateDailyOperationResponse(w http.ResponseWriter) error    { return a.write(w) }
func (a answer) VisitCreateReconciliationResponse(w http.ResponseWriter) error    { return a.write(w) }
func (a answer) VisitCreateWebhookEndpointResponse(w http.ResponseWriter) error   { return a.write(w) }
func (a answer) VisitRotateWebhookSecretResponse(w http.ResponseWriter) error     { return a.write(w) }
func (a answer) VisitMoveTestClockResponse(w http.ResponseWriter) error           { return a.write(w) }
func (a answer) VisitCreateTenantResponse(w http.ResponseWriter) error            { return a.write(w) }
func (a answer) VisitCreateTenantKeyResponse(w http.ResponseWriter) error         { return a.write(w) }
func (a answer) VisitRevokeTenantKeyResponse(w http.ResponseWriter) error         { return a.write(w) }
func (a answer) VisitCreateAPIKeyResponse(w http.ResponseWriter) error            { return a.write(w) }
func (a answer) VisitRotateAPIKeyResponse(w http.ResponseWriter) error            { return a.write(w) }
func (a answer) VisitRevokeAPIKeyResponse(w http.ResponseWriter) error            { return a.write(w) }
func (a answer) VisitCreateSigningKeyResponse(w http.ResponseWriter) error        { return a.write(w) }
func (a answer) VisitRetireSigningKeyResponse(w http.ResponseWriter) error        { return a.write(w) }
func (a answer) VisitPingWebhookEndpointResponse(w http.ResponseWriter) error     { return a.write(w) }
func (a answer) VisitRedeliverEventResponse(w http.ResponseWriter) error          { return a.write(w) }
func (a answer) VisitCreateWebhookRedeliveryResponse(w http.ResponseWriter) error { return a.write(w) }
