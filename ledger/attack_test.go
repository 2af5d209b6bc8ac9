package ledger_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

// What a process with the application's role can try by direct SQL. $T is the
// tenant, $U another tenant, $A a merchant's account (floor 0, balance 500), $C
// the internal account it came from, $F and $G the own book's accounts, $X an
// account of the other tenant, $D one in another currency, $Y one that is frozen,
// $Z one that is closed, $E and $S id and seq of a booked entry, $H a hold on $A.
var attacks = []struct {
	name, sql string
	// says is part of the server's answer.
	says string
}{
	{"unbalanced", one("collect", "($C, 100, null, null), ($A, -99, 2, 599)"), "differ within a book"},
	{"balanced only across books", one("adjustment", "($C, 100, null, null), ($F, -100, null, null)"), "differ within a book"},
	{"one leg", one("collect", "($C, 100, null, null)"), "entries_legs_check"},
	{"one of two legs", claiming(2, "collect", "($C, 100, null, null)"), "at least two"},
	{"no legs", claiming(2, "collect", ""), "all postings of an entry"},
	{"fewer legs than claimed", claiming(3, "collect", "($C, 100, null, null), ($G, -100, null, null)"), "all postings of an entry"},
	{"zero leg", one("collect", "($C, 0, null, null), ($G, 0, null, null)"), "postings_amount_check"},
	{"amount out of range", one("collect", "($C, 1000000000000001, null, null), ($G, -1000000000000001, null, null)"), "postings_amount_check"},
	{"account of another tenant", one("custody_transfer", "($C, 100, null, null), ($X, -100, null, null)"), "no account of this tenant"},
	{"account that does not exist", one("custody_transfer", "($C, 100, null, null), ('acc_none', -100, null, null)"), "no account of this tenant"},
	{"class matrix", one("split", "($C, 100, null, null), ($A, -100, 2, 600)"), "may not touch"},
	{"unknown kind", one("gift", "($C, 100, null, null), ($G, -100, null, null)"), "may not touch"},
	{"another tenant's entry", strings.Replace(one("collect", "($C, 100, null, null), ($G, -100, null, null)"), "'$T'", "'$U'", 1), "row-level security"},
	{"legs added to a booked entry", `insert into postings (tenant_id, entry_seq, leg, account_id, amount, booked_at)
		select '$T', $S, l.leg, l.account, l.amount, e.booked_at from entries e, (values (3, '$C', 5), (4, '$G', -5)) l (leg, account, amount) where e.id = '$E'`,
		"all postings of an entry"},
	{"legs written over a booked entry's", `insert into postings (tenant_id, entry_seq, leg, account_id, amount, booked_at)
		select '$T', $S, l.leg, l.account, l.amount, e.booked_at from entries e, (values (1, '$C', 5), (2, '$G', -5)) l (leg, account, amount) where e.id = '$E'`,
		"duplicate key"},
	{"legs of a booked entry in another month", `insert into postings (tenant_id, entry_seq, leg, account_id, amount, booked_at)
		select '$T', $S, l.leg, l.account, l.amount, now() + interval '1 year' from (values (1, '$C', 5), (2, '$G', -5)) l (leg, account, amount)`,
		"foreign key"},
	{"posting past the partitioned table", `insert into postings_rest (tenant_id, entry_seq, leg, account_id, amount, booked_at) values ('$T', $S, 3, '$C', 5, now())`, "permission denied"},
	{"balance moved wrongly", one("collect", "($C, 100, null, null), ($A, -100, 2, 700)"), "do not move with the posting"},
	{"sequence forgotten", one("collect", "($C, 100, null, null), ($A, -100, null, null)"), "do not move with the posting"},
	{"overdraft", one("refund", "($A, 600, 2, -100), ($C, -600, null, null)"), "ledger_accounts_floor"},
	{"balance of an internal account", `update ledger_accounts set held = 5 where id = '$C'`, "ledger_accounts_internal"},
	{"floor lowered", `update ledger_accounts set floor = -1000 where id = '$A'`, "permission denied"},
	{"account frozen without a reason", `update ledger_accounts set status = 'frozen' where id = '$A'`, "has a reason"},
	{"account with money closed", `update ledger_accounts set status = 'closed', reason = 'x' where id = '$A'`, "ledger_accounts_closed"},
	{"internal account frozen", `update ledger_accounts set status = 'frozen', reason = 'x' where id = '$C'`, "ledger_accounts_status"},
	{"internal account limited", `update ledger_accounts set limits = '{}', limit_usage = '{}', reason = 'x' where id = '$C'`, "ledger_accounts_limits"},
	{"closed account reopened", `update ledger_accounts set status = 'active', reason = 'x' where id = '$Z'`, "can no longer change"},
	{"posting to a closed account", strings.ReplaceAll(one("collect", "($C, 100, null, null), ($A, -100, 3, 0), ($C, -100, null, null), ($A, 100, 4, 0)"), "$A", "$Z"), "frozen or closed"},
	{"history of an account changed", `update account_changes set reason = 'y'`, "permission denied"},
	{"account opened with a lower floor", `insert into ledger_accounts (tenant_id, id, type, class, book, normal_side, gl_code, owner, currency, floor)
		select tenant_id, 'acc_new', type, class, book, normal_side, gl_code, 'mch_new', currency, -1000 from ledger_accounts where id = '$A'`, "permission denied"},
	{"account opened with a balance", `insert into ledger_accounts (tenant_id, id, type, class, book, normal_side, gl_code, owner, currency, floor, posted)
		select tenant_id, 'acc_new', type, class, book, normal_side, gl_code, 'mch_new', currency, floor, 5 from ledger_accounts where id = '$A'`, "permission denied"},
	{"account of a false class", `insert into ledger_accounts (tenant_id, id, type, class, book, normal_side, gl_code, owner, currency)
		values ('$T', 'acc_new', 'merchant_available', 'own_stake', 'trust', 'credit', '1', 'mch_new', 'CNY')`, "foreign key"},
	{"account deleted", `delete from ledger_accounts where id = '$C'`, "permission denied"},
	{"entry updated", `update entries set channel_date = now() where id = '$E'`, "permission denied"},
	{"entry deleted", `delete from entries where id = '$E'`, "permission denied"},
	{"posting updated", `update postings set amount = 1 where entry_seq = $S`, "permission denied"},
	{"posting deleted", `delete from postings where entry_seq = $S`, "permission denied"},
	{"truncated", `truncate postings`, "permission denied"},
	{"copied in", `copy postings from stdin`, "COPY FROM not supported with row-level security"},
	{"trigger disabled", `alter table postings disable trigger all`, "must be owner"},
	{"rules rewritten", `insert into class_matrix values ('split', 'own_stake')`, "permission denied"},
	{"custody mode rewritten", `update tenants set custody_mode = 'own_funds'`, "permission denied"},
	{"hold reopened", `update holds set status = 'open', released = 0, closed_at = null where reference = 'done'`, "can no longer change"},
	{"hold captured after release", `update holds set captured = 1, released = 9 where reference = 'done'`, "can no longer change"},
	{"hold above its amount", `update holds set captured = 11 where reference = 'live'`, "holds_outcome"},
	{"hold placed as captured", `insert into holds (tenant_id, id, reference, account_id, amount, captured) values ('$T', 'hld_x', 'x', '$A', 5, 2)`, "permission denied"},
	{"hold deleted", `delete from holds`, "permission denied"},
	{"account of another currency", one("custody_transfer", "($C, 100, null, null), ($D, -100, null, null)"), "another currency"},
	{"seq chosen", `insert into entries (tenant_id, id, seq, kind, number, phase, currency, legs, content_hash)
		overriding system value values ('$T', 'ent_attack', 1, 'collect', 'attack', 'x', 'CNY', 2, sha256('x'))`, "permission denied"},
	{"backdated", dated("interval '-1 day'"), "booked now"},
	{"backdated by a little", dated("interval '-5 seconds'"), "booked now"},
	{"booked ahead", dated("interval '5 seconds'"), "booked now"},
	{"old number", one("collect", "($C, 100, null, null), ($A, -100, 1, 600)"), "do not move with the posting"},
	{"old number, other balance", one("collect", "($C, 100, null, null), ($A, -100, 1, 777)"), "do not move with the posting"},
	{"one number twice", one("collect", "($C, 100, null, null), ($A, -50, 2, 600), ($A, -50, 2, 600)"), "do not move with the posting"},
	{"numbers left out", one("collect", "($C, 100, null, null), ($A, -100, 9, 600)"), "do not move with the posting"},
	{"more than was posted", one("collect", "($C, 100, null, null), ($A, -100, 2, 9000)"), "do not move with the posting"},
	{"wrong on the way", one("collect", "($C, 100, null, null), ($A, -50, 2, 540), ($A, -50, 3, 600)"), "do not move with the posting"},
	{"balance without a posting", `update ledger_accounts set posted = 9000 where id = '$A'`, "permission denied"},
	{"balance and number without a posting", `update ledger_accounts set posted = 9000, last_seq = last_seq + 1 where id = '$A'`, "permission denied"},
	{"number without a posting", `update ledger_accounts set last_seq = 0 where id = '$A'`, "permission denied"},
	{"history of an account invented", `insert into account_changes (tenant_id, account_id, account_seq, status_before, status_after, floor_before, floor_after, reason)
		values ('$T', '$A', 0, 'active', 'active', -1000, 0, 'x')`, "permission denied"},
	{"frozen account debited from an invented hold", strings.ReplaceAll(claimingHold("hld_none"), "$A", "$Y"), "no hold of its account"},
	{"frozen account debited from another's hold", strings.ReplaceAll(claimingHold("$H"), "$A", "$Y"), "no hold of its account"},
	{"reversal of something else", reversing("($C, -9, null, null), ($A, 9, 2, 491)"), "undoes its entry exactly"},
	{"reversal on another account", reversing("($C, -500, null, null), ($G, 500, null, null)"), "undoes its entry exactly"},
	// Temporary tables come first on the caller's search path. What stands without an effect is shown by a cast that fails.
	{"matrix shadowed", `create temp table custody_flows as select 'licensed_reserve' as custody_mode, 'split' as kind, c as class
		from unnest(array['custody_asset', 'suspense_liability']) c; ` + one("split", "($C, 100, null, null), ($G, -100, null, null)"), "may not touch"},
	{"chart shadowed", `create temp table account_types as select 'merchant_available' as type, -1000::bigint as floor;
		insert into ledger_accounts (tenant_id, id, type, class, book, normal_side, gl_code, owner, currency)
		select tenant_id, 'floor is zero', type, class, book, normal_side, gl_code, 'mch_new', currency from ledger_accounts where id = '$A';
		select id::int from ledger_accounts where owner = 'mch_new' and floor = 0`, "floor is zero"},
	{"clock shadowed", `create temp table business_clock as select interval '-1 day' as ahead; ` + one("collect", "($C, 100, null, null), ($G, -100, null, null)") + `;
		select 'booked now'::int from entries where id = 'ent_attack' and booked_at > now() - interval '1 hour'`, "booked now"},
	{"reference again", `with e as (insert into entries (tenant_id, id, kind, number, phase, currency, legs, content_hash)
		select tenant_id, 'ent_again', kind, number, phase, currency, legs, content_hash from entries where id = '$E' returning seq, booked_at)
		insert into postings (tenant_id, entry_seq, leg, account_id, amount, booked_at)
		select '$T', e.seq, l.leg, l.account, l.amount, e.booked_at from e, (values (1, '$C', 5), (2, '$G', -5)) l (leg, account, amount)`, "entries_reference"},
}

// one is an attack by an entry whose legs (account, amount, seq, balance) come in
// one statement.
func one(kind, legs string) string { return claiming(strings.Count(legs, "("), kind, legs) }

// dated is an attack by a sound entry that was booked at another time than now.
func dated(off string) string {
	return strings.NewReplacer("legs, content_hash)", "legs, content_hash, booked_at)", "sha256('x'))", "sha256('x'), now() + "+off+")").
		Replace(one("collect", "($C, 100, null, null), ($G, -100, null, null)"))
}

// reversing is an attack by a reversal of $E with these legs.
func reversing(legs string) string {
	return strings.NewReplacer("legs, content_hash)", "legs, content_hash, reverses)", "sha256('x'))", "sha256('x'), '$E')").
		Replace(one("reversal", legs))
}

// claimingHold is an attack by an entry whose postings name this hold.
func claimingHold(hold string) string {
	return strings.NewReplacer("balance_after, booked_at)", "balance_after, hold_id, booked_at)", "l.balance::bigint,", "l.balance::bigint, nullif('"+hold+"', l.seq::text),").
		Replace(one("refund", "($A, 90, 2, 10), ($C, -90, null, null)"))
}

// claiming is one with legs that claims to have so many.
func claiming(claimed int, kind, legs string) string {
	legs = strings.NewReplacer("$C", "'$C'", "$A", "'$A'", "$F", "'$F'", "$G", "'$G'", "$X", "'$X'", "$D", "'$D'").Replace(legs)
	if legs == "" {
		legs = "('', 1, null, null)) nothing (account, amount, seq, balance) where false"
	} else {
		legs += ") all_legs (account, amount, seq, balance)"
	}
	return `with e as (
		insert into entries (tenant_id, id, kind, number, phase, currency, legs, content_hash)
		values ('$T', 'ent_attack', '` + kind + `', 'attack', 'x', 'CNY', ` + string(rune('0'+claimed)) + `, sha256('x'))
		returning seq, booked_at
	)
	insert into postings (tenant_id, entry_seq, leg, account_id, amount, account_seq, balance_after, booked_at)
	select '$T', e.seq, row_number() over (), l.account, l.amount, l.seq::bigint, l.balance::bigint, e.booked_at
	from e, (select * from (values ` + legs + `) l`
}

func TestDirectSQLIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	mine := b.tenant
	other := b.newTenant("licensed_reserve")
	b.tenant = other
	b.mustPost(collect("p1", "mch_x", 5))
	b.tenant = mine
	booked := b.mustPost(collect("p1", "mch_a", 500),
		entry(ledger.Collect, "p2", leg(ledger.ChannelUnsettled, "chn", 1), leg(ledger.UnidentifiedReceipts, "chn", -1)),
		entry(ledger.Fee, "p3", leg(ledger.ChannelFeeExpense, "", 1), leg(ledger.FeeIncome, "", -1)))
	_, err := b.hold(held("done", 10), held("live", 10))
	require.NoError(t, err)
	require.NoError(t, b.release("done"))
	b.mustPost(collect("z1", "mch_z", 100), spend("z2", "mch_z", 100, ""))
	require.NoError(t, b.status("mch_z", ledger.Closed))
	b.mustPost(collect("y1", "mch_y", 100))
	require.NoError(t, b.status("mch_y", ledger.Frozen))
	dollars := entry(ledger.Collect, "d1", leg(ledger.ChannelUnsettled, "chn", 1), leg(ledger.UnidentifiedReceipts, "chn", -1))
	dollars.Currency, dollars.Postings[0].Account.Currency, dollars.Postings[1].Account.Currency = "USD", "USD", "USD"
	b.mustPost(dollars)

	var foreign, seq string
	require.NoError(t, b.Pool.QueryRow(ctx, `select id from ledger_accounts where tenant_id = $1 and type = 'channel_unsettled'`, other).Scan(&foreign))
	require.NoError(t, b.Pool.QueryRow(ctx, `select seq::text from entries where id = $1`, booked[0].EntryID).Scan(&seq))
	names := strings.NewReplacer("$T", mine, "$U", other, "$X", foreign, "$E", booked[0].EntryID, "$S", seq,
		"$A", b.balance(key(ledger.MerchantAvailable, "mch_a")).ID, "$C", b.balance(key(ledger.ChannelUnsettled, "chn")).ID,
		"$Y", b.balance(key(ledger.MerchantAvailable, "mch_y")).ID, "$H", b.getHold("live").ID, "$D", b.balance(dollars.Postings[0].Account).ID,
		"$Z", b.balance(key(ledger.MerchantAvailable, "mch_z")).ID,
		"$F", b.balance(key(ledger.FeeIncome, "")).ID, "$G", b.balance(key(ledger.UnidentifiedReceipts, "chn")).ID)

	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			err := b.in(func(ctx context.Context, tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, names.Replace(attack.sql)); err != nil {
					return err
				}
				return errors.New("the attack succeeded") // and is rolled back, so that the next stands alone
			})
			var refusal *pgconn.PgError
			require.ErrorAs(t, err, &refusal)
			require.Contains(t, refusal.Message+" "+refusal.ConstraintName, attack.says)
		})
	}
	t.Run("well-formed SQL is booked", func(t *testing.T) {
		require.NoError(t, b.in(func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, names.Replace(one("collect", "($C, 100, null, null), ($A, -100, 2, 600)")))
			return err
		}), "so the attacks above failed for their own reason")
	})
	b.requireSound()
}

func TestSystemRoleIsBoundByTheSameRules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	booked := b.mustPost(collect("p1", "mch_a", 500))
	for _, sql := range []string{
		`delete from postings`, `delete from entries`, `update postings set amount = 2`, `update entries set number = 'x'`,
		`insert into entries (tenant_id, id, kind, number, phase, currency, legs, content_hash)
		 select tenant_id, 'ent_x', kind, 'x', phase, currency, legs, content_hash from entries where id = '` + booked[0].EntryID + `'`,
	} {
		err := b.DB.AsSystem(context.Background(), func(tx pgx.Tx) error {
			_, err := tx.Exec(context.Background(), sql)
			return err
		})
		require.Error(t, err, sql)
	}
	b.requireSound()
}
