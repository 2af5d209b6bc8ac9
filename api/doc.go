// Package api owns the public HTTP contract: openapi.yaml, the server generated
// from it (api/gen), and everything between a socket and core/: authentication,
// validation against the same file, strict JSON, problem+json, idempotent
// answers, cursors.
//
// A request passes, in this order: request id, access log, recovery, security
// headers, time limit → route → key and scope → body (size, strict JSON) →
// contract → handler. One switch (problem.go) turns refusals into HTTP.
//
// Reading order: openapi.yaml → server.go → accepted.go (what a POST does) →
// payments.go. It may not hold business rules or SQL, and nothing but this
// package may use Gin.
package api

//go:generate go tool -modfile=../tools/dev/go.mod oapi-codegen -config oapi-codegen.yaml openapi.yaml
