package api

import (
	"context"
	"sync"
	"time"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/pg"
)

// Rates are how many requests a tenant, and each of its keys, may make in all
// instances together; a rate of zero bounds nothing.
type Rates struct {
	Tenant, Key tenant.Rate
}

// The bounds of counting.
const (
	// leasesPerSecond is about how often an instance asks the database for a subject
	// that uses its whole rate: a lease is the requests of a tenth of a second.
	leasesPerSecond = 10
	// leasesAtOnce bounds the connections that counting uses.
	leasesAtOnce = 4
	// subjectsCounted is how many subjects are counted without a look.
	subjectsCounted = 10_000
)

// rates counts requests. The rate lies in the database, where every instance leases a
// block of requests at a time and grants them by itself, so that a request costs no
// round trip, and a flood none at all: until the moment for which the database had no
// more, everything is refused here.
type rates struct {
	db      *pg.DB
	bounds  Rates
	leasing gate

	mu       sync.Mutex
	subjects map[string]*subject
}

func newRates(db *pg.DB, bounds Rates) *rates {
	return &rates{db: db, bounds: bounds, leasing: make(gate, leasesAtOnce), subjects: map[string]*subject{}}
}

// subject is a tenant or a key, as one instance counts it.
type subject struct {
	mu sync.Mutex
	// left are the requests of the lease; dryUntil is when there may be more.
	left     int
	dryUntil time.Time
}

// codeRateLimited is the refusal of a request too many.
const codeRateLimited = "rate_limited"

// admit counts one request of the caller, or refuses it. The key's own rate comes
// first, so that one key's flood does not use up what the tenant's others need. An
// operator is not counted.
func (r *rates) admit(ctx context.Context, p tenant.Principal) error {
	if p.Operator() {
		return nil
	}
	if err := r.take(ctx, p.TenantID, p.KeyID, r.bounds.Key, "This API key makes"); err != nil {
		return err
	}
	return r.take(ctx, p.TenantID, p.TenantID, r.bounds.Tenant, "The keys of this tenant make")
}

func (r *rates) take(ctx context.Context, tenantID, name string, rate tenant.Rate, who string) error {
	if rate.PerSecond <= 0 {
		return nil
	}
	s := r.subject(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if wait := time.Until(s.dryUntil); wait > 0 && s.left == 0 {
		return tooMany(who, wait)
	}
	if s.left == 0 {
		if err := r.lease(ctx, s, tenantID, name, rate); err != nil {
			return err
		}
	}
	if s.left == 0 {
		return tooMany(who, time.Until(s.dryUntil))
	}
	s.left--
	return nil
}

// lease takes a block for s, which is locked: callers of one subject wait for one
// lease, those of others do not.
func (r *rates) lease(ctx context.Context, s *subject, tenantID, name string, rate tenant.Rate) error {
	leave, err := r.leasing.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	granted, wait, err := tenant.LeaseRequests(ctx, r.db, tenantID, name, rate, max(1, rate.PerSecond/leasesPerSecond))
	if err != nil {
		return err
	}
	s.left = granted
	if granted == 0 {
		s.dryUntil = time.Now().Add(wait)
	}
	return nil
}

// subject finds or makes the count of name. When there are too many all are
// forgotten, which costs each a lease.
func (r *rates) subject(name string) *subject {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.subjects[name]
	if s == nil {
		if len(r.subjects) >= subjectsCounted {
			clear(r.subjects)
		}
		s = &subject{}
		r.subjects[name] = s
	}
	return s
}

func tooMany(who string, wait time.Duration) error {
	return fault.Limited(codeRateLimited, who+" more requests than it may; wait as Retry-After says.", max(wait, time.Millisecond))
}
