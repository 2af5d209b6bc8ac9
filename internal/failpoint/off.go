//go:build !chaos

package failpoint

import "context"

// Enabled reports whether this program was built with failpoints.
const Enabled = false

// Load reads the variables and returns a context that carries what they ask for.
func Load(ctx context.Context, _ []string) context.Context { return ctx }

// Scope begins a scope of that name: one activity attempt, one request, one sweep.
func Scope(ctx context.Context, _ string) context.Context { return ctx }

// At visits a place of ctx's scope.
func At(context.Context, string) {}

// Pass counts a visit that happened in an earlier life of the scope.
func Pass(context.Context, string) {}
