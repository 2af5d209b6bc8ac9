package demo

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/suanpan/suanpan/client"
)

// report prints what was checked.
func (r *run) report(balances []balance, books *ourBooks, events told) {
	out := r.opts.Out
	r.doneTable().print(out)
	r.balanceTable(balances).print(out)
	r.differenceTable().print(out)
	for _, f := range r.findings {
		fmt.Fprintf(out, "  %s %s\n      %s\n", f.Kind, f.Number, f.Explanation)
	}
	trialTable(books.trial).print(out)
	comparisonTable(books.sides).print(out)
	fmt.Fprintf(out, "\nWebhooks: %d events of this run, %d arrived and verified, %d messages in all, %d with a wrong signature\n",
		events.events, events.arrived, events.messages, events.forged)
	if n := r.unanswered.Load(); n > 0 {
		fmt.Fprintf(out, "%d exchanges were not answered, and repeated under the same Idempotency-Key\n", n)
	}
	r.printAddresses()
	fmt.Fprintf(out, "\nThe demo ended right after %.1f s: not a fen is missing.\n", time.Since(r.say.began).Seconds())
}

// doneTable counts what this run did, by kind, channel and status.
func (r *run) doneTable() *table {
	b := &ourBooks{}
	for _, channel := range []string{alipay, wechatpay} {
		for _, s := range r.sales {
			if s.channel != channel {
				continue
			}
			status := string(s.payment.Status)
			if s.late {
				status += ", paid late"
			}
			b.count("payment", channel, status, s.fen)
		}
		for _, g := range r.refunds {
			if g.sale.channel == channel {
				kind := "refund"
				if g.sale.late {
					kind = "refund of late money"
				}
				b.count(kind, channel, string(g.refund.Status), g.fen)
			}
		}
	}
	for _, w := range r.withdrawals {
		b.count("withdrawal", string(w.Channel), string(w.Status), w.Amount.Amount)
	}
	for i, report := range r.reports {
		b.count("reconciliation", []string{alipay, wechatpay}[i], string(report.Status), *report.SettledAmount)
	}
	t := newTable("What this run did (a reconciliation's amount is what the provider settled)",
		"kind", "channel", "status", ">count", ">yuan")
	for _, c := range b.byStatus {
		t.row(c.kind, c.channel, c.status, strconv.FormatInt(c.tally.count, 10), yuan(c.tally.fen))
	}
	return t
}

func (r *run) balanceTable(balances []balance) *table {
	t := newTable("What the merchants have, settled and available, as computed and as booked", "merchant", "id", ">yuan")
	for _, b := range balances {
		t.row(b.name, b.id, yuan(b.available))
	}
	return t
}

func (r *run) differenceTable() *table {
	t := newTable("Differences found in the bills of "+r.day+", each of them seeded",
		"channel", "kind", "number", ">ours", ">theirs", ">our fee", ">their fee", "status")
	for _, f := range r.findings {
		theirFee := "–"
		if f.TheirFee != nil {
			theirFee = *f.TheirFee
		}
		t.row(r.channelOf(f.ChannelAccountID), string(f.Kind), f.Number, orNothing(f.OurAmount), orNothing(f.TheirAmount),
			orNothing(f.OurFee), theirFee, string(f.Status))
	}
	return t
}

func (r *run) channelOf(accountID string) string {
	for channel, rate := range r.rates {
		if rate.accountID == accountID {
			return channel
		}
	}
	return accountID
}

func trialTable(trial client.TrialBalance) *table {
	t := newTable("Trial balance of all time at "+trial.At.In(shanghai()).Format(time.DateTime)+" business time",
		"book", "code", "account type", ">accounts", ">debit", ">credit", ">balance")
	for _, line := range trial.Lines {
		balance, side := line.Debit-line.Credit, " Dr"
		if line.NormalSide == client.SideCredit {
			balance, side = -balance, " Cr"
		}
		t.row(string(line.Book), line.GlCode, string(line.Type), strconv.FormatInt(line.Accounts, 10),
			yuan(line.Debit), yuan(line.Credit), yuan(balance)+side)
	}
	for _, total := range trial.Totals {
		t.row(string(total.Book), "", "total", "", yuan(total.Debit), yuan(total.Credit), "equal")
	}
	return t
}

func comparisonTable(sides []bothSides) *table {
	t := newTable("Our books and the sandbox's own file, of all time",
		"channel", "what", ">our count", ">their count", ">ours", ">theirs", "")
	for _, s := range sides {
		for _, c := range s.lines() {
			t.row(s.channel, c.what, strconv.FormatInt(c.ours.count, 10), strconv.FormatInt(c.theirs.count, 10),
				yuan(c.ours.fen), yuan(c.theirs.fen), "equal")
		}
		note := "equal"
		if s.adjusted != 0 {
			note = "equal but for " + yuan(s.adjusted) + " that falsified bills claimed as fees"
		}
		t.row(s.channel, "balance", "", "", yuan(s.held), yuan(s.balance), note)
	}
	return t
}

func (r *run) printAddresses() {
	t := newTable("Addresses to look at", "what", "where")
	if r.opts.TemporalUI != "" {
		ui := strings.TrimSuffix(r.opts.TemporalUI, "/") + "/namespaces/suanpan/workflows"
		t.row("Temporal Web UI", ui)
		t.row("… the payment paid late", ui+"?query=SuanpanBusinessId%3D%22"+r.sale(saleLate).payment.ID+"%22")
	}
	for _, base := range r.opts.APIURLs {
		t.row("API", base+"/openapi.yaml")
	}
	t.row("sandbox, pay by clicking", r.opts.SandboxURL+"/")
	t.row("sandbox, its own books", r.opts.SandboxURL+"/control/books")
	t.row("sandbox, its own file", r.opts.SandboxURL+"/control/books/file")
	t.print(r.opts.Out)
}
