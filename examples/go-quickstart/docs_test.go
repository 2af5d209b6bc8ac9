package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheDocumentsShowWhatRuns holds the pages against the programs that
// continuous integration runs.
func TestTheDocumentsShowWhatRuns(t *testing.T) {
	t.Parallel()
	for page, program := range map[string]struct{ fence, file string }{
		"../../docs/quickstart-go.md":         {"go", "main.go"},
		"../../docs/quickstart-typescript.md": {"ts", "../typescript-quickstart/quickstart.ts"},
	} {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		code, err := os.ReadFile(program.file)
		require.NoError(t, err)
		require.Contains(t, string(text), "\n```"+program.fence+"\n"+string(code)+"```\n", "%s does not show %s as it is", page, program.file)
	}
}
