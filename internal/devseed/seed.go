package devseed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// stakeAdvance is how much of providers' fees, in fen, the tenant may owe custody:
// payments without a platform fee cost it money and bring it none.
const stakeAdvance = 1_000_000_00

// Request says what to seed and where.
type Request struct {
	DatabaseURL string
	SandboxURL  string
	APIURLs     []string
	// TemporalUI and CodecURL, where it has payloads decrypted, are kept for people; empty
	// when they are not known.
	TemporalUI, CodecURL string
	// MasterKeyFile seals the keys of the channel accounts; made when there is none.
	MasterKeyFile string
	// File is where the outcome is kept as JSON, readable by its owner only.
	File string
}

// Outcome is what a developer, or the demo, needs to use the stack.
type Outcome struct {
	TenantID string `json:"tenant_id"`
	APIKey   string `json:"api_key"`
	// OperatorKey makes tenants and their first keys; it reads no tenant's business.
	OperatorKey string   `json:"operator_key"`
	APIURLs     []string `json:"api_urls"`
	SandboxURL  string   `json:"sandbox_url"`
	TemporalUI  string   `json:"temporal_ui"`
	CodecURL    string   `json:"codec_url"`
	Alipay      Alipay   `json:"alipay"`
	WeChatPay   WeChat   `json:"wechatpay"`
}

// Alipay is the tenant's app at the sandbox's Alipay.
type Alipay struct {
	ChannelAccountID string `json:"channel_account_id"`
	AppID            string `json:"app_id"`
	SellerID         string `json:"seller_id"`
}

// WeChat is the tenant's merchant at the sandbox's WeChat Pay.
type WeChat struct {
	ChannelAccountID string `json:"channel_account_id"`
	MchID            string `json:"mch_id"`
	AppID            string `json:"app_id"`
	MerchantSerial   string `json:"merchant_serial"`
}

// Seed makes sure that the tenant of r.File exists, with its channel accounts
// known to the sandbox. Idempotent; a database that does not know the tenant of
// the file gets a new one.
func Seed(ctx context.Context, r Request) (Outcome, error) {
	if err := app.EnsureMasterKey(r.MasterKeyFile); err != nil {
		return Outcome{}, fmt.Errorf("seed: master key: %w", err)
	}
	box, err := app.OpenBox(config.Secrets{MasterKeyFile: r.MasterKeyFile})
	if err != nil {
		return Outcome{}, err
	}
	db, err := pg.Open(ctx, r.DatabaseURL, pg.Options{MaxConns: 2})
	if err != nil {
		return Outcome{}, err
	}
	defer db.Close()
	s := seeder{Request: r, db: db, box: box, portal: portal{base: r.SandboxURL}}
	out, known, err := s.earlier(ctx)
	if err != nil {
		return out, err
	}
	if !known {
		if out, err = s.newTenant(ctx); err != nil {
			return out, err
		}
	}
	if out.Alipay, err = s.alipay(ctx, out.TenantID, out.Alipay); err != nil {
		return out, fmt.Errorf("seed alipay: %w", err)
	}
	if out.WeChatPay, err = s.wechat(ctx, out.TenantID, out.WeChatPay); err != nil {
		return out, fmt.Errorf("seed wechat pay: %w", err)
	}
	out.APIURLs, out.SandboxURL, out.TemporalUI, out.CodecURL = r.APIURLs, r.SandboxURL, r.TemporalUI, r.CodecURL
	return out, write(r.File, out)
}

type seeder struct {
	Request
	db     *pg.DB
	box    *secret.Box
	portal portal
}

// earlier reads what was seeded before, and whether the database still knows it.
func (s *seeder) earlier(ctx context.Context) (Outcome, bool, error) {
	var out Outcome
	text, err := os.ReadFile(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return out, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return out, false, fmt.Errorf("seed: %s cannot be read (delete it to seed anew): %w", s.File, err)
	}
	err = s.db.AsSystem(ctx, func(tx pgx.Tx) error {
		_, err := tenant.Get(ctx, tx, out.TenantID)
		return err
	})
	if errors.Is(err, &fault.Error{Kind: fault.KindNotFound}) {
		return Outcome{}, false, nil
	}
	return out, err == nil, err
}

func (s *seeder) newTenant(ctx context.Context) (Outcome, error) {
	var out Outcome
	err := s.db.AsSystem(ctx, func(tx pgx.Tx) error {
		t, err := tenant.Create(ctx, tx, "Demo Mall", tenant.LicensedReserve)
		if err != nil {
			return err
		}
		out.TenantID = t.ID
		if err := ledger.ApproveStakeAdvance(ctx, tx, t.ID, money.CNY, stakeAdvance, "development"); err != nil {
			return err
		}
		_, out.APIKey, err = tenant.CreateKey(ctx, tx, t.ID, tenant.NewKey{Name: "development", Scopes: []string{tenant.AllScopes}})
		if err != nil {
			return err
		}
		_, out.OperatorKey, err = tenant.CreateOperatorKey(ctx, tx, "development", tenant.OperatorScopes(), nil)
		return err
	})
	return out, err
}

// ensureAccount records a channel account unless the tenant has it, and opens every
// product that its adapter offers.
func (s *seeder) ensureAccount(ctx context.Context, tenantID string, account tenant.ChannelAccount) (tenant.ChannelAccount, error) {
	var out tenant.ChannelAccount
	err := s.db.AsSystem(ctx, func(tx pgx.Tx) error {
		var err error
		out, err = tenant.GetChannelAccount(ctx, tx, tenantID, account.ID)
		if errors.Is(err, &fault.Error{Kind: fault.KindNotFound}) {
			out, err = tenant.AddChannelAccount(ctx, tx, tenantID, account)
		}
		if err != nil {
			return err
		}
		return tenant.SetProducts(ctx, tx, tenantID, account.ID, allProducts(account.Channel))
	})
	return out, err
}

func allProducts(channelName string) []tenant.ProductChange {
	var all []tenant.ProductChange
	for _, provider := range app.Providers() {
		for _, offer := range provider.Offers {
			if provider.Name == channelName {
				all = append(all, tenant.ProductChange{Product: string(offer.Product), Status: tenant.ProductOpened})
			}
		}
	}
	return all
}

// keys returns the current keys of an account, or fresh ones of our own that are not
// entered yet.
func (s *seeder) keys(ctx context.Context, account tenant.ChannelAccount) (keys channel.Credentials, entered bool, err error) {
	keys, err = app.CurrentCredentials(ctx, s.db, s.box, account.TenantID, account.ID)
	if fault.Is(err, tenant.CodeCredentialsMissing) {
		keys.PrivateKey, err = newPrivateKey()
		return keys, false, err
	}
	return keys, true, err
}

// enter makes keys the account's unless they are.
func (s *seeder) enter(ctx context.Context, account tenant.ChannelAccount, keys channel.Credentials, entered bool) error {
	if entered {
		return nil
	}
	_, err := app.EnterCredentials(ctx, s.db, s.box, account.TenantID, account, keys)
	return err
}

func write(file string, out Outcome) error {
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	temporary := file + ".new"
	if err := os.WriteFile(temporary, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return os.Rename(temporary, file)
}
