package tidytest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/tidytest"
)

func TestHouseRules(t *testing.T) {
	t.Parallel()
	module, err := tidytest.Load("../..")
	require.NoError(t, err)
	require.NotEmpty(t, module.Packages)
	for _, rule := range tidytest.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			t.Parallel()
			for _, violation := range rule.Check(module) {
				t.Error(violation)
			}
		})
	}
}

func TestPictureIsCurrent(t *testing.T) {
	t.Parallel()
	module, err := tidytest.Load("../..")
	require.NoError(t, err)
	committed, err := os.ReadFile("../../docs/architecture.md")
	require.NoError(t, err)
	drawn, err := tidytest.WithPicture(string(committed), tidytest.Picture(module))
	require.NoError(t, err)
	require.True(t, drawn == string(committed), "the picture of imports in docs/architecture.md is stale: run make generate")
}

// Every rule must catch what it is for: a rule that never fires holds nothing.
func TestEachRuleCatches(t *testing.T) {
	t.Parallel()
	for rule, files := range map[string]map[string]string{
		"import directions": {"money/a.go": `package money; import _ "example.com/m/ledger"`},
		"foreign packages":  {"core/payment/a.go": `package payment; import _ "github.com/smartwalle/alipay/v3"`},
		"sql at home":       {"api/a.go": "package api; const q = `select id\nfrom payments`"},
		"environment at home": {
			"internal/app/a.go": `package app; import "os"; func f() string { return os.Getenv("X") }`},
		"no floats":        {"ledger/a.go": `package ledger; func f(x float64) {}`},
		"tls is verified":  {"core/event/a.go": `package event; import "crypto/tls"; var c = tls.Config{InsecureSkipVerify: true}`},
		"no init":          {"core/books/a.go": `package books; func init() {}`},
		"no package state": {"core/books/a.go": `package books; var n = 1; func f() { n++ }`},
		"package names":    {"internal/util/a.go": `package util`},
		"package comments": {"core/books/a.go": `package books`},
		"doc comments":     {"core/books/a.go": `package books; func Exported() {}`},
		"sizes":            {"core/books/a.go": "package books\n// " + strings.Repeat("long ", 50)},
		"honest tests":     {"core/books/a_test.go": `package books; func f(t T) { t.Skip() }`},
		"unfinished":       {"core/books/a.go": "package books\n// TO" + "DO: later"},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			files["go.mod"] = "module example.com/m\n"
			for name, content := range files {
				path := filepath.Join(root, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			}
			module, err := tidytest.Load(root)
			require.NoError(t, err)
			for _, known := range tidytest.Rules() {
				if known.Name == rule {
					require.NotEmpty(t, known.Check(module))
					return
				}
			}
			require.Fail(t, "no such rule")
		})
	}
}

func TestEachRuleIsProved(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("tidytest_test.go")
	require.NoError(t, err)
	for _, rule := range tidytest.Rules() {
		require.Contains(t, string(content), `"`+rule.Name+`":`)
	}
}
