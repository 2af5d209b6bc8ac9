package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

func TestAnchorsAreExportedReadAndProveAnEdit(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	cfg := config.Core{DatabaseURL: db.URL}
	tenant := id.New(id.Tenant)
	_, err := db.Pool.Exec(t.Context(), `insert into tenants (id, name, custody_mode) values ($1, 'Test', 'licensed_reserve')`, tenant)
	require.NoError(t, err)
	dir := t.TempDir()
	private, public := filepath.Join(t.TempDir(), "anchor.pem"), filepath.Join(t.TempDir(), "anchor.pub.pem")
	require.NoError(t, app.NewAnchorKey(private, public))
	require.ErrorIs(t, app.NewAnchorKey(private, public), os.ErrExist, "a key is never overwritten")
	printed, err := app.PublicAnchorKey(private)
	require.NoError(t, err)
	written, err := os.ReadFile(public)
	require.NoError(t, err)
	require.Equal(t, string(written), string(printed))

	_, err = app.ReadAnchors(dir, public)
	require.ErrorContains(t, err, "holds no anchors")
	var names []string
	for i, number := range []string{"p1", "p2"} {
		require.NoError(t, db.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
			account := func(of ledger.Type, owner string) ledger.AccountKey {
				return ledger.AccountKey{Type: of, Owner: owner, Currency: money.CNY}
			}
			_, err := ledger.Post(t.Context(), tx, tenant, ledger.Entry{
				Reference: ledger.Reference{Kind: ledger.Collect, Number: number, Phase: "booked"}, Currency: money.CNY,
				Postings: []ledger.Posting{{Account: account(ledger.ChannelUnsettled, "chn"), Amount: 5}, {Account: account(ledger.MerchantAvailable, "mch"), Amount: -5}}})
			return err
		}))
		name, seals, err := app.ExportAnchor(t.Context(), cfg, dir, private)
		require.NoError(t, err)
		require.Equal(t, 2-i, seals, "of the books; the first one also has that the tenant was made")
		names = append(names, name)
	}
	pins, err := app.ReadAnchors(dir, public)
	require.NoError(t, err)
	require.Equal(t, 2, pins.Count())
	report, err := app.Verify(t.Context(), cfg, ledger.VerifyOptions{Pins: pins})
	require.NoError(t, err)
	require.True(t, report.Sound, "%+v", report)
	_, err = db.Pool.Exec(t.Context(), `set session_replication_role = replica; update entries set metadata = '{"who": "me"}' where number = 'p2'`)
	require.NoError(t, err)
	report, err = app.Verify(t.Context(), cfg, ledger.VerifyOptions{Pins: pins})
	require.NoError(t, err)
	require.False(t, report.Sound)

	file := filepath.Join(dir, names[0]+".anchor.json")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), `"entries": 1`, `"entries": 2`, 1)), 0o600))
	_, err = app.ReadAnchors(dir, public)
	require.ErrorContains(t, err, names[0])
	require.ErrorContains(t, err, "signature")
	require.NoError(t, os.Remove(file))
	_, err = app.ReadAnchors(dir, public)
	require.ErrorContains(t, err, "one is missing")
}
