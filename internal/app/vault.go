package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/approval"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/core/recon"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/pg"
)

// OpenBox reads the master key file and returns what seals and opens secrets.
// Errors name the setting and never the key.
func OpenBox(cfg config.Secrets) (*secret.Box, error) {
	text, err := os.ReadFile(cfg.MasterKeyFile)
	if err != nil {
		return nil, fmt.Errorf("SUANPAN_MASTER_KEY_FILE: %w (make one with `starter secrets new-master-key`)", err)
	}
	masters, err := secret.ParseMasters(string(text))
	if err != nil {
		return nil, fmt.Errorf("SUANPAN_MASTER_KEY_FILE: %s: %w", cfg.MasterKeyFile, err)
	}
	return secret.NewBox(masters)
}

// NewMasterKey writes a fresh master key into a file that does not exist yet,
// readable for its owner only; fs.ErrExist when it does.
func NewMasterKey(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	// Under another name first: a key that is half written must not be found.
	temporary, err := os.CreateTemp(filepath.Dir(file), ".master-key-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.WriteString(secret.NewMasterKeyText())
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Link(temporary.Name(), file) // refuses an existing file
}

// EnsureMasterKey is NewMasterKey unless there is one: for development.
func EnsureMasterKey(file string) error {
	if err := NewMasterKey(file); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Vault is what the commands about secrets work on.
type Vault struct {
	db  *pg.DB
	box *secret.Box
}

// OpenVault connects to the database and reads the master key; Close it.
func OpenVault(ctx context.Context, cfg config.Vault) (*Vault, error) {
	box, err := OpenBox(cfg.Secrets)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.DatabaseURL, pg.Options{MaxConns: 2})
	if err != nil {
		return nil, err
	}
	return &Vault{db: db, box: box}, nil
}

// Close ends the connections.
func (v *Vault) Close() { v.db.Close() }

// rewrapBatch is how many data keys are rewrapped in one transaction.
const rewrapBatch = 100

// Rewrap wraps every tenant's data keys under the first master key of the file and
// returns how many were under another one.
func (v *Vault) Rewrap(ctx context.Context) (int, error) {
	total := 0
	for {
		var n int
		err := v.db.AsSystem(ctx, func(tx pgx.Tx) (err error) {
			n, err = v.box.Rewrap(ctx, tx, rewrapBatch)
			return err
		})
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}

// InUse lists the master keys that the database still needs.
func (v *Vault) InUse(ctx context.Context) (uses []secret.KeyInUse, err error) {
	err = v.db.AsSystem(ctx, func(tx pgx.Tx) error {
		uses, err = v.box.InUse(ctx, tx)
		return err
	})
	return uses, err
}

// SealedColumns are all columns that hold values under the data keys of tenants.
func SealedColumns() []secret.Column {
	return slices.Concat(secret.SealedColumns(), tenant.SealedColumns(), party.SealedColumns(), event.SealedColumns(),
		approval.SealedColumns(), recon.SealedColumns())
}

// sealedSchema is everything that is kept sealed, and the columns of earlier versions
// that must be empty.
func sealedSchema() secret.Schema {
	schema := secret.Schema{Columns: SealedColumns(), Keyed: party.PersonalColumns(),
		Plain: map[string][]string{"webhook_secrets": {"secret"}}}
	for _, k := range schema.Keyed {
		schema.Plain[k.Table] = append(schema.Plain[k.Table], k.Plain)
	}
	return schema
}

// RotateDataKeys gives every tenant, or one, a new data key and seals what it keeps
// under it. It returns the numbers of tenants and of resealed values. A tenant that
// keeps nothing yet is left alone. It can be stopped and begun again at any moment.
func (v *Vault) RotateDataKeys(ctx context.Context, only string) (tenants, resealed int, err error) {
	ids := []string{only}
	if only == "" {
		err := v.db.AsSystem(ctx, func(tx pgx.Tx) (err error) {
			ids, err = tenant.IDs(ctx, tx)
			return err
		})
		if err != nil {
			return 0, 0, err
		}
	}
	for _, tenantID := range ids {
		// Transactions of their own: values sealed between them are under the new key already.
		err := v.db.InTenant(ctx, tenantID, func(tx pgx.Tx) error {
			_, err := v.box.RotateDataKey(ctx, tx, tenantID)
			return err
		})
		if err != nil {
			return tenants, resealed, fmt.Errorf("tenant %s: %w", tenantID, err)
		}
		n, err := v.reseal(ctx, tenantID)
		resealed += n
		if err != nil {
			return tenants, resealed, fmt.Errorf("tenant %s: %w", tenantID, err)
		}
		tenants++
	}
	return tenants, resealed, nil
}

// reseal seals what a tenant keeps under its newest data key, a page at a time.
func (v *Vault) reseal(ctx context.Context, tenantID string) (resealed int, err error) {
	for _, column := range SealedColumns() {
		if column.Fixed {
			continue
		}
		for row, more := "", true; more; more = row != "" {
			err := v.db.AsSystem(ctx, func(tx pgx.Tx) error {
				n, next, err := v.box.ResealPage(ctx, tx, tenantID, column, row, rewrapBatch)
				if err == nil {
					resealed, row = resealed+n, next
				}
				return err
			})
			if err != nil {
				return resealed, err
			}
		}
	}
	return resealed, nil
}

// SealPlain seals what earlier versions kept in plain: payees, payers, signing secrets
// of webhooks, bills. It returns how many of each; afterwards none is left. It can be
// stopped and begun again at any moment, beside a running platform of this version.
func (v *Vault) SealPlain(ctx context.Context) (sealed map[string]int, err error) {
	sealed = map[string]int{}
	for _, step := range []struct {
		what string
		once func(context.Context, pgx.Tx) (int, error)
	}{
		{"payees", v.sealPayee},
		{"payers", func(ctx context.Context, tx pgx.Tx) (int, error) {
			return payment.SealPayers(ctx, tx, v.box, rewrapBatch)
		}},
		{"signing secrets", func(ctx context.Context, tx pgx.Tx) (int, error) {
			return event.SealSecrets(ctx, tx, v.box, rewrapBatch)
		}},
		{"bills", v.sealBill},
	} {
		for n := 1; n > 0; sealed[step.what] += n {
			err := v.db.AsSystem(ctx, func(tx pgx.Tx) (err error) {
				n, err = step.once(ctx, tx)
				return err
			})
			if err != nil {
				return sealed, fmt.Errorf("seal %s: %w", step.what, err)
			}
		}
	}
	return sealed, nil
}

// sealPayee seals one payee, whose withdrawals may be many.
func (v *Vault) sealPayee(ctx context.Context, tx pgx.Tx) (int, error) {
	found, err := party.PlainPayees(ctx, tx, 1)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	_, err = payout.SealPayee(ctx, tx, v.box, found[0][0], found[0][1])
	return 1, err
}

// sealBill seals one bill, which may be large.
func (v *Vault) sealBill(ctx context.Context, tx pgx.Tx) (int, error) {
	found, err := recon.SealBill(ctx, tx, v.box)
	if !found {
		return 0, err
	}
	return 1, err
}

// RotatePayloadKey makes a new key for what Temporal keeps and returns its id.
func (v *Vault) RotatePayloadKey(ctx context.Context) (string, error) {
	return secret.NewRing(v.db, v.box, secret.Payloads).Rotate(ctx)
}

// The files that Import reads from a channel account's folder, as the secrets
// directory of earlier versions had them.
const (
	filePrivateKey  = "private_key.pem"
	fileProviderKey = "provider_public_key.pem"
	fileAPIv3Key    = "api_v3.key"
)

// The public parameters that belong to keys and were params of an account before.
const (
	paramMerchantSerial = "merchant_serial"
	paramPublicKeyID    = "public_key_id"
)

// Import enters the key files of dir as the current keys of a channel account, and
// says which it made. The serial and the id of the provider's key come from the
// account's parameters, where they were kept.
func (v *Vault) Import(ctx context.Context, accountID, dir string) (tenant.Credential, error) {
	var tenantID string
	var account tenant.ChannelAccount
	err := v.db.AsSystem(ctx, func(tx pgx.Tx) (err error) {
		tenantID, account, err = tenant.ChannelAccountOwner(ctx, tx, accountID)
		return err
	})
	if err != nil {
		return tenant.Credential{}, err
	}
	given, err := readKeyFiles(dir)
	if err != nil {
		return tenant.Credential{}, err
	}
	given.Serial, given.ProviderPublicKeyID = account.Params[paramMerchantSerial], account.Params[paramPublicKeyID]
	return EnterCredentials(ctx, v.db, v.box, tenantID, account, given)
}

func readKeyFiles(dir string) (channel.Credentials, error) {
	var c channel.Credentials
	for name, field := range map[string]*string{
		filePrivateKey: &c.PrivateKey, fileProviderKey: &c.ProviderPublicKey, fileAPIv3Key: &c.APIv3Key,
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) && name == fileAPIv3Key {
			continue // Alipay has none
		}
		if err != nil {
			return channel.Credentials{}, fmt.Errorf("key file: %w", err)
		}
		*field = string(text)
	}
	return c, nil
}

// EnterCredentials inspects keys and makes them the current ones of an account.
func EnterCredentials(
	ctx context.Context, db *pg.DB, box *secret.Box, tenantID string, account tenant.ChannelAccount, given channel.Credentials,
) (tenant.Credential, error) {
	// Addresses do not matter: no call is made.
	inspector := NewAdapters(config.Channels{AlipayGatewayURL: "https://localhost", WeChatPayBaseURL: "https://localhost"}, db, box)
	kept, facts, err := inspector.Inspect(account, given)
	if err != nil {
		return tenant.Credential{}, err
	}
	packed, err := kept.Pack()
	if err != nil {
		return tenant.Credential{}, err
	}
	var out tenant.Credential
	err = db.InTenant(ctx, tenantID, func(tx pgx.Tx) (err error) {
		out, err = tenant.AddCredentials(ctx, tx, box, tenantID, account.ID, tenant.Credential{
			Fingerprint: facts.Fingerprint, KeyID: facts.KeyID, ProviderKeyID: facts.ProviderKeyID}, packed)
		return err
	})
	return out, err
}

// CurrentCredentials opens the current keys of an account: for development only,
// where the sandbox has to be told the public half.
func CurrentCredentials(ctx context.Context, db *pg.DB, box *secret.Box, tenantID, accountID string) (channel.Credentials, error) {
	var out channel.Credentials
	err := db.InTenant(ctx, tenantID, func(tx pgx.Tx) error {
		_, inUse, err := tenant.OpenCredentials(ctx, tx, box, tenantID, accountID)
		if err != nil {
			return err
		}
		out, err = channel.UnpackCredentials(inUse[0].Secret)
		return err
	})
	return out, err
}
