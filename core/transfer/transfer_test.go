package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/core/transfer"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// street is a tenant with some shops of 10.00 yuan each.
type street struct {
	*testing.T
	*pgtest.Database
	tenant string
	shops  []string
}

func open(t *testing.T, mode tenant.CustodyMode, shops int) *street {
	t.Helper()
	t.Parallel()
	s := &street{T: t, Database: pgtest.New(t)}
	require.NoError(t, s.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		created, err := tenant.Create(t.Context(), tx, "A tenant", mode)
		s.tenant = created.ID
		return err
	}))
	require.NoError(t, s.DB.InTenant(t.Context(), s.tenant, func(tx pgx.Tx) error {
		s.shops = nil
		for i := range shops {
			made, err := party.Create(t.Context(), tx, nil, s.tenant, party.NewMerchant{Reference: fmt.Sprint("shop-", i), Name: "Shop", Settlement: party.T0})
			if err != nil {
				return err
			}
			s.shops = append(s.shops, made.ID)
			_, err = ledger.Post(t.Context(), tx, s.tenant, books.Collect(books.Collection{Attempt: id.New(id.Attempt), ChannelAccount: "chn",
				To: books.Pocket{Merchant: made.ID, Available: true}, Amount: money.Fen(1000)})...)
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return s
}

func (s *street) order(from, to int, fen int64) transfer.New {
	return transfer.New{ID: id.New(id.Transfer), Reference: id.Number(), FromMerchantID: s.shops[from], ToMerchantID: s.shops[to], Amount: money.Fen(fen)}
}

// accepts is what the API does with one transfer.
func (s *street) accepts(ctx context.Context, key string, n transfer.New) (accept.Accepted, error) {
	req := accept.Request{Tenant: s.tenant, Key: key, Route: "POST /v1/transfers", Body: []byte(n.Reference)}
	return accept.AtOnce(ctx, s.DB, req, func(tx pgx.Tx) (string, accept.Response, error) {
		made, err := transfer.Create(ctx, tx, s.tenant, n)
		return made.ID, accept.Response{Status: 201, Body: []byte(made.ID)}, err
	})
}

func (s *street) count(sql string) (n int64) {
	s.Helper()
	require.NoError(s, s.Pool.QueryRow(context.Background(), sql).Scan(&n))
	return n
}

func code(err error) string {
	if f, ok := fault.As(err); ok {
		return f.Code
	}
	return fmt.Sprint(err)
}

// Forty requests with one key, and forty with one reference, make one transfer each.
func TestRacesOfKeysAndReferencesMakeOneTransfer(t *testing.T) {
	s := open(t, tenant.LicensedReserve, 2)
	first, second := s.order(0, 1, 10), s.order(0, 1, 10)
	var won, conflicts atomic.Int64
	var calls sync.WaitGroup
	for i := range 40 {
		calls.Go(func() {
			same := first
			same.ID = id.New(id.Transfer)
			_, err := s.accepts(t.Context(), "one-key-0001", same)
			if err != nil {
				t.Error(err)
			}
		})
		calls.Go(func() {
			same := second
			same.ID = id.New(id.Transfer)
			_, err := s.accepts(t.Context(), fmt.Sprintf("key-%08d", i), same)
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, &fault.Error{Code: transfer.CodeReferenceUsed}):
				conflicts.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	calls.Wait()
	require.Equal(t, int64(1), won.Load())
	require.Equal(t, int64(39), conflicts.Load())
	require.Equal(t, int64(2), s.count(`select count(*) from transfers`))
	require.Equal(t, int64(2), s.count(`select count(*) from entries where kind = 'transfer'`))
	require.Equal(t, int64(2), s.count(`select count(*) from events`))
}

// Whatever crosses, no fen is lost, no balance falls below zero, and each accepted
// transfer has its entry and its event.
func TestCrossingTransfersAndBatchesKeepTheMoney(t *testing.T) {
	s := open(t, tenant.BankCustody, 4)
	var calls sync.WaitGroup
	var refused atomic.Int64
	for worker := range 8 {
		calls.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(worker)))
			draw := func() transfer.New {
				from := random.IntN(4)
				return s.order(from, (from+1+random.IntN(3))%4, 1+random.Int64N(700))
			}
			for i := range 12 {
				var err error
				if i%3 == 0 {
					_, err = s.accepts(t.Context(), fmt.Sprintf("key-%d-%06d", worker, i), draw())
				} else {
					mode := []transfer.Mode{transfer.AllOrNothing, transfer.PerItem}[i%2]
					items := []transfer.New{draw(), draw(), draw()}
					err = s.DB.InTenant(t.Context(), s.tenant, func(tx pgx.Tx) error {
						_, err := transfer.CreateBatch(t.Context(), tx, s.tenant, id.New(id.TransferBatch), mode, items)
						return err
					})
				}
				if err != nil && code(err) != "funds_insufficient" {
					t.Error(err)
				} else if err != nil {
					refused.Add(1)
				}
			}
		})
	}
	calls.Wait()
	require.Equal(t, int64(4000), s.count(`select sum(posted) from ledger_accounts where type = 'merchant_available'`))
	require.Zero(t, s.count(`select count(*) from ledger_accounts where posted < 0`))
	booked := s.count(`select count(*) from transfers`)
	require.Positive(t, booked)
	require.Equal(t, booked, s.count(`select count(*) from transfers t join entries e on e.number = t.id and e.kind = 'transfer'`))
	require.Equal(t, booked, s.count(`select count(*) from events e join transfers t on t.id = e.object_id`))
	t.Logf("%d transfers, %d refusals", booked, refused.Load())
}

func TestCustodyModeForbidsTransfers(t *testing.T) {
	s := open(t, tenant.ChannelSplit, 2)
	_, err := s.accepts(t.Context(), "key-00000001", s.order(0, 1, 10))
	require.Equal(t, "custody_mode_forbids", code(err))
	require.NoError(t, s.DB.InTenant(t.Context(), s.tenant, func(tx pgx.Tx) error {
		_, err := transfer.Try(t.Context(), tx, s.tenant, s.order(0, 1, 10))
		require.Equal(t, "custody_mode_forbids", code(err))
		return nil
	}))
	require.Zero(t, s.count(`select count(*) from transfers`))
}

// A frozen account and a limit refuse with their own codes, tried and booked.
func TestFrozenAccountRefuses(t *testing.T) {
	s := open(t, tenant.LicensedReserve, 2)
	_, err := s.Pool.Exec(t.Context(), `update ledger_accounts set status = 'debit_frozen', reason = 'test' where owner = $1`, s.shops[0])
	require.NoError(t, err)
	_, err = s.accepts(t.Context(), "key-00000001", s.order(0, 1, 10))
	require.Equal(t, "account_not_active", code(err))
	_, err = s.accepts(t.Context(), "key-00000002", s.order(1, 0, 10))
	require.NoError(t, err)
}

func TestMalformedTransfersAreRefusedBeforeAnything(t *testing.T) {
	s := open(t, tenant.LicensedReserve, 2)
	bad := map[string]func(n *transfer.New){
		"amount_out_of_range":     func(n *transfer.New) { n.Amount = money.Fen(0) },
		transfer.CodeSameMerchant: func(n *transfer.New) { n.ToMerchantID = n.FromMerchantID },
		"reference_length":        func(n *transfer.New) { n.Reference = "" },
	}
	for want, spoil := range bad {
		n := s.order(0, 1, 10)
		spoil(&n)
		_, err := s.accepts(t.Context(), "key-00000001", n)
		require.Equal(t, want, code(err))
	}
	require.Zero(t, s.count(`select count(*) from accepted_requests`))
}

// Batches that name the same references, and open the same accounts, in crossing
// orders wait for each other in a circle: PostgreSQL ends one, which runs again.
// No caller sees it, and each reference is booked once.
func TestCrossingReferencesAndNewAccountsNeverFail(t *testing.T) {
	s := open(t, tenant.LicensedReserve, 4)
	newcomers := s.newcomers(4)
	references := []string{"r-0", "r-1", "r-2", "r-3"}
	var calls sync.WaitGroup
	for worker := range 4 {
		calls.Go(func() {
			items := make([]transfer.New, len(references))
			for i := range items {
				turn := (worker + i) % len(items)
				if worker%2 == 1 {
					turn = (worker - i + len(items)) % len(items)
				}
				items[i] = transfer.New{ID: id.New(id.Transfer), Reference: references[turn], FromMerchantID: s.shops[worker],
					ToMerchantID: newcomers[turn], Amount: money.Fen(1)}
			}
			err := s.DB.InTenant(t.Context(), s.tenant, func(tx pgx.Tx) error {
				made, err := transfer.CreateBatch(t.Context(), tx, s.tenant, id.New(id.TransferBatch), transfer.PerItem, items)
				if err != nil {
					return err
				}
				for _, r := range made.Results {
					if r.TransferID == "" && r.Code != transfer.CodeReferenceUsed {
						return fmt.Errorf("%s: %s", r.Code, r.Detail)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	require.Equal(t, int64(4), s.count(`select count(*) from transfers`))
	require.Equal(t, int64(4), s.count(`select count(*) from entries where kind = 'transfer'`))
	require.Equal(t, int64(4), s.count(`select count(*) from events`))
	require.Equal(t, int64(4), s.count(`select count(*) from transfer_batches`))
}

// Another tenant sees no transfer and no batch, whatever it asks the database for.
func TestAnotherTenantSeesNothing(t *testing.T) {
	s := open(t, tenant.LicensedReserve, 2)
	made, err := s.accepts(t.Context(), "key-00000001", s.order(0, 1, 10))
	require.NoError(t, err)
	var stranger string
	require.NoError(t, s.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		created, err := tenant.Create(t.Context(), tx, "Another", tenant.LicensedReserve)
		stranger = created.ID
		return err
	}))
	require.NoError(t, s.DB.InTenant(t.Context(), stranger, func(tx pgx.Tx) error {
		_, err := transfer.Get(t.Context(), tx, s.tenant, made.ObjectID)
		require.True(t, fault.Is(err, "not_found"), "%v", err)
		list, err := transfer.List(t.Context(), tx, s.tenant, transfer.Filter{Limit: 10})
		require.NoError(t, err)
		require.Empty(t, list)
		return nil
	}))
	err = s.DB.InTenant(t.Context(), stranger, func(tx pgx.Tx) error {
		_, err := transfer.Create(t.Context(), tx, s.tenant, s.order(0, 1, 10))
		return err
	})
	require.Equal(t, party.CodeMerchantNotFound, code(err), "even merchants of the other are unknown")
}

// The check of the books finds a transfer without its entry, one with another
// receiver, one nobody was told of, and an entry without its transfer.
func TestVerifyFindsWhatDisagrees(t *testing.T) {
	s := open(t, tenant.LicensedReserve, 3)
	ids := make([]string, 3)
	for i := range ids {
		made, err := s.accepts(t.Context(), fmt.Sprintf("key-%08d", i), s.order(0, 1, 10))
		require.NoError(t, err)
		ids[i] = made.ObjectID
	}
	require.Empty(t, s.broken())
	for _, tamper := range []struct{ do, undo string }{
		{`update transfers set to_merchant_id = '` + s.shops[2] + `' where id = $1`, `update transfers set to_merchant_id = '` + s.shops[1] + `' where id = $1`},
		{`update transfers set amount = 11 where id = $1`, `update transfers set amount = 10 where id = $1`},
		{`update events set type = 'refund.failed' where object_id = $1`, `update events set type = 'transfer.succeeded' where object_id = $1`},
		{`delete from transfers where id = $1`, ``},
	} {
		_, err := s.Pool.Exec(t.Context(), tamper.do, ids[1])
		require.NoError(t, err)
		require.Equal(t, []string{ids[1]}, s.broken(), tamper.do)
		if tamper.undo != "" {
			_, err = s.Pool.Exec(t.Context(), tamper.undo, ids[1])
			require.NoError(t, err)
			require.Empty(t, s.broken())
		}
	}
}

// broken are the objects that the package's invariants complain of.
func (s *street) broken() (ids []string) {
	s.Helper()
	for _, invariant := range transfer.Invariants() {
		rows, err := s.Pool.Query(context.Background(), invariant.Breaks, "")
		require.NoError(s, err)
		found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (objectID string, err error) {
			var tenantID, what string
			err = row.Scan(&tenantID, &objectID, &what)
			return objectID, err
		})
		require.NoError(s, err)
		ids = append(ids, found...)
	}
	return ids
}

func (s *street) newcomers(n int) (ids []string) {
	s.Helper()
	require.NoError(s, s.DB.InTenant(s.Context(), s.tenant, func(tx pgx.Tx) error {
		ids = nil
		for i := range n {
			made, err := party.Create(s.Context(), tx, nil, s.tenant, party.NewMerchant{
				Reference: fmt.Sprint("newcomer-", i), Name: "Newcomer", Settlement: party.T0})
			if err != nil {
				return err
			}
			ids = append(ids, made.ID)
		}
		return nil
	}))
	return ids
}
