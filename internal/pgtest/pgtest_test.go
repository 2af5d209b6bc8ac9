package pgtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestEveryDatabaseIsFreshAndMigrated(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one", "two", "three"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			_, err := db.Pool.Exec(t.Context(), "create table only_here (n int)")
			require.NoError(t, err, "another test's table is in this database")
			var at any
			require.NoError(t, db.Pool.QueryRow(t.Context(), "select suanpan_now()").Scan(&at))
		})
	}
}
