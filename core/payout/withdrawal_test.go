package payout_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// desk is where withdrawals are accepted: a tenant with a shop of 10.00 yuan.
type desk struct {
	*testing.T
	*pgtest.Database
	tenant, merchant, account string
	box                       *secret.Box
}

func open(t *testing.T) *desk {
	t.Helper()
	t.Parallel()
	masters, err := secret.ParseMasters(secret.NewMasterKeyText())
	require.NoError(t, err)
	box, err := secret.NewBox(masters)
	require.NoError(t, err)
	d := &desk{T: t, Database: pgtest.New(t), box: box}
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		created, err := tenant.Create(t.Context(), tx, "A tenant", tenant.LicensedReserve)
		if err != nil {
			return err
		}
		d.tenant = created.ID
		account, err := tenant.AddChannelAccount(t.Context(), tx, d.tenant, tenant.ChannelAccount{Channel: "alipay", Name: "Alipay"})
		d.account = account.ID
		return err
	}))
	d.merchant = d.newMerchant("shop", &party.PayoutAccount{Channel: "alipay", Account: "boss@example.com", Name: "张小明"})
	d.must(func(ctx context.Context, tx pgx.Tx) error {
		_, err := ledger.Post(ctx, tx, d.tenant, books.Collect(books.Collection{Attempt: "att_1", ChannelAccount: d.account,
			To: books.Pocket{Merchant: d.merchant, Available: true}, Amount: money.Fen(1000)})...)
		return err
	})
	return d
}

func (d *desk) newMerchant(reference string, payee *party.PayoutAccount) (merchantID string) {
	d.Helper()
	d.must(func(ctx context.Context, tx pgx.Tx) error {
		m, err := party.Create(ctx, tx, d.box, d.tenant, party.NewMerchant{Reference: reference, Name: "Shop", Settlement: "T0", PayoutAccount: payee})
		merchantID = m.ID
		return err
	})
	return merchantID
}

func (d *desk) do(fn func(ctx context.Context, tx pgx.Tx) error) error {
	return d.DB.InTenant(d.Context(), d.tenant, func(tx pgx.Tx) error { return fn(d.Context(), tx) })
}

func (d *desk) must(fn func(ctx context.Context, tx pgx.Tx) error) {
	d.Helper()
	require.NoError(d, d.do(fn))
}

func (d *desk) request(fen int64) payout.New {
	return payout.New{ID: id.New(id.Withdrawal), MerchantID: d.merchant, Reference: id.Number(), Amount: money.Fen(fen)}
}

func (d *desk) create(n payout.New) error {
	return d.do(func(ctx context.Context, tx pgx.Tx) error { return payout.Create(ctx, tx, d.tenant, n) })
}

func (d *desk) get(withdrawalID string) payout.Withdrawal {
	d.Helper()
	var w payout.Withdrawal
	d.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		w, err = payout.Get(ctx, tx, d.tenant, withdrawalID)
		return err
	})
	return w
}

func (d *desk) become(w payout.Withdrawal, to payout.Status) error {
	return d.do(func(ctx context.Context, tx pgx.Tx) error {
		if to == payout.Returned {
			return payout.ReturnedNow(ctx, tx, d.tenant, w, payment.Failure{Code: "bank_returned", Message: "no"})
		}
		if to == payout.Failed {
			return payout.FailedNow(ctx, tx, d.tenant, w, payment.Failure{Code: "channel_refused", Message: "no"})
		}
		// A payee who has the money had it from an order that was taken.
		if _, err := payout.AcceptedNow(ctx, tx, d.tenant, w); err != nil {
			return err
		}
		return payout.SucceededNow(ctx, tx, d.tenant, w, payout.Receipt{ChannelTransferNo: "W1", PaidAt: time.Now()})
	})
}

func TestEveryPairOfStatuses(t *testing.T) {
	d := open(t)
	all := []payout.Status{payout.Processing, payout.Succeeded, payout.Failed, payout.Returned}
	for _, from := range all {
		for _, to := range all {
			pair := fmt.Sprintf("%s %s", from, to)
			allowed := pair == "processing succeeded" || pair == "processing failed" || pair == "succeeded returned"
			require.Equal(t, allowed, from.CanBecome(to), pair)
			if to == payout.Processing {
				continue
			}
			n := d.request(10)
			require.NoError(t, d.create(n))
			if from == payout.Returned {
				require.NoError(t, d.become(d.get(n.ID), payout.Succeeded))
			}
			if from != payout.Processing {
				require.NoError(t, d.become(d.get(n.ID), from))
			}
			before := d.get(n.ID)
			if err := d.become(before, to); allowed {
				require.NoError(t, err)
				require.Equal(t, to, d.get(n.ID).Status)
			} else {
				require.Error(t, err, pair)
			}
			stale, now := before, d.get(n.ID)
			stale.Status = payout.Processing
			if to == payout.Returned {
				stale.Status = payout.Succeeded
			}
			require.ErrorContains(t, d.become(stale, to), "was changed meanwhile", pair)
			require.Equal(t, now, d.get(n.ID), pair)
		}
	}
}

// Only the first acceptance moves money into transit.
func TestAcceptedOnce(t *testing.T) {
	d := open(t)
	n := d.request(10)
	require.NoError(t, d.create(n))
	for _, want := range []bool{true, false} {
		d.must(func(ctx context.Context, tx pgx.Tx) error {
			first, err := payout.AcceptedNow(ctx, tx, d.tenant, d.get(n.ID))
			require.Equal(t, want, first)
			return err
		})
	}
	require.NotNil(t, d.get(n.ID).AcceptedAt)
}

func TestCreateRefuses(t *testing.T) {
	d := open(t)
	used := d.request(100)
	require.NoError(t, d.create(used))
	noAccount := d.newMerchant("no-account", nil)
	for name, c := range map[string]struct {
		change func(*payout.New)
		code   string
	}{
		"more than there is":          {func(n *payout.New) { n.Amount = money.Fen(901) }, "funds_insufficient"},
		"less than the provider pays": {func(n *payout.New) { n.Amount = money.Fen(payout.MinAmountMinor - 1) }, "amount_out_of_range"},
		"other currency":              {func(n *payout.New) { n.Amount = money.Of(100, "HKD") }, "currency_unsupported"},
		"no reference":                {func(n *payout.New) { n.Reference = "" }, "reference_length"},
		"reference used":              {func(n *payout.New) { n.Reference = used.Reference }, "reference_used"},
		"merchant":                    {func(n *payout.New) { n.MerchantID = id.New(id.Merchant) }, "merchant_unknown"},
		"no payout account":           {func(n *payout.New) { n.MerchantID = noAccount }, "payout_account_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			n := d.request(100)
			c.change(&n)
			var refusal *fault.Error
			require.ErrorAs(t, d.create(n), &refusal)
			require.Equal(t, c.code, refusal.Code)
		})
	}
	require.NoError(t, d.create(d.request(900)), "refusals held nothing")
}

// However many ask for all of it at once, one gets it.
func TestWithdrawalsRaceForOneBalance(t *testing.T) {
	d := open(t)
	for range 3 {
		var accepted []payout.New
		var refused int
		var mu sync.Mutex
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() {
				n := d.request(1000)
				err := d.create(n)
				mu.Lock()
				defer mu.Unlock()
				var refusal *fault.Error
				switch {
				case err == nil:
					accepted = append(accepted, n)
				case errors.As(err, &refusal) && refusal.Code == "funds_insufficient":
					refused++
				default:
					t.Error(err)
				}
			})
		}
		calls.Wait()
		require.Equal(t, []int{1, 49}, []int{len(accepted), refused})
		d.must(func(ctx context.Context, tx pgx.Tx) error {
			return ledger.ReleaseHold(ctx, tx, d.tenant, payout.HoldReference(accepted[0].ID))
		})
	}
}

func (d *desk) payee(merchantID string) (payee party.SealedPayoutAccount) {
	d.Helper()
	d.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		payee, err = party.PayoutAccountOf(ctx, tx, d.tenant, merchantID)
		return err
	})
	return payee
}

func (d *desk) forget() error {
	return d.do(func(ctx context.Context, tx pgx.Tx) error {
		return payout.ForgetPayee(ctx, tx, d.tenant, d.merchant, "asked")
	})
}

// Nobody is forgotten while money that was sent is on its way to him; what was not sent
// does not keep him, and nothing new goes to him afterwards.
func TestAPayeeIsForgottenBetweenWithdrawals(t *testing.T) {
	d := open(t)
	n := d.request(100)
	require.NoError(t, d.create(n))
	d.must(func(ctx context.Context, tx pgx.Tx) error { return payout.Sending(ctx, tx, d.tenant, n.ID) })
	var refusal *fault.Error
	require.ErrorAs(t, d.forget(), &refusal)
	require.Equal(t, "withdrawal_under_way", refusal.Code)
	require.Nil(t, d.payee(d.merchant).ForgottenAt, "refused is not forgotten")
	require.NoError(t, d.become(d.get(n.ID), payout.Failed))

	waiting := d.request(100)
	require.NoError(t, d.create(waiting))
	require.NoError(t, d.forget())
	require.NoError(t, d.forget(), "again")
	payee := d.payee(d.merchant)
	require.NotNil(t, payee.ForgottenAt)
	require.NoError(t, d.get(n.ID).CheckFrozen(payee))
	require.NoError(t, d.get(waiting.ID).CheckFrozen(payee))
	require.ErrorAs(t, d.create(d.request(100)), &refusal)
	require.Equal(t, party.CodePayeeForgotten, refusal.Code)
}

// Whoever sends and whoever forgets do not pass each other: either the payee stays
// until the money has arrived, or nothing is sent to him.
func TestForgettingAndSendingDoNotPassEachOther(t *testing.T) {
	d := open(t)
	for range 20 {
		d.merchant = d.newMerchant(id.Number(), &party.PayoutAccount{Channel: "alipay", Account: "boss@example.com", Name: "张小明"})
		d.must(func(ctx context.Context, tx pgx.Tx) error {
			_, err := ledger.Post(ctx, tx, d.tenant, books.Collect(books.Collection{Attempt: id.New(id.Attempt), ChannelAccount: d.account,
				To: books.Pocket{Merchant: d.merchant, Available: true}, Amount: money.Fen(1000)})...)
			return err
		})
		n := d.request(100)
		require.NoError(t, d.create(n))
		var sent, forgotten error
		var both sync.WaitGroup
		both.Go(func() {
			sent = d.do(func(ctx context.Context, tx pgx.Tx) error {
				payee, err := party.PayoutAccountToSend(ctx, tx, d.tenant, d.merchant)
				if err != nil {
					return err
				}
				if _, err := payee.Open(ctx, tx, d.box); err != nil {
					return err
				}
				return payout.Sending(ctx, tx, d.tenant, n.ID)
			})
		})
		both.Go(func() { forgotten = d.forget() })
		both.Wait()
		require.NotEqual(t, sent == nil, forgotten == nil, "sent: %v, forgotten: %v", sent, forgotten)
	}
}

// Withdrawals to a payee from before payees were sealed go on, and are frozen anew when
// he is; one that was tampered with is not made good.
func TestWithdrawalsFromBeforeAreFrozenAnew(t *testing.T) {
	d := open(t)
	_, err := d.Pool.Exec(t.Context(), `update merchant_payout_accounts set person_id = null, sealed_account = null, sealed_name = null,
		account = 'boss@example.com', name = '张小明'`)
	require.NoError(t, err)
	_, err = d.Pool.Exec(t.Context(), `delete from persons`)
	require.NoError(t, err)
	good, bad := d.request(100), d.request(100)
	require.NoError(t, d.create(good))
	require.NoError(t, d.create(bad))
	require.NoError(t, d.get(good.ID).CheckFrozen(d.payee(d.merchant)))
	_, err = d.Pool.Exec(t.Context(), `update withdrawals set amount = 101 where id = $1`, bad.ID)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
			_, err := payout.SealPayee(t.Context(), tx, d.box, d.tenant, d.merchant)
			return err
		}))
	}
	require.NoError(t, d.get(good.ID).CheckFrozen(d.payee(d.merchant)))
	require.ErrorIs(t, d.get(bad.ID).CheckFrozen(d.payee(d.merchant)), payment.ErrRequestChanged)
}
