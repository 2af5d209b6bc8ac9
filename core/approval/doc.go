// Package approval owns the second person: which requests need one (a tenant's
// policies), the requests that wait for one, and the rules of deciding: never
// about one's own, never after an edit, never late, once.
//
// Reading order: policy.go (what needs a second person) → approval.go (a request
// that waits) → decide.go (the rules). What an approval carries out it does not
// know: the content is a request of the API, and the caller of Approve runs it in
// the same transaction.
package approval
