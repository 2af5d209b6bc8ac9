package api

import (
	_ "embed"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	"github.com/suanpan/suanpan/core/access"
	"github.com/suanpan/suanpan/core/approval"
	"github.com/suanpan/suanpan/core/tenant"
)

//go:embed openapi.yaml
var contractYAML []byte

// ContractYAML returns a copy of openapi.yaml.
func ContractYAML() []byte { return append([]byte(nil), contractYAML...) }

// What the contract says of an operation besides its messages.
const (
	// scopeExtension names the scope it needs.
	scopeExtension = "x-scope"
	// principalExtension is "operator" where a tenant's key has no business.
	principalExtension = "x-principal"
	// signedExtension is "money" where a key that demands signatures for money needs one.
	signedExtension = "x-signed"
	// approvalExtension names the kind of approval that it can need.
	approvalExtension = "x-approval"
	// sealedExtension marks bodies that hold keys or personal data.
	sealedExtension = "x-sealed"
)

// operation is one operation of the contract as requests meet it.
type operation struct {
	route routers.Route
	// scope is what the key must hold.
	scope string
	// action says which roles may; an operation that is not in core/access has no role.
	action access.Action
	// approval is what kind of approval it can need, empty for none.
	approval approval.Kind
	// sealed: while it waits for approval, its body is kept sealed and not shown.
	sealed bool
	// operator: it is for those who run the platform, and for nobody else.
	operator bool
	// money: it moves money or decides who may.
	money bool
	// aboutKeys: it changes what keys may do.
	aboutKeys bool
	// query lists the parameters that may occur in the query.
	query map[string]bool
	// hasBody says whether the operation takes a JSON body.
	hasBody bool
}

// contract finds operations by method and Gin's path template.
type contract struct {
	doc        *openapi3.T
	operations map[string]*operation
}

func loadContract() (*contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contractYAML)
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	actions := map[string]access.Action{}
	for _, action := range access.Matrix() {
		actions[action.Name] = action
	}
	c := &contract{doc: doc, operations: map[string]*operation{}}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			scope, ok := op.Extensions[scopeExtension].(string)
			if !ok {
				return nil, fmt.Errorf("openapi.yaml: %s %s names no %s", method, path, scopeExtension)
			}
			o := &operation{
				route:    routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
				scope:    scope,
				action:   actions[op.OperationID],
				operator: op.Extensions[principalExtension] == "operator",
				money:    op.Extensions[signedExtension] == "money",
				sealed:   op.Extensions[sealedExtension] == true,
				query:    map[string]bool{},
				hasBody:  op.RequestBody != nil,
			}
			if kind, ok := op.Extensions[approvalExtension].(string); ok {
				o.approval = approval.Kind(kind)
			}
			o.aboutKeys = method != http.MethodGet && (slices.Contains(op.Tags, "keys") || slices.Contains(op.Tags, "access"))
			for _, p := range op.Parameters {
				if p.Value.In == openapi3.ParameterInQuery {
					o.query[p.Value.Name] = true
				}
			}
			c.operations[operationKey(method, ginPath(path))] = o
		}
	}
	return c, nil
}

// hasScope reports whether tenants' keys can hold this scope.
func (c *contract) hasScope(scope string) bool {
	for _, op := range c.operations {
		if op.scope == scope && !op.operator {
			return true
		}
	}
	return scope == tenant.AllScopes
}

func operationKey(method, template string) string { return method + " " + template }

// find returns the operation that Gin matched, nil for routes outside the contract.
func (c *contract) find(r *http.Request, template string) *operation {
	return c.operations[operationKey(r.Method, template)]
}

// ginPath turns /v1/payments/{payment_id} into /v1/payments/:payment_id.
func ginPath(path string) string {
	return regexp.MustCompile(`\{([^}]+)\}`).ReplaceAllStringFunc(path, func(s string) string {
		return ":" + strings.Trim(s, "{}")
	})
}
