package config_test

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/config"
)

func environ(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{
		"PATH=/bin",
		"SUANPAN_DATABASE_URL=postgres://suanpan@db:5432/suanpan?sslmode=verify-full",
		"SUANPAN_MASTER_KEY_FILE=" + filepath.Join(t.TempDir(), "master.key"),
		"SUANPAN_PUBLIC_URL=https://pay.example.com",
	}, more...)
}

func TestDefaultsAreProduction(t *testing.T) {
	t.Parallel()
	c, err := config.LoadAPI(environ(t))
	require.NoError(t, err)
	require.False(t, c.Dev())
	require.Equal(t, "https://openapi.alipay.com/gateway.do", c.AlipayGatewayURL)
	require.Equal(t, "https://api.mch.weixin.qq.com", c.WeChatPayBaseURL)
	require.Equal(t, "suanpan", c.TemporalNamespace)
	require.Equal(t, slog.LevelInfo, c.LogLevel)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	open := filepath.Join(t.TempDir(), "master.key")
	require.NoError(t, os.WriteFile(open, []byte("hush"), 0o644))
	for name, c := range map[string]struct {
		set  string
		want string
	}{
		"misspelt":       {"SUANPAN_DATABSE_URL=x", "did you mean SUANPAN_DATABASE_URL?"},
		"environment":    {"SUANPAN_ENV=staging", `SUANPAN_ENV cannot be read: "staging" is neither`},
		"level":          {"SUANPAN_LOG_LEVEL=loud", "SUANPAN_LOG_LEVEL cannot be read"},
		"empty":          {"SUANPAN_PUBLIC_URL=", "SUANPAN_PUBLIC_URL is empty"},
		"http gateway":   {"SUANPAN_ALIPAY_GATEWAY_URL=http://127.0.0.1:8900/a", "ALIPAY_GATEWAY_URL is refused in production"},
		"http base":      {"SUANPAN_WECHATPAY_BASE_URL=http://127.0.0.1:8900/w", "WECHATPAY_BASE_URL is refused in production"},
		"relative url":   {"SUANPAN_PUBLIC_URL=pay.example.com", "must be an absolute http(s) URL"},
		"dial allow":     {"SUANPAN_WEBHOOK_DIAL_ALLOW=127.0.0.0/8", "SUANPAN_WEBHOOK_DIAL_ALLOW is refused in production"},
		"dial allow bad": {"SUANPAN_WEBHOOK_DIAL_ALLOW=local", "SUANPAN_WEBHOOK_DIAL_ALLOW cannot be read"},
		"listen":         {"SUANPAN_WORKER_HEALTH_LISTEN=9091", "SUANPAN_WORKER_HEALTH_LISTEN must be host:port"},
		"no file":        {"SUANPAN_MASTER_KEY_FILE=" + t.TempDir(), "is not a file"},
		"no directory":   {"SUANPAN_MASTER_KEY_FILE=" + open + "/master.key", "SUANPAN_MASTER_KEY_FILE"},
		"open to others": {"SUANPAN_MASTER_KEY_FILE=" + open, "may be read by others (mode 0644)"},
		"database":       {"SUANPAN_DATABASE_URL=mysql://root:hush@db/x", "SUANPAN_DATABASE_URL must look like"},
		"plain database": {"SUANPAN_DATABASE_URL=postgres://root:hush@db/x", "SUANPAN_DATABASE_URL needs sslmode=verify-full"},
		"any database":   {"SUANPAN_DATABASE_URL=postgres://root:hush@db/x?sslmode=require", "SUANPAN_DATABASE_URL needs sslmode=verify-full"},
		"half a pair":    {"SUANPAN_TLS_KEY_FILE=/k.pem", "SUANPAN_TLS_CERT_FILE and SUANPAN_TLS_KEY_FILE belong together"},
		"half TLS":       {"SUANPAN_TEMPORAL_CERT_FILE=/c.pem", "belong together"},
		"TLS of nothing": {"SUANPAN_TEMPORAL_CA_FILE=/ca.pem", "set SUANPAN_TEMPORAL_TLS=on"},
		"maybe TLS":      {"SUANPAN_TEMPORAL_TLS=maybe", "SUANPAN_TEMPORAL_TLS cannot be read"},
		"traces to what": {"SUANPAN_TRACES_ENDPOINT=collector:4318", "SUANPAN_TRACES_ENDPOINT must be an absolute http(s) URL"},
		"plain traces":   {"SUANPAN_TRACES_ENDPOINT=http://collector:4318", "SUANPAN_TRACES_ENDPOINT is refused in production"},
		"traces by whom": {"SUANPAN_TRACES_ENDPOINT=https://root:hush@collector", "SUANPAN_TRACES_ENDPOINT must have no user"},
		"too many":       {"SUANPAN_TRACES_RATIO=1.5", "SUANPAN_TRACES_RATIO must be above 0"},
		"no number":      {"SUANPAN_TRACES_RATIO=NaN", "SUANPAN_TRACES_RATIO must be above 0"},
		"nothing":        {"SUANPAN_TRACES_RATIO=0", "SUANPAN_TRACES_RATIO must be above 0"},
		"a half":         {"SUANPAN_TRACES_RATIO=half", "SUANPAN_TRACES_RATIO cannot be read"},
		"no collector":   {"SUANPAN_TRACES_TOKEN_FILE=/t", "of no use without SUANPAN_TRACES_ENDPOINT"},
		"password file":  {"SUANPAN_DATABASE_PASSWORD_FILE=/nowhere", "SUANPAN_DATABASE_PASSWORD_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.LoadWorker(environ(t, c.set))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hush")
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.LoadAPI([]string{"SUANPAN_ENV=dev"})
	for _, name := range []string{"DATABASE_URL", "MASTER_KEY_FILE", "PUBLIC_URL"} {
		require.ErrorContains(t, err, "SUANPAN_"+name+" is not set")
	}
}

func TestPasswordComesFromAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("p@ss/word\n"), 0o600))
	c, err := config.LoadTool(environ(t, "SUANPAN_DATABASE_PASSWORD_FILE="+file))
	require.NoError(t, err)
	require.Equal(t, "postgres://suanpan:p%40ss%2Fword@db:5432/suanpan?sslmode=verify-full", c.DatabaseURL)
}

// In production what leaves this machine is encrypted and verified, unless somebody
// said by name that it is not.
func TestNoConnectionFallsBackToPlainText(t *testing.T) {
	t.Parallel()
	for url, taken := range map[string]bool{
		"postgres://u@db/x":                                   false,
		"postgres://u@db/x?sslmode=allow":                     false,
		"postgres://u@db/x?sslmode=prefer":                    false,
		"postgres://u@db/x?sslmode=require":                   false,
		"postgres://u@db/x?sslmode=verify-ca":                 false,
		"postgres://u@203.0.113.7/x":                          false,
		"postgres:///x?host=db":                               false,
		"postgres://u@db/x?sslmode=verify-full":               true,
		"postgres://u@db/x?sslmode=disable":                   true,
		"postgres://u@localhost/x":                            true,
		"postgres://u@[::1]:5432/x":                           true,
		"postgres:///x?host=/run/postgresql&sslmode=disable":  true,
		"postgres:///x?host=/run/postgresql&user=suanpan_dba": true,
	} {
		_, err := config.LoadTool(environ(t, "SUANPAN_DATABASE_URL="+url))
		require.Equal(t, taken, err == nil, "%s: %v", url, err)
		_, err = config.LoadTool(environ(t, "SUANPAN_ENV=dev", "SUANPAN_DATABASE_URL="+url))
		require.NoError(t, err, url)
	}
	for _, c := range []struct {
		set []string
		tls bool
	}{
		{[]string{"SUANPAN_TEMPORAL_ADDRESS=temporal.example.com:7233"}, true},
		{[]string{"SUANPAN_TEMPORAL_ADDRESS=temporal.example.com:7233", "SUANPAN_TEMPORAL_TLS=off"}, false},
		{[]string{"SUANPAN_TEMPORAL_ADDRESS=127.0.0.1:7233"}, false},
		{[]string{"SUANPAN_TEMPORAL_ADDRESS=127.0.0.1:7233", "SUANPAN_TEMPORAL_TLS=on"}, true},
		{[]string{"SUANPAN_TEMPORAL_ADDRESS=temporal.example.com:7233", "SUANPAN_ENV=dev"}, false},
	} {
		loaded, err := config.LoadTool(environ(t, c.set...))
		require.NoError(t, err)
		require.Equal(t, c.tls, loaded.TemporalOverTLS(), c.set)
	}
}

func TestWhereTracesGo(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"http://127.0.0.1:4318":                   "http://127.0.0.1:4318/v1/traces",
		"http://localhost:4318/":                  "http://localhost:4318/v1/traces",
		"https://collector.example.com":           "https://collector.example.com/v1/traces",
		"https://collector.example.com/otlp/mine": "https://collector.example.com/otlp/mine",
	} {
		c, err := config.LoadAPI(environ(t, "SUANPAN_TRACES_ENDPOINT="+given))
		require.NoError(t, err, given)
		require.Equal(t, want, c.TracesEndpoint)
		require.InDelta(t, 1, c.TracesRatio, 0)
		again, err := config.LoadAPI(config.Environ(c))
		require.NoError(t, err)
		require.Equal(t, c, again)
	}
	_, err := config.LoadWorker(environ(t, "SUANPAN_ENV=dev", "SUANPAN_TRACES_ENDPOINT=http://collector:4318", "SUANPAN_TRACES_RATIO=0.01"))
	require.NoError(t, err)
}

func TestTheMasterKeyMayBelongToAGroup(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "master.key")
	for _, mode := range []os.FileMode{0o400, 0o600, 0o440, 0o640} {
		require.NoError(t, os.WriteFile(file, []byte("hush"), 0o600))
		require.NoError(t, os.Chmod(file, mode))
		c, err := config.LoadVault([]string{"SUANPAN_DATABASE_URL=postgres://suanpan@127.0.0.1:5432/suanpan", "SUANPAN_MASTER_KEY_FILE=" + file})
		require.NoError(t, err, mode)
		require.Equal(t, file, c.MasterKeyFile)
		require.NoError(t, os.Remove(file))
	}
}

func TestEnvironReadsBack(t *testing.T) {
	t.Parallel()
	want, err := config.LoadWorker(environ(t, "SUANPAN_ENV=dev", "SUANPAN_LOG_LEVEL=DEBUG",
		"SUANPAN_WEBHOOK_DIAL_ALLOW=127.0.0.0/8,::1/128", "SUANPAN_PUBLIC_URL=http://127.0.0.1:8080"))
	require.NoError(t, err)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		want.WebhookDialAllow)
	got, err := config.LoadWorker(config.Environ(want))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestEveryVariableIsDocumented(t *testing.T) {
	t.Parallel()
	for _, v := range config.Variables() {
		require.NotEmpty(t, v.Doc, v.Name)
		require.True(t, strings.HasPrefix(v.Name, config.Prefix) && len(v.Name) > len(config.Prefix))
	}
}
