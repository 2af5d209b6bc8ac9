package event

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/secret"
)

// secretColumn is where signing secrets are, under the data keys of their tenants. One is
// bound to its endpoint: of the few that an endpoint has, each is as good as another.
func secretColumn() secret.Column {
	return secret.Column{Table: "webhook_secrets", Name: "sealed", Row: "endpoint_id"}
}

// SealedColumns lists what this package keeps sealed.
func SealedColumns() []secret.Column { return []secret.Column{secretColumn()} }

// addSecret draws a signing secret for an endpoint, keeps it sealed and returns it.
func addSecret(ctx context.Context, tx pgx.Tx, box *secret.Box, tenant, endpointID string) (string, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return "", fmt.Errorf("event: random secret: %w", err)
	}
	text := secretPrefix + base64.StdEncoding.EncodeToString(key[:])
	sealed, err := box.Seal(ctx, tx, secretColumn().Place(tenant, endpointID), []byte(text))
	if err != nil {
		return "", fmt.Errorf("event: %w", err)
	}
	_, err = tx.Exec(ctx, `insert into webhook_secrets (tenant_id, endpoint_id, sealed) values ($1, $2, $3)`,
		tenant, endpointID, sealed)
	if err != nil {
		return "", fmt.Errorf("event: store secret: %w", err)
	}
	return text, nil
}

// kept are the live signing secrets of an endpoint, newest first, as they are stored;
// plain ones are from before they were sealed.
type kept struct {
	sealed [][]byte
	plain  []string
}

// open returns them ready for signing. One that does not open is left out, and named
// by the error: that is trouble of one endpoint, and none of the database.
func (k kept) open(ctx context.Context, tx pgx.Tx, box *secret.Box, tenant, endpointID string) (secrets []string, bad, err error) {
	for _, each := range k.sealed {
		value, err := box.Open(ctx, tx, secretColumn().Place(tenant, endpointID), each)
		switch {
		case errors.Is(err, secret.ErrNotOpened):
			bad = err
		case err != nil:
			return nil, bad, err
		default:
			secrets = append(secrets, string(value.Reveal()))
		}
	}
	return append(secrets, k.plain...), bad, nil
}

// SealSecrets seals signing secrets from before they were sealed, at most limit of them,
// and returns how many. It needs the system role.
func SealSecrets(ctx context.Context, tx pgx.Tx, box *secret.Box, limit int) (int, error) {
	rows, err := tx.Query(ctx, `
		select tenant_id, endpoint_id, id, secret from webhook_secrets where secret is not null
		order by tenant_id, endpoint_id, id limit $1 for update`, limit)
	if err != nil {
		return 0, fmt.Errorf("event: secrets in plain: %w", err)
	}
	type row struct {
		Tenant, Endpoint string
		ID               int64
		Secret           string
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return 0, fmt.Errorf("event: secrets in plain: %w", err)
	}
	for _, r := range found {
		sealed, err := box.Seal(ctx, tx, secretColumn().Place(r.Tenant, r.Endpoint), []byte(r.Secret))
		if err != nil {
			return 0, fmt.Errorf("event: %w", err)
		}
		_, err = tx.Exec(ctx, `
			update webhook_secrets set sealed = $4, secret = null where tenant_id = $1 and endpoint_id = $2 and id = $3`,
			r.Tenant, r.Endpoint, r.ID, sealed)
		if err != nil {
			return 0, fmt.Errorf("event: seal a secret: %w", err)
		}
	}
	return len(found), nil
}
