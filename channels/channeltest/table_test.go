package channeltest_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/channels/alipay"
	"github.com/suanpan/suanpan/channels/channeltest"
	"github.com/suanpan/suanpan/channels/wechatpay"
	"github.com/suanpan/suanpan/core/channel"
)

var update = flag.Bool("update", false, "write docs/channels.md anew")

const (
	tablePath = "../../docs/channels.md"
	// others begins the part of the page that other tests write.
	others = "\n## Each product to each end\n"
)

// tested marks what the conformance suite holds an adapter to; it runs for all that
// an adapter claims, so a claim is a tested one.
const (
	tested     = "tested"
	notOffered = "not offered by the provider"
)

// TestTheTableOfChannels: docs/channels.md says what the adapters claim.
func TestTheTableOfChannels(t *testing.T) {
	t.Parallel()
	providers := []string{alipay.Name, wechatpay.Name}
	offers, able := map[string][]channel.Offer{}, map[string][]channel.Ability{}
	for _, provider := range providers {
		adapter := openStand(t, provider, channeltest.Contract{}).Adapter()
		offers[provider], able[provider] = adapter.Offers(), channel.Abilities(adapter)
	}
	var page strings.Builder
	page.WriteString("# What the channels can do\n\n" +
		"The first three tables are made from the adapters' own claims by `go test ./channels/channeltest -run Table -update`; the test without `-update` fails when\n" +
		"this page is old. Each claim runs through the conformance suite in `channels/channeltest`, against the sandbox: \"tested\" means that.\n\n" +
		"## Products\n\n| product | operation | alipay | wechatpay |\n|---|---|---|---|\n")
	for _, product := range channel.Products() {
		for _, operation := range channeltest.Held(product) {
			page.WriteString("| " + string(product) + " | " + operation)
			for _, provider := range providers {
				page.WriteString(" | " + claim(slices.ContainsFunc(offers[provider], func(o channel.Offer) bool { return o.Product == product })))
			}
			page.WriteString(" |\n")
		}
	}
	page.WriteString("\n## What an order must carry, and what the payer's side gets\n\n| product | alipay | wechatpay |\n|---|---|---|\n")
	for _, product := range channel.Products() {
		page.WriteString("| " + string(product))
		for _, provider := range providers {
			page.WriteString(" | " + terms(offers[provider], product))
		}
		page.WriteString(" |\n")
	}
	page.WriteString("\n## Abilities beside the products\n\n| ability | alipay | wechatpay |\n|---|---|---|\n")
	for _, ability := range []channel.Ability{channel.AbilityBarcode, channel.AbilityPayerID, channel.AbilityTransfer, channel.AbilityFundBill,
		channel.AbilityAbnormalRefund} {
		page.WriteString("| " + string(ability))
		for _, provider := range providers {
			text := claim(slices.Contains(able[provider], ability))
			if provider == wechatpay.Name && ability == channel.AbilityTransfer && text == notOffered {
				text = "not built: WeChat Pay pays out to a user's wallet, after the user confirms"
			}
			page.WriteString(" | " + text)
		}
		page.WriteString(" |\n")
	}
	recorded, err := os.ReadFile(tablePath)
	require.NoError(t, err)
	want, rest, ok := strings.Cut(string(recorded), others)
	require.True(t, ok, "the page has the part that other tests write")
	if *update {
		want = page.String()
		require.NoError(t, os.WriteFile(tablePath, []byte(want+others+rest), 0o600))
	}
	require.Equal(t, page.String(), want, "-update writes it anew")
}

func claim(has bool) string {
	if has {
		return tested
	}
	return notOffered
}

// terms are the needs and the action of a product.
func terms(offers []channel.Offer, product channel.Product) string {
	at := slices.IndexFunc(offers, func(o channel.Offer) bool { return o.Product == product })
	if at < 0 {
		return "—"
	}
	needs := []string{}
	for _, need := range offers[at].Needs {
		needs = append(needs, "`"+string(need)+"`")
	}
	if len(needs) == 0 {
		needs = []string{"nothing more"}
	}
	return strings.Join(needs, ", ") + " → `" + string(offers[at].Action) + "`"
}
