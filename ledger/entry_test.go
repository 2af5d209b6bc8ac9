package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

func TestCheckNamesFieldAndRule(t *testing.T) {
	t.Parallel()
	good := func() ledger.Entry { return collect("p1", "mch_a", 100) }
	require.NoError(t, good().Check())
	for _, c := range []struct {
		name   string
		change func(e *ledger.Entry)
		kind   ledger.ErrorKind
		field  string
	}{
		{"no kind", func(e *ledger.Entry) { e.Kind = "" }, ledger.Invalid, "kind"},
		{"unknown kind", func(e *ledger.Entry) { e.Kind = "gift" }, ledger.Invalid, "kind"},
		{"no number", func(e *ledger.Entry) { e.Number = "" }, ledger.Invalid, "number"},
		{"long number", func(e *ledger.Entry) { e.Number = strings.Repeat("x", 129) }, ledger.Invalid, "number"},
		{"number with NUL", func(e *ledger.Entry) { e.Number = "a\x00" }, ledger.Invalid, "number"},
		{"no phase", func(e *ledger.Entry) { e.Phase = "" }, ledger.Invalid, "phase"},
		{"bytes as phase", func(e *ledger.Entry) { e.Phase = "\xff" }, ledger.Invalid, "phase"},
		{"unknown currency", func(e *ledger.Entry) { e.Currency = "XAU" }, ledger.Invalid, "currency"},
		{"two currencies", func(e *ledger.Entry) { e.Postings[1].Account.Currency = "USD" }, ledger.Invalid, "postings[1].account.currency"},
		{"not a date", func(e *ledger.Entry) { e.ChannelDate = "2026-02-30" }, ledger.Invalid, "channel_date"},
		{"no legs", func(e *ledger.Entry) { e.Postings = nil }, ledger.Unbalanced, "postings"},
		{"one leg", func(e *ledger.Entry) { e.Postings = e.Postings[:1] }, ledger.Unbalanced, "postings"},
		{"too many legs", func(e *ledger.Entry) { e.Postings = make([]ledger.Posting, 1001) }, ledger.Unbalanced, "postings"},
		{"unbalanced", func(e *ledger.Entry) { e.Postings[0].Amount++ }, ledger.Unbalanced, "postings"},
		{"balanced only across books", func(e *ledger.Entry) {
			e.Kind = ledger.Adjustment
			e.Postings[1] = leg(ledger.FeeIncome, "", -100)
		}, ledger.Unbalanced, "postings"},
		{"zero leg", func(e *ledger.Entry) { e.Postings[0].Amount = 0 }, ledger.Invalid, "postings[0].amount"},
		{"overflow", func(e *ledger.Entry) { e.Postings[0].Amount = money.MaxMinor + 1 }, ledger.Invalid, "postings[0].amount"},
		{"least int64", func(e *ledger.Entry) { e.Postings[0].Amount = -1 << 63 }, ledger.Invalid, "postings[0].amount"},
		{"unknown type", func(e *ledger.Entry) { e.Postings[0].Account.Type = "cash" }, ledger.Invalid, "postings[0].account.type"},
		{"owner missing", func(e *ledger.Entry) { e.Postings[1].Account.Owner = "" }, ledger.Invalid, "postings[1].account.owner"},
		{"owner too many", func(e *ledger.Entry) {
			e.Kind = ledger.Adjustment
			e.Postings[1] = leg(ledger.OwnStakeInCustody, "mch_a", -100)
		}, ledger.Invalid, "postings[1].account.owner"},
		{"class matrix", func(e *ledger.Entry) { e.Kind = ledger.Split }, ledger.Forbidden, "postings[0].account.type"},
		{"hold on an internal account", func(e *ledger.Entry) { e.Postings[0].FromHold = "h" }, ledger.Invalid, "postings[0].from_hold"},
		{"hold captured by money in", func(e *ledger.Entry) { e.Postings[1].FromHold = "h" }, ledger.Invalid, "postings[1].from_hold"},
		{"reversal of nothing", func(e *ledger.Entry) { e.Kind = ledger.Reversal }, ledger.Invalid, "reverses"},
		{"metadata too long", func(e *ledger.Entry) { e.Metadata = map[string]string{"k": strings.Repeat("x", 2049)} }, ledger.Invalid, "metadata"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := good()
			c.change(&e)
			var refusal *ledger.Error
			require.True(t, errors.As(e.Check(), &refusal))
			require.Equal(t, c.kind, refusal.Kind, "%v", refusal)
			require.Equal(t, c.field, refusal.Field, "%v", refusal)
			require.NotEmpty(t, refusal.Rule)
		})
	}
}
