package demo

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/suanpan/suanpan/client"
)

// soonest is the shortest time a payer can be given, in seconds.
const soonest = 60

// collect sells: orders, pays and waits until every payment is booked as it
// must be.
func (r *run) collect(ctx context.Context) error {
	if err := r.previews(ctx); err != nil {
		return err
	}
	r.sales = r.program()
	unsure := slices.DeleteFunc(slices.Clone(r.sales), func(s *sale) bool { return !s.loseReply })
	others := slices.DeleteFunc(slices.Clone(r.sales), func(s *sale) bool { return s.loseReply })
	var faults []string
	for _, s := range unsure {
		id, err := r.sandbox.arm(ctx, lost(s.channel, prepayOperation(s.channel)))
		if err != nil {
			return err
		}
		faults = append(faults, id)
	}
	var paid atomic.Int64
	sell := func(ctx context.Context, s *sale) error {
		if err := r.sell(ctx, s); err != nil {
			return fmt.Errorf("payment %s (%s yuan by %s): %w", s.ref, yuan(s.fen), s.channel, err)
		}
		if s.late {
			return nil
		}
		r.say.count("%d of %d payments succeeded", paid.Add(1), len(r.sales)-1)
		return nil
	}
	err := together(ctx,
		func(ctx context.Context) error { return each(ctx, workers, unsure, sell) },
		func(ctx context.Context) error {
			for _, id := range faults { // the others would take the faults away
				if err := r.sandbox.struck(ctx, id); err != nil {
					return err
				}
			}
			return each(ctx, workers, others, sell)
		})
	if err != nil {
		return err
	}
	r.say.done("%d payments succeeded and are split to the fen: 2 without a notification, 2 whose first reply was lost; "+
		"1 is left unpaid", paid.Load())
	return nil
}

func prepayOperation(channel string) string {
	if channel == alipay {
		return "alipay.trade.precreate"
	}
	return http.MethodPost + " /v3/pay/transactions/native"
}

// sell brings one sale to its end: succeeded, or waiting for a payer who comes late.
func (r *run) sell(ctx context.Context, s *sale) error {
	order := client.CreatePayment{MerchantID: s.store.id, Reference: r.key(s.ref), Subject: s.store.name + " " + s.ref,
		Amount: client.PositiveAmount{Amount: s.fen, Currency: client.CurrencyCNY},
		Method: &client.PaymentMethod{Channel: client.Channel(s.channel), Product: client.ProductQr}}
	if s.late {
		order.ExpiresIn = ptr(soonest)
	}
	var err error
	s.payment, err = created[client.Payment](r.api.CreatePaymentWithResponse(ctx,
		&client.CreatePaymentParams{IdempotencyKey: r.key("pay-" + s.ref)}, order))
	if err != nil {
		return err
	}
	if err := r.until(ctx, s, client.PaymentStatusAwaitingPayer); err != nil || s.late {
		return err
	}
	if err := r.payerPays(ctx, s); err != nil {
		return err
	}
	if err := r.until(ctx, s, client.PaymentStatusSucceeded); err != nil {
		return err
	}
	return r.checkPaid(ctx, s)
}

// until reads the payment until it is in the status, and fails when it ends in
// another one.
func (r *run) until(ctx context.Context, s *sale, wanted client.PaymentStatus) error {
	err := await(ctx, "its status", func() (string, error) {
		if s.payment.Status == wanted {
			return "", nil
		}
		var err error
		s.payment, err = got[client.Payment](r.api.GetPaymentWithResponse(ctx, s.payment.ID))
		if err != nil || s.payment.Status == wanted {
			return "", err
		}
		switch s.payment.Status {
		case client.PaymentStatusProcessing, client.PaymentStatusAwaitingPayer:
			return fmt.Sprintf("it is %s and should be %s", s.payment.Status, wanted), nil
		}
		return "", fmt.Errorf("expected %s, got %s", wanted, s.payment.Status)
	})
	return err
}

// payerPays scans the code and pays.
func (r *run) payerPays(ctx context.Context, s *sale) error {
	code := *s.payment.NextAction.QrCode
	var err error
	if s.number, err = r.sandbox.scan(ctx, code); err != nil {
		return err
	}
	if s.mute {
		if err := r.sandbox.mute(ctx, s.channel, s.number); err != nil {
			return err
		}
	}
	if s.byPage {
		return r.sandbox.click(ctx, code)
	}
	return r.sandbox.pay(ctx, s.channel, s.number, false)
}

// checkPaid holds a succeeded payment against the order and the provider's books.
func (r *run) checkPaid(ctx context.Context, s *sale) error {
	p := s.payment
	theirs, err := r.sandbox.order(ctx, s.channel, s.number)
	if err != nil {
		return err
	}
	if p.ChannelTradeNo == nil {
		return fmt.Errorf("it succeeded without the provider's number")
	}
	for _, err := range []error{
		sameFen("its amount", s.fen, p.Amount.Amount),
		sameFen("what the payer paid", s.fen, theirs.Amount),
		sameFen("the provider's fee", r.fee(s), theirs.Fee),
		same("the provider's state", "paid", theirs.State),
		same("the provider's number", theirs.ProviderNo, *p.ChannelTradeNo),
		r.checkSplit("its split", s.store, s.fen, p.Splits),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// previews asks how payments would be divided, before any is made; the same
// figures are expected of the bookings.
func (r *run) previews(ctx context.Context) error {
	var wanted []struct {
		store *store
		fen   int64
	}
	for _, s := range r.stores {
		for _, fen := range []int64{1, 99, 10_001, 123_456_789} {
			wanted = append(wanted, struct {
				store *store
				fen   int64
			}{s, fen})
		}
	}
	for _, w := range wanted {
		preview, err := got[client.SplitPreview](r.api.CreateSplitPreviewWithResponse(ctx,
			&client.CreateSplitPreviewParams{IdempotencyKey: r.key(fmt.Sprintf("preview-%s-%d", w.store.id, w.fen))},
			client.CreateSplitPreview{MerchantID: w.store.id,
				Amount: client.PositiveAmount{Amount: w.fen, Currency: client.CurrencyCNY}}))
		if err != nil {
			return fmt.Errorf("split preview: %w", err)
		}
		what := fmt.Sprintf("the preview of %s yuan for %s", yuan(w.fen), w.store.name)
		if err := r.checkSplit(what, w.store, w.fen, preview.Legs); err != nil {
			return err
		}
	}
	r.say.done("%d split previews agree with paper and pencil", len(wanted))
	return nil
}
