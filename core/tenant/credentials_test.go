package tenant_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

func newBox(t *testing.T, keys ...string) *secret.Box {
	masters, err := secret.ParseMasters(strings.Join(keys, "\n"))
	require.NoError(t, err)
	box, err := secret.NewBox(masters)
	require.NoError(t, err)
	return box
}

func (r *routing) addKeys(box *secret.Box, accountID, keys string) tenant.Credential {
	r.Helper()
	var c tenant.Credential
	r.tx(func(tx pgx.Tx) (err error) {
		c, err = tenant.AddCredentials(r.Context(), tx, box, r.ours, accountID,
			tenant.Credential{Fingerprint: "f-" + keys, KeyID: "k-" + keys, ProviderKeyID: "p-" + keys}, secret.NewValue([]byte(keys)))
		return err
	})
	return c
}

func (r *routing) open(box *secret.Box, accountID string) (version int, keys []string, err error) {
	err = r.db.DB.InTenant(r.Context(), r.ours, func(tx pgx.Tx) error {
		v, inUse, err := tenant.OpenCredentials(r.Context(), tx, box, r.ours, accountID)
		version, keys = v, nil
		for _, each := range inUse {
			keys = append(keys, each.Status+" "+string(each.Secret.Reveal()))
		}
		return err
	})
	return version, keys, err
}

func TestCredentialsRotateWithOverlap(t *testing.T) {
	t.Parallel()
	r := newRouting(t)
	box := newBox(t, secret.NewMasterKeyText())
	var account tenant.ChannelAccount
	r.tx(func(tx pgx.Tx) (err error) {
		account, err = tenant.OpenChannelAccount(t.Context(), tx, r.ours,
			tenant.ChannelAccount{Channel: "alipay", Name: "ours", MerchantID: r.merchant, Weight: 7})
		return err
	})
	require.Equal(t, []any{tenant.AccountSuspended, 7, 1, r.merchant}, []any{account.Status, account.Weight, account.Version, account.MerchantID})
	active := tenant.AccountActive
	activate := func() error {
		return r.db.DB.InTenant(t.Context(), r.ours, func(tx pgx.Tx) error {
			_, err := tenant.ChangeChannelAccount(t.Context(), tx, r.ours, account.ID, tenant.ChannelAccountChange{Status: &active})
			return err
		})
	}
	requireFault(t, activate(), fault.KindRefused, tenant.CodeCredentialsMissing, "")
	_, _, err := r.open(box, account.ID)
	requireFault(t, err, fault.KindRefused, tenant.CodeCredentialsMissing, "")

	one := r.addKeys(box, account.ID, "one")
	require.Equal(t, []string{"f-one", "k-one", "p-one", "current"}, []string{one.Fingerprint, one.KeyID, one.ProviderKeyID, one.Status})
	require.NoError(t, activate())
	version, keys, err := r.open(box, account.ID)
	require.NoError(t, err)
	require.Equal(t, []any{2, []string{"current one"}}, []any{version, keys})
	two := r.addKeys(box, account.ID, "two")
	version, keys, err = r.open(box, account.ID)
	require.NoError(t, err)
	require.Equal(t, []any{3, []string{"current two", "previous one"}}, []any{version, keys})

	retire := func(credentialID string) (c tenant.Credential, err error) {
		err = r.db.DB.InTenant(t.Context(), r.ours, func(tx pgx.Tx) error {
			c, err = tenant.RetireCredentials(t.Context(), tx, r.ours, account.ID, credentialID)
			return err
		})
		return c, err
	}
	_, err = retire(two.ID)
	requireFault(t, err, fault.KindRefused, tenant.CodeCredentialsInUse, "")
	_, err = retire(id.New(id.Credential))
	requireFault(t, err, fault.KindNotFound, "not_found", "")
	for range 2 {
		c, err := retire(one.ID)
		require.NoError(t, err)
		require.Equal(t, tenant.CredentialRetired, c.Status)
		require.NotNil(t, c.RetiredAt)
	}
	// A third set retires what was previous by itself.
	r.addKeys(box, account.ID, "three")
	r.addKeys(box, account.ID, "four")
	_, keys, err = r.open(box, account.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"current four", "previous three"}, keys)
	r.tx(func(tx pgx.Tx) error {
		all, err := tenant.ListCredentials(t.Context(), tx, r.ours, account.ID)
		require.Len(t, all, 4)
		require.Equal(t, []string{"f-four", "f-three", "f-two", "f-one"},
			[]string{all[0].Fingerprint, all[1].Fingerprint, all[2].Fingerprint, all[3].Fingerprint})
		return err
	})
	var left int
	require.NoError(t, r.db.Pool.QueryRow(t.Context(), `select count(*) from channel_credentials where sealed is not null`).Scan(&left))
	require.Equal(t, 2, left, "retired keys are destroyed")
}

// What is sealed for one row opens in no other row, field or tenant.
func TestCopiedCredentialsDoNotOpen(t *testing.T) {
	t.Parallel()
	r := newRouting(t)
	box := newBox(t, secret.NewMasterKeyText())
	one, two := r.account(tenant.ChannelAccount{}), r.account(tenant.ChannelAccount{})
	r.addKeys(box, one, "one")
	r.addKeys(box, two, "two")
	_, err := r.db.Pool.Exec(t.Context(), `update channel_credentials set sealed =
		(select sealed from channel_credentials where channel_account_id = $1) where channel_account_id = $2`, one, two)
	require.NoError(t, err)
	_, _, err = r.open(box, one)
	require.NoError(t, err)
	_, _, err = r.open(box, two)
	require.ErrorIs(t, err, secret.ErrNotOpened)

	// The whole row copied to another tenant, with the data key.
	theirs := create(t, r.db, "theirs").ID
	foreign := addAccount(t, r.db, theirs, tenant.ChannelAccount{Channel: "alipay", Name: "x"}).ID
	_, err = r.db.Pool.Exec(t.Context(), `insert into data_keys select $2, version, tag, master_key, wrapped from data_keys where tenant_id = $1`,
		r.ours, theirs)
	require.NoError(t, err)
	_, err = r.db.Pool.Exec(t.Context(), `
		insert into channel_credentials (tenant_id, id, channel_account_id, fingerprint, key_id, provider_key_id, sealed)
		select $2, id, $3, fingerprint, key_id, provider_key_id, sealed from channel_credentials where channel_account_id = $1`,
		one, theirs, foreign)
	require.NoError(t, err)
	err = r.db.DB.InTenant(t.Context(), theirs, func(tx pgx.Tx) error {
		_, _, err := tenant.OpenCredentials(t.Context(), tx, box, theirs, foreign)
		return err
	})
	require.ErrorIs(t, err, secret.ErrNotOpened)
}

// Every kind of rotation at the same time as readers that look at an account's keys:
// no read fails, and none sees keys that were not current at some moment.
func TestRotationUnderLoadFailsNoOpening(t *testing.T) {
	t.Parallel()
	r := newRouting(t)
	first, second := secret.NewMasterKeyText(), secret.NewMasterKeyText()
	before, after := newBox(t, first, second), newBox(t, second, first)
	account := r.account(tenant.ChannelAccount{})
	r.addKeys(before, account, "0")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var opened atomic.Int64
	var group errgroup.Group
	for i := range 4 {
		group.Go(func() error {
			last := 0
			for round := 0; ctx.Err() == nil; round++ {
				box := []*secret.Box{before, after, newBox(t, second, first)}[(i+round)%3]
				version, keys, err := r.open(box, account)
				if err != nil {
					return err
				}
				if version < last || keys[0] != fmt.Sprintf("current %d", version-2) {
					return fmt.Errorf("version %d after %d with %v", version, last, keys)
				}
				last = version
				opened.Add(1)
			}
			return nil
		})
	}
	for rotation := 1; rotation <= 15; rotation++ {
		want := opened.Load() + 10
		r.addKeys(after, account, fmt.Sprint(rotation))
		r.tx(func(tx pgx.Tx) error {
			_, err := after.RotateDataKey(t.Context(), tx, r.ours)
			return err
		})
		asSystem(t, r.db, func(tx pgx.Tx) {
			_, _, err := after.ResealPage(t.Context(), tx, r.ours, tenant.SealedColumns()[0], "", 100)
			require.NoError(t, err)
		})
		asSystem(t, r.db, func(tx pgx.Tx) {
			_, err := []*secret.Box{before, after}[rotation%2].Rewrap(t.Context(), tx, 100)
			require.NoError(t, err)
		})
		require.Eventually(t, func() bool { return opened.Load() >= want }, time.Minute, time.Millisecond)
	}
	stop()
	require.NoError(t, group.Wait())
	t.Logf("%d openings, none failed", opened.Load())
	asSystem(t, r.db, func(tx pgx.Tx) {
		n, next, err := after.ResealPage(t.Context(), tx, r.ours, tenant.SealedColumns()[0], "", 100)
		require.NoError(t, err)
		require.Zero(t, n, "all is under the newest data key")
		require.Empty(t, next)
	})
}
