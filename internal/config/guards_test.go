package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/config"
)

func TestGuardsReadBack(t *testing.T) {
	t.Parallel()
	want, err := config.LoadWorker(environ(t, "SUANPAN_CHANNEL_TIMEOUTS=pay_by_code=20s, fetch_trade_bill=5m",
		"SUANPAN_CHANNEL_RATES=alipay=7,wechatpay/refund=150", "SUANPAN_METRICS_ADDR=127.0.0.1:9464"))
	require.NoError(t, err)
	require.Equal(t, config.Timeouts{"pay_by_code": 20 * time.Second, "fetch_trade_bill": 5 * time.Minute}, want.ChannelTimeouts)
	require.Equal(t, config.Rates{"alipay": 7, "wechatpay/refund": 150}, want.ChannelRates)
	require.Equal(t, 15*time.Second, want.ChannelTimeout)
	got, err := config.LoadWorker(config.Environ(want))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestGuardsRefuse(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"SUANPAN_CHANNEL_TIMEOUT=50s":             "SUANPAN_CHANNEL_TIMEOUT must be up to 40s",
		"SUANPAN_CHANNEL_TIMEOUTS=prepay=1m":      "SUANPAN_CHANNEL_TIMEOUTS must be up to 40s, but for bills: prepay",
		"SUANPAN_CHANNEL_TIMEOUTS=prepay":         `SUANPAN_CHANNEL_TIMEOUTS cannot be read: "prepay" is not name=value`,
		"SUANPAN_CHANNEL_TIMEOUTS=prepay=-1s":     "prepay: must be longer than nothing",
		"SUANPAN_CHANNEL_RATES=alipay=many":       "SUANPAN_CHANNEL_RATES cannot be read: alipay",
		"SUANPAN_CHANNEL_RATES=alipay=-1":         "alipay: must be 0 to 100000",
		"SUANPAN_CHANNEL_MAX_IN_FLIGHT=65":        "SUANPAN_CHANNEL_MAX_IN_FLIGHT must be 1 to 64",
		"SUANPAN_CHANNEL_BAD_PERCENT=0":           "SUANPAN_CHANNEL_BAD_PERCENT must be 1 to 100",
		"SUANPAN_CHANNEL_CALL_MONTHS=0":           "SUANPAN_CHANNEL_CALL_MONTHS must be 1 or more",
		"SUANPAN_METRICS_ADDR=9464":               "SUANPAN_METRICS_ADDR must be host:port",
		"SUANPAN_CHANNEL_RATE_WAIT=1m":            "SUANPAN_CHANNEL_RATE_WAIT must be up to 4s",
		"SUANPAN_CHANNEL_BREAKER_CALLS=0":         "SUANPAN_CHANNEL_BREAKER_CALLS must be 1 or more",
		"SUANPAN_CHANNEL_BREAKER_WINDOW=1ms":      "SUANPAN_CHANNEL_BREAKER_WINDOW must be 1s or longer",
		"SUANPAN_CHANNEL_BREAKER_PAUSE=0s":        "SUANPAN_CHANNEL_BREAKER_PAUSE must be longer than nothing",
		"SUANPAN_CHANNEL_SLOW_AFTER=-1s":          "SUANPAN_CHANNEL_SLOW_AFTER must be longer than nothing",
		"SUANPAN_CHANNEL_TIMEOUTS=pay_by_code=9d": "SUANPAN_CHANNEL_TIMEOUTS cannot be read: pay_by_code",
	} {
		_, err := config.LoadAPI(environ(t, set))
		require.ErrorContains(t, err, want)
	}
}
