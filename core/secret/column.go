package secret

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Column is where values are kept that a Box sealed, so that all of them can be sealed
// anew and be looked after. Its texts are SQL of ours and go into statements as they are.
type Column struct {
	Table, Name string
	// Row is what a value is bound to within its tenant, and by what people find it:
	// an expression of the row.
	Row string
	// Where tells sealed values from others of the column; empty: all that are not null.
	Where string
	// Fixed values keep the data key that they were sealed under: they are short-lived,
	// or nobody may update them.
	Fixed bool
}

// Place is where the value of a tenant's row is.
func (c Column) Place(tenant, row string) Place {
	return Place{Tenant: tenant, Field: c.Table + "." + c.Name, Row: row}
}

func (c Column) where() string {
	if c.Where == "" {
		return c.Name + " is not null"
	}
	return c.Where
}

// SealedColumns lists what this package keeps sealed.
func SealedColumns() []Column {
	return []Column{oneTimeColumn()}
}

// ResealPage seals values of a tenant under its newest data key where they are not,
// from row on and at most limit of them. It returns how many, and from which row the
// next page goes on; no row when this was the last. Nobody who opens values meanwhile
// fails, and running it again changes nothing. It needs the system role.
func (b *Box) ResealPage(
	ctx context.Context, tx pgx.Tx, tenant string, c Column, row string, limit int,
) (changed int, next string, err error) {
	name, err := newest(ctx, tx, tenant)
	if err != nil || name.version == 0 {
		return 0, "", err
	}
	rows, err := tx.Query(ctx, `
		select ctid::text, `+c.Row+`, `+c.Name+` from `+c.Table+`
		where tenant_id = $1 and `+c.where()+` and `+c.Row+` >= $2 and substr(`+c.Name+`, 1, $3) <> $4
		order by `+c.Row+` limit $5 for no key update`, tenant, row, headLength, name.head(), limit)
	if err != nil {
		return 0, "", fmt.Errorf("read %s: %w", c.Table, err)
	}
	type value struct {
		At, Row string
		Sealed  []byte
	}
	old, err := pgx.CollectRows(rows, pgx.RowToStructByPos[value])
	if err != nil || len(old) == 0 {
		return 0, "", err
	}
	at, anew := make([]string, len(old)), make([][]byte, len(old))
	for i, o := range old {
		at[i] = o.At
		if anew[i], _, err = b.Reseal(ctx, tx, c.Place(tenant, o.Row), o.Sealed); err != nil {
			return 0, "", fmt.Errorf("%s %s: %w", c.Table, o.Row, err)
		}
	}
	_, err = tx.Exec(ctx, `
		update `+c.Table+` t set `+c.Name+` = u.sealed
		from unnest($2::text[]::tid[], $3::bytea[]) u (at, sealed) where t.tenant_id = $1 and t.ctid = u.at`, tenant, at, anew)
	if err != nil {
		return 0, "", fmt.Errorf("reseal %s: %w", c.Table, err)
	}
	if len(old) == limit {
		next = old[limit-1].Row
	}
	return len(old), next, nil
}
