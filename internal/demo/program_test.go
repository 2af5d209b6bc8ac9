package demo

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// played is a run after its phases, without a platform.
func played(t *testing.T) *run {
	t.Helper()
	r := &run{day: "2026-11-23", rates: map[string]rate{
		alipay:    {accountID: "chn_a", basisPoints: 60, merchant: "2021"},
		wechatpay: {accountID: "chn_w", basisPoints: 60, merchant: "1900", returned: true},
	}}
	r.head, r.agent = partner{"mch_h", "head"}, partner{"mch_g", "agent"}
	r.stores = []*store{
		{id: "mch_1", name: "one", t0: true, terms: terms{100, 500, 2000}},
		{id: "mch_2", name: "two", terms: terms{60, 333, 2000}},
		{id: "mch_3", name: "three", terms: terms{150, 1250, 2000}},
	}
	r.sales = r.program()
	for _, s := range r.sales {
		s.number = "N" + s.ref
	}
	back := func(ref string, fen int64) {
		s := r.sale(ref)
		r.refunds = append(r.refunds, &giveback{sale: s, fen: fen})
	}
	back(saleQuarter, r.sale(saleQuarter).fen/4)
	back(saleWhole, r.sale(saleWhole).fen)
	back(saleTwoSteps, 3_333)
	back(saleTwoSteps, r.sale(saleTwoSteps).fen-3_333)
	back(saleLost, r.sale(saleLost).fen)
	back(saleLate, r.sale(saleLate).fen)
	r.withdrawals = []client.Withdrawal{{MerchantID: "mch_1", Amount: client.Amount{Amount: withdrawn}}}
	r.seeds = r.lies()
	return r
}

func TestTheProgramCoversWhatADemoMustShow(t *testing.T) {
	t.Parallel()
	r := played(t)
	stores, channels, refs := map[*store]int{}, map[string]int{}, map[string]bool{}
	var late, muted, lost, pages, fens int
	for _, s := range r.sales {
		stores[s.store]++
		channels[s.channel]++
		refs[s.ref] = true
		count := func(n *int, yes bool) {
			if yes {
				*n++
			}
		}
		count(&late, s.late)
		count(&muted, s.mute)
		count(&lost, s.loseReply)
		count(&pages, s.byPage)
		count(&fens, s.fen == 1)
	}
	require.GreaterOrEqual(t, len(r.sales), 31)
	require.Len(t, refs, len(r.sales), "references are unique")
	require.Len(t, stores, 3)
	require.Len(t, channels, 2)
	require.Equal(t, []int{1, 2, 2, 1}, []int{late, muted, lost, fens})
	require.Greater(t, pages, 1)
}

func TestExpectedBalancesHoldEveryFen(t *testing.T) {
	t.Parallel()
	r := played(t)
	balances, err := r.expectedBalances()
	require.NoError(t, err)
	require.Len(t, balances, 5)
	var sum int64
	for _, b := range balances {
		require.GreaterOrEqual(t, b.available, int64(0), b.name)
		sum += b.available
	}
	for _, s := range r.stores {
		kept, err := r.expectedShares(s)
		require.NoError(t, err)
		sum += kept.platform
	}
	a, w := r.expectedFlows(alipay), r.expectedFlows(wechatpay)
	require.Equal(t, a.payments.fen-a.refunds.fen-a.transfers.fen+w.payments.fen-w.refunds.fen, sum)
	require.Zero(t, w.transfers)
}

func TestARefundThatDoesNotDivideIsAnErrorOfTheProgram(t *testing.T) {
	t.Parallel()
	r := played(t)
	r.refunds = append(r.refunds, &giveback{sale: r.sale("28"), fen: 1})
	_, err := r.expectedBalances()
	require.ErrorContains(t, err, "does not divide evenly")
}

// finding is what reconciliation would report of a seed.
func finding(s seed) client.Discrepancy {
	f := client.Discrepancy{Kind: s.kind, Status: s.status, Number: s.edit.Number, OurAmount: s.ours, TheirAmount: s.theirs}
	if s.feeOff != 0 {
		f.OurFee, f.TheirFee, f.AdjustmentEntryID = ptr(int64(1199)), ptr("12.02000"), ptr("ent_1")
	}
	return f
}

func TestFindingsMustBeExactlyTheSeeds(t *testing.T) {
	t.Parallel()
	kinds := map[client.DiscrepancyKind]bool{}
	providers := map[string]bool{}
	for _, s := range played(t).seeds {
		kinds[s.kind] = true
		providers[s.edit.Provider] = true
	}
	require.Len(t, kinds, 5)
	require.Len(t, providers, 2)

	for name, c := range map[string]struct {
		change func([]client.Discrepancy) []client.Discrepancy
		says   string
	}{
		"exactly": {func(f []client.Discrepancy) []client.Discrepancy { return f }, ""},
		"one missing": {func(f []client.Discrepancy) []client.Discrepancy { return f[1:] },
			"how often the seeded difference missing_in_bill"},
		"one invented": {func(f []client.Discrepancy) []client.Discrepancy {
			return append(f, client.Discrepancy{Kind: "next_day", Number: "X"})
		}, "nobody seeded: next_day on X"},
		"one of another kind": {func(f []client.Discrepancy) []client.Discrepancy {
			f[2].Kind = "foreign_line"
			return f
		}, "nobody seeded: foreign_line"},
		"one twice": {func(f []client.Discrepancy) []client.Discrepancy { return append(f, f[1]) },
			"how often the seeded difference duplicate_line"},
		"another amount": {func(f []client.Discrepancy) []client.Discrepancy {
			f[3].TheirAmount = ptr(int64(100_031))
			return f
		}, "their amount: expected 1000.30, got 1000.31"},
		"another status": {func(f []client.Discrepancy) []client.Discrepancy {
			f[0].Status = "explained"
			return f
		}, "its status: expected open, got explained"},
		"another fee": {func(f []client.Discrepancy) []client.Discrepancy {
			f[4].TheirFee = ptr("12.03000")
			return f
		}, "what the fee differs by: expected 0.03, got 0.04"},
		"not booked": {func(f []client.Discrepancy) []client.Discrepancy {
			f[4].AdjustmentEntryID = nil
			return f
		}, "expected an adjustment entry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := played(t)
			for _, s := range r.seeds {
				r.findings = append(r.findings, finding(s))
			}
			r.findings = c.change(r.findings)
			err := r.compareFindings()
			if c.says == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.says)
			}
		})
	}
}
