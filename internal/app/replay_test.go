package app_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
)

// A workflow that was only just begun has nothing that a build could do otherwise: it
// is no reason to hold a deployment back.
func TestReplayOfWhatWasOnlyBegun(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../workflows/testdata/histories/payment-failed-read-prepare.json")
	require.NoError(t, err)
	var whole struct {
		Events []json.RawMessage `json:"events"`
	}
	require.NoError(t, json.Unmarshal(text, &whole))
	dir := t.TempDir()
	for name, events := range map[string]int{"begun": 2, "taken": 3, "ended": len(whole.Events)} {
		part, err := json.Marshal(map[string]any{"events": whole.Events[:events]})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".json"), part, 0o600))
	}
	report, err := app.Replay(t.Context(), config.Vault{}, nil, app.ReplayOptions{Dir: dir})
	require.NoError(t, err)
	require.Equal(t, 3, report.Replayed)
	require.Empty(t, report.Failures)
}
