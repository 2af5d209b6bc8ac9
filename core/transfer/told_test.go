package transfer_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/tenant"
)

// A transfer's event is no event too many to the invariants of other objects.
func TestATransferBreaksNoInvariantOfEvents(t *testing.T) {
	s := open(t, tenant.LicensedReserve, 2)
	_, err := s.accepts(t.Context(), "key-00000001", s.order(0, 1, 10))
	require.NoError(t, err)
	for _, invariant := range event.Invariants() {
		rows, err := s.Pool.Query(t.Context(), invariant.Breaks, "")
		require.NoError(t, err)
		broken, err := pgx.CollectRows(rows, pgx.RowToMap)
		require.NoError(t, err)
		require.Empty(t, broken, invariant.ID)
	}
}
