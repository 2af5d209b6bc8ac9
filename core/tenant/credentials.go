package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// The statuses of credentials.
const (
	// CredentialCurrent: they sign, and verify what the provider says.
	CredentialCurrent = "current"
	// CredentialPrevious: replaced; they still verify what the provider says. Next:
	// the tenant retires them, or replaces the current ones again.
	CredentialPrevious = "previous"
	// CredentialRetired: of no use any more, and destroyed here.
	CredentialRetired = "retired"
)

// Credential is one set of an account's keys, as it may be shown.
type Credential struct {
	ID string
	// Fingerprint is the SHA-256 of our public key (SubjectPublicKeyInfo), in hex.
	Fingerprint string
	// KeyID is the serial of our certificate, ProviderKeyID the provider's name of
	// its own key; empty where there is none.
	KeyID, ProviderKeyID string
	Status               string
	CreatedAt            time.Time
	RetiredAt            *time.Time
}

const credentialColumns = `id, fingerprint, key_id, provider_key_id, status, created_at, retired_at`

func (c *Credential) fields() []any {
	return []any{&c.ID, &c.Fingerprint, &c.KeyID, &c.ProviderKeyID, &c.Status, &c.CreatedAt, &c.RetiredAt}
}

// OpenedCredential is a set of keys with the keys.
type OpenedCredential struct {
	Credential
	Secret secret.Value
}

func credentialColumn() secret.Column {
	return secret.Column{Table: "channel_credentials", Name: "sealed", Row: "id"}
}

// SealedColumns lists what this package keeps sealed.
func SealedColumns() []secret.Column { return []secret.Column{credentialColumn()} }

func credentialPlace(tenant, credentialID string) secret.Place {
	return credentialColumn().Place(tenant, credentialID)
}

// AddCredentials makes c, with keys in a form only the caller knows, the current
// ones of an account: the current ones become the previous, and what was previous is
// retired. c needs Fingerprint, KeyID and ProviderKeyID. An unknown account is
// NotFound. Not idempotent.
func AddCredentials(
	ctx context.Context, q pg.Querier, box *secret.Box, tenant, accountID string, c Credential, keys secret.Value,
) (Credential, error) {
	if err := newVersion(ctx, q, tenant, accountID); err != nil {
		return Credential{}, err
	}
	c.ID = id.New(id.Credential)
	sealed, err := box.Seal(ctx, q, credentialPlace(tenant, c.ID), keys.Reveal())
	if err != nil {
		return Credential{}, err
	}
	if err := retire(ctx, q, tenant, accountID, CredentialPrevious); err != nil {
		return Credential{}, err
	}
	_, err = q.Exec(ctx, `
		update channel_credentials set status = 'previous'
		where tenant_id = $1 and channel_account_id = $2 and status = 'current'`, tenant, accountID)
	if err != nil {
		return Credential{}, fmt.Errorf("replace credentials: %w", err)
	}
	err = q.QueryRow(ctx, `
		insert into channel_credentials (tenant_id, id, channel_account_id, fingerprint, key_id, provider_key_id, sealed)
		values ($1, $2, $3, $4, $5, $6, $7) returning `+credentialColumns,
		tenant, c.ID, accountID, c.Fingerprint, c.KeyID, c.ProviderKeyID, sealed).Scan(c.fields()...)
	if err != nil {
		return Credential{}, fmt.Errorf("add credentials: %w", err)
	}
	return c, nil
}

// newVersion locks the account and tells every process to look at its keys again.
func newVersion(ctx context.Context, q pg.Querier, tenant, accountID string) error {
	tag, err := q.Exec(ctx, `
		update channel_accounts set version = version + 1 where tenant_id = $1 and id = $2`, tenant, accountID)
	if err != nil {
		return fmt.Errorf("new version of channel account: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fault.NotFound()
	}
	return nil
}

func retire(ctx context.Context, q pg.Querier, tenant, accountID, status string) error {
	_, err := q.Exec(ctx, `
		update channel_credentials set status = 'retired', sealed = null, retired_at = suanpan_now()
		where tenant_id = $1 and channel_account_id = $2 and status = $3`, tenant, accountID, status)
	if err != nil {
		return fmt.Errorf("retire credentials: %w", err)
	}
	return nil
}

// CodeCredentialsInUse is the refusal to retire an account's current keys.
const CodeCredentialsInUse = "credentials_in_use"

// RetireCredentials ends the overlap of a rotation: the previous keys verify
// nothing any more and are destroyed. Idempotent; the current ones are refused.
func RetireCredentials(ctx context.Context, q pg.Querier, tenant, accountID, credentialID string) (Credential, error) {
	if err := newVersion(ctx, q, tenant, accountID); err != nil {
		return Credential{}, err
	}
	c, err := GetCredential(ctx, q, tenant, accountID, credentialID)
	if err != nil {
		return Credential{}, err
	}
	switch c.Status {
	case CredentialRetired:
		return c, nil
	case CredentialCurrent:
		return Credential{}, fault.Refused("", CodeCredentialsInUse,
			"these are the account's current keys; enter new ones first, or suspend the account")
	}
	if err := retire(ctx, q, tenant, accountID, CredentialPrevious); err != nil {
		return Credential{}, err
	}
	return GetCredential(ctx, q, tenant, accountID, credentialID)
}

// GetCredential returns one set of an account's keys without the keys, or NotFound.
func GetCredential(ctx context.Context, q pg.Querier, tenant, accountID, credentialID string) (Credential, error) {
	var c Credential
	err := q.QueryRow(ctx, `
		select `+credentialColumns+` from channel_credentials
		where tenant_id = $1 and channel_account_id = $2 and id = $3`, tenant, accountID, credentialID).Scan(c.fields()...)
	if err != nil {
		return Credential{}, notFound("read credentials", err)
	}
	return c, nil
}

func notFound(what string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.NotFound()
	}
	return fmt.Errorf("%s: %w", what, err)
}

// ListCredentials lists an account's keys without the keys, newest first.
func ListCredentials(ctx context.Context, q pg.Querier, tenant, accountID string) ([]Credential, error) {
	rows, err := q.Query(ctx, `
		select `+credentialColumns+` from channel_credentials
		where tenant_id = $1 and channel_account_id = $2 order by id desc`, tenant, accountID)
	if err != nil {
		return nil, fmt.Errorf("list credentials: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Credential, error) {
		var c Credential
		err := row.Scan(c.fields()...)
		return c, err
	})
}

// currentCredentials refuses an account that has no keys.
func currentCredentials(ctx context.Context, q pg.Querier, tenant, accountID string) (Credential, error) {
	var c Credential
	err := q.QueryRow(ctx, `
		select `+credentialColumns+` from channel_credentials
		where tenant_id = $1 and channel_account_id = $2 and status = 'current'`, tenant, accountID).Scan(c.fields()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, errCredentialsMissing()
	}
	if err != nil {
		return c, fmt.Errorf("read credentials: %w", err)
	}
	return c, nil
}

func errCredentialsMissing() error {
	return fault.Refused("", CodeCredentialsMissing, "this channel account has no keys yet; enter them first")
}

// OpenCredentials returns an account's keys that are in use, the current ones
// first, with the version of the account they belong to. Without any it is refused
// with CodeCredentialsMissing.
func OpenCredentials(
	ctx context.Context, q pg.Querier, box *secret.Box, tenant, accountID string,
) (version int, inUse []OpenedCredential, err error) {
	// One statement, so that version and keys belong together.
	rows, err := q.Query(ctx, `
		select a.version, c.id, c.fingerprint, c.key_id, c.provider_key_id, c.status, c.created_at, c.retired_at, c.sealed
		from channel_accounts a join channel_credentials c on c.tenant_id = a.tenant_id and c.channel_account_id = a.id
		where a.tenant_id = $1 and a.id = $2 and c.status <> 'retired' order by c.status`, tenant, accountID)
	if err != nil {
		return 0, nil, fmt.Errorf("read credentials: %w", err)
	}
	var each OpenedCredential
	var sealed []byte
	var all [][]byte
	_, err = pgx.ForEachRow(rows, append(append([]any{&version}, each.fields()...), &sealed), func() error {
		inUse, all = append(inUse, each), append(all, sealed)
		each.RetiredAt, sealed = nil, nil
		return nil
	})
	if err != nil {
		return 0, nil, fmt.Errorf("read credentials: %w", err)
	}
	if len(inUse) == 0 || inUse[0].Status != CredentialCurrent {
		return 0, nil, errCredentialsMissing()
	}
	for i := range inUse {
		inUse[i].Secret, err = box.Open(ctx, q, credentialPlace(tenant, inUse[i].ID), all[i])
		if err != nil {
			return 0, nil, fmt.Errorf("credentials %s: %w", inUse[i].ID, err)
		}
	}
	return version, inUse, nil
}
