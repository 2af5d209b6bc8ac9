// Package intercept owns where failpoints meet Temporal and HTTP: an interceptor
// that gives every activity attempt a scope and visits the places around it, in
// workflow code and around the starts of workflows, and a handler that gives every
// request one.
//
// Without the build tag chaos there is no interceptor and the handler is the one
// it was given. It may not know what any activity, workflow or route does.
package intercept
