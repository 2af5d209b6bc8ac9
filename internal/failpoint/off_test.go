//go:build !chaos

package failpoint_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program built without the tag notes nothing, kills nothing and obeys no
// variable of failpoints.
func TestAShippedProgramHoldsNothing(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"worker", "starter"} {
		binary := filepath.Join(t.TempDir(), program)
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../"+program).CombinedOutput()
		require.NoError(t, err, "%s", out)
		symbols, err := exec.CommandContext(t.Context(), "go", "tool", "nm", binary).Output()
		require.NoError(t, err)
		require.True(t, bytes.Contains(symbols, []byte("suanpan/internal/app.")), "%s has no table of symbols", program)
		for _, part := range []string{"failpoint.(*plan)", "failpoint.note", "failpoint/intercept"} {
			require.False(t, bytes.Contains(symbols, []byte(part)), "%s has functions of failpoints: %s", program, part)
		}
		content, err := os.ReadFile(binary)
		require.NoError(t, err)
		require.False(t, bytes.Contains(content, []byte("FAILPOINT_")), "%s obeys a variable of failpoints", program)
		require.False(t, bytes.Contains(content, []byte("pg_current_xact_id")), "%s asks the database for failpoints", program)
	}
}
