package event

import "time"

// health is how an endpoint does: the part of its row that its answers change.
type health struct {
	// failures counts the tries since the last 2xx, from since on.
	failures int
	since    *time.Time
	told     bool
	rests    *time.Time
	slow     bool
}

// longestAsked bounds the rest that an endpoint gets when it asks for one by
// Retry-After: what is wrong there must not hold up for long what its owner repaired.
const longestAsked = time.Hour

// failed is the health after one more failure, which ended now.
func (h health) failed(now time.Time, a answer, opts DispatcherOptions) health {
	h.failures++
	if h.since == nil {
		h.since = &now
	}
	h.slow = h.slow || a.took >= opts.SlowAfter
	rest := min(a.retryAfter, longestAsked)
	if over := h.failures - opts.Tolerance; over >= 0 {
		rest = max(rest, jitter(min(opts.Rest<<min(over, 10), opts.LongestRest)))
	}
	if until := now.Add(rest); rest > 0 && (h.rests == nil || until.After(*h.rests)) {
		h.rests = &until
	}
	return h
}

// failingFor is how long nothing but failures came.
func (h health) failingFor(now time.Time) time.Duration {
	if h.since == nil {
		return 0
	}
	return now.Sub(*h.since)
}
