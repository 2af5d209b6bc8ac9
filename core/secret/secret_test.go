package secret_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const canary = "canary-7f3a-private-key"

type desk struct {
	*testing.T
	db   *pgtest.Database
	ours string
	box  *secret.Box
}

func newDesk(t *testing.T) *desk {
	d := &desk{T: t, db: pgtest.New(t), box: newBox(t, "a1")}
	d.ours = d.tenant()
	return d
}

func (d *desk) tenant() string {
	var out tenant.Tenant
	d.system(func(tx pgx.Tx) (err error) {
		out, err = tenant.Create(d.Context(), tx, "茶馆", tenant.BankCustody)
		return err
	})
	return out.ID
}

func (d *desk) system(fn func(tx pgx.Tx) error) {
	d.Helper()
	require.NoError(d, d.db.DB.AsSystem(d.Context(), fn))
}

func (d *desk) inTenant(fn func(tx pgx.Tx) error) {
	d.Helper()
	require.NoError(d, d.db.DB.InTenant(d.Context(), d.ours, fn))
}

// key is a master key made of one repeated byte.
func key(t testing.TB, digits string) *secret.LocalKey {
	raw, err := hex.DecodeString(strings.Repeat(digits, 32))
	require.NoError(t, err)
	k, err := secret.NewLocalKey(raw)
	require.NoError(t, err)
	return k
}

func newBox(t testing.TB, digits ...string) *secret.Box {
	var masters secret.Masters
	for _, each := range digits {
		masters = append(masters, key(t, each))
	}
	box, err := secret.NewBox(masters)
	require.NoError(t, err)
	return box
}

func (d *desk) seal(at secret.Place, plain string) (sealed []byte) {
	d.Helper()
	d.inTenant(func(tx pgx.Tx) (err error) {
		sealed, err = d.box.Seal(d.Context(), tx, at, []byte(plain))
		return err
	})
	return sealed
}

func (d *desk) place() secret.Place { return secret.Place{Tenant: d.ours, Field: "t.f", Row: "r1"} }

func TestASealedValueOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	theirs := d.tenant()
	at := d.place()
	sealed := d.seal(at, canary)
	require.NotContains(t, string(sealed), canary)
	require.NotEqual(t, sealed, d.seal(at, canary), "the nonce is fresh")

	open := func(box *secret.Box, at secret.Place, sealed []byte) (v secret.Value, err error) {
		_ = d.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
			v, err = box.Open(t.Context(), tx, at, sealed)
			return nil
		})
		return v, err
	}
	for _, box := range []*secret.Box{d.box, newBox(t, "a1"), newBox(t, "b2", "a1")} {
		v, err := open(box, at, sealed)
		require.NoError(t, err)
		require.Equal(t, canary, string(v.Reveal()))
	}
	// Another tenant, whether or not it has keys of the same version.
	_, err := open(d.box, secret.Place{Tenant: theirs, Field: at.Field, Row: at.Row}, sealed)
	require.ErrorIs(t, err, secret.ErrNotOpened)
	var foreign []byte
	d.system(func(tx pgx.Tx) (err error) {
		foreign, err = d.box.Seal(t.Context(), tx, secret.Place{Tenant: theirs, Field: at.Field, Row: at.Row}, []byte("x"))
		return err
	})
	for name, other := range map[string]secret.Place{
		"tenant": {Tenant: theirs, Field: at.Field, Row: at.Row}, "field": {Tenant: d.ours, Field: "t.g", Row: at.Row},
		"row": {Tenant: d.ours, Field: at.Field, Row: "r2"}, "shifted": {Tenant: d.ours, Field: "t.fr", Row: "1"},
	} {
		v, err := open(d.box, other, sealed)
		require.ErrorIs(t, err, secret.ErrNotOpened, name)
		require.True(t, v.Empty())
	}
	// Every changed, missing and added byte.
	for i := range sealed {
		spoilt := bytes.Clone(sealed)
		spoilt[i] ^= 1
		_, err := open(d.box, at, spoilt)
		require.ErrorIs(t, err, secret.ErrNotOpened, "byte %d", i)
		_, err = open(d.box, at, sealed[:i])
		require.ErrorIs(t, err, secret.ErrNotOpened, "cut at %d", i)
	}
	_, err = open(d.box, at, append(bytes.Clone(sealed), 0))
	require.ErrorIs(t, err, secret.ErrNotOpened)
	// Another master key knows nothing, and says which one is missing.
	_, err = open(newBox(t, "b2"), at, sealed)
	require.ErrorContains(t, err, key(t, "a1").ID())
	// A wrapped data key copied to another tenant does not unwrap.
	_, err = d.db.Pool.Exec(t.Context(), `
		update data_keys set wrapped = (select wrapped from data_keys where tenant_id = $1) where tenant_id = $2`, d.ours, theirs)
	require.NoError(t, err)
	_, err = open(newBox(t, "a1"), secret.Place{Tenant: theirs, Field: at.Field, Row: at.Row}, sealed)
	require.ErrorIs(t, err, secret.ErrNotOpened)
	_, err = open(newBox(t, "a1"), secret.Place{Tenant: theirs, Field: at.Field, Row: at.Row}, foreign)
	require.ErrorIs(t, err, secret.ErrNotOpened)
}

func TestRowLevelSecurityHidesDataKeys(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	theirs := d.tenant()
	sealed := d.seal(d.place(), canary)
	err := d.db.DB.InTenant(t.Context(), theirs, func(tx pgx.Tx) error {
		_, err := newBox(t, "a1").Open(t.Context(), tx, d.place(), sealed)
		return err
	})
	require.ErrorIs(t, err, secret.ErrNotOpened)
	err = d.db.DB.InTenant(t.Context(), d.ours, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `update data_keys set wrapped = wrapped`)
		return err
	})
	require.ErrorContains(t, err, "permission denied")
}

func TestRotationsUnderLoad(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	at := d.place()
	first := d.seal(at, canary)
	// Three processes that hold both master keys, as during a rolling restart.
	processes := []*secret.Box{newBox(t, "a1", "b2"), newBox(t, "a1", "b2"), newBox(t, "b2", "a1")}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var group errgroup.Group
	var opened atomic.Int64
	for i := range 6 {
		group.Go(func() error {
			for round := 0; ctx.Err() == nil; round++ {
				// Every second round is a process that has just started.
				box := processes[i%3]
				if round%2 == 1 {
					box = newBox(t, "b2", "a1")
				}
				err := d.db.DB.InTenant(t.Context(), d.ours, func(tx pgx.Tx) error {
					sealed, err := box.Seal(t.Context(), tx, at, []byte(canary))
					if err != nil {
						return err
					}
					for _, each := range [][]byte{first, sealed} {
						v, err := processes[(i+1)%3].Open(t.Context(), tx, at, each)
						if err != nil {
							return err
						}
						if string(v.Reveal()) != canary {
							return fmt.Errorf("opened something else")
						}
						opened.Add(1)
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	for rotation := range 20 {
		want := opened.Load() + 20
		d.system(func(tx pgx.Tx) error {
			version, err := processes[0].RotateDataKey(t.Context(), tx, d.ours)
			require.EqualValues(t, rotation+2, version)
			return err
		})
		d.system(func(tx pgx.Tx) error {
			_, err := processes[rotation%2*2].Rewrap(t.Context(), tx, 100)
			return err
		})
		require.Eventually(t, func() bool { return opened.Load() >= want || ctx.Err() != nil }, time.Minute, time.Millisecond)
	}
	stop()
	require.NoError(t, group.Wait())
	t.Logf("%d values opened, none failed", opened.Load())

	// At the end everything is under b2, and a process without a1 reads the oldest value.
	after := newBox(t, "b2", "a1")
	d.system(func(tx pgx.Tx) error {
		_, err := after.Rewrap(t.Context(), tx, 100)
		require.NoError(t, err)
		n, err := after.Rewrap(t.Context(), tx, 100)
		require.Zero(t, n)
		require.NoError(t, err)
		uses, err := newBox(t, "c3").InUse(t.Context(), tx)
		require.Equal(t, []secret.KeyInUse{{MasterKey: key(t, "b2").ID(), DataKeys: 21}}, uses)
		require.NoError(t, err)
		v, err := newBox(t, "b2").Open(t.Context(), tx, at, first)
		require.Equal(t, canary, string(v.Reveal()))
		return err
	})
	// New values are sealed under the newest key; old ones can be sealed again.
	d.inTenant(func(tx pgx.Tx) error {
		again, changed, err := after.Reseal(t.Context(), tx, at, first)
		require.NoError(t, err)
		require.True(t, changed)
		version, err := secret.VersionOf(again)
		require.NoError(t, err)
		require.EqualValues(t, 21, version)
		_, changed, err = after.Reseal(t.Context(), tx, at, again)
		require.False(t, changed)
		require.NoError(t, err)
		v, err := after.Open(t.Context(), tx, at, again)
		require.Equal(t, canary, string(v.Reveal()))
		return err
	})
}

func TestManyMakeTheFirstDataKeyAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			box := newBox(t, "a1")
			at := secret.Place{Tenant: d.ours, Field: "t.f", Row: fmt.Sprint(i)}
			var sealed []byte
			err := d.db.DB.InTenant(t.Context(), d.ours, func(tx pgx.Tx) (err error) {
				sealed, err = box.Seal(t.Context(), tx, at, []byte(canary))
				return err
			})
			if err != nil {
				return err
			}
			return d.db.DB.InTenant(t.Context(), d.ours, func(tx pgx.Tx) error {
				_, err := newBox(t, "a1").Open(t.Context(), tx, at, sealed)
				return err
			})
		})
	}
	require.NoError(t, group.Wait())
	var keys int
	require.NoError(t, d.db.Pool.QueryRow(t.Context(), `select count(*) from data_keys`).Scan(&keys))
	require.Equal(t, 1, keys)
}

// A data key made in a transaction that rolled back is known to nobody.
func TestARolledBackFirstKeyIsForgotten(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_ = d.db.DB.InTenant(t.Context(), d.ours, func(tx pgx.Tx) error {
		_, err := d.box.Seal(t.Context(), tx, d.place(), []byte(canary))
		require.NoError(t, err)
		return context.Canceled
	})
	sealed := d.seal(d.place(), canary)
	d.inTenant(func(tx pgx.Tx) error {
		v, err := newBox(t, "a1").Open(t.Context(), tx, d.place(), sealed)
		require.Equal(t, canary, string(v.Reveal()))
		return err
	})
}

func TestOneTimeSecrets(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	attempt, other := id.New(id.Attempt), id.New(id.Attempt)
	put := func(attempt string, life time.Duration) error {
		return d.db.DB.InTenant(t.Context(), d.ours, func(tx pgx.Tx) error {
			return d.box.PutOneTime(t.Context(), tx, d.ours, attempt, []byte("286101234567890123"), life)
		})
	}
	take := func(attempt string) (v secret.Value, err error) {
		err = d.db.DB.InTenant(t.Context(), d.ours, func(tx pgx.Tx) error {
			v, err = d.box.TakeOneTime(t.Context(), tx, d.ours, attempt)
			return err
		})
		return v, err
	}
	require.Error(t, put(attempt, secret.MaxOneTimeLife+time.Second))
	require.Error(t, put(attempt, 0))
	require.NoError(t, put(attempt, secret.MaxOneTimeLife))
	require.Error(t, put(attempt, time.Minute), "one per attempt")
	_, err := take(other)
	require.ErrorIs(t, err, secret.ErrNoSecret)

	// Of many takers one gets it.
	var got atomic.Int64
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			v, err := take(attempt)
			if err == nil && string(v.Reveal()) == "286101234567890123" {
				got.Add(1)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 1, got.Load())

	// One whose time is over is not given out, and swept; another tenant's sweep cannot see it.
	require.NoError(t, put(attempt, time.Minute))
	require.NoError(t, put(other, time.Minute))
	_, err = d.db.Pool.Exec(t.Context(), `update one_time_secrets set created_at = created_at - interval '1 hour',
		expires_at = expires_at - interval '1 hour'`)
	require.NoError(t, err)
	_, err = take(attempt)
	require.ErrorIs(t, err, secret.ErrNoSecret)
	d.system(func(tx pgx.Tx) error {
		n, err := secret.SweepOneTime(t.Context(), tx, 1)
		require.Equal(t, 1, n)
		require.NoError(t, err)
		n, err = secret.SweepOneTime(t.Context(), tx, 100)
		require.Equal(t, 1, n)
		return err
	})
	var left int
	require.NoError(t, d.db.Pool.QueryRow(t.Context(), `select count(*) from one_time_secrets`).Scan(&left))
	require.Zero(t, left)
	_, err = d.db.Pool.Exec(t.Context(), `insert into one_time_secrets (tenant_id, id, sealed, expires_at)
		values ($1, 'x', repeat('x', 40)::bytea, clock_timestamp() + interval '11 minutes')`, d.ours)
	require.ErrorContains(t, err, "check")
}

func TestAValueIsNotShown(t *testing.T) {
	t.Parallel()
	v := secret.NewValue([]byte(canary))
	holder := struct {
		Key secret.Value
		key secret.Value
	}{v, v}
	var log bytes.Buffer
	for _, logger := range []*slog.Logger{slog.New(slog.NewJSONHandler(&log, nil)), slog.New(slog.NewTextHandler(&log, nil))} {
		logger.Info("x", "value", v, "pointer", &v, "holder", holder, "group", slog.GroupValue(slog.Any("v", v)))
	}
	encoded, err := json.Marshal(holder)
	require.Error(t, err)
	shown := log.String() + string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb, v) + fmt.Sprintf(verb, &v) + fmt.Sprintf(verb, []secret.Value{v})
	}
	shown += fmt.Sprint(holder.Key, v.String())
	require.NotContains(t, shown, canary)
	require.NotContains(t, shown, hex.EncodeToString([]byte(canary)))
	require.NotContains(t, shown, "99 97 110", "as numbers")
	require.Contains(t, shown, "[secret]")
	require.Equal(t, canary, string(holder.key.Reveal()))
}

func TestMasterKeyFiles(t *testing.T) {
	t.Parallel()
	one, two := secret.NewMasterKeyText(), strings.Repeat("5c", 32)
	masters, err := secret.ParseMasters("# made today\n" + one + "\n\n  " + two + "  \r\n")
	require.NoError(t, err)
	require.Len(t, masters, 2)
	require.NotEqual(t, masters[0].ID(), masters[1].ID())
	require.NotContains(t, fmt.Sprintf("%v %+v", masters[1], masters[1]), "5c5c")
	require.NotContains(t, masters[1].ID(), "5c5c")
	for text, want := range map[string]string{
		"":                             "no key",
		"# nothing":                    "no key",
		"secret-words\n":               "line 1",
		one + strings.Repeat("5c", 31): "line 2",
		one + one:                      "line 2",
		strings.Repeat("00", 32):       "zeros",
	} {
		_, err := secret.ParseMasters(text)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret-words")
		require.NotContains(t, err.Error(), "5c5c")
		require.NotContains(t, err.Error(), strings.TrimSpace(one))
	}
	_, err = secret.NewBox(nil)
	require.Error(t, err)
}
