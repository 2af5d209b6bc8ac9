package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Options say where the platform is and where the demo tells what it does.
type Options struct {
	// APIURLs are the bases of all API instances; requests alternate between them.
	APIURLs []string
	APIKey  string
	// SandboxURL is the base of the providers' stand-in.
	SandboxURL string
	// Alipay and WeChatPay are what the tenant is called at its providers: an
	// app id and a merchant id.
	Alipay, WeChatPay string
	// TemporalUI is the base of the Web UI, only printed; empty when unknown.
	TemporalUI string
	// Out receives everything a person reads. With Terminal set, a line that
	// counts is rewritten in place.
	Out      io.Writer
	Terminal bool
}

// devFile is what seeding leaves for developers, as far as the demo needs it.
type devFile struct {
	APIKey     string   `json:"api_key"`
	APIURLs    []string `json:"api_urls"`
	SandboxURL string   `json:"sandbox_url"`
	TemporalUI string   `json:"temporal_ui"`
	Alipay     struct {
		AppID string `json:"app_id"`
	} `json:"alipay"`
	WeChatPay struct {
		MchID string `json:"mch_id"`
	} `json:"wechatpay"`
}

// ReadDevFile fills in, from the file that a development stack leaves, what o
// does not say yet. A file that is not there is an error only if something is
// missing without it.
func (o *Options) ReadDevFile(path string) error {
	text, err := os.ReadFile(path)
	var dev devFile
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &dev); err != nil {
			return fmt.Errorf("%s cannot be read: %w", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if len(o.APIURLs) == 0 {
		o.APIURLs = dev.APIURLs
	}
	for _, field := range []struct {
		into *string
		from string
	}{
		{&o.APIKey, dev.APIKey}, {&o.SandboxURL, dev.SandboxURL}, {&o.TemporalUI, dev.TemporalUI},
		{&o.Alipay, dev.Alipay.AppID}, {&o.WeChatPay, dev.WeChatPay.MchID},
	} {
		if *field.into == "" {
			*field.into = field.from
		}
	}
	if len(o.APIURLs) == 0 || o.APIKey == "" || o.SandboxURL == "" || o.Alipay == "" || o.WeChatPay == "" {
		return fmt.Errorf("%s does not say where the platform is: bring it up with `make up`, "+
			"or name its folder with --data", path)
	}
	return nil
}
