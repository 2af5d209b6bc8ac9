package channel

import (
	"context"
	"fmt"
	"time"

	"github.com/suanpan/suanpan/internal/pg"
)

// Slots are moments at which a call may begin: the first after First, each next
// one a gap later. There may be fewer than wanted, or none.
type Slots struct {
	Granted int
	First   time.Duration
}

// TakeSlots takes up to wanted slots, one every gap, of an identity's calls per
// second at its provider, none later than maxWait from now. All instances ask the
// same row, so together they keep the rate. It needs the system role and commits
// by itself.
func TakeSlots(
	ctx context.Context, db *pg.DB, identity string, gap time.Duration, wanted int, maxWait time.Duration,
) (Slots, error) {
	var slots Slots
	err := db.RowAsSystem(ctx, `select granted, first_in from take_channel_slots($1, $2, $3, $4)`,
		identity, gap, wanted, maxWait).Scan(&slots.Granted, &slots.First)
	if err != nil {
		return Slots{}, fmt.Errorf("calls per second of %s: %w", identity, err)
	}
	return slots, nil
}
