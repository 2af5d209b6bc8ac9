package party_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func requireFault(t *testing.T, err error, kind fault.Kind, code, field string) {
	t.Helper()
	f, ok := fault.As(err)
	require.True(t, ok, "not a fault: %v", err)
	require.Equal(t, []string{string(kind), code, field}, []string{string(f.Kind), f.Code, f.Field}, f.Detail)
}

// book is one tenant's register of merchants in a database.
type book struct {
	t      *testing.T
	db     *pgtest.Database
	tenant string
	box    *secret.Box
}

// newBox seals under a master key of this test.
func newBox(t *testing.T) *secret.Box {
	masters, err := secret.ParseMasters(secret.NewMasterKeyText())
	require.NoError(t, err)
	box, err := secret.NewBox(masters)
	require.NoError(t, err)
	return box
}

func newBook(t *testing.T, db *pgtest.Database) book {
	b := book{t: t, db: db, box: newBox(t)}
	require.NoError(t, db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		created, err := tenant.Create(t.Context(), tx, "A tenant", tenant.LicensedReserve)
		b.tenant = created.ID
		return err
	}))
	return b
}

func (b book) do(fn func(ctx context.Context, tx pgx.Tx) error) error {
	return b.db.DB.InTenant(b.t.Context(), b.tenant, func(tx pgx.Tx) error { return fn(b.t.Context(), tx) })
}

func (b book) try(n party.NewMerchant) (party.Merchant, error) {
	var m party.Merchant
	err := b.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		m, err = party.Create(ctx, tx, b.box, b.tenant, n)
		return err
	})
	return m, err
}

func (b book) create(n party.NewMerchant) party.Merchant {
	b.t.Helper()
	m, err := b.try(n)
	require.NoError(b.t, err)
	return m
}

func (b book) list(f party.Filter) ([]party.Merchant, string) {
	b.t.Helper()
	var found []party.Merchant
	var next string
	require.NoError(b.t, b.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		found, next, err = party.List(ctx, tx, b.tenant, f)
		return err
	}))
	return found, next
}

func plain(reference string) party.NewMerchant {
	return party.NewMerchant{Reference: reference, Name: "Shop " + reference, Settlement: party.T1}
}

func TestAMerchantIsReadAsCreatedAndMasked(t *testing.T) {
	t.Parallel()
	b := newBook(t, pgtest.New(t))
	n := plain("门店-1")
	n.ID = id.New(id.Merchant)
	n.PayoutAccount = &party.PayoutAccount{Channel: "alipay", Account: "13812345678", Name: "张三丰"}
	m := b.create(n)
	require.Equal(t, n.ID, m.ID)
	require.Equal(t, party.T1, m.Settlement)
	without := b.create(plain("2"))
	require.Nil(t, without.PayoutAccount)

	require.NoError(t, b.do(func(ctx context.Context, tx pgx.Tx) error {
		got, err := party.Get(ctx, tx, b.tenant, m.ID)
		require.NoError(t, err)
		require.Equal(t, m, got)
		masked, err := got.PayoutAccount.Masked(ctx, tx, b.box)
		require.NoError(t, err)
		require.Equal(t, party.PayoutAccount{Channel: "alipay", Account: "138****5678", Name: "张*"}, masked)

		sealed, err := party.PayoutAccountOf(ctx, tx, b.tenant, m.ID)
		require.NoError(t, err)
		real, err := sealed.Open(ctx, tx, b.box)
		require.NoError(t, err)
		require.Equal(t, *n.PayoutAccount, real)
		_, err = party.PayoutAccountOf(ctx, tx, b.tenant, without.ID)
		requireFault(t, err, fault.KindRefused, party.CodeNoPayoutAccount, "merchant_id")

		missing, err := party.Missing(ctx, tx, b.tenant, []string{m.ID, "x", without.ID})
		require.NoError(t, err)
		require.Equal(t, []string{"x"}, missing)
		require.NoError(t, party.RequireExisting(ctx, tx, b.tenant, "merchant_id", m.ID))
		requireFault(t, party.RequireExisting(ctx, tx, b.tenant, "merchant_id", "x"), fault.KindRefused, party.CodeMerchantNotFound, "merchant_id")
		return nil
	}))
}

func TestAReferenceIsUniquePerTenant(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours, theirs := newBook(t, db), newBook(t, db)
	ours.create(plain("1"))
	theirs.create(plain("1"))
	_, err := ours.try(plain("1"))
	requireFault(t, err, fault.KindConflict, party.CodeReferenceTaken, "reference")

	// Ten at once: one is created, nine are told.
	errs := make(chan error, 10)
	for range 10 {
		go func() { _, err := ours.try(plain("race")); errs <- err }()
	}
	created := 0
	for range 10 {
		if err := <-errs; err == nil {
			created++
		} else {
			requireFault(t, err, fault.KindConflict, party.CodeReferenceTaken, "reference")
		}
	}
	require.Equal(t, 1, created)
}

func TestTheTreeIsBounded(t *testing.T) {
	t.Parallel()
	b := newBook(t, pgtest.New(t))
	parent := ""
	for depth := range party.MaxDepth {
		n := plain(fmt.Sprint("depth ", depth+1))
		n.ParentID = parent
		m := b.create(n)
		require.Equal(t, parent, m.ParentID)
		parent = m.ID
	}
	n := plain("too deep")
	n.ParentID = parent
	_, err := b.try(n)
	requireFault(t, err, fault.KindRefused, party.CodeTreeTooDeep, "parent_id")
	for _, missing := range []string{id.New(id.Merchant), "nobody"} {
		n.ParentID = missing
		_, err = b.try(n)
		requireFault(t, err, fault.KindRefused, party.CodeMerchantNotFound, "parent_id")
	}
	n.ID = id.New(id.Merchant)
	n.ParentID = n.ID
	_, err = b.try(n)
	requireFault(t, err, fault.KindRefused, party.CodeMerchantNotFound, "parent_id")
}

func TestMerchantsAreValidated(t *testing.T) {
	t.Parallel()
	b := newBook(t, pgtest.New(t))
	account := func(n *party.NewMerchant, a party.PayoutAccount) { n.PayoutAccount = &a }
	for name, c := range map[string]struct {
		field string
		spoil func(n *party.NewMerchant)
	}{
		"id":               {"id", func(n *party.NewMerchant) { n.ID = "mch_1" }},
		"no reference":     {"reference", func(n *party.NewMerchant) { n.Reference = "" }},
		"long reference":   {"reference", func(n *party.NewMerchant) { n.Reference = strings.Repeat("x", 65) }},
		"NUL in reference": {"reference", func(n *party.NewMerchant) { n.Reference = "a\x00" }},
		"no name":          {"name", func(n *party.NewMerchant) { n.Name = "" }},
		"bad UTF-8":        {"name", func(n *party.NewMerchant) { n.Name = "\xff" }},
		"settlement":       {"settlement", func(n *party.NewMerchant) { n.Settlement = "T2" }},
		"account channel":  {"payout_account.channel", func(n *party.NewMerchant) { account(n, party.PayoutAccount{Channel: "bank"}) }},
		"account": {"payout_account.account", func(n *party.NewMerchant) {
			account(n, party.PayoutAccount{Channel: "alipay", Account: "12", Name: "x"})
		}},
		"account with NUL": {"payout_account.account", func(n *party.NewMerchant) {
			account(n, party.PayoutAccount{Channel: "alipay", Account: "a\x00@x", Name: "x"})
		}},
		"account line": {"payout_account.account", func(n *party.NewMerchant) {
			account(n, party.PayoutAccount{Channel: "alipay", Account: "13812345678\n", Name: "x"})
		}},
		"account name": {"payout_account.name", func(n *party.NewMerchant) { account(n, party.PayoutAccount{Channel: "alipay", Account: "a@x"}) }},
	} {
		n := plain("1")
		c.spoil(&n)
		_, err := b.try(n)
		f, ok := fault.As(err)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, fault.KindInvalid, f.Kind, name)
		require.Equal(t, c.field, f.Field, name)
	}
	found, _ := b.list(party.Filter{})
	require.Empty(t, found, "nothing of a refused merchant stays")
}

func TestListPagesNewestFirst(t *testing.T) {
	t.Parallel()
	b := newBook(t, pgtest.New(t))
	top := b.create(plain("top"))
	for i := range 7 {
		n := plain(fmt.Sprint(i))
		n.ParentID = top.ID
		b.create(n)
	}
	var ids []string
	for f := (party.Filter{ParentID: top.ID, Limit: 3}); ; {
		page, next := b.list(f)
		require.LessOrEqual(t, len(page), 3)
		for _, m := range page {
			require.Equal(t, top.ID, m.ParentID)
			ids = append(ids, m.ID)
		}
		if next == "" {
			break
		}
		f.Before = next
	}
	require.Len(t, ids, 7)
	require.IsDecreasing(t, ids)

	one, next := b.list(party.Filter{Reference: "3"})
	require.Len(t, one, 1)
	require.Empty(t, next)
	all, next := b.list(party.Filter{})
	require.Len(t, all, 8)
	require.Empty(t, next)
	for _, limit := range []int{-5, 1} {
		page, _ := b.list(party.Filter{Limit: limit})
		require.Len(t, page, 1)
	}
	for _, hostile := range []string{"'; drop table merchants --", "%", "\\"} {
		none, _ := b.list(party.Filter{Reference: hostile})
		require.Empty(t, none)
	}
}

func TestTenantsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ours, theirs := newBook(t, db), newBook(t, db)
	n := plain("1")
	n.PayoutAccount = &party.PayoutAccount{Channel: "alipay", Account: "a@example.com", Name: "张三"}
	m := ours.create(n)
	for _, named := range []string{theirs.tenant, ours.tenant} {
		require.NoError(t, theirs.do(func(ctx context.Context, tx pgx.Tx) error {
			_, err := party.Get(ctx, tx, named, m.ID)
			requireFault(t, err, fault.KindNotFound, "not_found", "")
			_, err = party.PayoutAccountOf(ctx, tx, named, m.ID)
			requireFault(t, err, fault.KindRefused, party.CodeNoPayoutAccount, "merchant_id")
			found, _, err := party.List(ctx, tx, named, party.Filter{})
			require.NoError(t, err)
			require.Empty(t, found)
			return nil
		}))
	}
	child := plain("2")
	child.ParentID = m.ID
	_, err := theirs.try(child)
	requireFault(t, err, fault.KindRefused, party.CodeMerchantNotFound, "parent_id")
	require.Error(t, theirs.do(func(ctx context.Context, tx pgx.Tx) error {
		_, err := party.Create(ctx, tx, nil, ours.tenant, plain("3"))
		return err
	}), "row-level security refuses to write for another tenant")
}
