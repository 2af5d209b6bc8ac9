package paymentlink_test

import (
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/paymentlink"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// shop is a tenant with a merchant that hands out links.
type shop struct {
	*testing.T
	*pgtest.Database
	tenant, merchant string
}

func open(t *testing.T) *shop {
	t.Helper()
	t.Parallel()
	s := &shop{T: t, Database: pgtest.New(t)}
	require.NoError(t, s.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		made, err := tenant.Create(t.Context(), tx, "Test", tenant.LicensedReserve)
		s.tenant = made.ID
		return err
	}))
	s.in(func(tx pgx.Tx) error {
		made, err := party.Create(t.Context(), tx, nil, s.tenant, party.NewMerchant{Reference: "m", Name: "M", Settlement: party.T0})
		s.merchant = made.ID
		return err
	})
	return s
}

func (s *shop) in(fn func(tx pgx.Tx) error) {
	s.Helper()
	require.NoError(s, s.DB.InTenant(s.Context(), s.tenant, fn))
}

func (s *shop) request() paymentlink.New {
	amount := money.Fen(1200)
	return paymentlink.New{ID: id.New(id.PaymentLink), MerchantID: s.merchant, Subject: "Tea", Amount: &amount}
}

func (s *shop) create(n paymentlink.New) error {
	return s.DB.InTenant(s.Context(), s.tenant, func(tx pgx.Tx) error { return paymentlink.Create(s.Context(), tx, s.tenant, n) })
}

func (s *shop) open(linkID string, amount money.Amount) (paymentID string, err error) {
	err = s.DB.InTenant(s.Context(), s.tenant, func(tx pgx.Tx) error {
		paymentID, err = paymentlink.Open(s.Context(), tx, s.tenant, linkID, rand.Text(), amount)
		return err
	})
	return paymentID, err
}

func (s *shop) get(linkID string) (l paymentlink.Link) {
	s.Helper()
	s.in(func(tx pgx.Tx) (err error) { l, err = paymentlink.Get(s.Context(), tx, s.tenant, linkID); return err })
	return l
}

// 200 payers come at once for three uses; three get a payment, and one that ends
// unpaid makes room for exactly one more.
func TestUsesAreCountedExactly(t *testing.T) {
	s := open(t)
	n := s.request()
	three := 3
	n.MaxUses = &three
	require.NoError(t, s.create(n))
	rush := func() (opened int32) {
		var won, full atomic.Int32
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				switch _, err := s.open(n.ID, money.Amount{}); {
				case err == nil:
					won.Add(1)
				case fault.Is(err, paymentlink.CodeUsedUp):
					full.Add(1)
				}
			})
		}
		wg.Wait()
		require.Equal(t, int32(200), won.Load()+full.Load())
		return won.Load()
	}
	require.Equal(t, int32(3), rush())
	require.Equal(t, int32(0), rush())
	_, err := s.Pool.Exec(t.Context(), `
		update payments set status = 'closed', closed_at = suanpan_now() where reference = $1`, n.ID+"-2")
	require.NoError(t, err)
	require.Equal(t, int32(1), rush())
	l := s.get(n.ID)
	require.Equal(t, []int{4, 3, 0}, []int{l.Opened, l.Used, l.Paid})
	require.False(t, l.Open())
}

func TestTheAmountIsTheLinksOrThePayersWithinItsRange(t *testing.T) {
	s := open(t)
	fixed := s.request()
	require.NoError(t, s.create(fixed))
	paymentID, err := s.open(fixed.ID, money.Fen(1))
	require.NoError(t, err)
	s.in(func(tx pgx.Tx) error {
		p, err := payment.Get(t.Context(), tx, s.tenant, paymentID)
		require.Equal(t, money.Fen(1200), p.Amount, "what a payer enters does not change a fixed amount")
		require.Equal(t, fixed.ID+"-1", p.Reference)
		return err
	})

	free, least, most := s.request(), money.Fen(100), money.Fen(500)
	free.Amount, free.Min, free.Max = nil, &least, &most
	require.NoError(t, s.create(free))
	for _, wrong := range []money.Amount{{}, money.Fen(0), money.Fen(99), money.Fen(501), money.Fen(-100), money.Of(200, "USD")} {
		_, err := s.open(free.ID, wrong)
		require.True(t, fault.Is(err, "amount_out_of_range"), "%v: %v", wrong, err)
	}
	for _, right := range []money.Amount{least, money.Fen(333), most} {
		_, err := s.open(free.ID, right)
		require.NoError(t, err)
	}
}

func TestALinkEndsByItsTimeOrItsTenant(t *testing.T) {
	s := open(t)
	n, soon := s.request(), time.Now().Add(time.Hour)
	n.ExpiresAt = &soon
	require.NoError(t, s.create(n))
	_, err := s.open(n.ID, money.Amount{})
	require.NoError(t, err)
	_, err = s.Pool.Exec(t.Context(), `update business_clock set ahead = interval '2 hours'`)
	require.NoError(t, err)
	_, err = s.open(n.ID, money.Amount{})
	require.True(t, fault.Is(err, paymentlink.CodeClosed), err)

	other := s.request()
	require.NoError(t, s.create(other))
	for range 2 {
		s.in(func(tx pgx.Tx) error { return paymentlink.Close(t.Context(), tx, s.tenant, other.ID) })
	}
	_, err = s.open(other.ID, money.Amount{})
	require.True(t, fault.Is(err, paymentlink.CodeClosed), err)
	require.NotNil(t, s.get(other.ID).ClosedAt)
	err = s.DB.InTenant(t.Context(), s.tenant, func(tx pgx.Tx) error { return paymentlink.Close(t.Context(), tx, s.tenant, id.New(id.PaymentLink)) })
	require.ErrorIs(t, err, &fault.Error{Kind: fault.KindNotFound})
}

func TestCreateRefuses(t *testing.T) {
	s := open(t)
	fen := func(n int64) *money.Amount { a := money.Fen(n); return &a }
	past, none := time.Now().Add(-time.Hour), 0
	for name, c := range map[string]struct {
		change func(*paymentlink.New)
		field  string
	}{
		"no subject":       {func(n *paymentlink.New) { n.Subject = "" }, "subject"},
		"unknown merchant": {func(n *paymentlink.New) { n.MerchantID = "mch_0" }, "merchant_id"},
		"nothing":          {func(n *paymentlink.New) { n.Amount = fen(0) }, "amount"},
		"dollars":          {func(n *paymentlink.New) { n.Amount = &money.Amount{Minor: 1, Currency: "USD"} }, "amount.currency"},
		"no amount":        {func(n *paymentlink.New) { n.Amount = nil }, "amount"},
		"half a range":     {func(n *paymentlink.New) { n.Amount, n.Min = nil, fen(1) }, "amount"},
		"both":             {func(n *paymentlink.New) { n.Min, n.Max = fen(1), fen(2) }, "amount"},
		"upside down":      {func(n *paymentlink.New) { n.Amount, n.Min, n.Max = nil, fen(2), fen(1) }, "max_amount"},
		"no uses":          {func(n *paymentlink.New) { n.MaxUses = &none }, "max_uses"},
		"over already":     {func(n *paymentlink.New) { n.ExpiresAt = &past }, "expires_at"},
		"back to a script": {func(n *paymentlink.New) { n.ReturnURL = "javascript:alert(1)" }, "return_url"},
	} {
		t.Run(name, func(t *testing.T) {
			n := s.request()
			c.change(&n)
			var refusal *fault.Error
			require.True(t, errors.As(s.create(n), &refusal))
			require.Equal(t, c.field, refusal.Field)
		})
	}
}

func TestLinksAreWalledOff(t *testing.T) {
	s := open(t)
	n := s.request()
	require.NoError(t, s.create(n))
	var list []paymentlink.Link
	s.in(func(tx pgx.Tx) (err error) {
		list, err = paymentlink.List(t.Context(), tx, s.tenant, paymentlink.Filter{Status: "active", MerchantID: s.merchant, Limit: 10})
		return err
	})
	require.Len(t, list, 1)
	require.NoError(t, s.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		found, err := paymentlink.ByToken(t.Context(), tx, list[0].Token)
		require.Equal(t, s.tenant, found.TenantID)
		_, unknown := paymentlink.ByToken(t.Context(), tx, "x")
		require.ErrorIs(t, unknown, &fault.Error{Kind: fault.KindNotFound})
		return err
	}))
	stranger := open2(t, s)
	require.NoError(t, s.DB.InTenant(t.Context(), stranger, func(tx pgx.Tx) error {
		_, err := paymentlink.Get(t.Context(), tx, stranger, n.ID)
		require.ErrorIs(t, err, &fault.Error{Kind: fault.KindNotFound})
		_, err = paymentlink.Get(t.Context(), tx, s.tenant, n.ID)
		require.ErrorIs(t, err, &fault.Error{Kind: fault.KindNotFound}, "the second wall")
		return nil
	}))
}

// open2 makes another tenant in the same database.
func open2(t *testing.T, s *shop) (tenantID string) {
	t.Helper()
	require.NoError(t, s.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		made, err := tenant.Create(t.Context(), tx, "Other", tenant.LicensedReserve)
		tenantID = made.ID
		return err
	}))
	return tenantID
}

// A click that is sent again, or many times at once, makes one payment.
func TestAClickMakesOnePayment(t *testing.T) {
	s := open(t)
	n := s.request()
	require.NoError(t, s.create(n))
	click := rand.Text()
	var made sync.Map
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			s.in(func(tx pgx.Tx) error {
				paymentID, err := paymentlink.Open(t.Context(), tx, s.tenant, n.ID, click, money.Amount{})
				made.Store(paymentID, true)
				return err
			})
		})
	}
	wg.Wait()
	var all []string
	made.Range(func(paymentID, _ any) bool { all = append(all, paymentID.(string)); return true })
	require.Len(t, all, 1)
	require.Equal(t, 1, s.get(n.ID).Opened)
	s.in(func(tx pgx.Tx) error { return paymentlink.Close(t.Context(), tx, s.tenant, n.ID) })
	s.in(func(tx pgx.Tx) error {
		again, err := paymentlink.Open(t.Context(), tx, s.tenant, n.ID, click, money.Amount{})
		require.Equal(t, all[0], again, "the payer who reloads still has the payment")
		list, listErr := payment.List(t.Context(), tx, s.tenant, payment.Filter{LinkID: n.ID, Limit: 5})
		require.NoError(t, listErr)
		require.Len(t, list, 1)
		require.Equal(t, n.ID, list[0].LinkID)
		return err
	})
}

func TestClosingIsToldOnce(t *testing.T) {
	s := open(t)
	n := s.request()
	require.NoError(t, s.create(n))
	for range 2 {
		s.in(func(tx pgx.Tx) error { return paymentlink.Close(t.Context(), tx, s.tenant, n.ID) })
	}
	var told int
	require.NoError(t, s.Pool.QueryRow(t.Context(), `select count(*) from events where object_id = $1 and type = 'payment_link.closed'`, n.ID).Scan(&told))
	require.Equal(t, 1, told)
}
