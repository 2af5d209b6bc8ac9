package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/approval"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// How a request that needs a second person comes and goes. The contract names the
// kind of every operation that can need one (x-approval). The transaction that would
// carry the request out asks the tenant's policies first; when they want somebody
// else, it stores the request instead and the answer is 202. Approving sends the
// stored request through the same handler once more, so that it is read, checked and
// booked as if it came now, in the transaction that marks the approval.

// maker makes an object in tx and returns its id, and for an answer that is final at
// once its status and what is shown.
type maker func(tx pgx.Tx) (objectID string, status int, shown any, err error)

// subject is what policies look at; nil for what never needs a second person.
func (op *operation) subject(body []byte) *approval.Subject {
	if op == nil || op.approval == "" {
		return nil
	}
	type amount struct {
		Amount   int64          `json:"amount"`
		Currency money.Currency `json:"currency"`
	}
	var asked struct {
		DryRun bool    `json:"dry_run"`
		Amount *amount `json:"amount"`
		Items  []struct {
			Amount amount `json:"amount"`
		} `json:"items"`
	}
	s := &approval.Subject{Kind: op.approval}
	if len(body) == 0 || json.Unmarshal(body, &asked) != nil {
		return s // the contract has passed it: it holds no amount
	}
	switch {
	case asked.DryRun:
		return nil
	case asked.Amount != nil:
		s.Amount = new(money.Of(asked.Amount.Amount, asked.Amount.Currency))
	case len(asked.Items) > 0:
		sum := money.Of(0, asked.Items[0].Amount.Currency)
		for _, item := range asked.Items {
			if item.Amount.Currency != sum.Currency {
				return s // no sum to compare with: as if it named no amount
			}
			sum.Minor += item.Amount.Amount // at most 200 of at most 10^15
		}
		s.Amount = &sum
	}
	return s
}

// preview is what whoever decides sees of a request that waits, beside its body or in
// the place of a sealed one: never keys, and personal data masked. An error refuses the
// request at once.
type preview func(tx pgx.Tx) (any, error)

// json runs p; nil gives nothing.
func (p preview) json(tx pgx.Tx) ([]byte, error) {
	if p == nil {
		return nil, nil
	}
	shown, err := p(tx)
	if err != nil {
		return nil, err
	}
	return json.Marshal(shown)
}

// guarded puts what must come before and after around make: the question whether
// somebody else must approve, or the decision that it is part of.
func (h *handlers) guarded(c call, req *accept.Request, show preview, create maker) maker {
	if c.decision != nil {
		return h.decided(c, create)
	}
	subject := c.op.subject(c.body)
	if subject == nil {
		return create
	}
	var need approval.Need
	req.Ask = func(batch *pgx.Batch) { subject.Ask(batch, c.tenant, &need) }
	return func(tx pgx.Tx) (string, int, any, error) {
		if !need.Required {
			return create(tx)
		}
		seen, err := show.json(tx)
		if err != nil {
			return "", 0, nil, err
		}
		approvalID, err := approval.Request(c.ctx, tx, h.opts.Box, c.tenant, approval.New{
			Subject: *subject, Operation: c.op.route.Operation.OperationID, Route: c.route, Body: c.body,
			Secret: c.op.sealed, Preview: seen, By: c.by(), ExpiresIn: need.ExpiresIn,
		})
		if err != nil {
			return "", 0, nil, err
		}
		shown, err := h.showApproval(c, tx, approvalID)
		return approvalID, http.StatusAccepted, shown, err
	}
}

// decided carries create out as what the decision approves; the answer is the
// approval.
func (h *handlers) decided(c call, create maker) maker {
	return func(tx pgx.Tx) (string, int, any, error) {
		objectID, err := approval.Approve(c.ctx, tx, h.opts.Box, c.tenant, c.decision.Decision, func() (string, error) {
			objectID, _, _, err := create(tx)
			return objectID, err
		})
		if err != nil {
			return "", 0, nil, err
		}
		shown, err := h.showApproval(c, tx, c.decision.ApprovalID)
		return objectID, http.StatusCreated, shown, err
	}
}

// approvalInstead turns the answer of a request into that of the approval that it
// waits for, or is carried out by.
func (h *handlers) approvalInstead(c call, n creation, objectID string) creation {
	show := func(approvalID string) func(pgx.Tx, string) (any, error) {
		return func(tx pgx.Tx, _ string) (any, error) { return h.showApproval(c, tx, approvalID) }
	}
	switch {
	case c.decision != nil:
		n.status, n.show = http.StatusCreated, show(c.decision.ApprovalID)
	case id.Check(id.Approval, objectID) == nil:
		n.status, n.show, n.workflow = http.StatusAccepted, show(objectID), nil
	}
	return n
}

// decision is an approval under way: what was decided, and the request that did.
type decision struct {
	approval.Decision
	request  accept.Request
	incoming *gin.Context
}

type decisionKey struct{}

// ApproveApproval implements POST /v1/approvals/{approval_id}/approve. What refuses
// it is looked for in the transaction that carries it out.
func (h *handlers) ApproveApproval(ctx context.Context, r gen.ApproveApprovalRequestObject) (gen.ApproveApprovalResponseObject, error) {
	c := callOf(ctx)
	seen, err := hex.DecodeString(r.Body.ContentSha256)
	if err != nil {
		return nil, fault.Invalid("content_sha256", "format_mismatch", "This must be 64 hexadecimal digits.")
	}
	var a approval.Approval
	var body []byte
	err = h.read(c, func(tx pgx.Tx) error {
		if a, err = approval.Get(c.ctx, tx, c.tenant, r.ApprovalID); err != nil {
			return err
		}
		body, err = a.Body(c.ctx, tx, h.opts.Box, c.tenant)
		return err
	})
	if errors.Is(err, secret.ErrNotOpened) || err == nil && !a.Unchanged(c.tenant, body) {
		return nil, approval.ContentChanged()
	}
	if err != nil {
		return nil, err
	}
	d := &decision{
		Decision: approval.Decision{ApprovalID: a.ID, By: c.by(), Hash: seen, Reason: text(r.Body.Reason)},
		request: accept.Request{Tenant: c.tenant, Key: r.Params.IdempotencyKey, Route: c.route, Body: c.body,
			Alone: true}, // the lock of the approval does not part those who share a transaction
	}
	d.incoming, _ = ctx.(*gin.Context)
	within := context.WithValue(c.ctx, decisionKey{}, d)
	if a.Merchant != "" { // what is carried out sees what its asker sees
		within = pg.OfMerchant(within, a.Merchant)
	}
	method, path, _ := strings.Cut(a.Route, " ")
	request, err := http.NewRequestWithContext(within, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Idempotency-Key", r.Params.IdempotencyKey)
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	return carriedOut{h.server, request}, nil
}

// carriedOut answers with what the stored request's own handler answers.
type carriedOut struct {
	server  *server
	request *http.Request
}

// VisitApproveApprovalResponse runs the handler.
func (o carriedOut) VisitApproveApprovalResponse(w http.ResponseWriter) error {
	o.server.stored.ServeHTTP(w, o.request)
	return nil
}

// resume stands in the place of authenticate for a stored request: who may ask for
// it was checked when it was asked for, who decides when he came.
func (s *server) resume(c *gin.Context) {
	d, decides := c.Request.Context().Value(decisionKey{}).(*decision)
	op := s.contract.find(c.Request, c.FullPath())
	if op == nil || op.approval == "" || !decides || d.incoming == nil {
		s.refuse(c, fault.NotFound())
		return
	}
	for _, name := range []string{keyPrincipal, keyRequestID} {
		if value, ok := d.incoming.Get(name); ok {
			c.Set(name, value)
		}
	}
	c.Set(keyOperation, op)
	c.Next()
}
