package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
)

// caller is an HTTP client that trusts one authority and speaks TLS up to a version.
func (a *authority) caller(most uint16) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: most}}}
}

// replace puts the files of another pair in the place of the first, as a tool that
// renews certificates does.
func replace(t *testing.T, file, by string) {
	t.Helper()
	content, err := os.ReadFile(by)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file+".new", content, 0o600))
	later := time.Now().Add(time.Hour)
	require.NoError(t, os.Chtimes(file+".new", later, later))
	require.NoError(t, os.Rename(file+".new", file))
}

// Everything that a process answers at is encrypted when it has a certificate, and a
// new certificate is shown without a restart.
func TestEveryAddressIsServedOverTLS(t *testing.T) {
	t.Parallel()
	core := coreOf(t)
	masterKey, operators := filepath.Join(t.TempDir(), "master.key"), filepath.Join(t.TempDir(), "operators")
	require.NoError(t, app.NewMasterKey(masterKey))
	require.NoError(t, os.WriteFile(operators, nil, 0o600))
	ours, next := newAuthority(t), newAuthority(t)
	certFile, keyFile := ours.leaf("suanpan", x509.ExtKeyUsageServerAuth)
	nextCert, nextKey := next.leaf("suanpan", x509.ExtKeyUsageServerAuth)
	own := config.Listening{TLSCertFile: certFile, TLSKeyFile: keyFile}
	secrets := config.Secrets{MasterKeyFile: masterKey}
	channels := config.Channels{Secrets: secrets, PublicURL: "https://pay.example.com"}
	api := config.API{Core: core, Channels: channels, Listening: own, Listen: freePort(t), Metrics: config.Metrics{MetricsAddr: freePort(t)}}
	worker := config.Worker{Core: core, Channels: channels, Listening: own, HealthListen: freePort(t)}
	codec := config.Codec{Core: core, Secrets: secrets, Listening: own, Listen: freePort(t), Operators: operators}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	go func() { ended <- app.RunAPI(ctx, api, quiet()) }()
	go func() { ended <- app.RunWorker(ctx, worker, quiet()) }()
	go func() { ended <- app.RunCodec(ctx, codec, quiet()) }()
	t.Cleanup(func() {
		cancel()
		for range 3 {
			require.NoError(t, <-ended)
		}
	})
	addresses := []string{api.Listen + "/healthz", api.MetricsAddr + "/metrics", worker.HealthListen + "/healthz", codec.Listen + "/healthz"}
	ask := func(client *http.Client, scheme, address string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+address, nil)
		require.NoError(t, err)
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		require.NoError(t, answer.Body.Close())
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		require.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"), address)
		require.Contains(t, answer.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'", address)
		return nil
	}
	for _, address := range addresses {
		require.Eventually(t, func() bool { return ask(ours.caller(tls.VersionTLS13), "https", address) == nil }, 30*time.Second, 50*time.Millisecond, address)
		require.NoError(t, ask(ours.caller(tls.VersionTLS12), "https", address))
		require.ErrorContains(t, ask(ours.caller(tls.VersionTLS11), "https", address), "protocol version", address)
		require.Error(t, ask(ours.caller(0), "http", address), "%s answers in plain text", address)
		var stranger x509.UnknownAuthorityError
		require.ErrorAs(t, ask(next.caller(0), "https", address), &stranger, address)
	}

	replace(t, certFile, nextCert) // half of a change: the pair from before is shown
	for _, address := range addresses {
		require.NoError(t, ask(ours.caller(0), "https", address))
	}
	replace(t, keyFile, nextKey)
	for _, address := range addresses {
		require.NoError(t, ask(next.caller(0), "https", address))
	}

	broken := api
	broken.Listen, broken.MetricsAddr, broken.TLSKeyFile = freePort(t), "", filepath.Join(t.TempDir(), "nothing")
	require.ErrorContains(t, app.RunAPI(t.Context(), broken, quiet()), "SUANPAN_TLS_KEY_FILE")
}
