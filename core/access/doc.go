// Package access owns who may do what: principals (the people and services behind
// API keys), their roles, and the one table of roles and actions, from which the
// code decides, the tests judge and docs/security.md is written.
//
// Reading order: matrix.go → principal.go. It may not know HTTP, keys' secrets or
// any business object: an action is the contract's name of an operation.
package access
