package app_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
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

// inFirstForm rewrites the newest anchor of a folder as the version before audit logs
// would have written it.
func inFirstForm(t *testing.T, dir, name, privateFile string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name+".anchor.json"))
	require.NoError(t, err)
	var anchor map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(text, &anchor))
	require.Contains(t, anchor, "audit_logs")
	delete(anchor, "audit_logs")
	anchor["format"] = json.RawMessage(`"suanpan anchor 1"`)
	text, err = json.Marshal(anchor)
	require.NoError(t, err)
	pemText, err := os.ReadFile(privateFile)
	require.NoError(t, err)
	block, _ := pem.Decode(pemText)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".anchor.json"), text, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".anchor.sig"), ed25519.Sign(key.(ed25519.PrivateKey), text), 0o600))
}

// Anchors of an earlier version hold the books and say nothing of the audit log; the next
// export continues them and holds both.
func TestAFolderOfTheFirstFormIsContinued(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	cfg := config.Core{DatabaseURL: db.URL}
	_, err := db.Pool.Exec(t.Context(), `insert into tenants (id, name, custody_mode) values ($1, 'Test', 'licensed_reserve')`, id.New(id.Tenant))
	require.NoError(t, err)
	dir, keys := t.TempDir(), t.TempDir()
	private, public := filepath.Join(keys, "anchor.pem"), filepath.Join(keys, "anchor.pub.pem")
	require.NoError(t, app.NewAnchorKey(private, public))
	name, _, err := app.ExportAnchor(t.Context(), cfg, dir, private)
	require.NoError(t, err)
	inFirstForm(t, dir, name, private)
	old, err := app.ReadAnchors(dir, public)
	require.NoError(t, err)
	require.Len(t, old.Silent(), 1)

	name, seals, err := app.ExportAnchor(t.Context(), cfg, dir, private)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(name, "00000002-"), name)
	require.Positive(t, seals, "the log is anchored from its first seal on")
	both, err := app.ReadAnchors(dir, public)
	require.NoError(t, err)
	require.Empty(t, both.Silent())
	sound := func(opts ledger.VerifyOptions) bool {
		report, err := app.Verify(t.Context(), cfg, opts)
		require.NoError(t, err)
		return report.Sound
	}
	require.True(t, sound(ledger.VerifyOptions{Pins: old}) && sound(ledger.VerifyOptions{Pins: both}))

	_, err = db.Pool.Exec(t.Context(), `set session_replication_role = replica; update audit_entries set actor = 'nobody';
		delete from audit_seals; set session_replication_role = default`)
	require.NoError(t, err)
	_, err = app.Seal(t.Context(), cfg)
	require.NoError(t, err)
	require.True(t, sound(ledger.VerifyOptions{Pins: old}), "the first form is no proof about the log")
	require.False(t, sound(ledger.VerifyOptions{Pins: both}))
}
