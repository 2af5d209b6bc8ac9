package access_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/access"
)

var update = flag.Bool("update", false, "write the table of docs/security.md")

const (
	page  = "../../docs/security.md"
	begin = "<!-- roles: written by go test ./core/access -run Document -update -->\n"
	end   = "<!-- end of roles -->"
)

// The table of docs/security.md is the matrix.
func TestDocumentIsUpToDate(t *testing.T) {
	t.Parallel()
	stored, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(stored), begin)
	require.True(t, found, "docs/security.md has no place for the table of roles")
	_, after, found := strings.Cut(rest, end)
	require.True(t, found)
	text := before + begin + table() + end + after
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(text), 0o600))
		return
	}
	require.Equal(t, text, string(stored), "write it again: go test ./core/access -run Document -update")
}

func table() string {
	var b strings.Builder
	b.WriteString("| operation |")
	for _, role := range access.Roles() {
		b.WriteString(" " + string(role) + " |")
	}
	b.WriteString(" audited |\n|---" + strings.Repeat("|:-:", len(access.Roles())+1) + "|\n")
	mark := func(yes bool) string {
		if yes {
			return " ✓ |"
		}
		return "   |"
	}
	for _, action := range access.Matrix() {
		b.WriteString("| `" + action.Name + "` |")
		for _, role := range access.Roles() {
			b.WriteString(mark(action.Allows([]access.Role{role})))
		}
		b.WriteString(mark(action.Audited) + "\n")
	}
	return b.String()
}

func TestTheMatrixKeepsDutiesApart(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	moves := []string{"createRefund", "createWithdrawal", "createTransfer", "createTransferBatch"}
	for _, action := range access.Matrix() {
		require.False(t, seen[action.Name], "%s stands twice", action.Name)
		seen[action.Name] = true
		require.NotEmpty(t, action.Roles, action.Name)
		allows := func(r access.Role) bool { return action.Allows([]access.Role{r}) }
		if slices.Contains(moves, action.Name) {
			require.False(t, allows(access.Admin), "who sets people up does not move money: %s", action.Name)
			require.False(t, allows(access.FinanceChecker), "who approves does not ask: %s", action.Name)
		}
		if action.Name == "approveApproval" {
			require.Equal(t, []access.Role{access.FinanceChecker}, action.Roles)
		}
		for _, verb := range []string{"create", "change", "delete", "rotate", "retire", "bind", "open", "place", "release", "cancel", "approve", "reject", "move"} {
			if strings.HasPrefix(action.Name, verb) && action.Name != "createSplitPreview" {
				require.False(t, allows(access.Viewer), "a viewer reads: %s", action.Name)
			}
		}
	}
	require.False(t, access.Action{}.Allows(access.Roles()), "what is not in the matrix is nobody's")
}
