// Package reference owns the page that shows the contract to people: every
// operation with its scope, fields, answers, codes and examples, every object,
// every error code. It is made once from openapi.yaml, as one page without
// anything from outside, that works without its script but for the search.
//
// It knows no request and no database, and nothing of the contract that is not in
// the contract.
package reference
