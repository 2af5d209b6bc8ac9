package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/suanpan/suanpan/channels/alipay"
	"github.com/suanpan/suanpan/channels/wechatpay"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/config"
)

// The names of the public parameters of a channel account.
const (
	ParamAppID          = "app_id"
	ParamSellerID       = "seller_id"
	ParamMchID          = "mch_id"
	ParamMerchantSerial = "merchant_serial"
	ParamPublicKeyID    = "public_key_id"
)

// The files in the secrets directory of a channel account, named by its id.
const (
	FilePrivateKey  = "private_key.pem"
	FileProviderKey = "provider_public_key.pem"
	FileAPIv3Key    = "api_v3.key"
)

// Adapters makes and keeps the adapter of every channel account in use. It is
// safe for concurrent use.
type Adapters struct {
	cfg  config.Channels
	mu   sync.Mutex
	made map[string]channel.Adapter
}

// NewAdapters returns Adapters that read keys below cfg.SecretsDir.
func NewAdapters(cfg config.Channels) *Adapters {
	return &Adapters{cfg: cfg, made: map[string]channel.Adapter{}}
}

// Adapter returns the adapter that talks for account. It reads the account's
// keys once; a missing or malformed key is an error that names the file.
func (a *Adapters) Adapter(_ context.Context, account tenant.ChannelAccount) (channel.Adapter, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if adapter, ok := a.made[account.ID]; ok {
		return adapter, nil
	}
	adapter, err := a.make(account)
	if err != nil {
		return nil, fmt.Errorf("channel account %s: %w", account.ID, err)
	}
	a.made[account.ID] = adapter
	return adapter, nil
}

func (a *Adapters) make(account tenant.ChannelAccount) (channel.Adapter, error) {
	keys := keyFiles{dir: filepath.Join(a.cfg.SecretsDir, account.ID)}
	private, provider := keys.read(FilePrivateKey), keys.read(FileProviderKey)
	switch account.Channel {
	case alipay.Name:
		if keys.err != nil {
			return nil, keys.err
		}
		return alipay.New(alipay.Config{
			GatewayURL:      a.cfg.AlipayGatewayURL,
			AppID:           account.Params[ParamAppID],
			SellerID:        account.Params[ParamSellerID],
			AppPrivateKey:   private,
			AlipayPublicKey: provider,
		})
	case wechatpay.Name:
		apiV3 := keys.read(FileAPIv3Key)
		if keys.err != nil {
			return nil, keys.err
		}
		return wechatpay.New(wechatpay.Config{
			BaseURL:       a.cfg.WeChatPayBaseURL,
			MchID:         account.Params[ParamMchID],
			AppID:         account.Params[ParamAppID],
			MchCertSerial: account.Params[ParamMerchantSerial],
			MchPrivateKey: private,
			PublicKeyID:   account.Params[ParamPublicKeyID],
			PublicKey:     provider,
			APIv3Key:      []byte(strings.TrimSpace(apiV3)),
		})
	}
	return nil, errors.New("no adapter for channel " + account.Channel)
}

// keyFiles reads the files of one account and keeps the first error.
type keyFiles struct {
	dir string
	err error
}

func (k *keyFiles) read(name string) string {
	text, err := os.ReadFile(filepath.Join(k.dir, name))
	if err != nil && k.err == nil {
		k.err = fmt.Errorf("key file: %w", err)
	}
	return string(text)
}

// NotifyURL returns the address at which providers notify us about an account.
func NotifyURL(publicURL string) func(channelName, channelAccountID string) string {
	base := strings.TrimSuffix(publicURL, "/")
	return func(channelName, channelAccountID string) string {
		return base + "/notify/" + channelName + "/" + channelAccountID
	}
}
