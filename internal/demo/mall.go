package demo

import (
	"context"
	"fmt"

	"github.com/suanpan/suanpan/client"
)

// partner is a merchant that only receives shares.
type partner struct{ id, name string }

// store is a merchant that sells.
type store struct {
	id, name string
	// t0: the money is available at once.
	t0     bool
	terms  terms
	payout *client.CreatePayoutAccount
}

// open makes the mall: a head agent, an agent below it, three stores below
// that, and the rules that divide their income.
func (r *run) open(ctx context.Context) error {
	if err := r.subscribe(ctx); err != nil {
		return err
	}
	r.head = partner{name: "华东总代 Head agent"}
	r.agent = partner{name: "苏州代理 Agent"}
	r.stores = []*store{
		{name: "平江书店 Bookshop", t0: true, terms: terms{platform: 100, agent: 500, head: 2000},
			payout: &client.CreatePayoutAccount{Channel: client.CreatePayoutAccountChannelAlipay,
				Account: "boss-" + r.id + "@example.com", Name: "张小明"}},
		{name: "观前茶馆 Teahouse", terms: terms{platform: 60, agent: 333, head: 2000}},
		{name: "山塘面馆 Noodle bar", terms: terms{platform: 150, agent: 1250, head: 2000}},
	}
	var err error
	if r.head.id, err = r.merchant(ctx, "head", r.head.name, nil, false, nil); err != nil {
		return err
	}
	if r.agent.id, err = r.merchant(ctx, "agent", r.agent.name, &r.head.id, false, nil); err != nil {
		return err
	}
	if err := r.rule(ctx, "agent", r.agent.id, percentLeg(r.stores[0].terms.head, r.head.id)); err != nil {
		return err
	}
	for i, s := range r.stores {
		name := fmt.Sprintf("store-%d", i+1)
		if s.id, err = r.merchant(ctx, name, s.name, &r.agent.id, s.t0, s.payout); err != nil {
			return err
		}
		platform := client.SplitRuleLeg{Receiver: client.ReceiverPlatform, Type: client.SplitRuleLegTypePercent,
			BasisPoints: ptr(int(s.terms.platform))}
		if err := r.rule(ctx, name, s.id, platform, percentLeg(s.terms.agent, r.agent.id)); err != nil {
			return err
		}
		if s.payout != nil {
			payee := map[string]any{"identity": s.payout.Account, "name": s.payout.Name}
			if err := r.sandbox.post(ctx, "/control/alipay/payees", payee, nil); err != nil {
				return err
			}
		}
	}
	r.say.done("3 stores under an agent under a head agent, with rules of two levels; webhooks come to %s", r.hooks.url)
	return nil
}

func (r *run) merchant(ctx context.Context, ref, name string, parent *string, t0 bool, payout *client.CreatePayoutAccount) (string, error) {
	settlement := client.SettlementT1
	if t0 {
		settlement = client.SettlementT0
	}
	m, err := created[client.Merchant](r.api.CreateMerchantWithResponse(ctx,
		&client.CreateMerchantParams{IdempotencyKey: r.key(ref)},
		client.CreateMerchant{Reference: r.key(ref), Name: name, ParentID: parent, Settlement: settlement, PayoutAccount: payout}))
	if err != nil {
		return "", fmt.Errorf("merchant %s: %w", name, err)
	}
	return m.ID, nil
}

// rule divides a merchant's income: the legs given, and the rest for itself.
func (r *run) rule(ctx context.Context, ref, merchantID string, legs ...client.SplitRuleLeg) error {
	legs = append(legs, client.SplitRuleLeg{Receiver: client.ReceiverMerchant, MerchantID: &merchantID,
		Type: client.SplitRuleLegTypeRemainder})
	_, err := created[client.SplitRule](r.api.CreateSplitRuleWithResponse(ctx,
		&client.CreateSplitRuleParams{IdempotencyKey: r.key(ref + "-rule")},
		client.CreateSplitRule{MerchantID: merchantID, Legs: legs}))
	if err != nil {
		return fmt.Errorf("split rule of %s: %w", ref, err)
	}
	return nil
}

func percentLeg(basisPoints int64, merchantID string) client.SplitRuleLeg {
	return client.SplitRuleLeg{Receiver: client.ReceiverMerchant, MerchantID: &merchantID,
		Type: client.SplitRuleLegTypePercent, BasisPoints: ptr(int(basisPoints))}
}

// checkSplit compares legs with what the store's terms come to. Legs without
// money do not count.
func (r *run) checkSplit(what string, s *store, fen int64, legs []client.SplitLeg) error {
	expected := s.terms.divide(fen)
	var booked shares
	for _, leg := range legs {
		switch {
		case leg.Receiver == client.ReceiverPlatform && leg.Level == 1:
			booked.platform += leg.Amount.Amount
		case leg.MerchantID != nil && *leg.MerchantID == s.id && leg.Level == 0:
			booked.store += leg.Amount.Amount
		case leg.MerchantID != nil && *leg.MerchantID == r.agent.id && leg.Level == 1:
			booked.agent += leg.Amount.Amount
		case leg.MerchantID != nil && *leg.MerchantID == r.head.id && leg.Level == 2:
			booked.head += leg.Amount.Amount
		default:
			return fmt.Errorf("%s: nobody expected a leg for %s on level %d", what, leg.Receiver, leg.Level)
		}
	}
	for _, c := range []struct {
		who           string
		expected, got int64
	}{
		{s.name, expected.store, booked.store}, {"the platform", expected.platform, booked.platform},
		{r.agent.name, expected.agent, booked.agent}, {r.head.name, expected.head, booked.head},
	} {
		if err := sameFen(what+", the part of "+c.who, c.expected, c.got); err != nil {
			return err
		}
	}
	return nil
}
