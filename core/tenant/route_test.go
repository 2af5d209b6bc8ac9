package tenant_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

// routing is a tenant with a merchant, in whose name accounts are looked for.
type routing struct {
	*testing.T
	db             *pgtest.Database
	ours, merchant string
}

func newRouting(t *testing.T) *routing {
	db := pgtest.New(t)
	r := &routing{T: t, db: db, ours: create(t, db, "ours").ID}
	r.merchant = r.addMerchant("one")
	return r
}

func (r *routing) tx(fn func(tx pgx.Tx) error) {
	r.Helper()
	require.NoError(r, r.db.DB.InTenant(r.Context(), r.ours, fn))
}

func (r *routing) addMerchant(reference string) string {
	var m party.Merchant
	r.tx(func(tx pgx.Tx) (err error) {
		m, err = party.Create(r.Context(), tx, nil, r.ours, party.NewMerchant{ID: id.New(id.Merchant), Reference: reference, Name: reference, Settlement: party.T1})
		return err
	})
	return m.ID
}

func (r *routing) account(a tenant.ChannelAccount, products ...tenant.ProductChange) string {
	a.Channel, a.Name = "alipay", "x"
	a = addAccount(r.T, r.db, r.ours, a)
	r.tx(func(tx pgx.Tx) error { return tenant.SetProducts(r.Context(), tx, r.ours, a.ID, products) })
	return a.ID
}

func (r *routing) weigh(accountID string, weight int) {
	r.tx(func(tx pgx.Tx) error {
		_, err := tenant.ChangeChannelAccount(r.Context(), tx, r.ours, accountID, tenant.ChannelAccountChange{Weight: &weight})
		return err
	})
}

func (r *routing) pick(w tenant.Wanted) (string, error) {
	var a tenant.ChannelAccount
	w.Channel = "alipay"
	if w.Merchant == "" {
		w.Merchant = r.merchant
	}
	err := r.db.DB.InTenant(r.Context(), r.ours, func(tx pgx.Tx) (err error) {
		a, err = tenant.PickChannelAccount(r.Context(), tx, r.ours, w)
		return err
	})
	return a.ID, err
}

func (r *routing) mustPick(w tenant.Wanted) string {
	r.Helper()
	picked, err := r.pick(w)
	require.NoError(r, err)
	return picked
}

// health notes what the breaker of an account says, as the guard of its adapter does.
func (r *routing) health(accountID, state string, until *time.Time) {
	_, err := r.db.Pool.Exec(r.Context(), `
		insert into channel_health (tenant_id, channel_account_id, state, until) values ($1, $2, $3, $4)
		on conflict (tenant_id, channel_account_id) do update set state = excluded.state, until = excluded.until`,
		r.ours, accountID, state, until)
	require.NoError(r, err)
}

// 6000 numbers spread over weights 10, 20 and 30: chi-square with 2 degrees of
// freedom stays below 13.8 (p = 0.001). The numbers are fixed, so the draw is too.
func TestTradesSpreadByWeight(t *testing.T) {
	t.Parallel()
	r := newRouting(t)
	expected := map[string]int{}
	for _, weight := range []int{10, 20, 30} {
		accountID := r.account(tenant.ChannelAccount{})
		r.weigh(accountID, weight)
		expected[accountID] = weight * 100
	}
	standby := r.account(tenant.ChannelAccount{})
	r.weigh(standby, 0)
	got := map[string]int{}
	r.tx(func(tx pgx.Tx) error {
		for i := range 6000 {
			w := tenant.Wanted{Merchant: r.merchant, Channel: "alipay", Product: "qr", Number: fmt.Sprintf("number-%d", i)}
			a, err := tenant.PickChannelAccount(t.Context(), tx, r.ours, w)
			if err != nil {
				return err
			}
			got[a.ID]++
			if i%1000 == 0 {
				again, err := tenant.PickChannelAccount(t.Context(), tx, r.ours, w)
				require.NoError(t, err)
				require.Equal(t, a, again, "the same number, the same account")
			}
		}
		return nil
	})
	require.Zero(t, got[standby], "weight 0 stands by")
	chiSquare := 0.0
	for accountID, want := range expected {
		d := float64(got[accountID] - want)
		chiSquare += d * d / float64(want)
	}
	t.Logf("chi-square %.2f of %v, wanted %v", chiSquare, got, expected)
	require.Less(t, chiSquare, 13.8)

	// Failover goes through all of them once, the one that stands by last.
	var tried []string
	for range 4 {
		tried = append(tried, r.mustPick(tenant.Wanted{Product: "qr", Number: "n", Except: tried}))
	}
	require.Equal(t, standby, tried[3])
	require.Len(t, map[string]bool{tried[0]: true, tried[1]: true, tried[2]: true, tried[3]: true}, 4)
	_, err := r.pick(tenant.Wanted{Product: "qr", Number: "n", Except: tried})
	requireFault(t, err, fault.KindRefused, tenant.CodeNoOtherAccount, "method.channel")
}

func TestAnOpenBreakerIsPassedOverWhileOthersExist(t *testing.T) {
	t.Parallel()
	r := newRouting(t)
	one, two := r.account(tenant.ChannelAccount{}), r.account(tenant.ChannelAccount{})
	picked := func() map[string]bool {
		all := map[string]bool{}
		for i := range 40 {
			all[r.mustPick(tenant.Wanted{Product: "qr", Number: fmt.Sprint(i)})] = true
		}
		return all
	}
	require.Len(t, picked(), 2)
	later, earlier := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	r.health(one, "open", &later)
	require.Equal(t, map[string]bool{two: true}, picked())
	require.Equal(t, one, r.mustPick(tenant.Wanted{Product: "qr", Number: "1", Except: []string{two}}), "better than nothing")
	r.health(two, "open", &later)
	require.Len(t, picked(), 2, "all are broken, so all are tried")
	// An open breaker whose time is over, a half-open and a closed one take trades.
	for _, well := range []struct {
		state string
		until *time.Time
	}{{"open", &earlier}, {"half_open", nil}, {"closed", nil}} {
		r.health(one, well.state, well.until)
		require.Equal(t, map[string]bool{one: true}, picked())
	}
	r.tx(func(tx pgx.Tx) error {
		all, err := tenant.ChannelHealth(t.Context(), tx, r.ours)
		require.Len(t, all, 2)
		require.Equal(t, "closed", all[one].State)
		require.Nil(t, all[one].Until)
		require.Equal(t, "open", all[two].State)
		return err
	})
	// Another tenant knows nothing of it.
	theirs := create(t, r.db, "theirs").ID
	require.NoError(t, r.db.DB.InTenant(t.Context(), theirs, func(tx pgx.Tx) error {
		all, err := tenant.ChannelHealth(t.Context(), tx, r.ours)
		require.Empty(t, all)
		return err
	}))
}

func TestAMerchantsOwnAccountGoesFirst(t *testing.T) {
	t.Parallel()
	r := newRouting(t)
	other := r.addMerchant("other")
	shared := r.account(tenant.ChannelAccount{})
	own := r.account(tenant.ChannelAccount{MerchantID: r.merchant})
	r.weigh(own, 1)
	for i := range 20 {
		number := fmt.Sprint(i)
		require.Equal(t, own, r.mustPick(tenant.Wanted{Product: "qr", Number: number}))
		require.Equal(t, shared, r.mustPick(tenant.Wanted{Product: "qr", Number: number, Merchant: other}), "nobody else's")
		require.Equal(t, shared, r.mustPick(tenant.Wanted{Product: "qr", Number: number, Except: []string{own}}))
	}
	later := time.Now().Add(time.Hour)
	r.health(own, "open", &later)
	require.Equal(t, shared, r.mustPick(tenant.Wanted{Product: "qr", Number: "1"}))
	err := r.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		_, err := tenant.AddChannelAccount(t.Context(), tx, r.ours, tenant.ChannelAccount{
			Channel: "alipay", Name: "x", MerchantID: "mch_01JD8Y3K5T7W9ABCDEFGHJKMNP"})
		return err
	})
	requireFault(t, err, fault.KindRefused, "merchant_unknown", "merchant_id")
}

func TestTheCatalogueDecidesWhatIsSold(t *testing.T) {
	t.Parallel()
	r := newRouting(t)
	other := r.addMerchant("other")
	account := r.account(tenant.ChannelAccount{})
	set := func(changes ...tenant.ProductChange) error {
		return r.db.DB.InTenant(t.Context(), r.ours, func(tx pgx.Tx) error {
			return tenant.SetProducts(t.Context(), tx, r.ours, account, changes)
		})
	}
	sells := func(merchant, product string) bool {
		_, err := r.pick(tenant.Wanted{Merchant: merchant, Product: product, Number: "1"})
		if err != nil {
			requireFault(t, err, fault.KindRefused, tenant.CodeProductNotOpen, "method.product")
		}
		return err == nil
	}
	require.True(t, sells(r.merchant, "qr"), "an operator's account sells qr")
	require.False(t, sells(r.merchant, "page"))
	require.True(t, sells(r.merchant, ""), "a payout is no product")
	for _, status := range []tenant.ProductStatus{tenant.ProductNotOpened, tenant.ProductApplying, tenant.ProductSuspended, tenant.ProductOpened} {
		require.NoError(t, set(tenant.ProductChange{Product: "page", Status: status, Note: "申请 1"}))
		require.NoError(t, set(tenant.ProductChange{Product: "page", Status: status, Note: "申请 1"}), "idempotent")
		require.Equal(t, status == tenant.ProductOpened, sells(r.merchant, "page"))
	}
	// A merchant's row goes before that of all merchants, either way.
	require.NoError(t, set(tenant.ProductChange{Product: "page", MerchantID: other, Status: tenant.ProductSuspended},
		tenant.ProductChange{Product: "wap", MerchantID: other, Status: tenant.ProductOpened}))
	require.Equal(t, []bool{true, false, false, true},
		[]bool{sells(r.merchant, "page"), sells(other, "page"), sells(r.merchant, "wap"), sells(other, "wap")})

	r.tx(func(tx pgx.Tx) error {
		inForce, err := tenant.ListProducts(t.Context(), tx, r.ours, account, false)
		require.NoError(t, err)
		require.Len(t, inForce, 4)
		all, err := tenant.ListProducts(t.Context(), tx, r.ours, account, true)
		require.Len(t, all, 7)
		var page []tenant.ProductStatus
		for _, s := range all {
			if s.Product == "page" && s.MerchantID == "" {
				page = append(page, s.Status)
				require.Equal(t, len(page) > 1, s.EndedAt != nil)
			}
		}
		require.Equal(t, []tenant.ProductStatus{tenant.ProductOpened, tenant.ProductSuspended, tenant.ProductApplying, tenant.ProductNotOpened}, page)
		return err
	})
	// Nothing is written when one change is wrong.
	requireFault(t, set(tenant.ProductChange{Product: "app", Status: tenant.ProductOpened}, tenant.ProductChange{Product: "qr", Status: "sold"}),
		fault.KindInvalid, "status_unknown", "products[1].status")
	requireFault(t, set(tenant.ProductChange{Product: "app", Status: tenant.ProductOpened},
		tenant.ProductChange{Product: "qr", Status: tenant.ProductOpened, MerchantID: "mch_01JD8Y3K5T7W9ABCDEFGHJKMNP"}),
		fault.KindRefused, "merchant_unknown", "products[1].merchant_id")
	requireFault(t, set(tenant.ProductChange{Product: "qr", Status: tenant.ProductOpened, Note: "a\nb"}),
		fault.KindInvalid, "characters_not_allowed", "products[0].note")
	require.False(t, sells(r.merchant, "app"))
	// Another tenant's account does not exist.
	theirs := create(t, r.db, "theirs").ID
	err := r.db.DB.InTenant(t.Context(), theirs, func(tx pgx.Tx) error {
		return tenant.SetProducts(t.Context(), tx, theirs, account, []tenant.ProductChange{{Product: "qr", Status: tenant.ProductSuspended}})
	})
	requireFault(t, err, fault.KindNotFound, "not_found", "")
}
