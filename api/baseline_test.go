package api

import (
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// TestNoOperationAsksForAnotherScope holds what make contract-check cannot see:
// a key that could call an operation still can.
func TestNoOperationAsksForAnotherScope(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("openapi.baseline.yaml")
	require.NoError(t, err)
	promised, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	now, err := loadContract()
	require.NoError(t, err)
	for path, item := range promised.Paths.Map() {
		for method, op := range item.Operations() {
			found := now.operations[operationKey(method, ginPath(path))]
			require.NotNil(t, found, "%s %s is gone; move the promise by make contract-baseline if nobody uses it", method, path)
			require.Equal(t, op.Extensions[scopeExtension], found.scope, "%s %s asks for another scope", method, path)
		}
	}
}
