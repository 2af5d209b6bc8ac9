package demo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestADayIsPlayedAwayFromMidnight(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		moment, err := time.ParseInLocation(time.DateTime, text, shanghai())
		require.NoError(t, err)
		return moment.UTC()
	}
	for now, start := range map[string]string{
		"2026-11-23 10:30:00": "2026-11-23 10:30:00",
		"2026-11-23 00:30:00": "2026-11-23 00:30:00",
		"2026-11-23 23:00:00": "2026-11-23 23:00:00",
		"2026-11-23 00:00:00": "2026-11-23 00:30:00",
		"2026-11-23 00:29:59": "2026-11-23 00:30:00",
		"2026-11-23 23:00:01": "2026-11-24 00:30:00",
		"2026-12-31 23:59:59": "2027-01-01 00:30:00",
	} {
		require.True(t, at(start).Equal(playable(at(now))), now)
	}
	morning, err := nextMorning("2026-12-31")
	require.NoError(t, err)
	require.True(t, at("2027-01-01 10:30:00").Equal(morning))
}
