package notice

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

const (
	trade  = "01J8ZQ4M6W3N5P7R9S1T2V4X6Y"
	refund = "01J8ZQ4M6W3N5P7R9S1T2V4X6Z"
)

// TestCompare holds what a signed message says against what was asked: a trade
// of 88.88 yuan through one account, and a refund of 1.00.
func TestCompare(t *testing.T) {
	t.Parallel()
	given := int64(100)
	both := &asked{account: "chn_1", amount: money.Fen(8888), refund: &given}
	only := &asked{account: "chn_1", amount: money.Fen(8888)}
	paid := func(fen int64) channel.StoredNotification {
		return channel.StoredNotification{ChannelAccountID: "chn_1",
			Notification: channel.Notification{Kind: channel.NotifyTrade, Number: trade, TradeNumber: trade, Amount: money.Fen(fen)}}
	}
	back := func(fen int64, change func(*channel.StoredNotification)) channel.StoredNotification {
		n := paid(fen)
		n.Kind, n.Number = channel.NotifyRefund, refund
		if change != nil {
			change(&n)
		}
		return n
	}
	cumulative := func(n *channel.StoredNotification) { n.Cumulative = true }
	unnamed := func(n *channel.StoredNotification) { n.Cumulative, n.Number = true, "" }
	for name, c := range map[string]struct {
		asked *asked
		n     channel.StoredNotification
		want  Verdict
	}{
		"the payment":             {only, paid(8888), Taken},
		"a number of nobody's":    {nil, paid(8888), UnknownNumber},
		"one fen":                 {only, paid(1), AmountDiffers},
		"one fen less":            {only, paid(8887), AmountDiffers},
		"one fen more":            {only, paid(8889), AmountDiffers},
		"another account":         {&asked{account: "chn_2", amount: money.Fen(8888)}, paid(8888), OtherAccount},
		"dollars":                 {&asked{account: "chn_1", amount: money.Of(8888, "USD")}, paid(8888), CurrencyDiffers},
		"a kind of its own":       {only, back(100, func(n *channel.StoredNotification) { n.Kind = "dispute" }), UnknownNumber},
		"the refund":              {both, back(100, nil), Taken},
		"another refund's number": {only, back(100, nil), UnknownNumber},
		"a refund of less":        {both, back(99, nil), AmountDiffers},
		"a refund of more":        {both, back(101, nil), AmountDiffers},
		"all refunds so far":      {both, back(100, cumulative), Taken},
		"with refunds before it":  {both, back(8888, cumulative), Taken},
		"less than the refund":    {both, back(99, cumulative), AmountDiffers},
		"more than the trade":     {both, back(8889, cumulative), AmountDiffers},
		"a refund unnamed":        {only, back(0, unnamed), Taken},
		"unnamed, of too much":    {only, back(8889, unnamed), AmountDiffers},
		"of another trade": {both, back(100, func(n *channel.StoredNotification) {
			n.TradeAmount = money.Fen(8889)
		}), AmountDiffers},
		"of the same trade": {both, back(100, func(n *channel.StoredNotification) { n.TradeAmount = money.Fen(8888) }), Taken},
	} {
		require.Equal(t, c.want, c.asked.compare(c.n), name)
	}
}

func TestOnlyTwoVerdictsAreGood(t *testing.T) {
	t.Parallel()
	for verdict, good := range map[Verdict]bool{Taken: true, Repeated: true, UnknownNumber: false, OtherAccount: false,
		AmountDiffers: false, CurrencyDiffers: false, NonceUsed: false, "": false} {
		require.Equal(t, good, verdict.Good(), verdict)
	}
}
