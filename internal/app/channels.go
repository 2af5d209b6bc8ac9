package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/channels/alipay"
	"github.com/suanpan/suanpan/channels/keys"
	"github.com/suanpan/suanpan/channels/wechatpay"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/pg"
)

// Adapters makes and keeps the adapter of every channel account in use, and knows
// what the providers want of an account (desk.go). It is safe for concurrent use.
type Adapters struct {
	cfg config.Channels
	db  *pg.DB
	box *secret.Box

	// guards stand around every adapter; nil for none.
	guards *Guards
	mu     sync.Mutex
	made   map[string]made
}

// made is what was made of one version of an account. It is not changed: whoever
// holds an older one finishes with it.
type made struct {
	version  int
	adapter  channel.Adapter
	notifier channel.Notifier
}

// NewAdapters returns Adapters that read keys from db and open them by box.
func NewAdapters(cfg config.Channels, db *pg.DB, box *secret.Box) *Adapters {
	return &Adapters{cfg: cfg, db: db, box: box, made: map[string]made{}}
}

// Guarded puts guards around every adapter made from now on and returns a.
func (a *Adapters) Guarded(guards *Guards) *Adapters {
	a.guards = guards
	return a
}

// Adapter returns the adapter that talks for account, made of its current keys. An
// account that was read after a rotation gets the new keys; the one made of the
// old keys goes on working for whoever has it. An account without keys is a fault.
func (a *Adapters) Adapter(ctx context.Context, account tenant.ChannelAccount) (channel.Adapter, error) {
	m, err := a.of(ctx, account)
	return m.adapter, err
}

// Notifier returns what verifies notifications to account: by its current keys, and
// during the overlap of a rotation by its previous ones too.
func (a *Adapters) Notifier(ctx context.Context, account tenant.ChannelAccount) (channel.Notifier, error) {
	m, err := a.of(ctx, account)
	return m.notifier, err
}

// of makes what is not there yet, or is of an older version than the account as its
// caller read it. Two callers may make the same thing at once; the newer one stays.
func (a *Adapters) of(ctx context.Context, account tenant.ChannelAccount) (made, error) {
	a.mu.Lock()
	kept, ok := a.made[account.ID]
	a.mu.Unlock()
	if ok && kept.version >= account.Version {
		return kept, nil
	}
	fresh, err := a.make(ctx, account)
	if err != nil {
		return made{}, fmt.Errorf("channel account %s: %w", account.ID, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if kept := a.made[account.ID]; kept.version > fresh.version {
		return kept, nil
	}
	a.made[account.ID] = fresh
	return fresh, nil
}

func (a *Adapters) make(ctx context.Context, account tenant.ChannelAccount) (made, error) {
	var m made
	var inUse []tenant.OpenedCredential
	err := a.db.InTenant(ctx, account.TenantID, func(tx pgx.Tx) error {
		var err error
		m.version, inUse, err = tenant.OpenCredentials(ctx, tx, a.box, account.TenantID, account.ID)
		return err
	})
	if err != nil {
		return made{}, err
	}
	all := make([]channel.Credentials, len(inUse))
	for i, each := range inUse {
		if all[i], err = channel.UnpackCredentials(each.Secret); err != nil {
			return made{}, fmt.Errorf("credentials %s: %w", each.ID, err)
		}
	}
	var verifiers overlap
	for i, credentials := range all {
		adapter, err := a.build(account, credentials, all[i+1:])
		if err != nil {
			return made{}, fmt.Errorf("credentials %s: %w", inUse[i].ID, err)
		}
		verifiers = append(verifiers, adapter)
	}
	m.adapter = a.guards.Wrap(account, verifiers[0].(channel.Adapter))
	m.notifier = verifiers
	return m, nil
}

// build makes an adapter without a call. Answers that verify by the provider's keys
// in earlier are taken as well. Errors name fields, never keys.
func (a *Adapters) build(account tenant.ChannelAccount, c channel.Credentials, earlier []channel.Credentials) (channel.Adapter, error) {
	switch account.Channel {
	case alipay.Name:
		cfg := alipay.Config{
			GatewayURL:      a.cfg.AlipayGatewayURL,
			AppID:           account.Params[keys.ParamAppID],
			SellerID:        account.Params[keys.ParamSellerID],
			AuthAppID:       account.Params[keys.ParamAuthAppID],
			AppAuthToken:    c.AppAuthToken,
			AppPrivateKey:   c.PrivateKey,
			AlipayPublicKey: c.ProviderPublicKey,
			Timeout:         a.guards.Timeout(),
		}
		if c.Certificate != "" {
			cfg.Certificates = &alipay.Certificates{App: c.Certificate, Alipay: c.ProviderCertificate, AlipayRoot: c.ProviderRootCertificate}
		}
		for _, e := range earlier {
			switch {
			case cfg.Certificates != nil && e.ProviderCertificate != "" && e.ProviderCertificate != c.ProviderCertificate:
				cfg.Certificates.OtherAlipay = append(cfg.Certificates.OtherAlipay, e.ProviderCertificate)
			case cfg.Certificates == nil && e.ProviderPublicKey != "" && e.ProviderPublicKey != c.ProviderPublicKey:
				cfg.OtherAlipayPublicKeys = append(cfg.OtherAlipayPublicKeys, e.ProviderPublicKey)
			}
		}
		return alipay.New(cfg)
	case wechatpay.Name:
		return wechatpay.New(wechatpay.Config{
			BaseURL:       a.cfg.WeChatPayBaseURL,
			MchID:         account.Params[keys.ParamMchID],
			AppID:         account.Params[keys.ParamAppID],
			SubMchID:      account.Params[keys.ParamSubMchID],
			SubAppID:      account.Params[keys.ParamSubAppID],
			StoreID:       account.Params[keys.ParamStoreID],
			AppSecret:     c.AppSecret,
			MchCertSerial: c.Serial,
			MchPrivateKey: c.PrivateKey,
			PublicKeyID:   c.ProviderPublicKeyID,
			PublicKey:     c.ProviderPublicKey,
			APIv3Key:      []byte(c.APIv3Key),
			// Without its public key WeChat Pay's certificates are downloaded.
			PlatformCertificates: c.ProviderPublicKey == "",
			Timeout:              a.guards.Timeout(),
		})
	}
	return nil, errors.New("no adapter for channel " + account.Channel)
}

// overlap verifies by the keys that are in use, the current ones first. There is
// always one.
type overlap []channel.Notifier

// ReadNotification takes what any of the keys verifies; when none does, the current
// ones say why.
func (o overlap) ReadNotification(ctx context.Context, r *http.Request, body []byte) (channel.Notification, error) {
	n, err := o[0].ReadNotification(ctx, r, body)
	for _, previous := range o[1:] {
		if err == nil {
			break
		}
		if earlier, failed := previous.ReadNotification(ctx, r, body); failed == nil {
			return earlier, nil
		}
	}
	return n, err
}

// Acknowledge answers in the provider's words, which do not depend on keys.
func (o overlap) Acknowledge(w http.ResponseWriter, ok bool) { o[0].Acknowledge(w, ok) }

// NotifyURL returns the address at which providers notify us about an account.
func NotifyURL(publicURL string) func(channelName, channelAccountID string) string {
	base := strings.TrimSuffix(publicURL, "/")
	return func(channelName, channelAccountID string) string {
		return base + "/notify/" + channelName + "/" + channelAccountID
	}
}
