package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// reader reads our database past the proxies, as its superuser. It writes nothing.
type reader struct{ url string }

// row is an object that moves money, as the database has it.
type row struct {
	kind, id, reference, status string
	fen                         int64
	// number is what the provider knows it by; fee what the provider took, or
	// gave back of a refund.
	number string
	fee    int64
	// ours says that the platform made it by itself (refunds of late money).
	ours bool
}

// rows reads a query of any shape into a list.
func rows[T any](ctx context.Context, r *reader, scan func(pgx.Rows) (T, error), sql string, args ...any) ([]T, error) {
	conn, err := pgx.Connect(ctx, r.url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	found, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, func(row pgx.CollectableRow) (T, error) { return scan(found) })
}

// objects reads every payment, refund, withdrawal and transfer.
func (r *reader) objects(ctx context.Context) ([]row, error) {
	return rows(ctx, r, func(x pgx.Rows) (o row, err error) {
		return o, x.Scan(&o.kind, &o.id, &o.reference, &o.status, &o.fen, &o.number, &o.fee, &o.ours)
	}, `
		select 'createPayment', p.id, p.reference, p.status, p.amount, a.number,
		       case when a.status = 'paid' then coalesce(a.fee, 0) else 0 end, false
		  from payments p join attempts a on a.tenant_id = p.tenant_id and a.payment_id = p.id
		union all
		select 'createRefund', id, coalesce(reference, id), status, amount, number, fee_returned, origin <> 'request' from refunds
		union all
		select 'createWithdrawal', id, reference, status, amount, number, 0, false from withdrawals
		union all
		select 'createTransfer', id, reference, 'succeeded', amount, '', 0, false from transfers`)
}

// lateReceipt is money that came after a payment was closed.
type lateReceipt struct {
	number   string
	fen, fee int64
}

func (r *reader) lateReceipts(ctx context.Context) ([]lateReceipt, error) {
	return rows(ctx, r, func(x pgx.Rows) (o lateReceipt, err error) { return o, x.Scan(&o.number, &o.fen, &o.fee) }, `
		select a.number, l.amount, l.fee
		  from late_receipts l join attempts a on a.tenant_id = l.tenant_id and a.id = l.attempt_id`)
}

// acceptedKeys are the ids of what was made, by Idempotency-Key.
func (r *reader) acceptedKeys(ctx context.Context) (map[string]string, error) {
	list, err := rows(ctx, r, func(x pgx.Rows) (o [2]string, err error) { return o, x.Scan(&o[0], &o[1]) },
		`select idempotency_key, object_id from accepted_requests`)
	byKey := map[string]string{}
	for _, one := range list {
		byKey[one[0]] = one[1]
	}
	return byKey, err
}

// committedEvent is an event as it was committed.
type committedEvent struct{ id, kind, object string }

func (r *reader) events(ctx context.Context) ([]committedEvent, error) {
	return rows(ctx, r, func(x pgx.Rows) (o committedEvent, err error) { return o, x.Scan(&o.id, &o.kind, &o.object) },
		`select id, type, object_id from events`)
}

// undelivered counts deliveries that are not done.
func (r *reader) undelivered(ctx context.Context) (int, error) {
	return r.number(ctx, `select count(*) from webhook_deliveries where status <> 'delivered'`)
}

// unfinished counts objects that are not final, by kind.
func (r *reader) unfinished(ctx context.Context) (map[string]int, error) {
	list, err := rows(ctx, r, func(x pgx.Rows) (o struct {
		kind string
		n    int
	}, err error) {
		return o, x.Scan(&o.kind, &o.n)
	}, `
		select 'payments', count(*) from payments where status in ('processing', 'awaiting_payer')
		union all select 'refunds', count(*) from refunds where status = 'processing'
		union all select 'withdrawals', count(*) from withdrawals where status = 'processing'
		union all select 'daily operations', count(*) from daily_operations where status = 'processing'
		union all select 'reconciliations', count(*) from reconciliations where status = 'processing'
		union all select 'notifications', count(*) from notifications where handled_at is null`)
	open := map[string]int{}
	for _, one := range list {
		if one.n > 0 {
			open[one.kind] = one.n
		}
	}
	return open, err
}

// number reads one number.
func (r *reader) number(ctx context.Context, sql string) (int, error) {
	list, err := rows(ctx, r, func(x pgx.Rows) (n int, err error) { return n, x.Scan(&n) }, sql)
	if err != nil || len(list) != 1 {
		return 0, fmt.Errorf("%d rows: %w", len(list), err)
	}
	return list[0], nil
}

// settings reads what decides what a commit is worth.
func (r *reader) settings(ctx context.Context) (map[string]string, error) {
	list, err := rows(ctx, r, func(x pgx.Rows) (o [2]string, err error) { return o, x.Scan(&o[0], &o[1]) }, `
		select name, setting from pg_settings
		 where name in ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method')`)
	known := map[string]string{}
	for _, one := range list {
		known[one[0]] = one[1]
	}
	return known, err
}

// backend finds the server process of a connection of ours, or of Temporal's,
// that is in the middle of a transaction; pid is 0 when there is none now.
func (r *reader) backend(ctx context.Context) (pid int, query string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	list, err := rows(ctx, r, func(x pgx.Rows) (o struct {
		pid   int
		query string
	}, err error) {
		return o, x.Scan(&o.pid, &o.query)
	}, `
		select pid, state || ': ' || left(regexp_replace(query, '\s+', ' ', 'g'), 60)
		  from pg_stat_activity
		 where backend_type = 'client backend' and pid <> pg_backend_pid() and backend_xid is not null
		 order by random() limit 1`)
	if err != nil || len(list) == 0 {
		return 0, "", err
	}
	return list[0].pid, list[0].query, nil
}
