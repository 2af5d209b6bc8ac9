package config

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// A setting that stands in no group is refused as unknown, whatever reads it.
func TestEverySettingStandsInAGroup(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, v := range Variables() {
		known[v.Name] = true
	}
	for _, of := range []reflect.Type{reflect.TypeFor[API](), reflect.TypeFor[Worker](), reflect.TypeFor[Codec](), reflect.TypeFor[Tool](),
		reflect.TypeFor[Vault](), reflect.TypeFor[Stack]()} {
		for _, v := range variablesOf(of) {
			require.True(t, known[v.Name], "%s of %s", v.Name, of)
		}
	}
}
