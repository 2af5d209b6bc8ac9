package ledger_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

func TestChartIsTheDatabases(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows, err := b.Pool.Query(context.Background(), `select type, class, book, normal_side, gl_code, owned, floor is not null from account_types`)
	require.NoError(t, err)
	stored, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ledger.TypeInfo])
	require.NoError(t, err)
	require.ElementsMatch(t, ledger.Chart(), stored)
}

func TestMatrixIsTheDatabases(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows, err := b.Pool.Query(context.Background(), `select kind, array_agg(class) from class_matrix group by kind`)
	require.NoError(t, err)
	stored := map[ledger.Kind][]ledger.Class{}
	var kind ledger.Kind
	var classes []ledger.Class
	_, err = pgx.ForEachRow(rows, []any{&kind, &classes}, func() error {
		stored[kind] = append([]ledger.Class{}, classes...)
		return nil
	})
	require.NoError(t, err)
	require.Len(t, stored, len(ledger.Kinds()))
	for _, kind := range ledger.Kinds() {
		require.ElementsMatch(t, kind.Classes(), stored[kind], "kind %s", kind)
	}
}

func TestCustodyModesRefuseByName(t *testing.T) {
	t.Parallel()
	payout := entry(ledger.Payout, "w1", leg(ledger.MerchantAvailable, "mch_a", 100), leg(ledger.PayoutInTransit, "mch_a", -100))
	for _, c := range []struct {
		mode              string
		collects, paysOut bool
	}{
		{"licensed_reserve", true, true},
		{"bank_custody", true, true},
		{"channel_split", true, false},
		{"own_funds", false, false},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.tenant = b.newTenant(c.mode)
			_, err := b.post(collect("p1", "mch_a", 100))
			requireCustody(t, c.collects, err)
			if c.collects {
				_, err = b.post(payout)
				requireCustody(t, c.paysOut, err)
			}
			b.requireSound()
		})
	}
}

func requireCustody(t *testing.T, allowed bool, err error) {
	t.Helper()
	if allowed {
		require.NoError(t, err)
		return
	}
	require.True(t, ledger.IsKind(err, ledger.CustodyMode), "%v", err)
	require.ErrorContains(t, err, "licensed_reserve")
	require.ErrorContains(t, err, "bank_custody")
}
