package tenant_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

// knows reports whether a secret is good.
func knows(t *testing.T, db *pgtest.Database, secret string) bool {
	t.Helper()
	_, err := tenant.Authenticate(t.Context(), db.DB, secret)
	if err != nil {
		requireFault(t, err, fault.KindUnauthenticated, "unauthenticated", "")
	}
	return err == nil
}

// edit changes rows as a superuser does, to let time pass.
func edit(t *testing.T, db *pgtest.Database, sql string, args ...any) {
	t.Helper()
	tag, err := db.Pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
	require.NotZero(t, tag.RowsAffected(), sql)
}

func rotate(t *testing.T, db *pgtest.Database, tenantID, keyID string, overlap time.Duration) string {
	t.Helper()
	var secret string
	require.NoError(t, db.DB.InTenant(t.Context(), tenantID, func(tx pgx.Tx) (err error) {
		secret, err = tenant.RotateKey(t.Context(), tx, tenantID, keyID, overlap)
		return err
	}))
	return secret
}

func TestRotationKeepsTheOldSecretForAWhile(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours, theirs := create(t, db, "ours"), create(t, db, "theirs")
	key, first := createKey(t, db, ours.ID, "payments:read")
	second := rotate(t, db, ours.ID, key.ID, time.Hour)
	require.True(t, knows(t, db, first) && knows(t, db, second))
	p, err := tenant.Authenticate(t.Context(), db.DB, first)
	require.NoError(t, err)
	require.Equal(t, key.ID, p.KeyID)

	edit(t, db, `update api_keys set previous_until = clock_timestamp() where id = $1`, key.ID)
	require.False(t, knows(t, db, first), "the overlap is over")
	require.True(t, knows(t, db, second))

	third, fourth := rotate(t, db, ours.ID, key.ID, time.Hour), rotate(t, db, ours.ID, key.ID, time.Hour)
	require.False(t, knows(t, db, second), "one old secret, not two")
	require.True(t, knows(t, db, third) && knows(t, db, fourth))
	fifth := rotate(t, db, ours.ID, key.ID, 0)
	require.False(t, knows(t, db, fourth), "no overlap")

	require.NoError(t, db.DB.InTenant(t.Context(), theirs.ID, func(tx pgx.Tx) error {
		_, err := tenant.RotateKey(t.Context(), tx, theirs.ID, key.ID, 0)
		requireFault(t, err, fault.KindNotFound, "not_found", "")
		_, err = tenant.RotateKey(t.Context(), tx, theirs.ID, key.ID, tenant.MaxOverlap+1)
		requireFault(t, err, fault.KindInvalid, "out_of_range", "overlap")
		return nil
	}))
	sixth := rotate(t, db, ours.ID, key.ID, time.Hour)
	require.NoError(t, db.DB.InTenant(t.Context(), ours.ID, func(tx pgx.Tx) error { return tenant.RevokeKey(t.Context(), tx, ours.ID, key.ID) }))
	require.False(t, knows(t, db, fifth) || knows(t, db, sixth), "a revoked key has no good secret")
	require.NoError(t, db.DB.InTenant(t.Context(), ours.ID, func(tx pgx.Tx) error {
		_, err := tenant.RotateKey(t.Context(), tx, ours.ID, key.ID, time.Hour)
		requireFault(t, err, fault.KindRefused, "key_not_active", "")
		return nil
	}))
}

func TestAKeyExpiresByRealTime(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	key, secret := createKey(t, db, create(t, db, "ours").ID, "payments:read")
	edit(t, db, `update business_clock set ahead = '1 year'`)
	edit(t, db, `update api_keys set expires_at = clock_timestamp() + interval '1 hour' where id = $1`, key.ID)
	require.True(t, knows(t, db, secret), "the business clock does not end a key")
	edit(t, db, `update api_keys set expires_at = clock_timestamp() where id = $1`, key.ID)
	require.False(t, knows(t, db, secret))
}

// The use is noted at once, and then at most once a minute.
func TestUseIsNotedToTheMinute(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	key, secret := createKey(t, db, create(t, db, "ours").ID, "payments:read")
	version := func() (version string, at *time.Time) {
		require.NoError(t, db.Pool.QueryRow(t.Context(), `select xmin::text, last_used_at from api_keys where id = $1`, key.ID).Scan(&version, &at))
		return version, at
	}
	_, never := version()
	require.Nil(t, never)
	require.True(t, knows(t, db, secret))
	first, at := version()
	require.WithinDuration(t, time.Now(), *at, time.Minute)
	for range 20 {
		require.True(t, knows(t, db, secret))
	}
	again, _ := version()
	require.Equal(t, first, again, "a write per request")
	edit(t, db, `update api_keys set last_used_at = clock_timestamp() - interval '61 seconds' where id = $1`, key.ID)
	require.True(t, knows(t, db, secret))
	_, later := version()
	require.WithinDuration(t, time.Now(), *later, 30*time.Second)
}

func TestOperatorsKeysBelongToNobody(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var key tenant.Key
	var secret string
	asSystem(t, db, func(tx pgx.Tx) {
		var err error
		key, secret, err = tenant.CreateOperatorKey(t.Context(), tx, "ops", []string{"tenants:read"}, nil)
		require.NoError(t, err)
		_, _, err = tenant.CreateOperatorKey(t.Context(), tx, "ops", []string{"*"}, nil)
		requireFault(t, err, fault.KindInvalid, "scope_malformed", "scopes[0]")
		_, _, err = tenant.CreateOperatorKey(t.Context(), tx, "ops", []string{"payments:read"}, nil)
		requireFault(t, err, fault.KindInvalid, "scope_unknown", "scopes[0]")
	})
	require.True(t, strings.HasPrefix(secret, "sk_operator_"))
	p, err := tenant.Authenticate(t.Context(), db.DB, secret)
	require.NoError(t, err)
	require.True(t, p.Operator())
	require.Equal(t, key.ID, p.KeyID)
	asSystem(t, db, func(tx pgx.Tx) {
		listed, err := tenant.ListOperatorKeys(t.Context(), tx)
		require.NoError(t, err)
		require.Len(t, listed, 1)
		require.NotNil(t, listed[0].LastUsedAt)
		require.NoError(t, tenant.RevokeOperatorKey(t.Context(), tx, key.ID))
		requireFault(t, tenant.RevokeOperatorKey(t.Context(), tx, id.New(id.OperatorKey)), fault.KindNotFound, "not_found", "")
	})
	require.False(t, knows(t, db, secret))
}

func TestAKeyHandsOutNoMoreThanItHas(t *testing.T) {
	t.Parallel()
	soon, late := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	p := tenant.Principal{Scopes: []string{"keys:write", "payments:read"}, Signature: tenant.SignMoney, ExpiresAt: &soon,
		Person: &tenant.Person{ID: "prn_1"}}
	good := tenant.Key{Scopes: []string{"payments:read"}, Signature: tenant.SignMoney, ExpiresAt: &soon, PrincipalID: "prn_1"}
	require.NoError(t, p.MayHandOut(good))
	for field, edit := range map[string]func(k *tenant.Key){
		"scopes[0]":  func(k *tenant.Key) { k.Scopes = []string{"*"} },
		"scopes[1]":  func(k *tenant.Key) { k.Scopes = []string{"payments:read", "payments:write"} },
		"signature":  func(k *tenant.Key) { k.Signature = tenant.SignNever },
		"expires_at": func(k *tenant.Key) { k.ExpiresAt = &late },
		"":           func(k *tenant.Key) { k.PrincipalID = "prn_2" },
	} {
		wide := good
		edit(&wide)
		requireFault(t, p.MayHandOut(wide), fault.KindForbidden, tenant.CodeKeyTooWide, field)
	}
	for _, edit := range []func(k *tenant.Key){
		func(k *tenant.Key) { k.ExpiresAt = nil },
		func(k *tenant.Key) { k.PrincipalID = "" },
	} {
		wide := good
		edit(&wide)
		require.Error(t, p.MayHandOut(wide))
	}
	good.Signature = tenant.SignAlways
	require.NoError(t, p.MayHandOut(good))
}

func addSigningKey(t *testing.T, db *pgtest.Database, tenantID, keyID string, public ed25519.PublicKey) (tenant.SigningKey, error) {
	t.Helper()
	var added tenant.SigningKey
	err := db.DB.InTenant(t.Context(), tenantID, func(tx pgx.Tx) (err error) {
		added, err = tenant.AddSigningKey(t.Context(), tx, tenantID, keyID, "till", public)
		return err
	})
	return added, err
}

func newPublicKey(t *testing.T) ed25519.PublicKey {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	return public
}

func TestSigningKeysOverlapAndRetire(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours, theirs := create(t, db, "ours"), create(t, db, "theirs")
	key, _ := createKey(t, db, ours.ID, "*")
	other, _ := createKey(t, db, ours.ID, "*")
	public := newPublicKey(t)
	old, err := addSigningKey(t, db, ours.ID, key.ID, public)
	require.NoError(t, err)
	fresh, err := addSigningKey(t, db, ours.ID, key.ID, newPublicKey(t))
	require.NoError(t, err)
	verifier := func(tenantID, keyID, signingKeyID string) ed25519.PublicKey {
		found, err := tenant.Verifier(t.Context(), db.DB, tenantID, keyID, signingKeyID)
		require.NoError(t, err)
		return found
	}
	require.Equal(t, public, verifier(ours.ID, key.ID, old.ID))
	require.NotNil(t, verifier(ours.ID, key.ID, fresh.ID))
	require.Nil(t, verifier(ours.ID, other.ID, old.ID), "another API key's")
	require.Nil(t, verifier(theirs.ID, key.ID, old.ID), "another tenant's")

	retire := func(overlap time.Duration) {
		require.NoError(t, db.DB.InTenant(t.Context(), ours.ID, func(tx pgx.Tx) error {
			return tenant.RetireSigningKey(t.Context(), tx, ours.ID, key.ID, old.ID, overlap)
		}))
	}
	retire(time.Hour)
	require.NotNil(t, verifier(ours.ID, key.ID, old.ID), "it overlaps")
	retire(0)
	retire(time.Hour)
	require.Nil(t, verifier(ours.ID, key.ID, old.ID), "an end does not move away")
	_, err = addSigningKey(t, db, ours.ID, key.ID, public)
	requireFault(t, err, fault.KindConflict, "public_key_used", "public_key")
	_, err = addSigningKey(t, db, theirs.ID, key.ID, newPublicKey(t))
	requireFault(t, err, fault.KindNotFound, "not_found", "")
}

// Under these keys, of small order or not in their one encoding, anybody could sign.
func TestWeakPublicKeysAreRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours := create(t, db, "ours")
	key, _ := createKey(t, db, ours.ID, "*")
	weak := []ed25519.PublicKey{bytes.Repeat([]byte{0xff}, 32), {}}
	for _, text := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		raw, err := hex.DecodeString(text)
		require.NoError(t, err)
		weak = append(weak, raw)
	}
	for _, public := range weak {
		_, err := addSigningKey(t, db, ours.ID, key.ID, public)
		requireFault(t, err, fault.KindInvalid, "public_key_weak", "public_key")
	}
}

func TestANonceIsGoodOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours := create(t, db, "ours")
	key, _ := createKey(t, db, ours.ID, "*")
	one, err := addSigningKey(t, db, ours.ID, key.ID, newPublicKey(t))
	require.NoError(t, err)
	two, err := addSigningKey(t, db, ours.ID, key.ID, newPublicKey(t))
	require.NoError(t, err)
	var fresh atomic.Int64
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			ok, err := tenant.UseNonce(t.Context(), db.DB, ours.ID, one.ID, "nonce-0123456789", time.Now().Add(time.Minute))
			if err == nil && ok {
				fresh.Add(1)
			}
		})
	}
	calls.Wait()
	require.Equal(t, int64(1), fresh.Load())
	ok, err := tenant.UseNonce(t.Context(), db.DB, ours.ID, two.ID, "nonce-0123456789", time.Now())
	require.NoError(t, err)
	require.True(t, ok, "another key's nonces are its own")

	forget := func() (n int) {
		asSystem(t, db, func(tx pgx.Tx) {
			var err error
			n, err = tenant.ForgetNonces(t.Context(), tx, 10)
			require.NoError(t, err)
		})
		return n
	}
	require.Zero(t, forget(), "an ended signature may still be believed by a slow clock")
	edit(t, db, `update signature_nonces set forget_after = clock_timestamp() - interval '1 second' where signing_key_id = $1`, two.ID)
	require.Equal(t, 1, forget())
}

// Whoever asks, and however often, no more than the rate and what was saved up is granted.
func TestRequestsAreLeasedOutOfOneRate(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours := create(t, db, "ours")
	rate := tenant.Rate{PerSecond: 50, Burst: 100}
	began := time.Now()
	var granted atomic.Int64
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			for range 40 {
				n, wait, err := tenant.LeaseRequests(t.Context(), db.DB, ours.ID, ours.ID, rate, 7)
				if err != nil || n < 0 || n > 7 || n == 0 && (wait <= 0 || wait > time.Second) {
					t.Errorf("leased %d, wait %s: %v", n, wait, err)
				}
				granted.Add(int64(n))
			}
		})
	}
	calls.Wait()
	allowed := 100 + 50*time.Since(began).Seconds()
	require.GreaterOrEqual(t, granted.Load(), int64(95), "what was saved up can be used")
	require.LessOrEqual(t, float64(granted.Load()), allowed+1)
	other, _, err := tenant.LeaseRequests(t.Context(), db.DB, ours.ID, id.New(id.APIKey), rate, 7)
	require.NoError(t, err)
	require.Equal(t, 7, other, "another subject's rate is its own")
}
