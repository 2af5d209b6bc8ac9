package party_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func zhang() *party.PayoutAccount {
	return &party.PayoutAccount{Channel: "alipay", Account: "13812345678", Name: "张三丰"}
}

// withPayee adds a merchant with a payee.
func (b book) withPayee(reference string) party.Merchant {
	b.t.Helper()
	n := plain(reference)
	n.PayoutAccount = zhang()
	return b.create(n)
}

func (b book) open(m party.Merchant, box *secret.Box) (out party.PayoutAccount, err error) {
	_ = b.do(func(ctx context.Context, tx pgx.Tx) error {
		out, err = m.PayoutAccount.Open(ctx, tx, box)
		return nil
	})
	return out, err
}

func (b book) get(merchantID string) (m party.Merchant) {
	b.t.Helper()
	require.NoError(b.t, b.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		m, err = party.Get(ctx, tx, b.tenant, merchantID)
		return err
	}))
	return m
}

func (b book) forget(merchantID string) error {
	return b.do(func(ctx context.Context, tx pgx.Tx) error {
		return party.ForgetPayee(ctx, tx, b.tenant, merchantID, "the payee asked for it")
	})
}

// dump is what the database holds of persons and payout accounts, as text.
func (b book) dump() (text string) {
	b.t.Helper()
	require.NoError(b.t, b.db.Pool.QueryRow(b.t.Context(), `select string_agg(x, e'\n') from (
		select p::text as x from merchant_payout_accounts p union all select p::text from persons p
		union all select e::text from audit_entries e) all_of_it`).Scan(&text))
	return text
}

func TestAPayeeIsKeptSealedAndBoundToItsPlace(t *testing.T) {
	t.Parallel()
	b := newBook(t, pgtest.New(t))
	one, two := b.withPayee("1"), b.withPayee("2")
	for _, text := range []string{"13812345678", "张三丰"} {
		require.NotContains(t, b.dump(), text)
		require.NotContains(t, b.dump(), hex.EncodeToString([]byte(text)))
	}
	got, err := b.open(one, b.box)
	require.NoError(t, err)
	require.Equal(t, *zhang(), got)
	_, err = b.open(one, newBox(t))
	require.ErrorContains(t, err, "does not hold", "another master key opens nothing")

	// Copied to another column, or to another person, it does not open.
	for _, swap := range []string{
		`update merchant_payout_accounts set sealed_account = sealed_name`,
		`update merchant_payout_accounts a set sealed_account = b.sealed_account, sealed_name = b.sealed_name
			from merchant_payout_accounts b where a.merchant_id <> b.merchant_id`,
		`update merchant_payout_accounts a set person_id = b.person_id from merchant_payout_accounts b where a.merchant_id <> b.merchant_id`,
		`update persons a set sealed_key = b.sealed_key from persons b where a.id <> b.id`,
		`update merchant_payout_accounts set sealed_account = overlay(sealed_account placing '\x00' from length(sealed_account))`,
	} {
		tx, err := b.db.Pool.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), swap)
		require.NoError(t, err, swap)
		m, err := party.Get(t.Context(), tx, b.tenant, two.ID)
		require.NoError(t, err)
		_, err = m.PayoutAccount.Open(t.Context(), tx, b.box)
		require.ErrorIs(t, err, secret.ErrNotOpened, swap)
		require.NotContains(t, err.Error(), "13812345678")
		require.NoError(t, tx.Rollback(t.Context()))
	}
}

func TestAPayeeIsForgottenForGood(t *testing.T) {
	t.Parallel()
	b := newBook(t, pgtest.New(t))
	m, other, without := b.withPayee("1"), b.withPayee("2"), b.create(plain("3"))
	for range 2 {
		require.NoError(t, b.forget(m.ID))
	}
	now := b.get(m.ID)
	require.NotNil(t, now.PayoutAccount.ForgottenAt)
	_, err := b.open(now, b.box)
	require.ErrorIs(t, err, party.ErrForgotten)
	var masked party.PayoutAccount
	require.NoError(t, b.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		masked, err = now.PayoutAccount.Masked(ctx, tx, b.box)
		return err
	}))
	require.Equal(t, party.PayoutAccount{Channel: "alipay", Account: party.Forgotten, Name: party.Forgotten}, masked)
	require.Equal(t, m.PayoutAccount.Frozen(), now.PayoutAccount.Frozen(), "what was frozen with it stays frozen")
	_, err = b.open(other, b.box)
	require.NoError(t, err, "nobody else is forgotten")

	requireFault(t, b.forget(without.ID), fault.KindRefused, party.CodeNoPayoutAccount, "merchant_id")
	requireFault(t, b.forget(id.New(id.Merchant)), fault.KindNotFound, "not_found", "")
	var entries int
	require.NoError(t, b.db.Pool.QueryRow(t.Context(), `select count(*) from audit_entries
		where object_type = 'person' and after->>'merchant_id' = $1 and after->>'forgotten_reason' = 'the payee asked for it'`, m.ID).Scan(&entries))
	require.Equal(t, 1, entries)

	// No key comes back, from a copy neither, and no payee is deleted.
	for _, sql := range []string{
		`update persons set sealed_key = repeat('x', 73)::bytea, forgotten_at = null, forgotten_reason = null where forgotten_at is not null`,
		`update persons set forgotten_reason = 'never' where forgotten_at is not null`,
		`delete from persons where merchant_id is not null`,
		`update merchant_payout_accounts set sealed_account = ''`,
		`update persons set merchant_id = null`,
	} {
		require.Error(t, b.do(func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, sql)
			return err
		}), sql)
	}
	_, err = b.db.Pool.Exec(t.Context(), `
		update persons set sealed_key = repeat('x', 73)::bytea, forgotten_at = null, forgotten_reason = null where forgotten_at is not null`)
	require.ErrorContains(t, err, "forgotten", "not by a superuser's hand by accident either")
}

// Another process, which has opened the payee before, cannot any more.
func TestForgettingIsFeltByEveryProcessAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	b := newBook(t, db)
	m := b.withPayee("1")
	elsewhere := b
	_, err := elsewhere.open(elsewhere.get(m.ID), elsewhere.box)
	require.NoError(t, err)
	require.NoError(t, b.forget(m.ID))
	_, err = elsewhere.open(elsewhere.get(m.ID), elsewhere.box)
	require.ErrorIs(t, err, party.ErrForgotten)
}

// Accounts from before payees were sealed are read, and sealed one by one; nobody can
// forget them before.
func TestPayeesFromBeforeAreSealed(t *testing.T) {
	t.Parallel()
	b := newBook(t, pgtest.New(t))
	m := b.create(plain("1"))
	_, err := b.db.Pool.Exec(t.Context(), `insert into merchant_payout_accounts (tenant_id, merchant_id, channel, account, name)
		values ($1, $2, 'alipay', '13812345678', '张三丰')`, b.tenant, m.ID)
	require.NoError(t, err)
	before := b.get(m.ID)
	got, err := b.open(before, b.box)
	require.NoError(t, err)
	require.Equal(t, *zhang(), got)
	requireFault(t, b.forget(m.ID), fault.KindRefused, party.CodePayeeNotSealed, "merchant_id")

	for range 2 {
		require.NoError(t, b.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
			_, _, err := party.SealPayee(t.Context(), tx, b.box, b.tenant, m.ID)
			return err
		}))
	}
	require.NoError(t, b.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		left, err := party.PlainPayees(t.Context(), tx, 10)
		require.Empty(t, left)
		return err
	}))
	require.NotContains(t, b.dump(), "13812345678")
	require.NotContains(t, b.dump(), "张三丰")
	got, err = b.open(b.get(m.ID), b.box)
	require.NoError(t, err)
	require.Equal(t, *zhang(), got)
	require.NoError(t, b.forget(m.ID))
}

func TestPayeesAreUnmaskedByNameAndForAReason(t *testing.T) {
	t.Parallel()
	b := newBook(t, pgtest.New(t))
	m, without := b.withPayee("1"), b.create(plain("2"))
	look := func(l party.Look) (id string, a party.PayoutAccount, err error) {
		err = b.do(func(ctx context.Context, tx pgx.Tx) (err error) {
			id, a, err = party.Unmask(ctx, tx, b.box, b.tenant, l)
			return err
		})
		return id, a, err
	}
	_, _, err := look(party.Look{MerchantID: id.New(id.Merchant), PrincipalID: "prn"})
	requireFault(t, err, fault.KindNotFound, "not_found", "")
	_, _, err = look(party.Look{MerchantID: m.ID})
	requireFault(t, err, fault.KindForbidden, party.CodePrincipalRequired, "")
	_, _, err = look(party.Look{MerchantID: without.ID, PrincipalID: "prn"})
	requireFault(t, err, fault.KindRefused, party.CodeNoPayoutAccount, "merchant_id")
	_, shown, err := look(party.Look{MerchantID: m.ID, KeyID: "key_1", PrincipalID: "prn_1", Reason: "r"})
	require.Error(t, err, "somebody who is not there")
	require.Zero(t, shown)
	require.NoError(t, b.forget(m.ID))
	_, _, err = look(party.Look{MerchantID: m.ID, PrincipalID: "prn"})
	requireFault(t, err, fault.KindRefused, party.CodePayeeForgotten, "merchant_id")
}

func TestAPayerPrintsNothing(t *testing.T) {
	t.Parallel()
	p := party.Payer{ID: "2088000000000001", IP: "192.0.2.1"}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s %q %v", p, p, p, p, p, p.LogValue())
	require.NotContains(t, out.String(), p.ID)
	require.NotContains(t, out.String(), p.IP)
	require.Equal(t, "nobody", party.Payer{}.String())
}
