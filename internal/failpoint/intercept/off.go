//go:build !chaos

package intercept

import (
	"context"
	"net/http"

	"go.temporal.io/sdk/interceptor"
)

// Temporal returns what a client, and the workers made from it, need to visit
// failpoints: nothing without the build tag chaos.
func Temporal(context.Context) []interceptor.ClientInterceptor { return nil }

// Handler gives every request to next a scope, which is next itself without the
// build tag chaos.
func Handler(_ context.Context, next http.Handler) http.Handler { return next }
