package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/suanpan/suanpan/client"
)

// How long a shopper waits for the platform before leaving; what was begun goes
// on, and the judge looks at it in the end.
const (
	shopperPatience = 45 * time.Second
	shopperLooks    = 400 * time.Millisecond
)

// shopper is one payment and what follows on it.
type shopper struct {
	*load
	random *rand.Rand
	name   string
}

// shop orders, pays or does not, and often wants some of the money back.
func (s *shopper) shop(ctx context.Context) {
	from := s.mall.stores[s.random.IntN(len(s.mall.stores))]
	o := ordered{channel: []string{alipay, wechatpay}[s.random.IntN(2)], fen: 1 + s.random.Int64N(50_000), store: from}
	if !s.order(ctx, &o) || !s.payable(ctx, &o) {
		return
	}
	var err error
	if o.number, err = s.provider.scan(ctx, o.code); err != nil {
		s.trouble.add(err.Error())
		return
	}
	switch dice := s.random.IntN(100); {
	case dice < 6: // changes his mind on the page
		s.decline(ctx, o)
		return
	case dice < 10: // never comes back
		s.leave(o)
		return
	}
	if !s.pay(ctx, o) || !s.succeeded(ctx, o) {
		return
	}
	if from.t0 {
		from.earn(o.fen / 2) // the rest may go to others, to fees and back to payers
	}
	switch dice := s.random.IntN(100); {
	case dice < 18:
		s.refund(ctx, o, "all", o.fen)
	case dice < 32 && o.fen >= 3:
		if s.refund(ctx, o, "third", o.fen/3) {
			s.refund(ctx, o, "rest", o.fen-o.fen/3)
		}
	case dice < 60 && from.t0:
		s.withdraw(ctx, from, 100+s.random.Int64N(400))
	case dice < 80 && from.t0:
		s.transfer(ctx, from, s.mall.stores[s.random.IntN(len(s.mall.stores))], 1+s.random.Int64N(300))
	}
}

// order asks for the payment.
func (s *shopper) order(ctx context.Context, o *ordered) bool {
	key := s.key(s.name)
	expires := 60 + s.random.IntN(600)
	out, err := s.post(ctx, record{Operation: "createPayment", Key: key, Reference: key, Fen: o.fen},
		func(api *client.API) (outcome, error) {
			a, err := api.CreatePaymentWithResponse(ctx, &client.CreatePaymentParams{IdempotencyKey: key},
				client.CreatePayment{MerchantID: o.store.id, Reference: key, Subject: "chaos " + s.name, ExpiresIn: &expires,
					Amount: amount(o.fen), Method: &client.PaymentMethod{Channel: client.Channel(o.channel),
						Product: client.ProductQr}})
			if err != nil {
				return outcome{}, err
			}
			if a.JSON201.NextAction != nil && a.JSON201.NextAction.QrCode != nil {
				o.code = *a.JSON201.NextAction.QrCode
			}
			return outcome{id: a.JSON201.ID, status: string(a.JSON201.Status)}, nil
		})
	s.payments.Add(1)
	if !s.fine("payment", out, err) {
		return false
	}
	o.id = out.id
	return true
}

// payable waits until the payment has a code to scan.
func (s *shopper) payable(ctx context.Context, o *ordered) bool {
	return o.code != "" || s.await(ctx, func() (bool, error) {
		var p *client.Payment
		err := s.get(ctx, "getPayment", func(api *client.API) error {
			a, err := api.GetPaymentWithResponse(ctx, o.id)
			if err == nil {
				p = a.JSON200
			}
			return err
		})
		if err != nil || p == nil || p.NextAction == nil || p.NextAction.QrCode == nil {
			return p != nil && p.Status != client.PaymentStatusProcessing, err
		}
		o.code = *p.NextAction.QrCode
		return true, nil
	}) && o.code != ""
}

// pay presses the button of the payer's page.
func (s *shopper) pay(ctx context.Context, o ordered) bool {
	key := s.key(s.name)
	if err := s.journal.write(record{What: "payer", Key: key, Number: o.number, Act: "pays", Fen: o.fen}); err != nil {
		s.trouble.add(err.Error())
		return false
	}
	paid, err := s.provider.press(ctx, o.code, "pay")
	if err != nil {
		s.trouble.add(err.Error())
		return false
	}
	if !paid { // his time was over
		s.leave(o)
		return false
	}
	s.paid.Add(1)
	err = s.journal.write(record{What: "payer", Key: key, Number: o.number, Act: "paid", Fen: o.fen})
	return err == nil
}

func (s *shopper) decline(ctx context.Context, o ordered) {
	s.declined.Add(1)
	if _, err := s.provider.press(ctx, o.code, "decline"); err != nil {
		s.trouble.add(err.Error())
	}
	s.leave(o)
}

// leave keeps an unpaid payment for somebody who may pay it when it is too late.
func (s *shopper) leave(o ordered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = append(s.stale, o)
}

func (s *shopper) succeeded(ctx context.Context, o ordered) bool {
	return s.await(ctx, func() (bool, error) {
		done := false
		err := s.get(ctx, "getPayment", func(api *client.API) error {
			a, err := api.GetPaymentWithResponse(ctx, o.id)
			done = err == nil && a.JSON200.Status == client.PaymentStatusSucceeded
			return err
		})
		return done, err
	})
}

// refund gives fen back and reports whether that has happened.
func (s *shopper) refund(ctx context.Context, o ordered, which string, fen int64) bool {
	key := s.key(s.name + "-" + which)
	out, err := s.post(ctx, record{Operation: "createRefund", Key: key, Reference: key, Of: o.id, Fen: fen},
		func(api *client.API) (outcome, error) {
			a, err := api.CreateRefundWithResponse(ctx, o.id, &client.CreateRefundParams{IdempotencyKey: key},
				client.CreateRefund{Reference: key, Reason: "chaos", Amount: amount(fen)})
			if err != nil {
				return outcome{}, err
			}
			return outcome{id: a.JSON201.ID, status: string(a.JSON201.Status)}, nil
		})
	if !s.fine("refund", out, err) {
		return false
	}
	s.refunds.Add(1)
	return s.await(ctx, func() (bool, error) {
		done := false
		err := s.get(ctx, "getRefund", func(api *client.API) error {
			a, err := api.GetRefundWithResponse(ctx, out.id)
			done = err == nil && a.JSON200.Status != client.RefundStatusProcessing
			return err
		})
		return done, err
	})
}

// withdraw pays some of a store's money out and does not wait for it.
func (s *shopper) withdraw(ctx context.Context, from *store, fen int64) {
	if !from.spend(fen) {
		return
	}
	key := s.key(s.name + "-out")
	out, err := s.post(ctx, record{Operation: "createWithdrawal", Key: key, Reference: key, Fen: fen},
		func(api *client.API) (outcome, error) {
			a, err := api.CreateWithdrawalWithResponse(ctx, &client.CreateWithdrawalParams{IdempotencyKey: key},
				client.CreateWithdrawal{MerchantID: from.id, Reference: key, Amount: amount(fen)})
			if err != nil {
				return outcome{}, err
			}
			return outcome{id: a.JSON201.ID, status: string(a.JSON201.Status)}, nil
		})
	if s.fine("withdrawal", out, err) {
		s.withdrawals.Add(1)
	}
}

// transfer moves some of a store's money to another one.
func (s *shopper) transfer(ctx context.Context, from, to *store, fen int64) {
	if from == to || !from.spend(fen) {
		return
	}
	key := s.key(s.name + "-over")
	out, err := s.post(ctx, record{Operation: "createTransfer", Key: key, Reference: key, Fen: fen},
		func(api *client.API) (outcome, error) {
			a, err := api.CreateTransferWithResponse(ctx, &client.CreateTransferParams{IdempotencyKey: key},
				client.CreateTransfer{FromMerchantID: from.id, ToMerchantID: to.id, Reference: key, Amount: amount(fen)})
			if err != nil {
				return outcome{}, err
			}
			return outcome{id: a.JSON201.ID, status: string(a.JSON201.Status)}, nil
		})
	if s.fine("transfer", out, err) {
		s.transfers.Add(1)
	}
}

// fine counts refusals, which are answers, and notes what is none.
func (s *shopper) fine(what string, out outcome, err error) bool {
	if err != nil {
		s.trouble.add(fmt.Sprintf("%s %s: %v", what, s.name, err))
		return false
	}
	if out.refused != "" {
		s.refusals.add(what + " " + out.refused)
		return false
	}
	return true
}

// await looks until done, for as long as a shopper has patience and the shops are open.
func (s *shopper) await(ctx context.Context, look func() (done bool, err error)) bool {
	deadline := time.Now().Add(shopperPatience)
	for time.Now().Before(deadline) && !s.evening.Load() {
		done, err := look()
		if err != nil {
			s.trouble.add(err.Error())
			return false
		}
		if done {
			return true
		}
		rest(ctx, shopperLooks)
	}
	return false
}

func amount(fen int64) client.PositiveAmount {
	return client.PositiveAmount{Amount: fen, Currency: client.CurrencyCNY}
}
