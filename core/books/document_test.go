package books_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

var update = flag.Bool("update", false, "write docs/books.md")

const documentPath = "../../docs/books.md"

// docs/books.md is written by `go test ./core/books -run Document -update`, from
// the same functions that the platform books with.
func TestDocumentIsUpToDate(t *testing.T) {
	t.Parallel()
	text := document()
	if *update {
		require.NoError(t, os.MkdirAll("../../docs", 0o755))
		require.NoError(t, os.WriteFile(documentPath, []byte(text), 0o644))
	}
	stored, err := os.ReadFile(documentPath)
	require.NoError(t, err, "write it: go test ./core/books -run Document -update")
	require.Equal(t, text, string(stored), "write it again: go test ./core/books -run Document -update")
}

func document() string {
	var b strings.Builder
	b.WriteString(opening)
	chart(&b)
	matrix(&b)
	b.WriteString("\n## The flows\n\nOne story in order: the tenant brings 30.00 yuan of its own; a payment of 200.00 for a shop, of which its\n" +
		"agent receives 10.00 and the platform 4.00, while the provider keeps 1.20 as its fee; then everything else. `(held)` marks a\n" +
		"posting that captures a hold.\n")
	var last ledger.BookedEntry
	for _, f := range flows() {
		fmt.Fprintf(&b, "\n### %s\n\n%s", f.title, f.words)
		if len(f.refusedBy) > 0 {
			fmt.Fprintf(&b, " Refused in custody mode `%s`.", strings.Join(f.refusedBy, "`, `"))
		}
		b.WriteString("\n\n```text\n")
		for i, e := range f.entries(last) {
			if i > 0 {
				b.WriteString("\n")
			}
			tAccounts(&b, e)
			last = asBooked(e)
		}
		b.WriteString("```\n")
	}
	return b.String()
}

const opening = `# The books

<!-- Generated from core/books and ledger: go test ./core/books -run Document -update -->

Every tenant has two books. The **trust** book says what lies in custody and to whom it belongs; the **own** book holds
the tenant's own claims, income and expenses. Every entry balances in each book and in one currency, so in the trust book

> custody assets = owed to merchants and users + in transit + unidentified + own stake

holds at every moment, and own_stake_in_custody there is custody_claim here. A trial balance of zero proves nothing by
itself: the proof is that imported balances of providers and custodians equal ours.

Amounts are integers of minor units, + debit and − credit. An account with a floor cannot be overdrawn and changes under
its row's lock; the others are internal, and their balance is the sum of their postings.

## Chart of accounts

`

func chart(b *strings.Builder) {
	b.WriteString("| type | book | class | normal side | 科目 | owner | floor |\n|---|---|---|---|---|---|---|\n")
	for _, line := range ledger.Chart() {
		owner, floor := "", ""
		if line.Owned {
			owner = "yes"
		}
		if line.Floored {
			floor = "0"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s |\n", line.Type, line.Book, line.Class, line.NormalSide, line.GLCode, owner, floor)
	}
}

func matrix(b *strings.Builder) {
	b.WriteString("\n## Class matrix\n\nAn entry of a kind touches only these classes. The database refuses anything else, whoever writes it.\n\n| kind | classes |\n|---|---|\n")
	for _, kind := range ledger.Kinds() {
		var classes []string
		for _, class := range kind.Classes() {
			classes = append(classes, string(class))
		}
		fmt.Fprintf(b, "| %s | %s |\n", kind, strings.Join(classes, ", "))
	}
}

// asBooked is what the reversal of the last flow reverses in the document.
func asBooked(e ledger.Entry) ledger.BookedEntry {
	booked := ledger.BookedEntry{ID: "ent_1", Reference: e.Reference, Currency: e.Currency}
	for _, p := range e.Postings {
		booked.Postings = append(booked.Postings, ledger.BookedPosting{Account: p.Account, Amount: p.Amount})
	}
	return booked
}

const (
	column = 17 // width of one side of a T
	tsWide = 2  // Ts in a row
)

// tAccounts draws an entry: its reference, then a T per account, book by book.
func tAccounts(b *strings.Builder, e ledger.Entry) {
	fmt.Fprintf(b, "%s\n", e.Reference)
	for _, book := range []ledger.Book{ledger.Trust, ledger.Own} {
		ts := collectTs(e, book)
		if len(ts) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n%s book\n", book)
		for len(ts) > 0 {
			row := ts[:min(tsWide, len(ts))]
			ts = ts[len(row):]
			drawRow(b, row)
			if len(ts) > 0 {
				b.WriteString("\n")
			}
		}
	}
}

// tAccount is one T: the account's name and its lines on each side.
type tAccount struct {
	account         ledger.AccountKey
	debits, credits []string
}

func (t tAccount) name() string { return t.account.String() }

func collectTs(e ledger.Entry, book ledger.Book) (ts []*tAccount) {
	byKey := map[ledger.AccountKey]*tAccount{}
	for _, p := range e.Postings {
		if info, _ := p.Account.Type.Info(); info.Book != book {
			continue
		}
		t := byKey[p.Account]
		if t == nil {
			t = &tAccount{account: p.Account}
			byKey[p.Account] = t
			ts = append(ts, t)
		}
		amount := fmt.Sprintf("%d.%02d", max(p.Amount, -p.Amount)/100, max(p.Amount, -p.Amount)%100)
		if p.FromHold != "" {
			amount = "(held) " + amount
		}
		if p.Amount > 0 {
			t.debits = append(t.debits, amount)
		} else {
			t.credits = append(t.credits, amount)
		}
	}
	return ts
}

func drawRow(b *strings.Builder, row []*tAccount) {
	lines := make([]string, 2)
	depth := 0
	for _, t := range row {
		depth = max(depth, len(t.debits), len(t.credits))
		lines[0] += fmt.Sprintf("  %-*s", 2*column+1, t.name())
		lines[1] += "  " + strings.Repeat("─", column) + "┬" + strings.Repeat("─", column)
	}
	for i := range depth {
		line := ""
		for _, t := range row {
			line += fmt.Sprintf("  %*s │%*s", column-1, at(t.debits, i), column, at(t.credits, i))
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}
