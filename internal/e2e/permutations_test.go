package e2e_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// permuted is one payment whose four messages come in one of the 24 orders.
type permuted struct {
	*forger
	client.Payment
	order  []string
	refund string
}

// permutations lists all orders of some messages.
func permutations(messages []string) (all [][]string) {
	if len(messages) == 0 {
		return [][]string{nil}
	}
	for i, first := range messages {
		rest := slices.Delete(slices.Clone(messages), i, i+1)
		for _, order := range permutations(rest) {
			all = append(all, append([]string{first}, order...))
		}
	}
	return all
}

// TestNoticesInEveryOrder: a payer paid and got a part back. That the trade was
// paid, that it was closed, that it was paid (again, under another id) and that a
// part went back is said in each of 24 orders; the end and the ledger are one. What
// is said of a refund before there is one must come again, as providers do it.
func TestNoticesInEveryOrder(t *testing.T) {
	for _, provider := range []string{alipay, wechatpay} {
		t.Run(provider, func(t *testing.T) {
			w := newWorld(t)
			w.topUp(1_000_000)
			w.notices.mute(true)
			keys := &scene{world: w}
			keys.loadKeys()
			var all []*permuted
			for i, order := range permutations([]string{"paid", "closed", "paid again", "refunded"}) {
				p := w.offered(provider, 1000)
				s := *keys
				known := s.targetOf(p)
				s.targets = map[string][]target{provider: {known, known, known, known}}
				s.genuine = map[string][]kept{provider: {{header: http.Header{}}}}
				f := &forger{scene: &s, Rand: rand.New(rand.NewPCG(*attackSeed, uint64(i))), provider: provider}
				all = append(all, &permuted{forger: f, Payment: p, order: order})
				w.pay(p, false)
			}
			require.Len(t, all, 24)
			for _, p := range all {
				for len(p.order) > 0 && p.order[0] != "refunded" {
					p.say(p.order[0], true)
					p.order = p.order[1:]
				}
				if len(p.order) == 4 { // nothing was said of the payment yet
					p.say("refunded", false)
					for _, message := range p.order[1:] {
						p.say(message, true)
					}
					p.order = []string{"refunded"}
				}
			}
			for _, p := range all {
				w.paymentIs(p.ID, client.PaymentStatusSucceeded)
				p.refund = w.refund(p.Payment, 600).ID
				p.targets[provider] = slices.Repeat([]target{p.targetOf(p.Payment)}, 4)
				for _, message := range p.order {
					p.say(message, true)
				}
			}
			for _, p := range all {
				w.refundIs(p.refund, client.RefundStatusSucceeded)
				require.Equal(t, client.PaymentStatusSucceeded, w.payment(p.ID).Status)
				require.Equal(t, []string{"payment.awaiting_payer", "payment.succeeded"}, w.eventsOf(p.ID))
				require.Equal(t, []string{"refund.succeeded"}, w.eventsOf(p.refund))
				require.Len(t, w.moved(w.numberOf(p.ID)), 1)
				require.Len(t, w.moved(w.refundNumber(p.refund)), 1)
			}
			require.Equal(t, int64(24), w.count(`select count(*) from entries where kind = 'collect'`))
			require.Equal(t, int64(6), w.count(`select coalesce(sum(times), 0)::bigint from refused_notifications`), "refunds said too early")
			require.Equal(t, int64(4*24), w.count(`select count(*) from notifications`))
			require.Zero(t, w.count(`select count(*) from late_receipts`))
		})
	}
}

// say delivers a message as the provider signs it, and wants it taken or to have
// to come again.
func (p *permuted) say(message string, taken bool) {
	p.Helper()
	known := p.open()
	if known.refund == "" {
		known.refund = p.ulid()
	}
	var a attack
	if p.provider == alipay {
		said := p.forger.payment(known)
		switch message {
		case "closed":
			said["trade_status"] = "TRADE_CLOSED"
		case "refunded":
			said = p.forger.refundOf(known)
		}
		a = p.signedBy(p.alipayKey, said)
	} else {
		said := p.paidNotice(known, func(content map[string]string) {
			if message == "closed" {
				content["trade_state"] = quote("CLOSED")
			}
		})
		if message == "refunded" {
			said = p.refundNotice(known, 600, known.fen)
		}
		a = p.sealed(p.keys.WeChatPay, said)
	}
	a.header.Set("Content-Type", "text/plain")
	status, answer := a.send(p.apis[p.IntN(2)], a.path)
	require.Equal(p, taken, accepted(status, answer, p.provider), "%s: %d %s", message, status, answer)
}

// TestSignedLieBooksNothing: even a message that the provider signed, about the
// right trade and amount, is only a reason to ask; nobody has paid, so nothing is
// booked.
func TestSignedLieBooksNothing(t *testing.T) {
	w := newWorld(t)
	s := &scene{world: w, targets: map[string][]target{}, genuine: map[string][]kept{alipay: {{header: http.Header{}}}, wechatpay: {{}}}}
	s.loadKeys()
	var all []client.Payment
	for _, provider := range []string{alipay, wechatpay} {
		p := w.offered(provider, 2000)
		s.targets[provider] = slices.Repeat([]target{s.targetOf(p)}, 4)
		f := &forger{scene: s, Rand: rand.New(rand.NewPCG(*attackSeed, 0)), provider: provider}
		lie := f.sealed(s.keys.WeChatPay, f.paidNotice(f.open(), nil))
		if provider == alipay {
			lie = f.signedBy(s.alipayKey, f.payment(f.open()))
		}
		status, answer := lie.send(w.apis[0], lie.path)
		require.True(t, accepted(status, answer, provider), "%d %s", status, answer)
		w.await("the workflow was told", func() (bool, any) {
			n := w.count(`select count(*) from notifications where handled_at is null`)
			return n == 0, n
		})
		w.hurry(paymentWorkflow(p.ID))
		all = append(all, p)
	}
	w.expire(all...)
	require.Zero(t, w.count(`select count(*) from entries where kind = 'collect'`))
}
