package ledger_test

import (
	"context"
	"maps"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
)

// call are the arguments of book_plainly, by name.
type call map[string]any

// plainCall is a sound call: a transfer of 5 from mch_a to mch_b.
func plainCall(tenant string) call {
	return call{
		"tenant": tenant, "insist": false,
		"ids": []string{"ent_attack"}, "kinds": []string{"transfer"}, "numbers": []string{"attack"}, "phases": []string{"x"},
		"currencies": []string{"CNY"}, "legs": []int16{2}, "hashes": [][]byte{make([]byte, 32)},
		"channel_dates": []*string{nil}, "metadatas": []string{"{}"},
		"types": []string{"merchant_available", "merchant_available"}, "owners": []string{"mch_a", "mch_b"},
		"account_currencies": []string{"CNY", "CNY"}, "names": []string{"", ""},
		"internal_types": []string{}, "internal_owners": []string{}, "internal_currencies": []string{}, "internal_names": []string{},
		"account_of": []int32{1, 2}, "amounts": []int64{5, -5},
	}
}

// internal turns a call into one of kind between two internal accounts.
func (c call) internal(kind string, types, owners []string) {
	maps.Copy(c, call{"kinds": []string{kind}, "types": []string{}, "owners": []string{}, "account_currencies": []string{}, "names": []string{},
		"internal_types": types, "internal_owners": owners, "internal_currencies": []string{"CNY", "CNY"}, "internal_names": []string{"", ""}})
}

// books calls book_plainly as the application's role may, in a session of tenant.
func (c call) books(b *bench, tenant string) (booked bool, err error) {
	return c.booksIn(context.Background(), b, tenant)
}

func (c call) booksIn(ctx context.Context, b *bench, tenant string) (booked bool, err error) {
	sql, args := "select book_plainly(", pgx.NamedArgs{}
	for name, value := range c {
		sql += name + " => @" + name + ", "
		args[name] = value
	}
	err = b.DB.InTenant(ctx, tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, sql[:len(sql)-2]+")", args).Scan(&booked)
	})
	return booked, err
}

// What is not plain, or not true, is not booked by the function, whatever the
// application's role passes to it, and nothing else moves.
func TestBookPlainlyBooksNothingThatIsNotPlain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mine := b.tenant
	memo := b.newTenant("channel_split")
	other := b.newTenant("licensed_reserve")
	for _, b.tenant = range []string{memo, other} {
		b.mustPost(collect("p1", "mch_a", 500), collect("p2", "mch_b", 500))
	}
	b.tenant = mine
	b.mustPost(collect("p1", "mch_a", 500), collect("p2", "mch_b", 500), collect("p3", "mch_y", 500), collect("p4", "mch_l", 500),
		entry(ledger.Fee, "f1", leg(ledger.ChannelFeeExpense, "", 1), leg(ledger.FeeIncome, "", -1)),
		entry(ledger.Collect, "p5", leg(ledger.ChannelUnsettled, "chn", 1), leg(ledger.UnidentifiedReceipts, "chn", -1)))
	require.NoError(t, b.status("mch_y", ledger.Frozen))
	require.NoError(t, b.limits("mch_l", ledger.Limits{Debit: ledger.SideLimits{DayAmount: 1}}))
	_, err := b.hold(held("live", 400)) // on mch_a
	require.NoError(t, err)
	text := func(s ...string) []string { return s }
	attacks := map[string]func(c call){
		"another tenant":           func(c call) { c["tenant"] = other },
		"no tenant":                func(c call) { c["tenant"] = nil },
		"unbalanced":               func(c call) { c["amounts"] = []int64{5, -4} },
		"an amount that is null":   func(c call) { c["amounts"] = []*int64{new(int64(5)), nil} },
		"nothing at all":           func(c call) { c["amounts"] = []int64{0, 0} },
		"more than fits":           func(c call) { c["amounts"] = []int64{-1000000000000001, 1000000000000001} },
		"fewer postings than legs": func(c call) { c["legs"] = []int16{3} },
		"more postings than legs":  func(c call) { c["amounts"], c["account_of"] = []int64{5, -5, 0}, []int32{1, 2, 1} },
		"one leg":                  func(c call) { c["legs"], c["amounts"], c["account_of"] = []int16{1}, []int64{5}, []int32{1} },
		"legs unknown":             func(c call) { c["legs"] = []*int16{nil} },
		"no legs":                  func(c call) { c["legs"], c["amounts"], c["account_of"] = []int16{0}, []int64{}, []int32{} },
		"a posting of no account":  func(c call) { c["account_of"] = []int32{1, 3} },
		"a posting of null":        func(c call) { c["account_of"] = []*int32{new(int32(1)), nil} },
		"an account not open":      func(c call) { c["owners"] = text("mch_a", "mch_new") },
		"an account named twice":   func(c call) { c["owners"] = text("mch_a", "mch_a") },
		"a frozen account":         func(c call) { c["owners"] = text("mch_y", "mch_b") },
		"a limited account":        func(c call) { c["owners"] = text("mch_l", "mch_b") },
		"more than is there":       func(c call) { c["amounts"] = []int64{501, -501} },
		"what is held":             func(c call) { c["amounts"] = []int64{101, -101} },
		"a floored account unlocked": func(c call) {
			c.internal("transfer", text("merchant_available", "merchant_available"), text("mch_a", "mch_b"))
		},
		"another currency": func(c call) { c["currencies"] = text("USD") },
		"a kind that may not": func(c call) {
			c["kinds"] = text("payout_return")
			c.internal("split", text("channel_unsettled", "unidentified_receipts"), text("chn", "chn"))
		},
		"an unknown kind":            func(c call) { c["kinds"] = text("gift") },
		"a reversal":                 func(c call) { c["kinds"] = text("reversal") },
		"balanced only across books": func(c call) { c.internal("adjustment", text("channel_unsettled", "fee_income"), text("chn", "")) },
		"a reference that was used": func(c call) {
			c.internal("collect", text("channel_unsettled", "unidentified_receipts"), text("chn", "chn"))
			c["numbers"], c["phases"] = text("p5"), text("booked")
		},
		"a hash that is none":          func(c call) { c["hashes"] = [][]byte{{1}} },
		"metadata that is no object":   func(c call) { c["metadatas"] = text("[]") },
		"an empty number":              func(c call) { c["numbers"] = text("") },
		"two entries, one not plain":   func(c call) { two(c); c["amounts"] = []int64{5, -5, 5, -6} },
		"two entries of one reference": func(c call) { two(c); c["numbers"] = text("attack", "attack") },
	}
	for name, change := range attacks {
		c := plainCall(mine)
		change(c)
		booked, err := c.books(b, mine)
		require.False(t, booked && err == nil, name)
	}
	booked, err := plainCall(mine).booksIn(pg.OfMerchant(t.Context(), "mch_a"), b, mine)
	require.NoError(t, err)
	require.False(t, booked, "the session sees one merchant's accounts only")
	memoCall := plainCall(memo)
	booked, err = memoCall.books(b, memo)
	require.NoError(t, err)
	require.False(t, booked, "the custody mode forbids transfers")
	var n int
	require.NoError(t, b.Pool.QueryRow(t.Context(), `select count(*) from entries where id like 'ent_attack%'`).Scan(&n))
	require.Zero(t, n)
	require.EqualValues(t, 500, b.balance(key(ledger.MerchantAvailable, "mch_a")).Posted)
	b.requireSound()

	// The same calls without an attack are booked: what refused was the attack.
	booked, err = plainCall(mine).books(b, mine)
	require.NoError(t, err)
	require.True(t, booked)
	c := plainCall(mine)
	two(c)
	c["ids"], c["numbers"] = text("ent_attack3", "ent_attack4"), text("3", "4")
	booked, err = c.books(b, mine)
	require.NoError(t, err)
	require.True(t, booked)
	c = plainCall(mine)
	c.internal("collect", text("channel_unsettled", "unidentified_receipts"), text("chn", "chn"))
	c["ids"], c["numbers"] = text("ent_attack5"), text("5")
	booked, err = c.books(b, mine)
	require.NoError(t, err)
	require.True(t, booked)
	require.EqualValues(t, 485, b.balance(key(ledger.MerchantAvailable, "mch_a")).Posted)
	b.requireSound()
}

// two doubles the entry of a call.
func two(c call) {
	maps.Copy(c, call{"ids": []string{"ent_attack1", "ent_attack2"}, "kinds": []string{"transfer", "transfer"},
		"numbers": []string{"attack1", "attack2"}, "phases": []string{"x", "x"}, "currencies": []string{"CNY", "CNY"}, "legs": []int16{2, 2},
		"hashes": [][]byte{make([]byte, 32), make([]byte, 32)}, "channel_dates": []*string{nil, nil}, "metadatas": []string{"{}", "{}"},
		"account_of": []int32{1, 2, 1, 2}, "amounts": []int64{5, -5, 5, -5}})
}
