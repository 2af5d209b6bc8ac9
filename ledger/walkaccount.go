package ledger

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/chain"
)

// walkedAccount is an account with what a walk finds out about it.
type walkedAccount struct {
	id       string
	typ      Type
	class    Class
	book     Book
	currency string
	side     Side
	floored  bool
	floor    int64
	posted   int64
	held     int64
	lastSeq  int64
	// identity is SHA-256 over the canonical bytes of what never changes.
	identity [sha256.Size]byte

	walked accountHistory
}

const sqlWalkAccounts = `
select id, type, class, book, normal_side, gl_code, owner, name, currency, floor, posted, held, last_seq
from ledger_accounts where tenant_id = $1`

const sqlWalkAccountsNamed = sqlWalkAccounts + ` and id = any ($2)`

// loadAccounts reads all accounts of the tenant.
func (w *walker) loadAccounts(ctx context.Context) error {
	return w.readAccounts(ctx, sqlWalkAccounts, w.tenant)
}

// loadNamed reads the accounts of these ids; some may not exist.
func (w *walker) loadNamed(ctx context.Context, ids []string) error {
	return w.readAccounts(ctx, sqlWalkAccountsNamed, w.tenant, ids)
}

func (w *walker) readAccounts(ctx context.Context, sql string, args ...any) error {
	rows, err := w.q.Query(ctx, sql, append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, args...)...)
	if err != nil {
		return fmt.Errorf("ledger: read accounts of %s: %w", w.tenant, err)
	}
	defer rows.Close()
	words := map[string]string{}
	word := func(raw []byte) string {
		known, ok := words[string(raw)]
		if !ok {
			known = string(raw)
			words[known] = known
		}
		return known
	}
	var b []byte
	for rows.Next() {
		raw := rows.RawValues()
		b = b[:0]
		for _, text := range raw[:9] {
			b = chain.PutRaw(b, text)
		}
		id := string(raw[0])
		w.known[id] = &walkedAccount{id: id, typ: Type(word(raw[1])), class: Class(word(raw[2])), book: Book(word(raw[3])),
			side: Side(word(raw[4])), currency: word(raw[8]), floored: raw[9] != nil, floor: rawInt(raw[9]),
			posted: rawInt(raw[10]), held: rawInt(raw[11]), lastSeq: rawInt(raw[12]), identity: sha256.Sum256(b)}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger: read accounts of %s: %w", w.tenant, err)
	}
	return nil
}
