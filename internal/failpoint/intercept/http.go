//go:build chaos

package intercept

import (
	"context"
	"net/http"
	"strings"

	"github.com/suanpan/suanpan/internal/failpoint"
)

// Handler gives every request to next a scope, which is next itself without the
// build tag chaos.
func Handler(plan context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		ctx := failpoint.Scope(planned{r.Context(), plan}, r.Method+" "+route(r.URL.Path))
		failpoint.At(ctx, failpoint.Begin)
		next.ServeHTTP(w, r.WithContext(ctx))
		failpoint.At(ctx, failpoint.End) // the answer lies in the server's buffer
	})
}

// route puts {id} for what is the id of an object.
func route(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if _, number, ok := strings.Cut(part, "_"); ok && len(number) == 26 {
			parts[i] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}
