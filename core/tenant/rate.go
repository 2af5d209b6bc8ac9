package tenant

import (
	"context"
	"fmt"
	"time"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

// Rate is how many requests somebody may make.
type Rate struct {
	// PerSecond is the long-run rate; Burst is how many may be saved up while fewer come.
	PerSecond, Burst int
}

// LeaseRequests takes up to wanted requests of subject's rate (the tenant's, under its
// own id, or one of its keys') for one instance to grant, and says how many it got; when
// none, how long to wait until there are some. All instances take from the same.
func LeaseRequests(
	ctx context.Context, db *pg.DB, tenant, subject string, rate Rate, wanted int,
) (granted int, wait time.Duration, err error) {
	err = db.RowAsSystem(ctx, `select granted, wait from lease_requests($1, $2, $3, $4, $5)`,
		tenant, subject, rate.PerSecond, rate.Burst, wanted).Scan(&granted, &wait)
	if err != nil {
		return 0, 0, fault.Unavailable(fmt.Errorf("lease requests: %w", err), time.Second)
	}
	return granted, wait, nil
}
