package refund_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/books"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/refund"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// desk is where refunds are accepted: a tenant with a shop and its money.
type desk struct {
	*testing.T
	*pgtest.Database
	tenant, merchant, account string
}

func open(t *testing.T) *desk {
	t.Helper()
	t.Parallel()
	d := &desk{T: t, Database: pgtest.New(t)}
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
	d.must(func(ctx context.Context, tx pgx.Tx) error {
		m, err := party.Create(ctx, tx, nil, d.tenant, party.NewMerchant{Reference: "shop", Name: "Shop", Settlement: "T0"})
		d.merchant = m.ID
		return err
	})
	return d
}

func (d *desk) do(fn func(ctx context.Context, tx pgx.Tx) error) error {
	return d.DB.InTenant(d.Context(), d.tenant, func(tx pgx.Tx) error { return fn(d.Context(), tx) })
}

func (d *desk) must(fn func(ctx context.Context, tx pgx.Tx) error) {
	d.Helper()
	require.NoError(d, d.do(fn))
}

// shelf is what the account offers.
func shelf() payment.Till {
	return payment.Till{Offers: func(string) []channel.Offer {
		return []channel.Offer{{Product: channel.ProductQR, Action: channel.ActionQRCode}}
	}}
}

// offered is a payment that nobody has paid.
func (d *desk) offered() string {
	d.Helper()
	n := payment.New{ID: id.New(id.Payment), MerchantID: d.merchant, Reference: id.Number(), Subject: "tea",
		Amount: money.Fen(1000), Method: &payment.Method{Channel: "alipay", Product: channel.ProductQR}, ExpiresIn: time.Hour}
	d.must(func(ctx context.Context, tx pgx.Tx) error { return payment.Create(ctx, tx, d.tenant, n, shelf()) })
	return n.ID
}

// paid is a payment of 10.00 yuan with its money in the shop's account.
func (d *desk) paid() string {
	d.Helper()
	paymentID := d.offered()
	d.must(func(ctx context.Context, tx pgx.Tx) error {
		p, err := payment.Lock(ctx, tx, d.tenant, paymentID)
		if err != nil {
			return err
		}
		receipt := payment.Receipt{ChannelTradeNo: "T1", PaidAt: time.Now(), Fee: money.Fen(0)}
		if err := payment.PaidNow(ctx, tx, d.tenant, &p, receipt); err != nil {
			return err
		}
		_, err = split.Record(ctx, tx, d.tenant, split.Payment{ID: p.ID, MerchantID: p.MerchantID, Amount: p.Amount, PaidOn: "2026-11-23"})
		if err != nil {
			return err
		}
		_, err = ledger.Post(ctx, tx, d.tenant, books.Collect(books.Collection{Attempt: p.Attempt.ID, ChannelAccount: d.account,
			To: books.Pocket{Merchant: d.merchant, Available: true}, Amount: p.Amount})...)
		return err
	})
	return paymentID
}

func request(paymentID string, fen int64) refund.New {
	return refund.New{ID: id.New(id.Refund), PaymentID: paymentID, Reference: id.Number(), Amount: money.Fen(fen), Reason: "returned"}
}

func (d *desk) create(n refund.New) error {
	return d.do(func(ctx context.Context, tx pgx.Tx) error { return refund.Create(ctx, tx, d.tenant, n) })
}

func (d *desk) get(refundID string) refund.Refund {
	d.Helper()
	var r refund.Refund
	d.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		r, err = refund.Get(ctx, tx, d.tenant, refundID)
		return err
	})
	return r
}

func (d *desk) become(r refund.Refund, to refund.Status) error {
	return d.do(func(ctx context.Context, tx pgx.Tx) error {
		if to == refund.Failed {
			return refund.FailedNow(ctx, tx, d.tenant, r, payment.Failure{Code: "channel_refused", Message: "no"})
		}
		if to == refund.Returned {
			p, err := payment.GetAttempt(ctx, tx, d.tenant, r.AttemptID)
			if err != nil {
				return err
			}
			return refund.ReturnedNow(ctx, tx, d.tenant, &r, p)
		}
		if r.Status == refund.Returned {
			return refund.SentOnNow(ctx, tx, d.tenant, r, time.Now())
		}
		return refund.SucceededNow(ctx, tx, d.tenant, r, refund.Receipt{ChannelRefundNo: "R1", RefundedAt: time.Now(), FeeReturned: money.Fen(0)})
	})
}

func TestEveryPairOfStatuses(t *testing.T) {
	d := open(t)
	paymentID := d.paid()
	all := []refund.Status{refund.Processing, refund.Succeeded, refund.Failed, refund.Returned}
	allowedPairs := []string{"processing succeeded", "processing failed", "succeeded returned", "returned succeeded"}
	for _, from := range all {
		for _, to := range all {
			pair := fmt.Sprintf("%s %s", from, to)
			allowed := slices.Contains(allowedPairs, pair)
			require.Equal(t, allowed, from.CanBecome(to), pair)
			if to == refund.Processing {
				continue
			}
			n := request(paymentID, 1)
			require.NoError(t, d.create(n))
			if from == refund.Returned {
				require.NoError(t, d.become(d.get(n.ID), refund.Succeeded))
			}
			if from != refund.Processing {
				require.NoError(t, d.become(d.get(n.ID), from))
			}
			before := d.get(n.ID)
			if err := d.become(before, to); allowed {
				require.NoError(t, err)
				require.Equal(t, to, d.get(n.ID).Status)
			} else {
				require.Error(t, err, pair)
			}
			// Somebody who read the row before it changed is too late.
			stale, now := before, d.get(n.ID)
			stale.Status = refund.Processing
			if to == refund.Returned {
				stale.Status = refund.Succeeded
			}
			require.ErrorContains(t, d.become(stale, to), "was changed meanwhile", pair)
			require.Equal(t, now, d.get(n.ID), pair)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	d := open(t)
	paymentID, offered := d.paid(), d.offered()
	used := request(paymentID, 100)
	require.NoError(t, d.create(used))
	for name, c := range map[string]struct {
		refund      refund.New
		field, code string
	}{
		"more than is left": {request(paymentID, 901), "amount.amount", "refund_exceeds_payment"},
		"nothing":           {request(paymentID, 0), "amount", "amount_out_of_range"},
		"less":              {request(paymentID, -1), "amount", "amount_out_of_range"},
		"not paid":          {request(offered, 1), "payment_id", "payment_not_refundable"},
		"other currency": {refund.New{ID: id.New(id.Refund), PaymentID: paymentID, Reference: "x", Amount: money.Of(1, "HKD")},
			"amount.currency", "currency_mismatch"},
		"reference used": {refund.New{ID: id.New(id.Refund), PaymentID: paymentID, Reference: used.Reference, Amount: money.Fen(1)},
			"reference", "reference_used"},
	} {
		t.Run(name, func(t *testing.T) {
			var refusal *fault.Error
			require.ErrorAs(t, d.create(c.refund), &refusal)
			require.Equal(t, []string{c.field, c.code}, []string{refusal.Field, refusal.Code})
		})
	}
	require.ErrorIs(t, d.create(request(id.New(id.Payment), 1)), &fault.Error{Kind: fault.KindNotFound})
	require.NoError(t, d.create(request(paymentID, 900)), "refusals took nothing")
}

// The shop has spent the money: a refund that cannot be paid back is refused
// before anything is sent.
func TestCreateRefusesAShopWithoutTheMoney(t *testing.T) {
	d := open(t)
	paymentID := d.paid()
	d.must(func(ctx context.Context, tx pgx.Tx) error {
		_, err := ledger.PlaceHold(ctx, tx, d.tenant, ledger.HoldRequest{
			Account: books.MerchantAccount(d.merchant, money.CNY, true), Amount: 500, Reference: "spent"})
		return err
	})
	var refusal *fault.Error
	require.ErrorAs(t, d.create(request(paymentID, 501)), &refusal)
	require.Equal(t, "merchant_funds_insufficient", refusal.Code)
	require.NoError(t, d.create(request(paymentID, 500)))
}

// However many ask at once, no more is promised than was paid.
func TestRefundsRaceForOnePayment(t *testing.T) {
	d := open(t)
	paymentID := d.paid()
	var accepted, refused int
	var mu sync.Mutex
	var calls sync.WaitGroup
	for range 60 {
		calls.Go(func() {
			err := d.create(request(paymentID, 90))
			mu.Lock()
			defer mu.Unlock()
			var refusal *fault.Error
			switch {
			case err == nil:
				accepted++
			case errors.As(err, &refusal):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	calls.Wait()
	require.Equal(t, []int{11, 49}, []int{accepted, refused})
	var refunding, held int64
	require.NoError(t, d.Pool.QueryRow(t.Context(), `select refunding, (select sum(amount) from holds where status = 'open') from payments`).Scan(&refunding, &held))
	require.Equal(t, []int64{990, 990}, []int64{refunding, held})
}

func TestWhatIsSentUnderANumberIsFrozen(t *testing.T) {
	d := open(t)
	n := request(d.paid(), 100)
	require.NoError(t, d.create(n))
	r := d.get(n.ID)
	var p payment.Payment
	d.must(func(ctx context.Context, tx pgx.Tx) (err error) {
		p, err = payment.Get(ctx, tx, d.tenant, n.PaymentID)
		return err
	})
	require.NoError(t, r.CheckFrozen(p))
	for _, change := range []func(*refund.Refund){
		func(r *refund.Refund) { r.Amount.Minor++ },
		func(r *refund.Refund) { r.Reason += " " },
		func(r *refund.Refund) { r.Number = id.Number() },
	} {
		changed := r
		change(&changed)
		require.ErrorIs(t, changed.CheckFrozen(p), payment.ErrRequestChanged)
	}
}
