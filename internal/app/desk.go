package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/suanpan/suanpan/channels/alipay"
	"github.com/suanpan/suanpan/channels/keys"
	"github.com/suanpan/suanpan/channels/wechatpay"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// Providers describes every channel as data, from its adapter.
func (a *Adapters) Providers() []channel.Provider { return Providers() }

// Providers describes every channel as data, from its adapter.
func Providers() []channel.Provider {
	// What an adapter offers does not depend on its account.
	var out []channel.Provider
	for _, adapter := range []channel.Adapter{new(alipay.Adapter), new(wechatpay.Adapter)} {
		out = append(out, channel.Provider{
			Name: adapter.Name(), Offers: adapter.Offers(), Abilities: channel.Abilities(adapter),
			Params: keys.Params(adapter.Name()), Credentials: keys.Fields(adapter.Name()),
		})
	}
	return out
}

// OffersOf lists what a channel can take; nothing of a channel that does not exist.
func OffersOf(channelName string) []channel.Offer {
	for _, p := range Providers() {
		if p.Name == channelName {
			return p.Offers
		}
	}
	return nil
}

// CheckParams refuses public parameters that an account of the channel cannot have.
func (a *Adapters) CheckParams(channelName string, params map[string]string) error {
	return keys.CheckParams(channelName, params)
}

// Inspect refuses keys that cannot work for account, by a fault that names the
// field, and returns them in the form they are kept in. It makes no call.
func (a *Adapters) Inspect(account tenant.ChannelAccount, c channel.Credentials) (channel.Credentials, channel.KeyFacts, error) {
	c, facts, err := keys.Inspect(account.Channel, c, time.Now())
	if err != nil {
		return c, facts, err
	}
	if _, err := a.build(account, c, nil); err != nil {
		// Everything was looked at above, so what the adapter still refuses is told in
		// general; its own words are for the log.
		refusal := fault.Invalid("", "credentials_unusable", "these keys cannot be used together; compare them with the provider's portal")
		refusal.Cause = err
		return c, facts, refusal
	}
	return c, facts, nil
}

// Check says what is wrong with an account, by a query about a number that nobody
// used, and by the provider's clock; nothing when all is well.
func (a *Adapters) Check(ctx context.Context, account tenant.ChannelAccount) ([]channel.Finding, error) {
	adapter, err := a.Adapter(ctx, account)
	if fault.Is(err, tenant.CodeCredentialsMissing) {
		return []channel.Finding{{Code: tenant.CodeCredentialsMissing, Field: "credentials",
			Message: "This channel account has no keys yet: enter them."}}, nil
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	trade, err := adapter.QueryTrade(ctx, id.Number())
	if err != nil {
		return nil, fmt.Errorf("check channel account: %w", err)
	}
	findings := keys.Explain(trade)
	if skew, known := a.clockSkew(ctx, account.Channel); known && skew.Abs() > maxSkew {
		findings = append([]channel.Finding{{Code: "clock_skew", Message: fmt.Sprintf(
			"This machine's clock is %s off the provider's: set it by NTP. Providers refuse requests that are minutes off.",
			skew.Abs().Round(time.Second))}}, findings...)
	}
	return findings, nil
}

// checkTimeout bounds the calls of Check, below what a request may take.
const checkTimeout = 8 * time.Second

// maxSkew is far below the five minutes that WeChat Pay takes, and above what the
// Date header's seconds and a slow answer can make.
const maxSkew = 30 * time.Second

// clockSkew compares the provider's Date header with our clock, by an unsigned
// request that asks for nothing.
func (a *Adapters) clockSkew(ctx context.Context, channelName string) (time.Duration, bool) {
	target := a.cfg.AlipayGatewayURL
	if channelName == wechatpay.Name {
		target = a.cfg.WeChatPayBaseURL
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, target, nil)
	if err != nil {
		return 0, false
	}
	client := &http.Client{Timeout: checkTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	began := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return 0, false
	}
	defer func() { _ = response.Body.Close() }()
	there, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return 0, false
	}
	here := began.Add(time.Since(began) / 2)
	return here.Sub(there), true
}
