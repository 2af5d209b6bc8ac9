package secret

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/ledger"
)

// Keyed is a column of values that Keys sealed.
type Keyed struct {
	Table, Name string
	// Owner is the column that names whose key it is: a row of Keys.
	Owner string
	Keys  Column
	// Plain is the column that held the values before they were sealed, or empty.
	Plain string
}

// Place is where the value of an owner is.
func (k Keyed) Place(tenant, owner string) Place {
	return Place{Tenant: tenant, Field: k.Table + "." + k.Name, Row: owner}
}

// Schema is everything that is kept sealed.
type Schema struct {
	Columns []Column
	Keyed   []Keyed
	// Plain are columns of earlier versions that must be empty, by table.
	Plain map[string][]string
}

// verifyPage is how many values are in memory at a time.
const verifyPage = 64

// Verify opens every sealed value on the snapshot of tx, and looks through everything
// else for what looks like a secret: C27 of the invariants. What it names is where
// something is, never what. An error means that the check itself could not run.
func (b *Box) Verify(ctx context.Context, tx pgx.Tx, schema Schema, opts ledger.VerifyOptions) (ledger.Result, error) {
	v := &verification{box: b, tx: tx, tenant: opts.Tenant, most: opts.MaxBreaks, result: ledger.Result{
		ID: "C27", Name: "secrets and personal data are sealed", Breaks: []ledger.Break{},
		Rule: "every column of secrets or personal data holds sealed values that open in their place, " +
			"and no other one holds a private key or anything that looks like a secret",
	}}
	if v.most <= 0 {
		v.most = 100
	}
	began := time.Now()
	steps := []func(context.Context, Schema) error{v.columns, v.keyed, v.plain, v.texts}
	for _, step := range steps {
		if err := step(ctx, schema); err != nil {
			return v.result, fmt.Errorf("verify secrets: %w", err)
		}
	}
	v.result.Took = time.Since(began)
	return v.result, nil
}

type verification struct {
	box    *Box
	tx     pgx.Tx
	tenant string
	most   int
	result ledger.Result
}

func (v *verification) fail(tenant, table, column, row, detail string) {
	v.result.Broken++
	if len(v.result.Breaks) < v.most {
		v.result.Breaks = append(v.result.Breaks,
			ledger.Break{TenantID: tenant, Subject: table + "." + column + " of " + row, Detail: detail})
	}
}

// stored is a value with the key that sealed it, where that is one of its own.
type stored struct {
	Tenant, Row string
	Sealed, Key []byte
}

// each hands over what a query of stored values finds, a page at a time, so that
// others can run on tx meanwhile.
func (v *verification) each(ctx context.Context, query string, use func(stored) error) error {
	if _, err := v.tx.Exec(ctx, `declare verified_secrets no scroll cursor for
		select tenant::text, row::text, sealed, key from (`+query+`) q (tenant, row, sealed, key)`, v.tenant); err != nil {
		return err
	}
	for {
		rows, err := v.tx.Query(ctx, fmt.Sprint(`fetch `, verifyPage, ` from verified_secrets`))
		if err != nil {
			return err
		}
		page, err := pgx.CollectRows(rows, pgx.RowToStructByPos[stored])
		if err != nil {
			return err
		}
		for _, s := range page {
			v.result.Checked++
			if err := use(s); err != nil {
				return err
			}
		}
		if len(page) < verifyPage {
			_, err := v.tx.Exec(ctx, `close verified_secrets`)
			return err
		}
	}
}

// columns opens what is under the data keys of tenants.
func (v *verification) columns(ctx context.Context, schema Schema) error {
	for _, c := range schema.Columns {
		query := `select tenant_id, ` + c.Row + `, ` + c.Name + `, null::bytea from ` + c.Table +
			` where $1 in ('', tenant_id) and ` + c.where()
		err := v.each(ctx, query, func(s stored) error {
			_, err := v.box.Open(ctx, v.tx, c.Place(s.Tenant, s.Row), s.Sealed)
			return v.judge(err, s, c.Table, c.Name)
		})
		if err != nil {
			return fmt.Errorf("%s.%s: %w", c.Table, c.Name, err)
		}
	}
	return nil
}

// keyed opens what is under keys of its own. Of one whose key was destroyed only the
// beginning can be judged.
func (v *verification) keyed(ctx context.Context, schema Schema) error {
	for _, k := range schema.Keyed {
		query := `select t.tenant_id, t.` + k.Owner + `, t.` + k.Name + `, k.` + k.Keys.Name + ` from ` + k.Table + ` t
			left join ` + k.Keys.Table + ` k on k.tenant_id = t.tenant_id and k.` + k.Keys.Row + ` = t.` + k.Owner + `
			where $1 in ('', t.tenant_id) and t.` + k.Name + ` is not null`
		err := v.each(ctx, query, func(s stored) error {
			if s.Key == nil {
				if len(s.Sealed) == 0 || s.Sealed[0] != keyFormat {
					return v.judge(ErrNotOpened, s, k.Table, k.Name)
				}
				return nil
			}
			key, err := v.box.OpenKey(ctx, v.tx, k.Keys.Place(s.Tenant, s.Row), s.Key)
			if err == nil {
				_, err = key.Open(k.Place(s.Tenant, s.Row), s.Sealed)
			}
			return v.judge(err, s, k.Table, k.Name)
		})
		if err != nil {
			return fmt.Errorf("%s.%s: %w", k.Table, k.Name, err)
		}
	}
	return nil
}

// judge turns a value that does not open into a break; other errors end the check.
func (v *verification) judge(err error, s stored, table, column string) error {
	if errors.Is(err, ErrNotOpened) {
		v.fail(s.Tenant, table, column, s.Row, "it is not sealed, was changed, or belongs to another place")
		return nil
	}
	return err
}

// plain looks for what earlier versions kept as it is.
func (v *verification) plain(ctx context.Context, schema Schema) error {
	for table, columns := range schema.Plain {
		found, err := v.rowsOf(ctx, table, columns, func(column string) string { return column + " is not null" })
		if err != nil {
			return err
		}
		for _, f := range found {
			v.fail(f.Tenant, table, f.Column, f.Row, "it is in plain: run `starter secrets seal`")
		}
	}
	return nil
}

// The forms of secrets: private keys, our own signing secrets and API keys, and 32
// hexadecimal digits by themselves, which is how WeChat Pay's v2 keys look.
const (
	formKnown = `-----BEGIN [A-Z ]*PRIVATE KEY-----|whsec_[A-Za-z0-9+/=]{32,}|sk_(test|live)_[A-Za-z0-9_]{16,}`
	formHex   = `(^|[^0-9A-Za-z])[0-9a-f]{32}($|[^0-9A-Za-z])`
)

// chosenElsewhere are columns whose texts are tenants', providers' or payers' to choose, and
// may be 32 hexadecimal digits without being a secret, such as a UUID without dashes.
func chosenElsewhere() []string {
	return []string{"reference", "idempotency_key", "nonce", "click", "link_click", "token", "checkout_token", "request_id",
		"number", "trade_number", "channel_trade_no", "channel_refund_no", "channel_transfer_no", "url", "return_url", "params",
		"action", "request", "answer", "before", "after", "metadata", "input", "body", "content", "workflow_id"}
}

// texts looks through everything that can be read as text, also the bytes of stored
// answers and requests.
func (v *verification) texts(ctx context.Context, _ Schema) error {
	rows, err := v.tx.Query(ctx, `
		select c.relname::text, array_agg(a.attname::text order by a.attnum)
		from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
		  and (a.atttypid in ('text'::regtype, 'varchar'::regtype, 'json'::regtype, 'jsonb'::regtype, 'text[]'::regtype)
		    or a.atttypid = 'bytea'::regtype and (c.relname, a.attname) in
		      (('accepted_responses', 'body'), ('operator_requests', 'body'), ('approvals', 'content')))
		group by c.relname order by c.relname`)
	if err != nil {
		return err
	}
	type table struct {
		Name    string
		Columns []string
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return err
	}
	for _, t := range tables {
		found, err := v.rowsOf(ctx, t.Name, t.Columns, looksSecret)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		for _, f := range found {
			v.fail(f.Tenant, t.Name, f.Column, f.Row, "it looks like a secret")
		}
	}
	return nil
}

// looksSecret is the condition on a column, in SQL.
func looksSecret(column string) string {
	text := column + "::text"
	if column == "body" || column == "content" {
		text = "encode(" + column + ", 'escape')"
	}
	form := formKnown
	if !slices.Contains(chosenElsewhere(), column) {
		form += "|" + formHex
	}
	return text + " ~ '" + form + "'"
}

// place is where something was found.
type place struct{ Tenant, Row, Column string }

// rowsOf finds rows of a table by a condition on each of some columns. A row is named by
// its primary key.
func (v *verification) rowsOf(ctx context.Context, table string, columns []string, condition func(column string) string) ([]place, error) {
	var key []string
	var ofTenant bool
	err := v.tx.QueryRow(ctx, `
		select coalesce(array_agg(a.attname::text order by k.place), '{}'),
		  exists (select from pg_attribute t where t.attrelid = $1::text::regclass and t.attname = 'tenant_id')
		from pg_index i cross join unnest(i.indkey) with ordinality k (attnum, place)
		join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
		where i.indrelid = $1::text::regclass and i.indisprimary`, table).Scan(&key, &ofTenant)
	if err != nil {
		return nil, err
	}
	owner := "''"
	if ofTenant {
		owner = "tenant_id"
	}
	key = slices.DeleteFunc(key, func(c string) bool { return c == "tenant_id" })
	row := "'a row'"
	if len(key) > 0 {
		row = "concat_ws('/', " + strings.Join(key, ", ") + ")"
	}
	var any []string
	for _, c := range columns {
		any = append(any, `select `+owner+`, `+row+`, '`+c+`' from `+table+` where $1 in ('', `+owner+`) and `+condition(c))
	}
	rows, err := v.tx.Query(ctx, strings.Join(any, " union all "), v.tenant)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[place])
}
