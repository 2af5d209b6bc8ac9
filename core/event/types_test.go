package event

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/id"
)

// table is the table of docs/webhooks.md.
func table() string {
	var b strings.Builder
	b.WriteString("| type | `object_id` | fields of `data` | read | means |\n|---|---|---|---|---|\n")
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | `GET %s` | %s |\n", k.Type, k.Object, strings.Join(k.Data, "`, `"), k.Path, k.Means)
	}
	return b.String()
}

func TestTheDocumentedEventsAreTheOnesThereAre(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/webhooks.md")
	require.NoError(t, err)
	require.Contains(t, string(page), table(), "docs/webhooks.md must hold this table:\n%s", table())

	contract, err := os.ReadFile("../../api/openapi.yaml")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(contract), "\n    EventType:\n")
	require.True(t, found)
	_, rest, _ = strings.Cut(rest, "enum: [")
	listed, _, _ := strings.Cut(rest, "]")
	var types []string
	for _, one := range Types() {
		types = append(types, string(one))
	}
	require.ElementsMatch(t, types, strings.Split(listed, ", "), "the contract lists other types")
}

// Nothing but ids and statuses gets into an event, whoever emits it.
func TestPersonalDataAndSecretsAreNoEventData(t *testing.T) {
	t.Parallel()
	for _, canary := range []string{
		"张三", "Zhang San", "zhang.san@example.com", "13812345678", "+8613812345678", "138-1234-5678", "11010519491231002X",
		"110105194912310021", "6222021234567890123", "6222 0212 3456 7890", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
		"sk_live_0123456789abcdefghijABCDEFGHIJ0123456789012", "-----BEGIN PRIVATE KEY-----", "Bearer abcdef", "199.00", "19900", "¥199",
		"2088102146225135", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "https://shop.example.com/?token=x", "a sentence of a person", "",
		"北京市朝阳区", "{}", "null\n", "中国银行", "CN=shop", "4111111111111111", "SELECT 1", "<b>", "2021-01-01",
	} {
		err := News{Type: PaymentSucceeded, ObjectID: id.New(id.Payment), Data: map[string]string{"status": canary}}.check()
		require.Error(t, err, canary)
		if canary != "" {
			require.NotContains(t, err.Error(), canary, "the refusal itself is logged")
		}
	}
	for _, name := range []string{"amount", "phone", "name", "payer", "openid", "buyer_id", "card", "url", "secret", "reason"} {
		require.Error(t, News{Type: PaymentSucceeded, Data: map[string]string{name: "x"}}.check(), name)
	}
	for _, fine := range []string{"succeeded", "awaiting_payer", id.New(id.Payment), id.New(id.Endpoint), id.New(id.Daily)} {
		require.NoError(t, News{Type: PaymentSucceeded, Data: map[string]string{"status": fine, "id": fine}}.check(), fine)
	}
}
