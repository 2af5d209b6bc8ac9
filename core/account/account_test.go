package account_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/account"
	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// till is a tenant with one merchant, which has 10.00 yuan.
type till struct {
	*testing.T
	*pgtest.Database
	tenant, merchant string
}

func open(t *testing.T) *till {
	t.Helper()
	t.Parallel()
	s := &till{T: t, Database: pgtest.New(t)}
	require.NoError(t, s.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		created, err := tenant.Create(t.Context(), tx, "A tenant", tenant.LicensedReserve)
		s.tenant = created.ID
		return err
	}))
	s.in(func(tx pgx.Tx) error {
		made, err := party.Create(t.Context(), tx, nil, s.tenant, party.NewMerchant{Reference: "shop", Name: "Shop", Settlement: party.T0})
		if err != nil {
			return err
		}
		s.merchant = made.ID
		_, err = ledger.Post(t.Context(), tx, s.tenant, books.Collect(books.Collection{Attempt: id.New(id.Attempt), ChannelAccount: "chn",
			To: books.Pocket{Merchant: made.ID, Available: true}, Amount: money.Fen(1000)})...)
		return err
	})
	return s
}

// in runs fn as the API does.
func (s *till) in(fn func(tx pgx.Tx) error) {
	s.Helper()
	require.NoError(s, s.DB.InTenant(s.Context(), s.tenant, fn))
}

func (s *till) holds(reference string, fen int64, expiresIn time.Duration) (h account.Hold) {
	s.Helper()
	s.in(func(tx pgx.Tx) (err error) {
		h, err = account.PlaceHold(s.Context(), tx, s.tenant, account.NewHold{Reference: reference, MerchantID: s.merchant,
			Amount: money.Fen(fen), Reason: "a test", ExpiresIn: expiresIn})
		return err
	})
	return h
}

// broken are the objects that the package's invariants complain of.
func (s *till) broken() (ids []string) {
	s.Helper()
	for _, invariant := range account.Invariants() {
		rows, err := s.Pool.Query(context.Background(), invariant.Breaks, "")
		require.NoError(s, err)
		var tenantID, objectID, what string
		_, err = pgx.ForEachRow(rows, []any{&tenantID, &objectID, &what}, func() error {
			ids = append(ids, objectID)
			return nil
		})
		require.NoError(s, err)
	}
	return ids
}

func TestVerifyFindsWhatDisagrees(t *testing.T) {
	s := open(t)
	h := s.holds("h-1", 100, 0)
	s.in(func(tx pgx.Tx) error {
		_, err := account.ReleaseHold(t.Context(), tx, s.tenant, h.ID, new(money.Fen(40)), "less")
		return err
	})
	require.Empty(t, s.broken())
	for _, tamper := range []struct{ do, undo string }{
		{`update hold_releases set amount = 41 where hold_id = $1`, `update hold_releases set amount = 40 where hold_id = $1`},
		{`update placed_holds set account_name = 'rent' where id = $1`, `update placed_holds set account_name = '' where id = $1`},
		{`update placed_holds set merchant_id = 'mch_x' where id = $1`, `update placed_holds set merchant_id = '` + s.merchant + `' where id = $1`},
		{`insert into transfers (tenant_id, id, reference, from_merchant_id, to_merchant_id, currency, amount, hold_id)
		  select tenant_id, 'trf_x', 'r', 'a', 'b', 'CNY', 1, id from placed_holds where id = $1`, ``},
	} {
		_, err := s.Pool.Exec(t.Context(), tamper.do, h.ID)
		require.NoError(t, err)
		require.Equal(t, []string{h.ID}, s.broken(), tamper.do)
		if tamper.undo != "" {
			_, err = s.Pool.Exec(t.Context(), tamper.undo, h.ID)
			require.NoError(t, err)
			require.Empty(t, s.broken())
		}
	}
}

// A hold expires once, and its tenant is told once, whoever sweeps.
func TestExpiredHoldsAreToldOnce(t *testing.T) {
	s := open(t)
	due, stays := s.holds("h-1", 100, time.Minute), s.holds("h-2", 100, 0)
	sweep := func() (n int) {
		require.NoError(t, s.DB.AsSystem(t.Context(), func(tx pgx.Tx) (err error) {
			n, err = account.ExpireHolds(t.Context(), tx, 10)
			return err
		}))
		return n
	}
	require.Zero(t, sweep())
	_, err := s.Pool.Exec(t.Context(), `update business_clock set ahead = ahead + interval '61 seconds'`)
	require.NoError(t, err)
	require.Equal(t, 1, sweep())
	require.Zero(t, sweep())
	var told []string
	rows, err := s.Pool.Query(t.Context(), `select object_id from events where type = 'hold.expired'`)
	require.NoError(t, err)
	told, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{due.ID}, told)
	require.Empty(t, s.broken())
	s.in(func(tx pgx.Tx) error {
		h, err := account.GetHold(t.Context(), tx, s.tenant, stays.ID)
		require.Equal(t, ledger.HoldOpen, h.Status)
		return err
	})
}

// A reason that the contract lets pass by its characters may still have too many bytes.
func TestReasonsAreBoundedInBytes(t *testing.T) {
	s := open(t)
	long := string(make([]byte, 257))
	s.in(func(tx pgx.Tx) error {
		_, err := account.ReleaseHold(t.Context(), tx, s.tenant, "hld_x", nil, long)
		require.True(t, fault.Is(err, "length_out_of_range"), "%v", err)
		_, err = account.PlaceHold(t.Context(), tx, s.tenant, account.NewHold{Reason: ""})
		require.True(t, fault.Is(err, "length_out_of_range"), "%v", err)
		return nil
	})
}
