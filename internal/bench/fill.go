package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/ledger"
)

// sqlGrow books $N entries of two postings at once, as a superuser past triggers
// and foreign keys, and leaves what Post would have left: a tenth of them are of
// one merchant, the others spread over all, and all of the one channel account. It
// is for history only: sealing and verify are then the product's own and must
// find it sound, and what is measured afterwards goes the whole way.
const sqlGrow = `
set synchronous_commit = off;
set session_replication_role = replica;
insert into merchants (tenant_id, id, reference, name, settlement)
  select $T, m.id, m.id, 'Shop', 'T0'
  from (select 'mch_' || lpad(m::text, 26, '0') as id from generate_series(1, $M) m) m;
insert into ledger_accounts (tenant_id, id, type, class, book, normal_side, gl_code, owner, currency, floor, created_at)
  select $T, 'acc_' || lpad(m::text, 26, '0'), 'merchant_available', 'merchant_liability', 'trust', 'credit', '2241.02',
    'mch_' || lpad(m::text, 26, '0'), 'CNY', 0, now() - interval '25 days'
  from generate_series(1, $M) m;
insert into ledger_accounts (tenant_id, id, type, class, book, normal_side, gl_code, owner, currency, created_at)
  values ($T, 'acc_' || lpad('0', 26, '0'), 'channel_unsettled', 'custody_asset', 'trust', 'debit', '1012.01',
    'chn_' || lpad('1', 26, '0'), 'CNY', now() - interval '25 days');
insert into entries (tenant_id, id, kind, number, phase, currency, legs, content_hash, booked_at)
  select $T, 'ent_' || lpad(n::text, 26, '0'), 'collect', 'att_' || lpad(n::text, 26, '0'), 'paid', 'CNY', 2, sha256(n::text::bytea),
    now() - interval '20 days' + n * interval '17 days' / $N
  from generate_series(1, $N) n order by n;
create temp table load as
  select e.seq, e.booked_at, 10000 + e.seq % 100 as amount,
    'acc_' || lpad(case when e.seq % 10 = 0 then '1' else (1 + (e.seq / 10 * 9 + e.seq % 10 - 1) % $M)::text end, 26, '0') as account
  from entries e;
insert into postings (tenant_id, entry_seq, leg, account_id, amount, booked_at)
  select $T, seq, 1, 'acc_' || lpad('0', 26, '0'), amount, booked_at from load order by seq;
insert into postings (tenant_id, entry_seq, leg, account_id, amount, account_seq, balance_after, booked_at)
  select $T, seq, 2, account, -amount, row_number() over w, sum(amount) over w, booked_at from load
  window w as (partition by account order by seq) order by seq;
update ledger_accounts a set posted = s.posted, last_seq = s.n
  from (select account, sum(amount) as posted, count(*) as n from load group by account) s where a.id = s.account;
update tenants set created_at = now() - interval '30 days';
drop table load;
reset session_replication_role; reset synchronous_commit`

// merchantsOf is how many merchants a history of so many postings has: a tenth, so
// that ten million postings have a million accounts.
func merchantsOf(postings int) int { return max(postings/10, 10) }

// history is a database with postings in it.
type history struct {
	*books
	postings int
	// filled and sealed are how long that took, zero when it was there before.
	filled, sealed time.Duration
}

// openHistory makes the database of so many postings, or takes it as it is when it
// is there already.
func openHistory(ctx context.Context, s *server, postings int, o options) (*history, error) {
	name := fmt.Sprintf("bench_growth_%d", postings)
	at, fresh, err := s.kept(ctx, name)
	if err != nil {
		return nil, err
	}
	h := &history{postings: postings}
	if h.books, err = connect(ctx, at, o); err != nil {
		return nil, err
	}
	if fresh {
		err = h.fill(ctx)
	} else {
		err = h.find(ctx)
	}
	if err != nil {
		h.close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for m := range merchantsOf(postings) {
		h.merchants = append(h.merchants, fmt.Sprintf("mch_%026d", m+1))
	}
	h.channels = []string{fmt.Sprintf("chn_%026d", 1)}
	return h, nil
}

func (h *history) fill(ctx context.Context) error {
	if err := h.makeTenant(ctx); err != nil {
		return err
	}
	sql := strings.NewReplacer("$T", "'"+h.tenant+"'", "$N", fmt.Sprint(h.postings/2), "$M", fmt.Sprint(merchantsOf(h.postings))).
		Replace(sqlGrow)
	conn, err := h.super.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	began := time.Now()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return err
	}
	h.filled = time.Since(began)
	fmt.Fprintf(os.Stderr, "%d postings filled in %s\n", h.postings, brief(h.filled))
	if _, err := conn.Exec(ctx, "vacuum analyze"); err != nil {
		return err
	}
	began = time.Now()
	if _, err := ledger.SealNow(ctx, h.db); err != nil {
		return err
	}
	h.sealed = time.Since(began)
	fmt.Fprintf(os.Stderr, "%d postings sealed in %s\n", h.postings, brief(h.sealed))
	if _, err := conn.Exec(ctx, "vacuum analyze seals, seal_balances"); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "checkpoint")
	return err
}

// find takes the tenant that an earlier run made, with a new key.
func (h *history) find(ctx context.Context) error {
	return h.db.AsSystem(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "select id from tenants").Scan(&h.tenant); err != nil {
			return err
		}
		var err error
		_, h.key, err = tenant.CreateKey(ctx, tx, h.tenant, tenant.NewKey{Name: "bench", Scopes: []string{tenant.AllScopes}})
		return err
	})
}
