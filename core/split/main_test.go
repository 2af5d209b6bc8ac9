package split_test

import (
	"flag"
	"testing"

	"github.com/suanpan/suanpan/internal/pgtest"
)

// Properties of money run on 100,000 cases unless the command line says
// otherwise (-rapid.checks).
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "100000"); err != nil {
		panic(err)
	}
	pgtest.Main(m)
}
