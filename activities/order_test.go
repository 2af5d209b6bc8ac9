package activities_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
)

var (
	orderSeed   = flag.Uint64("orders.seed", 1, "decides which orders of messages are tried")
	ordersTried = flag.Int("orders", 6, "how many orders of messages are tried per truth; 0 tries all")
	oneTruth    = flag.String("truth", "", "try only this truth")
	oneOrder    = flag.String("order", "", "try only this order: messages with commas between them")
)

// truth is what really happened at a provider, with the messages about it that
// may reach us, each or none, in any order.
type truth struct {
	name     string
	begin    func(*stage) (accept.Ref, string)
	messages []string
	// found are orders that once had another end: they are always tried.
	found []string
	// sure are those that the provider repeats until they are taken: never lost.
	sure []string
	want fate

	// Of payments: what the trade is once prepared, and what happens at its end.
	prepared                                                channel.TradeState
	declines, paysBeforeClose, paysAfterClose, neverScanned bool
	// Of refunds and withdrawals: ends is the last word if it is no success.
	refund, refuses, short, waitsForAPerson bool
	ends                                    channel.Answer
}

// fate is what became of the object: one per truth, whatever the order was.
type fate struct {
	Status string
	Ledger []string
	// Events are the final ones; Holds are open, Moved what left at the provider.
	Events []string
	Holds  int
	Moved  int
}

// One truth has one end and one ledger, whatever order its messages come in and
// whichever are lost, doubled, late or forged. The workflows, the steps, the
// sweeps, the API's notification route and the ledger are the real ones; only
// Temporal's server (by its test environment) and the provider are played.
//
//	go test ./activities -run TestMessageOrders -v -orders 0 -timeout 2h    # all orders
//	go test ./activities -run TestMessageOrders -v -orders 100 -orders.seed 7
//	go test ./activities -run TestMessageOrders -truth 'paid late' -order 'close true,query stale,notify'
//
// It was seen to fail with each of these guards taken out: the look at a final
// status in QueryAttempt and in the refunds' change, the compare-and-set in
// core/status, lookIntoNotified and looksForLateMoney in the looks for late
// money, unseenBeforeResend in the refunds.
func TestMessageOrders(t *testing.T) {
	t.Parallel()
	for name, truths := range map[string][]truth{
		"payment": paymentTruths(), "unpaid": unpaidTruths(), "refund": refundTruths(), "withdrawal": withdrawalTruths(),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			for _, truth := range truths {
				if *oneTruth != "" && *oneTruth != truth.name {
					continue
				}
				began, tried := time.Now(), orders(t, truth)
				for _, order := range tried {
					got := s.run(truth, order)
					require.Equal(t, truth.want, got, "replay with -truth %q -order %q", truth.name, strings.Join(order, ","))
				}
				t.Logf("%-36s %5d orders of %d messages, seed %d, %s", truth.name, len(tried), len(truth.messages), *orderSeed,
					time.Since(began).Round(time.Millisecond))
			}
		})
	}
}

// pays is a truth about a payment that is prepared as the trade says.
func pays(name string, prepared channel.TradeState, want fate, messages ...string) truth {
	return truth{name: name, begin: (*stage).beginPayment, prepared: prepared, want: want, messages: messages}
}

func (t truth) but(change func(*truth)) truth {
	change(&t)
	return t
}

func paymentTruths() []truth {
	late := func(t *truth) { t.paysAfterClose, t.sure = true, []string{"notify"} }
	return []truth{
		pays("paid", channel.TradePaid, fatePaid(),
			"notify", "notify again", "forged", "prepay true", "query stale", "query true"),
		pays("paid, replies lost", channel.TradePaid, fatePaid(),
			"notify", "foreign", "wake", "prepay lost", "query unknown", "query other amount"),
		pays("paid, replies late", channel.TradePaid, fatePaid(),
			"notify", "prepay late", "query late", "query late", "reply", "reply"),
		pays("paid while we close", channel.TradeAwaiting, fatePaid(),
			"notify", "wake", "close true", "close late", "query stale", "reply").
			but(func(t *truth) { t.paysBeforeClose = true }),
		pays("paid late", channel.TradeAwaiting, fatePaidLate(),
			"notify", "notify again", "close true", "close lost", "query stale", "forged").but(late).but(func(t *truth) {
			t.found = []string{"notify,close true", "close true,query stale,notify"}
		}),
		pays("paid late, replies late", channel.TradeAwaiting, fatePaidLate(),
			"notify", "notify later", "close true", "query late", "query unknown", "reply").but(late),
	}
}

func unpaidTruths() []truth {
	return []truth{
		pays("declined", channel.TradeAwaiting, fateDeclined(),
			"prepay lost", "prepay late", "reply", "forged", "foreign", "wake").but(func(t *truth) { t.declines = true }),
		pays("closed by the provider", channel.TradeClosed, fateClosed(),
			"notify", "notify again", "prepay true", "query stale", "query late", "reply"),
		pays("expired", channel.TradeAwaiting, fateClosed(),
			"forged", "wake", "close lost", "close late", "query unknown", "reply"),
		pays("expired, never scanned", channel.TradeAwaiting, fateClosed(),
			"foreign", "prepay lost", "close lost", "close true", "query late", "reply").but(func(t *truth) { t.neverScanned = true }),
	}
}

func refundTruths() []truth {
	refunds := func(name string, fen int64, want fate, messages ...string) truth {
		return truth{name: name, begin: beginRefund(fen), refund: true, want: want, messages: messages}
	}
	return []truth{
		refunds("refunded in part", 400, fateRefunded(400, 2),
			"notify", "notify again", "forged", "send lost", "query stale", "query pending"),
		refunds("refunded in full", 1000, fateRefunded(1000, 6),
			"notify", "old trade", "send late", "query stale", "query stale", "reply").
			but(func(t *truth) { t.found = []string{"send lost,query stale,query stale,query stale,query stale"} }),
		refunds("refund refused", 400, fateRefundFailed(),
			"notify", "send lost", "query unknown", "query true", "query late", "reply").
			but(func(t *truth) { t.refuses = true }),
		refunds("refund abnormal", 400, fateAbnormal(),
			"notify", "notify again", "forged", "send lost", "query stale", "query unknown").
			but(func(t *truth) { t.waitsForAPerson, t.ends = true, answer(channel.Pending, "ABNORMAL") }),
	}
}

func withdrawalTruths() []truth {
	withdraws := func(name string, want fate, messages ...string) truth {
		return truth{name: name, begin: (*stage).beginWithdrawal, want: want, messages: messages}
	}
	ends := func(code string) func(*truth) {
		return func(t *truth) { t.ends = answer(channel.Failed, code) }
	}
	return []truth{
		withdraws("withdrawn", fateWithdrawn(),
			"hurry", "forged", "send lost", "query stale", "query stale", "query pending"),
		withdraws("withdrawn, replies late", fateWithdrawn(),
			"hurry", "send late", "query stale", "query late", "query pending", "reply"),
		withdraws("withdrawn after a top-up", fateWithdrawn(),
			"hurry", "send lost", "query unknown", "query late", "reply").but(func(t *truth) { t.short = true }),
		withdraws("withdrawal refused", fateNotWithdrawn(),
			"hurry", "send lost", "query unknown", "query true", "query late", "reply").but(func(t *truth) { t.refuses = true }),
		withdraws("accepted, then failed", fateReturned(),
			"hurry", "send true", "query unknown", "query pending", "query late", "reply").but(ends("PAYEE_ACCOUNT_STATUS_ERROR")),
		withdraws("accepted, then returned", fateReturned(),
			"hurry", "send true", "query unknown", "query pending", "query late", "reply").but(ends(channel.CodeReturned)),
	}
}

// The fates.

func booked(lines ...[]string) []string {
	all := append([]string{}, slices.Concat(lines...)...)
	slices.Sort(all)
	return all
}

// collection of 10.00 yuan at 0.6 %.
func collection() []string {
	return []string{"collect/paid channel_unsettled 1000", "collect/paid merchant_available -1000",
		"fee/channel channel_fee_expense 6", "fee/channel channel_unsettled -6",
		"fee/channel custody_claim -6", "fee/channel own_stake_in_custody 6"}
}

func feeBack(fen int) []string {
	return []string{fmt.Sprintf("fee_refund/channel channel_fee_expense %d", -fen), fmt.Sprintf("fee_refund/channel channel_unsettled %d", fen),
		fmt.Sprintf("fee_refund/channel custody_claim %d", fen), fmt.Sprintf("fee_refund/channel own_stake_in_custody %d", -fen)}
}

func fatePaid() fate {
	return fate{Status: "payment succeeded", Ledger: booked(collection()), Events: []string{"payment.succeeded"}}
}

func fateDeclined() fate {
	return fate{Status: "payment failed", Ledger: booked(), Events: []string{"payment.failed"}}
}

func fateClosed() fate {
	return fate{Status: "payment closed", Ledger: booked(), Events: []string{"payment.closed"}}
}

func fatePaidLate() fate {
	return fate{Status: "payment closed, refund succeeded", Moved: 1,
		Events: []string{"payment.closed", "payment.paid_late", "refund.succeeded"},
		Ledger: booked(collection()[2:], feeBack(6), []string{"collect/late channel_unsettled 1000", "collect/late unidentified_receipts -1000",
			"refund/late channel_unsettled -1000", "refund/late unidentified_receipts 1000"})}
}

func fateRefunded(fen, fee int) fate {
	back := []string{fmt.Sprintf("refund/refunded channel_unsettled %d", -fen), fmt.Sprintf("refund/refunded merchant_available %d", fen)}
	return fate{Status: "payment succeeded, refund succeeded", Ledger: booked(collection(), feeBack(fee), back),
		Events: []string{"payment.succeeded", "refund.succeeded"}, Moved: 1}
}

func fateRefundFailed() fate {
	return fate{Status: "payment succeeded, refund failed", Ledger: booked(collection()), Events: []string{"payment.succeeded", "refund.failed"}}
}

func fateAbnormal() fate {
	return fate{Status: "payment succeeded, refund processing", Ledger: booked(collection()), Events: []string{"payment.succeeded"},
		Holds: 1, Moved: 1}
}

func transit() []string {
	return []string{"payout/accepted merchant_available 400", "payout/accepted payout_in_transit -400"}
}

func fateWithdrawn() fate {
	return fate{Status: "withdrawal succeeded", Events: []string{"withdrawal.succeeded"}, Moved: 1,
		Ledger: booked(transit(), []string{"payout/succeeded channel_balance -400", "payout/succeeded payout_in_transit 400"})}
}

func fateNotWithdrawn() fate {
	return fate{Status: "withdrawal failed", Ledger: booked(), Events: []string{"withdrawal.failed"}}
}

func fateReturned() fate {
	return fate{Status: "withdrawal failed", Events: []string{"withdrawal.failed"}, Moved: 1,
		Ledger: booked(transit(), []string{"payout_return/failed merchant_available -400", "payout_return/failed payout_in_transit 400"})}
}

// orders are all arrangements of some or all of the messages, or a sample.
func orders(t *testing.T, of truth) [][]string {
	t.Helper()
	if *oneOrder != "" {
		return [][]string{strings.Split(*oneOrder, ",")}
	}
	all := slices.DeleteFunc(arrangements(of.messages), func(order []string) bool {
		return slices.ContainsFunc(of.sure, func(m string) bool { return !slices.Contains(order, m) })
	})
	if *ordersTried > 0 && *ordersTried < len(all) {
		random := rand.New(rand.NewPCG(*orderSeed, uint64(len(all))))
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:*ordersTried]
	}
	for _, order := range of.found {
		all = append(all, strings.Split(order, ","))
	}
	return all
}

// arrangements are the orders of every subset of messages, without repetitions.
func arrangements(messages []string) [][]string {
	seen := map[string]bool{}
	var all [][]string
	var extend func(chosen, left []string)
	extend = func(chosen, left []string) {
		if key := strings.Join(chosen, ","); !seen[key] {
			seen[key] = true
			all = append(all, slices.Clone(chosen))
		}
		for i, m := range left {
			if slices.Index(left, m) == i {
				extend(append(slices.Clone(chosen), m), slices.Delete(slices.Clone(left), i, i+1))
			}
		}
	}
	extend(nil, messages)
	return all
}

// fate looks at everything that may differ between two orders.
func (c *course) fate(provider *counterpart) fate {
	c.Helper()
	var f fate
	rows := func(sql string) []string {
		c.Helper()
		found, err := c.db.Pool.Query(c.Context(), `with object as (
			select id from payments where id = $1 union select id from attempts where payment_id = $1
			union select id from refunds where $1 in (id, payment_id) union select payment_id from refunds where id = $1
			union select attempt_id from refunds where id = $1 union select id from withdrawals where id = $1) `+sql, c.ref.ID)
		require.NoError(c, err)
		list, err := pgx.CollectRows(found, pgx.RowTo[string])
		require.NoError(c, err)
		return list
	}
	f.Status = strings.Join(rows(`select s from (
		select 1, 'payment ' || status from payments where id in (select id from object)
		union all select 2, 'refund ' || status from refunds where id in (select id from object)
		union all select 3, 'withdrawal ' || status from withdrawals where id in (select id from object)) x (n, s) order by n`), ", ")
	f.Ledger = rows(`select format('%s/%s %s %s', e.kind, e.phase, a.type, p.amount) collate "C" as line from entries e
		join postings p on p.tenant_id = e.tenant_id and p.entry_seq = e.seq
		join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
		where e.number in (select id from object) order by 1`)
	f.Events = rows(`select type from events where object_id in (select id from object) and type <> 'payment.awaiting_payer' order by type collate "C"`)
	f.Holds = int(c.count(`select count(*) from holds where status = 'open' and reference like '%' || $1 || '%'`, c.ref.ID))
	for _, times := range provider.moved {
		f.Moved += min(times, 1) // the same order sent again is one order
	}
	return f
}
