package audit_test

import (
	"crypto/ed25519"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/audit"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/chain"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/ledger"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var (
	tamperings = flag.Int("audit.tamperings", 200, "random edits of sealed entries")
	tamperSeed = flag.Uint64("audit.seed", 1, "seed of the random edits")
)

// written is a database with the logs of three tenants and the platform, sealed in
// three blocks each.
func written(t *testing.T) *pgtest.Database {
	t.Helper()
	db := pgtest.New(t)
	for range 3 {
		require.NoError(t, db.DB.AsSystem(audit.Acting(t.Context(), audit.Actor{Kind: audit.Command, Name: "root", Operation: "test"}), func(tx pgx.Tx) error {
			for range 3 {
				made, err := tenant.Create(t.Context(), tx, "A tenant", tenant.LicensedReserve)
				if err != nil {
					return err
				}
				for range 5 {
					if _, _, err := tenant.CreateKey(t.Context(), tx, made.ID, tenant.NewKey{Name: "k", Scopes: []string{"payments:read"}}); err != nil {
						return err
					}
				}
				if _, err := tx.Exec(t.Context(), `update api_keys set revoked_at = now() where tenant_id = $1`, made.ID); err != nil {
					return err
				}
			}
			_, _, err := tenant.CreateOperatorKey(t.Context(), tx, "ops", []string{"tenants:read"}, nil)
			return err
		}))
		made, err := audit.SealNow(t.Context(), db.DB)
		require.NoError(t, err)
		require.Positive(t, made)
	}
	made, err := audit.SealNow(t.Context(), db.DB)
	require.NoError(t, err)
	require.Zero(t, made, "nothing is left")
	return db
}

// anchored returns what one signed anchor of the database's audit logs says.
func anchored(t *testing.T, db *pgtest.Database) *chain.Pins {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	pins := &chain.Pins{}
	require.NoError(t, db.DB.Snapshot(t.Context(), func(tx pgx.Tx) error {
		logs, err := audit.Chains(t.Context(), tx)
		require.NoError(t, err)
		anchor, err := chain.MakeAnchor(time.Now(), nil, nil, logs)
		require.NoError(t, err)
		text, signature, err := anchor.Sign(private)
		require.NoError(t, err)
		return pins.Add(public, text, signature)
	}))
	return pins
}

// verified runs the check, after an edit by a superuser without triggers that is
// undone.
func verified(t *testing.T, db *pgtest.Database, edit string) ledger.Result {
	t.Helper()
	return judged(t, db, nil, edit)
}

// judged is verified by the anchors.
func judged(t *testing.T, db *pgtest.Database, pins *chain.Pins, edit string) ledger.Result {
	t.Helper()
	tx, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	_, err = tx.Exec(t.Context(), `set local session_replication_role = replica; `+edit)
	require.NoError(t, err, edit)
	result, err := audit.Verify(t.Context(), tx, ledger.VerifyOptions{Pins: pins})
	require.NoError(t, err)
	return result
}

// Whatever a superuser edits, deletes, swaps or slips in is found, and the entry named.
func TestEveryTamperingIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	db := written(t)
	sound := verified(t, db, `select 1`)
	require.Zero(t, sound.Broken, "%v", sound.Breaks)
	require.Greater(t, sound.Checked, int64(90))
	rows, err := db.Pool.Query(t.Context(), `select seq from audit_entries order by seq`)
	require.NoError(t, err)
	seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	edits := []string{
		`update audit_entries set actor = actor || 'x' where seq = %d`, `update audit_entries set operation = operation || 'x' where seq = %d`,
		`update audit_entries set actor_kind = 'system' where seq = %d`, `update audit_entries set key_id = key_id || 'x' where seq = %d`,
		`update audit_entries set principal_id = 'x' where seq = %d`, `update audit_entries set request_id = 'x' where seq = %d`,
		`update audit_entries set action = 'done' where seq = %d`, `update audit_entries set object_type = 'x' where seq = %d`,
		`update audit_entries set object_id = object_id || 'x' where seq = %d`,
		`update audit_entries set recorded_at = recorded_at + interval '1 microsecond' where seq = %d`,
		`update audit_entries set after = after || '{"scopes": ["*"]}' where seq = %d`, `update audit_entries set before = '{}' where seq = %d`,
		`update audit_entries set after = null where seq = %d`, `update audit_entries set seq = seq + 1000000 where seq = %d`,
		`update audit_entries set id = translate(id, '0123456789', '1234567890') where seq = %d`,
		`update audit_entries set tenant_id = 'platform', id = 'aud_0' where seq = %d`, `delete from audit_entries where seq = %d`,
		`insert into audit_entries select tenant_id, 'aud_1', seq, recorded_at, actor_kind, key_id, principal_id, actor, operation, request_id,
			action, object_type, object_id, before, after from audit_entries where seq = %d`,
	}
	random := rand.New(rand.NewPCG(*tamperSeed, 0))
	for n := range *tamperings {
		seq, other := seqs[random.IntN(len(seqs))], seqs[random.IntN(len(seqs))]
		edit := fmt.Sprintf(edits[n%len(edits)], seq)
		if n%10 == 9 && seq != other {
			edit = fmt.Sprintf(`update audit_entries e set object_id = o.object_id || 's' from audit_entries o
				where (e.seq, o.seq) in ((%d, %d), (%d, %d))`, seq, other, other, seq)
		}
		found := verified(t, db, `alter table audit_entries drop constraint audit_entries_seq_key; alter table audit_entries drop constraint audit_entries_id_check; `+edit)
		require.Positive(t, found.Broken, "%d: not found: %s", n, edit)
		named := false
		for _, b := range found.Breaks {
			named = named || strings.Contains(b.Subject+" "+b.Detail, fmt.Sprintf("seq %d", seq))
		}
		require.True(t, named, "%d: %s: %v", n, edit, found.Breaks)
	}
	t.Logf("%d edits of %d entries, all found", *tamperings, len(seqs))
	for _, edit := range []string{`update audit_seals set hash = sha256(hash) where number = 2`, `delete from audit_seals where number = 2`,
		`update audit_seals set digests = digests || '\x00' where number = 3`, `update audit_seals set prev_hash = sha256(hash) where number = 3`} {
		require.Positive(t, verified(t, db, edit).Broken, edit)
	}
}

// Who rewrites a log and its seals together deceives the database, and not the anchors.
func TestARewrittenLogIsFoundByTheAnchors(t *testing.T) {
	t.Parallel()
	db := written(t)
	pins := anchored(t, db)
	require.Len(t, pins.Owners(chain.AuditLog), 10, "nine tenants and the platform")
	sound := judged(t, db, pins, `select 1`)
	require.Zero(t, sound.Broken, "%v", sound.Breaks)
	_, err := db.Pool.Exec(t.Context(), `set session_replication_role = replica;
		update audit_entries set actor = 'somebody else' where tenant_id = 'platform';
		delete from audit_seals where tenant_id = 'platform';
		set session_replication_role = default`)
	require.NoError(t, err)
	made, err := audit.SealNow(t.Context(), db.DB)
	require.NoError(t, err)
	require.Positive(t, made)
	require.Zero(t, verified(t, db, `select 1`).Broken, "without an anchor the forged log looks sound")
	found := judged(t, db, pins, `select 1`)
	require.Positive(t, found.Broken)
	require.Equal(t, "platform", found.Breaks[0].TenantID)
	require.Contains(t, found.Breaks[0].Subject+" "+found.Breaks[0].Detail, "audit seal 1 is not the one that an anchor has")
	require.ErrorContains(t, db.DB.Snapshot(t.Context(), func(tx pgx.Tx) error {
		logs, err := audit.Chains(t.Context(), tx)
		require.NoError(t, err)
		_, err = chain.MakeAnchor(time.Now(), pins, []byte("{}"), logs)
		return err
	}), "the audit log of platform no longer continues", "what was anchored is never signed away")

	gone := pins.Owners(chain.AuditLog)[0]
	last := pins.Last(chain.AuditLog, gone)
	require.Positive(t, last)
	all := `delete from audit_entries where tenant_id = '` + gone + `'; delete from audit_seals where tenant_id = '` + gone + `'`
	require.Zero(t, verified(t, db, all).Broken)
	said := fmt.Sprint(judged(t, db, pins, all).Breaks)
	for number := range last {
		require.Contains(t, said, fmt.Sprintf("%s audit seal %d is missing", gone, number+1))
	}
}
