package guard

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestRecordsAreWrittenInCompanyAndAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var batches [][]int
		l := NewLog(func(ctx context.Context, batch []int) error {
			batches = append(batches, batch)
			return ctx.Err()
		}, func(int) { t.Error("nothing is lost") })
		ctx, cancel := context.WithCancel(t.Context())
		var done atomic.Bool
		go func() { l.Run(ctx); done.Store(true) }()
		for i := range 3 {
			l.Record(i)
		}
		synctest.Wait()
		require.Empty(t, batches, "they wait for company")
		cancel()
		for i := range 2 * logBatch {
			l.Record(i)
		}
		synctest.Wait()
		require.True(t, done.Load())
		written := 0
		for _, batch := range batches {
			require.LessOrEqual(t, len(batch), logBatch)
			written += len(batch)
		}
		require.Equal(t, 3+2*logBatch, written)
	})
}

// TestRecordingNeverWaits: nobody writes, and nobody is held up.
func TestRecordingNeverWaits(t *testing.T) {
	t.Parallel()
	lost := 0
	l := NewLog(func(context.Context, []int) error { return errors.New("no database") }, func(n int) { lost += n })
	for i := range logQueue + 7 {
		l.Record(i)
	}
	require.Equal(t, 7, lost)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.Run(ctx)
	require.Equal(t, logQueue+7, lost, "what could not be written is counted")
}
