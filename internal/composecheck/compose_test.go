package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Not parallel: the file's paths are relative to the root of the checkout.
func TestComposeFile(t *testing.T) {
	t.Chdir("../..")
	content, err := os.ReadFile(composeFile)
	require.NoError(t, err)
	file, err := parse(content)
	require.NoError(t, err)
	require.NoError(t, file.check())

	for name, change := range map[string][2]string{
		"did you mean SUANPAN_MASTER_KEY_FILE?": {"SUANPAN_MASTER_KEY_FILE:", "SUANPAN_MASTERKEY_FILE:"},
		"refused in production":                 {"SUANPAN_ENV: dev", "SUANPAN_ENV: production"},
		"depends on tempral":                    {"depends_on: [temporal]", "depends_on: [tempral]"},
		"which is no volume":                    {"secrets:/secrets", "secret:/secrets"},
		"which the Dockerfile lacks":            {"target: temporal}", "target: tempral}"},
	} {
		changed := strings.ReplaceAll(string(content), change[0], change[1])
		require.NotEqual(t, string(content), changed)
		file, err := parse([]byte(changed))
		require.NoError(t, err)
		require.ErrorContains(t, file.check(), name)
	}
}
