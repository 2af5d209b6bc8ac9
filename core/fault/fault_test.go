package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
)

func TestErrorsAreFoundByCodeAndByKind(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("create payment: %w", fault.Conflict("reference", "reference_used", "Choose another."))

	require.True(t, fault.Is(err, "reference_used"))
	require.False(t, fault.Is(err, "not_found"))
	require.ErrorIs(t, err, &fault.Error{Kind: fault.KindConflict})
	require.NotErrorIs(t, err, &fault.Error{Kind: fault.KindRefused})

	found, ok := fault.As(err)
	require.True(t, ok)
	require.Equal(t, "reference", found.Field)
}

func TestUnavailableKeepsItsCauseAndHidesIt(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp: password=hunter2")
	err := fault.Unavailable(cause, time.Second)

	require.ErrorIs(t, err, cause)
	require.NotContains(t, err.Error(), "hunter2")
}
