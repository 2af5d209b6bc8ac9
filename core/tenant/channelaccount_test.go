package tenant_test

import (
	"maps"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func addAccount(t *testing.T, db *pgtest.Database, tenantID string, a tenant.ChannelAccount) tenant.ChannelAccount {
	t.Helper()
	asSystem(t, db, func(tx pgx.Tx) {
		var err error
		a, err = tenant.AddChannelAccount(t.Context(), tx, tenantID, a)
		require.NoError(t, err)
	})
	return a
}

func TestChannelAccounts(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours, theirs := create(t, db, "ours"), create(t, db, "theirs")
	first := addAccount(t, db, ours.ID, tenant.ChannelAccount{Channel: "alipay", Name: "First",
		Params: map[string]string{"app_id": "2021000000000001"}, FeeBasisPoints: 60, FeeReturned: true})
	second := addAccount(t, db, ours.ID, tenant.ChannelAccount{ID: id.New(id.ChannelAccount), Channel: "alipay", Name: "Second"})
	foreign := addAccount(t, db, theirs.ID, tenant.ChannelAccount{Channel: "wechatpay", Name: "Foreign"})
	require.Equal(t, tenant.AccountActive, first.Status)
	require.Equal(t, "2021000000000001", first.Params["app_id"])

	inOurs := func(fn func(tx pgx.Tx)) {
		require.NoError(t, db.DB.InTenant(t.Context(), ours.ID, func(tx pgx.Tx) error { fn(tx); return nil }))
	}
	inOurs(func(tx pgx.Tx) {
		all, err := tenant.ListChannelAccounts(t.Context(), tx, ours.ID)
		require.NoError(t, err)
		require.ElementsMatch(t, []tenant.ChannelAccount{first, second}, all)
		got, err := tenant.GetChannelAccount(t.Context(), tx, ours.ID, first.ID)
		require.NoError(t, err)
		require.Equal(t, first, got)
		for _, named := range []string{ours.ID, theirs.ID} {
			_, err = tenant.GetChannelAccount(t.Context(), tx, named, foreign.ID)
			requireFault(t, err, fault.KindNotFound, "not_found", "")
			_, err = tenant.PickChannelAccount(t.Context(), tx, named, tenant.Wanted{Channel: "wechatpay", Product: "qr"})
			requireFault(t, err, fault.KindRefused, tenant.CodeChannelNotOpen, "method.channel")
		}
	})

	// Suspending takes one out, then none is left.
	alipay := tenant.Wanted{Channel: "alipay", Product: "qr", Number: id.Number()}
	for _, out := range []tenant.ChannelAccount{first, second} {
		asSystem(t, db, func(tx pgx.Tx) {
			require.NoError(t, tenant.SetChannelAccountStatus(t.Context(), tx, ours.ID, out.ID, tenant.AccountSuspended))
		})
		inOurs(func(tx pgx.Tx) {
			picked, err := tenant.PickChannelAccount(t.Context(), tx, ours.ID, alipay)
			if out.ID == first.ID {
				require.NoError(t, err)
				require.Equal(t, second, picked)
				return
			}
			requireFault(t, err, fault.KindRefused, tenant.CodeChannelNotOpen, "method.channel")
		})
	}

	asSystem(t, db, func(tx pgx.Tx) {
		owner, account, err := tenant.ChannelAccountOwner(t.Context(), tx, foreign.ID)
		require.NoError(t, err)
		require.Equal(t, theirs.ID, owner)
		require.Equal(t, foreign, account)
		_, _, err = tenant.ChannelAccountOwner(t.Context(), tx, id.New(id.ChannelAccount))
		requireFault(t, err, fault.KindNotFound, "not_found", "")
		requireFault(t, tenant.SetChannelAccountStatus(t.Context(), tx, ours.ID, foreign.ID, tenant.AccountSuspended), fault.KindNotFound, "not_found", "")
		requireFault(t, tenant.SetChannelAccountStatus(t.Context(), tx, ours.ID, first.ID, "closed"), fault.KindInvalid, "status_unknown", "status")
		_, err = tenant.AddChannelAccount(t.Context(), tx, ours.ID, tenant.ChannelAccount{ID: foreign.ID, Channel: "alipay", Name: "x"})
		requireFault(t, err, fault.KindConflict, "channel_account_exists", "id")
	})
}

func TestChannelAccountsAreValidated(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours := create(t, db, "ours")
	good := tenant.ChannelAccount{Channel: "alipay", Name: "x", Params: map[string]string{"app_id": "1"}}
	for field, spoil := range map[string]func(a *tenant.ChannelAccount){
		"id":               func(a *tenant.ChannelAccount) { a.ID = "chn_1" },
		"channel":          func(a *tenant.ChannelAccount) { a.Channel = "paypal" },
		"name":             func(a *tenant.ChannelAccount) { a.Name = "" },
		"fee_basis_points": func(a *tenant.ChannelAccount) { a.FeeBasisPoints = 1001 },
		"params.app_id":    func(a *tenant.ChannelAccount) { a.Params["app_id"] = "" },
		"params.key": func(a *tenant.ChannelAccount) {
			a.Params["key"] = "-----BEGIN PRIVATE KEY-----"
		},
		"params": func(a *tenant.ChannelAccount) {
			for i := range 40 {
				a.Params[string(rune('A'+i))] = "x"
			}
		},
	} {
		a := good
		a.Params = maps.Clone(good.Params)
		spoil(&a)
		asSystem(t, db, func(tx pgx.Tx) {
			_, err := tenant.AddChannelAccount(t.Context(), tx, ours.ID, a)
			f, ok := fault.As(err)
			require.True(t, ok, "%s: %v", field, err)
			require.Equal(t, fault.KindInvalid, f.Kind)
			require.Equal(t, field, f.Field)
		})
	}
}
