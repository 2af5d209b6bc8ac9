package party

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// ErrForgotten says that the key of a person was destroyed: nobody can tell any more
// what was known of him.
var ErrForgotten = errors.New("the person was forgotten")

// Forgotten stands where data of a person stood who was forgotten.
const Forgotten = "forgotten"

// keyColumn is where the keys of persons are, under the data keys of their tenants.
func keyColumn() secret.Column { return secret.Column{Table: "persons", Name: "sealed_key", Row: "id"} }

// SealedColumns lists what this package keeps sealed.
func SealedColumns() []secret.Column { return []secret.Column{keyColumn()} }

// PersonalColumns lists what is kept under keys of persons.
func PersonalColumns() []secret.Keyed {
	return []secret.Keyed{accountColumn(), nameColumn(), payerIDColumn(), payerIPColumn()}
}

func accountColumn() secret.Keyed {
	return secret.Keyed{Table: "merchant_payout_accounts", Name: "sealed_account", Owner: "person_id", Keys: keyColumn(), Plain: "account"}
}

func nameColumn() secret.Keyed {
	return secret.Keyed{Table: "merchant_payout_accounts", Name: "sealed_name", Owner: "person_id", Keys: keyColumn(), Plain: "name"}
}

func payerIDColumn() secret.Keyed {
	return secret.Keyed{Table: "attempts", Name: "sealed_payer_id", Owner: "payer_person", Keys: keyColumn(), Plain: "payer_id"}
}

func payerIPColumn() secret.Keyed {
	return secret.Keyed{Table: "attempts", Name: "sealed_payer_ip", Owner: "payer_person", Keys: keyColumn(), Plain: "payer_ip"}
}

// person is somebody with a key of his own, as it is kept; key is nil once he is forgotten.
type person struct {
	id  string
	key []byte
}

// newPerson draws a person and his key. They are nowhere until they are inserted.
func newPerson(ctx context.Context, q pg.Querier, box *secret.Box, tenant string) (person, secret.Key, error) {
	p := person{id: id.New(id.Person)}
	key, sealed, err := box.NewKey(ctx, q, keyColumn().Place(tenant, p.id))
	if err != nil {
		return person{}, secret.Key{}, fmt.Errorf("key of a person: %w", err)
	}
	p.key = sealed
	return p, key, nil
}

const sqlInsertPerson = `insert into persons (tenant_id, id, merchant_id, sealed_key) values ($1, $2, nullif($3, ''), $4)`

// open returns the person's key, or ErrForgotten.
func (p person) open(ctx context.Context, q pg.Querier, box *secret.Box, tenant string) (secret.Key, error) {
	if p.key == nil {
		return secret.Key{}, ErrForgotten
	}
	key, err := box.OpenKey(ctx, q, keyColumn().Place(tenant, p.id), p.key)
	if err != nil {
		return secret.Key{}, fmt.Errorf("key of person %s: %w", p.id, err)
	}
	return key, nil
}

// text opens one value; nothing was kept of an empty one.
func (p person) text(key secret.Key, tenant string, of secret.Keyed, sealed []byte) (string, error) {
	if sealed == nil {
		return "", nil
	}
	value, err := key.Open(of.Place(tenant, p.id), sealed)
	if err != nil {
		return "", fmt.Errorf("%s of person %s: %w", of.Name, p.id, err)
	}
	return string(value.Reveal()), nil
}

// seal is the other way round.
func (p person) seal(key secret.Key, tenant string, of secret.Keyed, text string) []byte {
	if text == "" {
		return nil
	}
	return key.Seal(of.Place(tenant, p.id), []byte(text))
}

// forget destroys the keys of persons. Idempotent; the first reason stays.
func forget(ctx context.Context, tx pgx.Tx, tenant, which string, of any, reason string) error {
	_, err := tx.Exec(ctx, `
		update persons set sealed_key = null, forgotten_at = suanpan_now(), forgotten_reason = $3
		where tenant_id = $1 and sealed_key is not null and `+which, tenant, of, reason)
	if err != nil {
		return fmt.Errorf("forget a person: %w", err)
	}
	return nil
}
