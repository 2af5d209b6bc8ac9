package e2e_test

import (
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// movement is money that moved at a provider, under our number.
type movement struct {
	Kind, Number string
	Fen          int64
}

func sorted(m []movement) []movement {
	slices.SortFunc(m, func(a, b movement) int {
		return slices.Compare([]string{a.Kind, a.Number, fmt.Sprint(a.Fen)}, []string{b.Kind, b.Number, fmt.Sprint(b.Fen)})
	})
	return m
}

// theirMoney is what the sandbox's books say moved, fees included. What came
// back completely under its own number did not move.
func (w *world) theirMoney() []movement {
	w.Helper()
	var answer struct {
		Movements []struct {
			Kind, Number string
			Amount       int64
		}
	}
	w.control("GET", "/control/books/movements", nil, &answer)
	var list []movement
	net := map[string]int64{}
	for _, m := range answer.Movements {
		net[m.Number] += m.Amount
	}
	for _, m := range answer.Movements {
		if m.Kind != "top_up" && m.Amount != 0 && net[m.Number] != 0 {
			list = append(list, movement{m.Kind, m.Number, m.Amount})
		}
	}
	return sorted(list)
}

// ourMoney is what our entries say moved at the providers: postings to the
// money we have there, each under the number the provider knows.
func (w *world) ourMoney() []movement {
	w.Helper()
	rows, err := w.db.Pool.Query(w.ctx, `
		select case e.kind || '/' || e.phase
		         when 'fee/channel' then 'payment_fee' when 'fee_refund/channel' then 'refund_fee'
		         else case e.kind when 'collect' then 'payment' when 'refund' then 'refund' when 'payout' then 'transfer'
		              else e.kind || '/' || e.phase end end,
		  coalesce(t.number, r.number, d.number, e.number), sum(p.amount)::bigint
		from entries e
		join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq
		join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
		left join attempts t on t.tenant_id = e.tenant_id and t.id = e.number
		left join refunds r on r.tenant_id = e.tenant_id and r.id = e.number
		left join withdrawals d on d.tenant_id = e.tenant_id and d.id = e.number
		where a.type in ('channel_unsettled', 'channel_balance') and e.kind not in ('custody_transfer', 'adjustment')
		group by e.tenant_id, e.seq, e.kind, e.phase, e.number, t.number, r.number, d.number
		having sum(p.amount) <> 0`)
	require.NoError(w, err)
	defer rows.Close()
	var list []movement
	for rows.Next() {
		var m movement
		require.NoError(w, rows.Scan(&m.Kind, &m.Number, &m.Fen))
		list = append(list, m)
	}
	require.NoError(w, rows.Err())
	return sorted(moving(list))
}

// moving leaves out what came back completely under its own number.
func moving(list []movement) []movement {
	net := map[string]int64{}
	for _, m := range list {
		net[m.Number] += m.Fen
	}
	return slices.DeleteFunc(list, func(m movement) bool { return net[m.Number] == 0 })
}

// moved lists what moved at the provider under a number: nothing but its kind
// and amount, fees left out.
func (w *world) moved(number string) []movement {
	w.Helper()
	var list []movement
	for _, m := range w.theirMoney() {
		if m.Number == number && m.Kind != "payment_fee" && m.Kind != "refund_fee" {
			list = append(list, m)
		}
	}
	return list
}

// posted is the balance of one of our accounts, positive on its normal side;
// without an owner, of all of the type.
func (w *world) posted(kind client.AccountType, owner string) int64 {
	w.Helper()
	params := client.ListAccountsParams{Type: &kind}
	if owner != "" {
		params.Owner = &owner
	}
	answer, err := w.api.ListAccountsWithResponse(w.ctx, &params)
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
	var sum int64
	for _, account := range answer.JSON200.Data {
		sum += account.Posted.Amount
	}
	return sum
}

// held is what of a merchant's available money is promised.
func (w *world) held(owner string) int64 {
	w.Helper()
	kind := client.AccountTypeMerchantAvailable
	answer, err := w.api.ListAccountsWithResponse(w.ctx, &client.ListAccountsParams{Type: &kind, Owner: &owner})
	require.NoError(w, err)
	require.NotNil(w, answer.JSON200, "%s", answer.Body)
	var sum int64
	for _, account := range answer.JSON200.Data {
		sum += account.Held.Amount
	}
	return sum
}
