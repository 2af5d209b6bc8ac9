//go:build chaos

package crashmatrix_test

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/ledger"
)

// judge wants that nothing is left to do, that our books are sound and equal the
// providers', that nothing happened twice, and that every accepted request is
// answered again with the same bytes.
func (w *world) judge() {
	w.Helper()
	w.everythingEnded()
	var report ledger.Report
	require.NoError(w, w.db.DB.Snapshot(w.ctx, func(tx pgx.Tx) (err error) {
		report, err = ledger.Check(w.ctx, tx, app.Invariants(), ledger.VerifyOptions{})
		return err
	}))
	for _, result := range report.Results {
		require.Empty(w, result.Breaks, "%s: %s", result.ID, result.Rule)
	}
	require.True(w, report.Sound)
	require.Zero(w, w.count(`select count(*) from (
		select from postings p join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
		group by a.tenant_id, a.book, a.currency having sum(p.amount) <> 0) unequal`), "the trial balance")
	require.Zero(w, w.count(`select coalesce(sum(held), 0)::bigint from ledger_accounts`), "nothing is held")
	// Each attempt offers the payment anew, and a refund waits anew for a destination
	// when the provider never got the first; what came back is paid once more.
	require.Zero(w, w.count(`select count(*) from (
		select from events group by tenant_id, object_id, type
		having count(*) > case type when 'refund.abnormal' then 2
			when 'refund.succeeded' then 1 + (select returns from refunds where id = object_id) when 'payment.awaiting_payer'
			then greatest(1, (select count(*) from attempts where payment_id = object_id)) else 1 end) twice`), "an event was told twice")
	require.Equal(w, w.theirMoney(), w.ourMoney(), "the providers' books and ours")
	w.answersAreKept()
}

// everythingEnded waits for the workflow of everything that requires one, and for
// what was stored and not handled.
func (w *world) everythingEnded() {
	w.Helper()
	rows, err := w.db.Pool.Query(w.ctx, `select workflow_id from workflow_starts`)
	require.NoError(w, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w, err)
	for _, id := range ids {
		w.await("the end of "+id, func() (bool, any) {
			found, err := w.temporal.DescribeWorkflowExecution(w.ctx, id, "")
			if err != nil {
				return false, err
			}
			status := found.WorkflowExecutionInfo.Status.String()
			return status == "Completed", status
		})
	}
	w.await("notifications are handled and starts noted", func() (bool, any) {
		n := w.count(`select (select count(*) from notifications where handled_at is null) +
			(select count(*) from workflow_starts where started_at is null)`)
		return n == 0, n
	})
}

// answersAreKept repeats every POST that was accepted.
func (w *world) answersAreKept() {
	w.Helper()
	w.posts.mu.Lock()
	defer w.posts.mu.Unlock()
	for _, p := range w.posts.answered {
		if p.status != http.StatusCreated || slices.Contains([]string{"/v1/webhook_endpoints", "/v1/api_keys"}, p.request.URL.Path) {
			continue // a secret is shown once
		}
		status, header, answer, err := exchange(p.request, p.body)
		require.NoError(w, err)
		require.Equal(w, p.status, status, "%s again: %s", p.request.URL.Path, answer)
		require.Equal(w, string(p.answer), string(answer), "%s again", p.request.URL.Path)
		require.Equal(w, "true", header.Get("Idempotency-Replayed"))
	}
}

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

// theirMoney is what the sandbox's books say moved, fees included. What came back
// completely under its own number did not move.
func (w *world) theirMoney() []movement {
	w.Helper()
	var answer struct {
		Movements []struct {
			Kind, Number string
			Amount       int64
		}
	}
	w.control("GET", "/control/books/movements", nil, &answer)
	list := []movement{}
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

// ourMoney is what our entries say moved at the providers: postings to the money
// we have there, each under the number the provider knows.
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
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[movement])
	require.NoError(w, err)
	net := map[string]int64{}
	for _, m := range list {
		net[m.Number] += m.Fen
	}
	return sorted(slices.DeleteFunc(list, func(m movement) bool { return net[m.Number] == 0 }))
}
