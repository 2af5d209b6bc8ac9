package payment_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/money"
)

func TestEveryPairOfAttemptStatuses(t *testing.T) {
	t.Parallel()
	all := []payment.AttemptStatus{payment.Preparing, payment.Open, payment.Paid, payment.AttemptClosed, payment.Refused}
	allowed := map[string]bool{
		"preparing awaiting_payer": true, "preparing paid": true, "preparing closed": true, "preparing failed": true,
		"awaiting_payer paid": true, "awaiting_payer closed": true,
	}
	for _, from := range all {
		live := false
		for _, to := range all {
			pair := fmt.Sprintf("%s %s", from, to)
			require.Equal(t, allowed[pair], from.CanBecome(to), pair)
			live = live || allowed[pair]
		}
		require.Equal(t, live, from.Live(), from)
	}
}

// chosenLater is a payment whose payer chooses how to pay.
func (d *till) chosenLater() payment.Payment {
	d.Helper()
	n := d.request()
	n.Method = nil
	require.NoError(d, d.create(n))
	return d.get(n.ID)
}

func qr() payment.Method { return payment.Method{Channel: "alipay", Product: channel.ProductQR} }

func (d *till) add(paymentID string, m payment.Method) (attemptID string, err error) {
	err = d.do(func(ctx context.Context, tx pgx.Tx) error {
		attemptID, err = payment.AddAttempt(ctx, tx, d.tenant, paymentID, m, d.shelf())
		return err
	})
	return attemptID, err
}

// added is a new open attempt of the payment.
func (d *till) added(paymentID string) string {
	d.Helper()
	attemptID, err := d.add(paymentID, qr())
	require.NoError(d, err)
	d.on(attemptID, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error {
		return payment.Prepared(ctx, tx, d.tenant, p, channel.Action{Type: channel.ActionQRCode, QRCode: attemptID})
	})
	return attemptID
}

// on changes the locked attempt and returns it.
func (d *till) on(attemptID string, fn func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error) payment.Payment {
	d.Helper()
	var p payment.Payment
	require.NoError(d, d.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		if p, err = payment.LockAttempt(ctx, tx, d.tenant, attemptID); err != nil {
			return err
		}
		return fn(ctx, tx, &p)
	}))
	return p
}

func (d *till) pays(attemptID string) payment.Payment {
	d.Helper()
	return d.on(attemptID, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error {
		return payment.PaidNow(ctx, tx, d.tenant, p, receipt(attemptID))
	})
}

func receipt(tradeNo string) payment.Receipt {
	return payment.Receipt{ChannelTradeNo: tradeNo, PaidAt: time.Now(), Fee: money.Fen(6)}
}

func (d *till) driven(paymentID string) (yes bool) {
	d.Helper()
	require.NoError(d, d.Pool.QueryRow(d.Context(), `select driven from payments where id = $1`, paymentID).Scan(&yes))
	return yes
}

func (d *till) attempts(paymentID string) []payment.Attempt {
	d.Helper()
	var all []payment.Attempt
	require.NoError(d, d.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		all, err = payment.Attempts(ctx, tx, d.tenant, paymentID)
		return err
	}))
	return all
}

func TestAPaymentWithoutAMethodWaitsForItsPayer(t *testing.T) {
	d := open(t)
	p := d.chosenLater()
	require.Equal(t, payment.AwaitingPayer, p.Status)
	require.True(t, p.PayerChooses())
	require.Empty(t, p.Attempt.ID)
	require.GreaterOrEqual(t, len(p.CheckoutToken), 26)
	require.Nil(t, payment.NextAction(d.attempts(p.ID)))
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		owner, found, err := payment.ByCheckoutToken(t.Context(), tx, p.CheckoutToken)
		require.Equal(t, []string{d.tenant, p.ID}, []string{owner, found})
		require.NoError(t, err)
		_, _, err = payment.ByCheckoutToken(t.Context(), tx, p.CheckoutToken+"x")
		require.ErrorIs(t, err, &fault.Error{Kind: fault.KindNotFound})
		return nil
	}))
	first, second := d.added(p.ID), d.added(p.ID)
	all := d.attempts(p.ID)
	require.Equal(t, []string{first, second}, []string{all[0].ID, all[1].ID})
	require.NotEqual(t, all[0].Number, all[1].Number)
	require.Equal(t, second, payment.NextAction(all).QRCode, "the newest open one")
	require.Equal(t, second, d.get(p.ID).Attempt.ID)
	// One that is refused fails alone: the payer chooses another.
	d.on(second, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error {
		return payment.ClosedNow(ctx, tx, d.tenant, p)
	})
	require.Equal(t, payment.AwaitingPayer, d.get(p.ID).Status)
	require.Equal(t, first, payment.NextAction(d.attempts(p.ID)).QRCode)
}

func TestTheFirstAttemptThatIsPaidWins(t *testing.T) {
	d := open(t)
	p := d.chosenLater()
	first, second := d.added(p.ID), d.added(p.ID)
	require.Equal(t, payment.Succeeded, d.pays(first).Status)
	require.Equal(t, first, d.get(p.ID).Attempt.ID, "it is the one that was paid")
	require.True(t, d.driven(p.ID), "the other is still open")

	// A second success cannot be the payment's, whoever tries.
	err := d.do(func(ctx context.Context, tx pgx.Tx) error {
		p, err := payment.LockAttempt(ctx, tx, d.tenant, second)
		require.NoError(t, err)
		return payment.PaidNow(ctx, tx, d.tenant, &p, receipt(second))
	})
	require.Error(t, err)
	_, err = d.Pool.Exec(t.Context(), `update attempts set status = 'paid', paid_at = now(), channel_trade_no = 'T', fee = 0 where id = $1`, second)
	require.ErrorContains(t, err, "attempts_one_wins")

	late := d.on(second, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error {
		fresh, err := payment.PaidLate(ctx, tx, d.tenant, p, receipt(second), id.New(id.Refund))
		require.True(t, fresh)
		if err != nil {
			return err
		}
		fresh, err = payment.PaidLate(ctx, tx, d.tenant, p, receipt(second), id.New(id.Refund))
		require.False(t, fresh, "it is recorded once")
		return err
	})
	require.Equal(t, payment.AttemptClosed, late.Attempt.Status)
	require.False(t, d.driven(p.ID))
	require.NoError(t, d.do(func(ctx context.Context, tx pgx.Tx) error {
		all, err := payment.LateReceipts(ctx, tx, d.tenant, p.ID)
		require.Len(t, all, 1)
		require.Equal(t, second, all[0].AttemptID)
		return err
	}))
	require.Error(t, d.do(func(ctx context.Context, tx pgx.Tx) error {
		p, err := payment.LockAttempt(ctx, tx, d.tenant, first)
		require.NoError(t, err)
		_, err = payment.PaidLate(ctx, tx, d.tenant, &p, receipt(first), id.New(id.Refund))
		return err
	}), "the winner's money is not late")
}

func TestCancelling(t *testing.T) {
	d := open(t)
	cancel := func(p payment.Payment) error {
		return d.do(func(ctx context.Context, tx pgx.Tx) error { return payment.RequestCancel(ctx, tx, d.tenant, p.ID) })
	}
	settle := func(p payment.Payment) payment.Payment {
		require.NoError(t, d.do(func(ctx context.Context, tx pgx.Tx) (err error) {
			if p, err = payment.Lock(ctx, tx, d.tenant, p.ID); err != nil {
				return err
			}
			return payment.Settle(ctx, tx, d.tenant, &p)
		}))
		return d.get(p.ID)
	}
	p := d.chosenLater()
	known, unseen := d.added(p.ID), d.added(p.ID)
	require.NoError(t, cancel(p))
	require.NoError(t, cancel(p), "twice is once")
	require.Equal(t, payment.AwaitingPayer, settle(p).Status, "its providers have not been asked")
	_, err := d.add(p.ID, qr())
	require.True(t, fault.Is(err, "payment_not_payable"), "%v", err)

	d.on(known, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error {
		return payment.ClosedNow(ctx, tx, d.tenant, p)
	})
	require.Equal(t, payment.AwaitingPayer, d.get(p.ID).Status)
	d.on(unseen, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error {
		return payment.NotSeen(ctx, tx, d.tenant, p)
	})
	ended := d.get(p.ID)
	require.Equal(t, []any{payment.Closed, payment.Cancelled}, []any{ended.Status, ended.CloseReason})
	require.True(t, d.driven(p.ID), "a payer who has the code may still come")
	require.NoError(t, cancel(p), "it is cancelled")
	d.on(unseen, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error {
		return payment.ClosedNow(ctx, tx, d.tenant, p)
	})
	require.False(t, d.driven(p.ID))

	none := d.chosenLater()
	require.NoError(t, cancel(none))
	require.Equal(t, payment.Cancelled, settle(none).CloseReason, "there is nobody to ask")

	won := d.chosenLater()
	attempt := d.added(won.ID)
	require.NoError(t, cancel(won))
	require.Equal(t, payment.Succeeded, d.pays(attempt).Status, "the payer was faster")
	require.True(t, fault.Is(cancel(won), "payment_not_cancellable"))
}

func TestAttemptsThatCannotBe(t *testing.T) {
	d := open(t)
	p := d.chosenLater()
	for name, c := range map[string]struct {
		change func(*payment.Method)
		kind   fault.Kind
		field  string
	}{
		"no account":        {func(m *payment.Method) { m.Channel = "wechatpay" }, fault.KindRefused, "method.channel"},
		"not offered":       {func(m *payment.Method) { m.Product = channel.ProductPage }, fault.KindRefused, "method.channel"},
		"not known":         {func(m *payment.Method) { m.Product = "cheque" }, fault.KindInvalid, "method.product"},
		"no return url":     {func(m *payment.Method) { m.Product, m.PayerIP = channel.ProductWAP, "192.0.2.1" }, fault.KindInvalid, "method.return_url"},
		"no payer":          {func(m *payment.Method) { m.Product = channel.ProductJSAPI }, fault.KindInvalid, "method.payer_id"},
		"no code":           {func(m *payment.Method) { m.Product = channel.ProductBarcode }, fault.KindInvalid, "method.auth_code"},
		"code for another":  {func(m *payment.Method) { m.AuthCode = "281234567890123456" }, fault.KindInvalid, "method.auth_code"},
		"address":           {func(m *payment.Method) { m.PayerIP = "999.1.1.1" }, fault.KindInvalid, "method.payer_ip"},
		"return url":        {func(m *payment.Method) { m.ReturnURL = "https:///x" }, fault.KindInvalid, "method.return_url"},
		"return url scheme": {func(m *payment.Method) { m.ReturnURL = "javascript://x/y" }, fault.KindInvalid, "method.return_url"},
	} {
		t.Run(name, func(t *testing.T) {
			m := qr()
			c.change(&m)
			_, err := d.add(p.ID, m)
			var refusal *fault.Error
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, []any{c.kind, c.field}, []any{refusal.Kind, refusal.Field}, refusal.Error())
		})
	}
	for range payment.MaxAttempts {
		d.added(p.ID)
	}
	_, err := d.add(p.ID, qr())
	require.True(t, fault.Is(err, "too_many_attempts"), "%v", err)
	_, err = d.add(id.New(id.Payment), qr())
	require.ErrorIs(t, err, &fault.Error{Kind: fault.KindNotFound})

	over := d.chosenLater()
	_, err = d.Pool.Exec(t.Context(), `update business_clock set ahead = interval '61 minutes'`)
	require.NoError(t, err)
	_, err = d.add(over.ID, qr())
	require.True(t, fault.Is(err, "payment_not_payable"), "%v", err)
}

// What cannot have reached its provider is tried at the next account, at most at
// three, and the code on the payer's phone goes with it.
func TestTryElsewhere(t *testing.T) {
	d := open(t)
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		for range 3 {
			account, err := tenant.AddChannelAccount(t.Context(), tx, d.tenant, tenant.ChannelAccount{Channel: "alipay", Name: "Another"})
			if err != nil {
				return err
			}
			if err := openProducts(t.Context(), tx, d.tenant, account.ID); err != nil {
				return err
			}
		}
		return nil
	}))
	n := d.request()
	n.Method.Product, n.Method.AuthCode = channel.ProductBarcode, "281234567890123456"
	require.NoError(t, d.create(n))
	seen := map[string]bool{}
	for tried := 1; ; tried++ {
		now := d.get(n.ID).Attempt
		require.False(t, seen[now.ChannelAccountID], "another account each time")
		code := d.takeCode(now.ID)
		require.NoError(t, now.CheckCode(code))
		require.ErrorIs(t, now.CheckCode("281234567890123457"), payment.ErrRequestChanged)
		seen[now.ChannelAccountID] = true
		var moved bool
		d.on(now.ID, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) (err error) {
			moved, err = payment.TryElsewhere(ctx, tx, d.tenant, *p, code, d.shelf())
			return err
		})
		if !moved {
			require.Equal(t, 3, tried)
			require.Equal(t, payment.Preparing, d.get(n.ID).Attempt.Status, "the last one goes on")
			break
		}
	}
	all := d.attempts(n.ID)
	require.Len(t, all, 3)
	for _, a := range all[:2] {
		require.Equal(t, payment.AttemptClosed, a.Status)
		require.Equal(t, payment.CodeNeverSent, a.Failure.Code)
	}
	require.Equal(t, payment.Processing, d.get(n.ID).Status)
	for _, a := range all {
		require.NotContains(t, string(a.CodeHash), "281234567890123456")
	}
}

// News reach a workflow once, told by one instance.
func TestNewsAreClaimedOnce(t *testing.T) {
	d := open(t)
	p, quiet := d.chosenLater(), d.chosenLater()
	d.added(p.ID)
	claim := func(tx pgx.Tx, want ...string) {
		news, err := payment.ClaimNews(t.Context(), tx, 10)
		require.NoError(t, err)
		var ids []string
		for _, n := range news {
			ids = append(ids, n.PaymentID)
		}
		require.Equal(t, want, ids)
	}
	require.NoError(t, d.DB.AsSystem(t.Context(), func(outer pgx.Tx) error {
		claim(outer, p.ID)
		return d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error { claim(tx); return nil })
	}))
	require.NoError(t, d.do(func(ctx context.Context, tx pgx.Tx) error { return payment.RequestCancel(ctx, tx, d.tenant, quiet.ID) }))
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error { claim(tx, quiet.ID); return nil }))
}

// A payer's click makes one attempt, however often it is sent, and a way that is
// open is kept, until what the payer was given to pay by is too old.
func TestAClickMakesOneAttempt(t *testing.T) {
	d := open(t)
	p := d.chosenLater()
	choose := func(m payment.Method) (attemptID string) {
		require.NoError(t, d.do(func(ctx context.Context, tx pgx.Tx) (err error) {
			attemptID, err = payment.ChooseAttempt(ctx, tx, d.tenant, p.ID, m, d.shelf())
			return err
		}))
		return attemptID
	}
	qr := payment.Method{Channel: "alipay", Product: channel.ProductQR, Click: "first"}
	var made sync.Map
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { made.Store(choose(qr), true) })
	}
	wg.Wait()
	require.Len(t, d.attempts(p.ID), 1)
	first := d.attempts(p.ID)[0].ID
	require.Equal(t, "first", d.attempts(p.ID)[0].Click)

	qr.Click = "second"
	require.Equal(t, first, choose(qr), "the way is open already")
	d.on(first, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error {
		return payment.RefusedNow(ctx, tx, d.tenant, p, payment.Failure{Code: "channel_refused"})
	})
	qr.Click = "first"
	require.Equal(t, first, choose(qr), "a click that was refused does not try again by itself")
	qr.Click = "third"
	third := choose(qr)
	require.NotEqual(t, first, third)

	_, err := d.Pool.Exec(t.Context(), `update attempts set created_at = created_at - interval '2 hours' where id = $1`, third)
	require.NoError(t, err)
	qr.Click = "fourth"
	require.NotEqual(t, third, choose(qr), "the code of the open attempt is too old")
}

// takeCode takes the code of an attempt out of the box.
func (d *till) takeCode(attemptID string) string {
	d.Helper()
	var code secret.Value
	require.NoError(d, d.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		code, err = d.box.TakeOneTime(ctx, tx, d.tenant, attemptID)
		return err
	}))
	return string(code.Reveal())
}

// addPayer adds an attempt whose payer is known.
func (d *till) addPayer(paymentID string, payer party.Payer) (attemptID string) {
	d.Helper()
	require.NoError(d, d.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		attemptID, err = payment.AddAttempt(ctx, tx, d.tenant, paymentID, payment.Method{Channel: "alipay",
			Product: channel.ProductJSAPI, PayerID: payer.ID, PayerIP: payer.IP}, d.shelf())
		return err
	}))
	return attemptID
}

func (d *till) payer(a payment.Attempt) (payer party.Payer, err error) {
	_ = d.do(func(ctx context.Context, tx pgx.Tx) error {
		payer, err = a.Payer.Open(ctx, tx, d.box, d.tenant)
		return nil
	})
	return payer, err
}

func somebody() party.Payer { return party.Payer{ID: "2088000000000001", IP: "192.0.2.1"} }

// dump is everything that the database holds of attempts and persons, as text.
func (d *till) dump() (text string) {
	d.Helper()
	require.NoError(d, d.Pool.QueryRow(d.Context(), `select coalesce(string_agg(x, e'\n'), '') from (
		select a::text as x from attempts a union all select p::text from persons p) all_of_it`).Scan(&text))
	return text
}

func TestThePayerIsForgottenAtTheEnd(t *testing.T) {
	d := open(t)
	p := d.chosenLater()
	attemptID := d.addPayer(p.ID, somebody())
	under := d.attempts(p.ID)[0]
	payer, err := d.payer(under)
	require.NoError(t, err)
	require.Equal(t, somebody(), payer)
	require.NotContains(t, d.dump(), somebody().ID)
	require.NotContains(t, d.dump(), somebody().IP)
	require.NoError(t, d.get(p.ID).CheckFrozen())
	d.on(attemptID, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error {
		return payment.ClosedNow(ctx, tx, d.tenant, p)
	})
	over := d.attempts(p.ID)[0]
	require.Zero(t, over.Payer)
	require.NoError(t, d.get(p.ID).CheckFrozen(), "nothing that names the payer is sent any more")
	_, err = d.payer(under)
	require.ErrorIs(t, err, party.ErrForgotten, "a copy of the row opens nowhere")
	var persons int
	require.NoError(t, d.Pool.QueryRow(t.Context(), `select count(*) from persons`).Scan(&persons))
	require.Zero(t, persons)
}

func TestAPayerIsForgottenWhenAsked(t *testing.T) {
	d := open(t)
	p := d.chosenLater()
	attemptID := d.addPayer(p.ID, somebody())
	for range 2 {
		require.NoError(t, d.do(func(ctx context.Context, tx pgx.Tx) error {
			return payment.ForgetPayer(ctx, tx, d.tenant, p.ID, "asked")
		}))
	}
	now := d.get(p.ID)
	_, err := d.payer(now.Attempt)
	require.ErrorIs(t, err, party.ErrForgotten)
	require.NoError(t, now.CheckFrozen())
	another := d.addPayer(p.ID, somebody())
	require.NotEqual(t, attemptID, another)
	d.on(attemptID, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error {
		moved, err := payment.TryElsewhere(ctx, tx, d.tenant, *p, "", d.shelf())
		require.False(t, moved)
		return err
	})
	d.on(attemptID, func(ctx context.Context, tx pgx.Tx, p *payment.Payment) error {
		return payment.ClosedNow(ctx, tx, d.tenant, p)
	})
	err = d.do(func(ctx context.Context, tx pgx.Tx) error {
		return payment.ForgetPayer(ctx, tx, d.tenant, id.New(id.Payment), "asked")
	})
	require.ErrorIs(t, err, &fault.Error{Kind: fault.KindNotFound})
}

// Attempts from before payers were sealed go on, and are sealed a batch at a time.
func TestPayersFromBeforeAreSealed(t *testing.T) {
	d := open(t)
	var payments []string
	for range 5 {
		p := d.chosenLater()
		d.addPayer(p.ID, somebody())
		payments = append(payments, p.ID)
		d.makePlain(p.ID)
		require.NoError(t, d.get(p.ID).CheckFrozen())
		payer, err := d.payer(d.get(p.ID).Attempt)
		require.NoError(t, err)
		require.Equal(t, somebody(), payer)
	}
	_, err := d.Pool.Exec(t.Context(), `update attempts set payer_ip = '192.0.2.66' where payment_id = $1`, payments[4])
	require.NoError(t, err)
	require.Contains(t, d.dump(), somebody().ID)
	done := 0
	for n := 1; n > 0; done += n {
		require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) (err error) {
			n, err = payment.SealPayers(t.Context(), tx, d.box, 2)
			return err
		}))
	}
	require.Equal(t, 5, done)
	require.NotContains(t, d.dump(), somebody().ID)
	require.NotContains(t, d.dump(), "192.0.2.")
	for _, paymentID := range payments[:4] {
		now := d.get(paymentID)
		require.NoError(t, now.CheckFrozen())
		payer, err := d.payer(now.Attempt)
		require.NoError(t, err)
		require.Equal(t, somebody(), payer)
	}
	require.ErrorIs(t, d.get(payments[4]).CheckFrozen(), payment.ErrRequestChanged, "what was tampered with is not made good")
}

// makePlain turns the attempt of a payment into one that an earlier version made.
func (d *till) makePlain(paymentID string) {
	d.Helper()
	now := d.get(paymentID)
	h := sha256.New()
	for _, field := range []string{now.Attempt.Number, "1000", "CNY", now.Subject, now.ExpiresAt.UTC().Format(time.RFC3339),
		string(now.Attempt.Product), somebody().ID, somebody().IP, "", ""} {
		_, _ = fmt.Fprintf(h, "%d:%s\n", len(field), field)
	}
	_, err := d.Pool.Exec(d.Context(), `
		update attempts set payer_person = null, sealed_payer_id = null, sealed_payer_ip = null, payer_id = $2, payer_ip = $3,
			request_hash = $4 where id = $1`, now.Attempt.ID, somebody().ID, somebody().IP, h.Sum(nil))
	require.NoError(d, err)
}
