package ledger_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

// scalePostings is how many postings TestReadingDoesNotGrowWithHistory loads.
// The full run: go test ./ledger -run Grow -scale-postings 10000000 -timeout 1h.
var scalePostings = flag.Int("scale-postings", 40_000, "postings to load")

// sqlLoad books count entries at once, past the triggers, as Post would have:
// every second one on the first merchant, the others spread.
const sqlLoad = `
set session_replication_role = replica;
insert into ledger_accounts (tenant_id, id, type, class, book, normal_side, gl_code, owner, currency)
  select $T, 'acc_' || lpad(m::text, 26, '0'), 'merchant_available', 'merchant_liability', 'trust', 'credit', '2241.02', 'mch_' || m, 'CNY'
  from generate_series(1, greatest($N / 20, 2)) m
  union all select $T, 'acc_channel', 'channel_unsettled', 'custody_asset', 'trust', 'debit', '1012.01', 'chn', 'CNY';
update ledger_accounts set floor = 0 where type = 'merchant_available';
insert into entries (tenant_id, id, kind, number, phase, currency, legs, content_hash, booked_at)
  select $T, 'ent_' || n, 'collect', 'p' || n, 'booked', 'CNY', 2, sha256(n::text::bytea), now() - interval '20 days' + n * interval '17 days' / $N
  from generate_series(1, $N) n order by n;
create temp table load as
  select e.seq, e.booked_at, 'acc_' || lpad(case when e.seq % 2 = 0 then '1' else (2 + e.seq % greatest($N / 20 - 1, 1))::text end, 26, '0') as account,
    1 + e.seq % 100 as amount from entries e;
insert into postings (tenant_id, entry_seq, leg, account_id, amount, booked_at)
  select $T, seq, 1, 'acc_channel', amount, booked_at from load order by seq;
insert into postings (tenant_id, entry_seq, leg, account_id, amount, account_seq, balance_after, booked_at)
  select $T, seq, 2, account, -amount, row_number() over w, sum(amount) over w, booked_at from load window w as (partition by account order by seq)
  order by seq;
update ledger_accounts a set posted = s.posted, last_seq = s.n
  from (select account, sum(amount) as posted, count(*) as n from load group by account) s where a.id = s.account;
update tenants set created_at = now() - interval '30 days';
drop table load; set session_replication_role = default;
analyze entries; analyze postings; analyze ledger_accounts`

func TestReadingDoesNotGrowWithHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	entries := *scalePostings / 2
	conn, err := b.Pool.Acquire(ctx)
	require.NoError(t, err)
	load := strings.NewReplacer("$T", "'"+b.tenant+"'", "$N", fmt.Sprint(entries)).Replace(sqlLoad)
	_, err = conn.Exec(ctx, load)
	require.NoError(t, err)
	conn.Release()
	took := func(what string, times int, fn func()) time.Duration {
		began := time.Now()
		for range times {
			fn()
		}
		each := time.Since(began) / time.Duration(times)
		t.Logf("%-44s %12s", what, each)
		return each
	}
	sum := took("SUM(amount) GROUP BY account", 1, func() {
		_, err := b.Pool.Exec(ctx, `select account_id, sum(amount) from postings group by account_id`)
		require.NoError(t, err)
	})
	took("seal all of it", 1, func() { require.GreaterOrEqual(t, b.seal(), 1) })
	_, err = b.Pool.Exec(ctx, `analyze seals; analyze seal_balances`)
	require.NoError(t, err)
	var full ledger.Report
	verify := took("verify in full", 1, func() { full = b.verify(ledger.VerifyOptions{}) })
	require.True(t, full.Sound, "%+v", full.Results)
	require.EqualValues(t, entries, full.Entries)
	t.Logf("verify / SUM = %.1f", verify.Seconds()/sum.Seconds())
	took("verify since the last seal", 1, func() { require.True(t, b.verify(ledger.VerifyOptions{Since: full.Seals}).Sound) })

	for _, account := range []string{"acc_" + fmt.Sprintf("%026d", 1), "acc_channel"} {
		b.read(func(ctx context.Context, tx pgx.Tx) {
			seal, err := ledger.SealAt(ctx, tx, b.tenant, ledger.Moment{Seal: (full.Seals[0].Number + 1) / 2})
			require.NoError(t, err)
			now := took(account+" balance now", 50, func() { _, err = ledger.GetAccount(ctx, tx, b.tenant, account) })
			require.NoError(t, err)
			past := took(account+" balance at a seal", 50, func() { _, err = ledger.PostedAt(ctx, tx, b.tenant, account, seal) })
			require.NoError(t, err)
			t.Logf("past / now = %.1f", past.Seconds()/now.Seconds())
			day := time.Now().AddDate(0, 0, -10).Format(time.DateOnly)
			took(account+" first page of a statement", 10, func() {
				_, err = ledger.GetStatement(ctx, tx, b.tenant, ledger.StatementQuery{AccountID: account, From: day, To: day})
			})
			require.NoError(t, err)
			took(account+" first page of entries", 10, func() {
				_, _, err = ledger.Entries(ctx, tx, b.tenant, ledger.EntryFilter{AccountID: account, NewestFirst: true})
			})
			require.NoError(t, err)
		})
	}
}
