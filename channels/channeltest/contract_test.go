//go:build contract

package channeltest_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/channels/alipay"
	"github.com/suanpan/suanpan/channels/channeltest"
	"github.com/suanpan/suanpan/channels/wechatpay"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// The cases of the conformance suite that a provider which cannot be told to
// misbehave can be held to, against the provider's own servers, with keys of a
// merchant of yours. docs/going-live.md lists the variables.
//
//	make contract                                     # both providers
//	SUANPAN_CONTRACT_PAYER=by-hand make contract      # you scan what it prints, and pay
//
// At WeChat Pay there is no sandbox: what is paid by hand is real money, at most a
// few yuan a case, part of which the cases give back.

// given returns the variables of one provider, and fails naming those missing.
func given(t *testing.T, prefix string, names ...string) map[string]string {
	t.Helper()
	values := map[string]string{}
	var missing []string
	for _, name := range names {
		value := os.Getenv(prefix + name)
		if file := os.Getenv(prefix + name + "_FILE"); file != "" {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			value = strings.TrimSpace(string(text))
		}
		if value == "" {
			missing = append(missing, prefix+name)
		}
		values[name] = value
	}
	require.Empty(t, missing, "no keys to run against the provider: set these, or NAME_FILE for a file (docs/going-live.md)")
	return values
}

func orElse(value, normal string) string {
	if value == "" {
		return normal
	}
	return value
}

func TestContractAlipay(t *testing.T) {
	const prefix = "SUANPAN_CONTRACT_ALIPAY_"
	v := given(t, prefix, "APP_ID", "SELLER_ID", "PRIVATE_KEY", "ALIPAY_PUBLIC_KEY")
	adapter, err := alipay.New(alipay.Config{
		GatewayURL: orElse(os.Getenv(prefix+"GATEWAY_URL"), "https://openapi-sandbox.dl.alipaydev.com/gateway.do"),
		AppID:      v["APP_ID"], SellerID: v["SELLER_ID"], AppPrivateKey: v["PRIVATE_KEY"], AlipayPublicKey: v["ALIPAY_PUBLIC_KEY"],
		Timeout: channeltest.Patience,
	})
	require.NoError(t, err)
	against(t, &counter{T: t, adapter: adapter})
}

func TestContractWeChatPay(t *testing.T) {
	const prefix = "SUANPAN_CONTRACT_WECHATPAY_"
	v := given(t, prefix, "MCH_ID", "APP_ID", "SERIAL", "PRIVATE_KEY", "APIV3_KEY", "PUBLIC_KEY_ID", "PUBLIC_KEY")
	adapter, err := wechatpay.New(wechatpay.Config{
		BaseURL: orElse(os.Getenv(prefix+"BASE_URL"), "https://api.mch.weixin.qq.com"),
		MchID:   v["MCH_ID"], AppID: v["APP_ID"], MchCertSerial: v["SERIAL"], MchPrivateKey: v["PRIVATE_KEY"],
		APIv3Key: []byte(v["APIV3_KEY"]), PublicKeyID: v["PUBLIC_KEY_ID"], PublicKey: v["PUBLIC_KEY"], Timeout: channeltest.Patience,
	})
	require.NoError(t, err)
	against(t, &counter{T: t, adapter: adapter})
}

func against(t *testing.T, c *counter) {
	t.Helper()
	var can []channeltest.Act
	if os.Getenv("SUANPAN_CONTRACT_PAYER") == "by-hand" {
		can = append(can, channeltest.ActPay)
	}
	for _, left := range channeltest.Against(t, c, can...) {
		t.Log("left out: " + left)
	}
}

// counter is a Harness at the provider's own counter. Payers are people, and the
// provider's books are what its queries say.
type counter struct {
	*testing.T
	adapter channel.Adapter
	mu      sync.Mutex
	shown   map[string]channel.Action
	refunds map[string]channel.RefundOrder
}

// noting remembers what people have to be shown, and which refunds were made.
type noting struct {
	channel.Adapter
	*counter
}

func (c *counter) Adapter() channel.Adapter { return noting{c.adapter, c} }

func (n noting) Name() string { return n.adapter.Name() }

func (n noting) Prepay(ctx context.Context, order channel.PrepayOrder) (channel.Prepaid, error) {
	out, err := n.adapter.Prepay(ctx, order)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shown == nil {
		n.shown = map[string]channel.Action{}
	}
	if out.Outcome == channel.Succeeded {
		n.shown[order.Number] = out.Action
	}
	return out, err
}

func (n noting) Refund(ctx context.Context, order channel.RefundOrder) (channel.RefundState, error) {
	n.mu.Lock()
	if n.refunds == nil {
		n.refunds = map[string]channel.RefundOrder{}
	}
	n.refunds[order.Number] = order
	n.mu.Unlock()
	return n.adapter.Refund(ctx, order)
}

// Scan and Pay wait for a person with a telephone.
func (c *counter) Scan(t *testing.T, number string) {
	t.Helper()
	c.ask(t, number, "SCAN, and do not pay yet", channel.TradeAwaiting, channel.TradePaid)
}

func (c *counter) Pay(t *testing.T, number string, late bool) {
	t.Helper()
	require.False(t, late)
	c.ask(t, number, "SCAN AND PAY", channel.TradePaid)
}

func (c *counter) ask(t *testing.T, number, what string, until ...channel.TradeState) {
	t.Helper()
	c.mu.Lock()
	action := c.shown[number]
	c.mu.Unlock()
	fmt.Fprintf(os.Stderr, "\n%s: %s\n(order %s; waiting for up to five minutes)\n", what, action.QRCode+action.URL, number)
	require.Eventually(t, func() bool {
		trade, err := c.adapter.QueryTrade(t.Context(), number)
		if err != nil {
			return false
		}
		for _, state := range until {
			if trade.State == state {
				return true
			}
		}
		return false
	}, 5*time.Minute, 3*time.Second)
}

// Movements are what the provider says when it is asked.
func (c *counter) Movements(t *testing.T, number string) []channeltest.Movement {
	t.Helper()
	c.mu.Lock()
	back, refunded := c.refunds[number]
	c.mu.Unlock()
	if refunded {
		state, err := c.adapter.QueryRefund(t.Context(), back)
		require.NoError(t, err)
		if state.Outcome == channel.Succeeded {
			return []channeltest.Movement{{Kind: "refund", Number: number, Fen: -fen(state.Amount)}}
		}
		return nil
	}
	trade, err := c.adapter.QueryTrade(t.Context(), number)
	require.NoError(t, err)
	if trade.State == channel.TradePaid {
		return []channeltest.Movement{{Kind: "payment", Number: number, Fen: fen(trade.Amount)}}
	}
	return nil
}

func fen(a money.Amount) int64 { return a.Minor }

// FinishRefund waits until the provider has finished.
func (c *counter) FinishRefund(t *testing.T, number string) {
	t.Helper()
	c.mu.Lock()
	order := c.refunds[number]
	c.mu.Unlock()
	require.Eventually(t, func() bool {
		state, err := c.adapter.QueryRefund(t.Context(), order)
		return err == nil && state.Outcome == channel.Succeeded
	}, 5*time.Minute, 5*time.Second)
}

func (c *counter) ExistsBeforeScan() bool { return c.adapter.Name() == wechatpay.Name }
func (c *counter) Now(*testing.T) time.Time {
	return time.Now()
}
func (c *counter) NotifyURL() string {
	return orElse(os.Getenv("SUANPAN_CONTRACT_NOTIFY_URL"), "https://example.com/notify")
}

// Payer is an id that no payer has: cases that need nobody to pay need no other.
func (c *counter) Payer(*testing.T) string {
	return map[bool]string{true: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", false: "2088102177846880"}[c.ExistsBeforeScan()]
}

// What no provider does on request. Against runs no case that needs it.

func (c *counter) cannot(t *testing.T) {
	t.Helper()
	require.Fail(t, "the provider does not do that on request")
}

func (c *counter) Stranger() channel.Adapter { return c.adapter }
func (c *counter) Stage(channel.Product) (prepared, followed channel.TradeState) {
	return channel.TradeNotFound, channel.TradeNotFound
}
func (c *counter) Follow(t *testing.T, _ channel.Product, _ channel.Action)  { c.cannot(t) }
func (c *counter) Refuses(t *testing.T, _ channel.Product, _ channel.Action) { c.cannot(t) }
func (c *counter) Code(t *testing.T, _ channeltest.Phone) string             { c.cannot(t); return "" }
func (c *counter) Decline(t *testing.T, _ string)                            { c.cannot(t) }
func (c *counter) Authorize(t *testing.T, _ string) *url.URL                 { c.cannot(t); return nil }
func (c *counter) CodeParameter() string                                     { return "code" }
func (c *counter) Funds(t *testing.T, _ string) []channeltest.Fund           { c.cannot(t); return nil }
func (c *counter) TopUp(t *testing.T, _ int64)                               { c.cannot(t) }
func (c *counter) Advance(t *testing.T, _ time.Duration)                     { c.cannot(t) }
func (c *counter) Notifications(t *testing.T) []channeltest.Delivery         { c.cannot(t); return nil }
func (c *counter) Make(t *testing.T, _ channeltest.Trouble, _ channeltest.Operation, _ string) {
	c.cannot(t)
}
