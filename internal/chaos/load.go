package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/suanpan/suanpan/client"
)

// load is the clients: shoppers who pay and get money back, merchants who
// withdraw, and an operator who closes the days.
type load struct {
	*caller
	provider *provider
	run      string // part of every key and reference
	seed     uint64
	mall     mall
	accounts map[string]string // channel account ids by channel
	days     *days

	running sync.WaitGroup
	// open is held for reading by flows under way and for writing by the operator
	// who lets the day end.
	open sync.RWMutex
	// evening tells flows that the day is about to end: what they wait for is left
	// to the platform.
	evening atomic.Bool

	payments, refunds, withdrawals, transfers, late atomic.Int64
	paid, declined                                  atomic.Int64
	refusals                                        tally
	trouble                                         faultList

	mu    sync.Mutex
	stale []ordered // payments that nobody paid in time
}

// ordered is a payment as its payer knows it.
type ordered struct {
	id, channel, code, number string
	fen                       int64
	store                     *store
}

// tally counts by name.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (t *tally) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[string]int{}
	}
	t.n[name]++
}

func (t *tally) all() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	copied := map[string]int{}
	for name, n := range t.n {
		copied[name] = n
	}
	return copied
}

// key is an Idempotency-Key and a reference in one.
func (l *load) key(what string) string { return "chaos-" + l.run + "-" + what }

// workflows is how many workflows that move money were asked for.
func (l *load) workflows() int64 {
	return l.payments.Load() + l.refunds.Load() + l.withdrawals.Load()
}

// start lets n shoppers shop until ctx ends.
func (l *load) start(ctx context.Context, n int) {
	for i := range n {
		l.running.Go(func() {
			random := rand.New(rand.NewPCG(l.seed, uint64(i)))
			for flow := 0; ctx.Err() == nil; flow++ {
				l.open.RLock()
				if ctx.Err() == nil {
					s := &shopper{load: l, random: random, name: fmt.Sprintf("s%d-%d", i, flow)}
					s.shop(context.WithoutCancel(ctx))
				}
				l.open.RUnlock()
				rest(ctx, time.Duration(random.IntN(400))*time.Millisecond)
			}
		})
	}
}

// wait returns when every flow has ended.
func (l *load) wait() { l.running.Wait() }

// mall is who sells and who gets a share.
type mall struct {
	head, agent string
	stores      []*store
}

// store is a merchant that sells. One with money available at once may withdraw
// and transfer.
type store struct {
	id     string
	t0     bool
	agents int64 // basis points for the agent

	mu    sync.Mutex
	spare int64 // fen that certainly arrived and that nobody has spent
}

// spend takes fen of what is certainly there.
func (s *store) spend(fen int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spare < fen {
		return false
	}
	s.spare -= fen
	return true
}

func (s *store) earn(fen int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare += fen
}

// openMall makes a head agent, an agent below it and the stores below that, with
// rules that divide every payment over two levels.
func (l *load) openMall(ctx context.Context) error {
	var err error
	if l.mall.head, err = l.merchant(ctx, "head", nil, false); err != nil {
		return err
	}
	if l.mall.agent, err = l.merchant(ctx, "agent", &l.mall.head, false); err != nil {
		return err
	}
	if err := l.rule(ctx, "agent", l.mall.agent, percent(2000, l.mall.head)); err != nil {
		return err
	}
	for i, s := range []*store{{t0: true, agents: 500}, {agents: 333}, {t0: true, agents: 1250}, {agents: 77}} {
		name := fmt.Sprintf("store-%d", i+1)
		if s.id, err = l.merchant(ctx, name, &l.mall.agent, s.t0); err != nil {
			return err
		}
		platform := client.SplitRuleLeg{Receiver: client.ReceiverPlatform, Type: client.SplitRuleLegTypePercent, BasisPoints: ptr(100)}
		if err := l.rule(ctx, name, s.id, platform, percent(s.agents, l.mall.agent)); err != nil {
			return err
		}
		l.mall.stores = append(l.mall.stores, s)
	}
	return nil
}

func (l *load) merchant(ctx context.Context, name string, parent *string, t0 bool) (string, error) {
	settlement := client.SettlementT1
	if t0 {
		settlement = client.SettlementT0
	}
	key := l.key(name)
	out, err := l.post(ctx, record{Operation: "createMerchant", Key: key, Reference: key}, func(api *client.API) (outcome, error) {
		a, err := api.CreateMerchantWithResponse(ctx, &client.CreateMerchantParams{IdempotencyKey: key},
			client.CreateMerchant{Reference: key, Name: name, ParentID: parent, Settlement: settlement,
				PayoutAccount: &client.CreatePayoutAccount{Channel: client.CreatePayoutAccountChannelAlipay,
					Account: name + "-" + l.run + "@example.com", Name: "张小明"}})
		if err != nil {
			return outcome{}, err
		}
		return outcome{id: a.JSON201.ID}, nil
	})
	return out.made(err)
}

func (l *load) rule(ctx context.Context, name, merchantID string, legs ...client.SplitRuleLeg) error {
	legs = append(legs, client.SplitRuleLeg{Receiver: client.ReceiverMerchant, MerchantID: &merchantID,
		Type: client.SplitRuleLegTypeRemainder})
	key := l.key(name + "-rule")
	out, err := l.post(ctx, record{Operation: "createSplitRule", Key: key}, func(api *client.API) (outcome, error) {
		a, err := api.CreateSplitRuleWithResponse(ctx, &client.CreateSplitRuleParams{IdempotencyKey: key},
			client.CreateSplitRule{MerchantID: merchantID, Legs: legs})
		if err != nil {
			return outcome{}, err
		}
		return outcome{id: a.JSON201.ID}, nil
	})
	_, err = out.made(err)
	return err
}

func percent(basisPoints int64, merchantID string) client.SplitRuleLeg {
	return client.SplitRuleLeg{Receiver: client.ReceiverMerchant, MerchantID: &merchantID,
		Type: client.SplitRuleLegTypePercent, BasisPoints: ptr(int(basisPoints))}
}

// subscribe has every event sent to the sink through its proxy.
func (l *load) subscribe(ctx context.Context, s *sink, name string, proxied int) error {
	key := l.key(name)
	out, err := l.post(ctx, record{Operation: "createWebhookEndpoint", Key: key}, func(api *client.API) (outcome, error) {
		a, err := api.CreateWebhookEndpointWithResponse(ctx, &client.CreateWebhookEndpointParams{IdempotencyKey: key},
			client.CreateWebhookEndpoint{URL: localURL(proxied, "/webhooks")})
		if err != nil {
			return outcome{}, err
		}
		s.trust(a.JSON201.Secret)
		return outcome{id: a.JSON201.ID}, nil
	})
	_, err = out.made(err)
	return err
}

// made is the id of what a call made that must not be refused.
func (o outcome) made(err error) (string, error) {
	if err == nil && o.refused != "" {
		err = fmt.Errorf("refused: %s", o.refused)
	}
	return o.id, err
}

func ptr[T any](v T) *T { return &v }
