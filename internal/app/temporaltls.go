package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"go.temporal.io/sdk/client"

	"github.com/suanpan/suanpan/internal/config"
)

// temporalConnection is how the connection to Temporal is encrypted: TLS 1.2 or later,
// the server's certificate verified, ours shown if there is one.
func temporalConnection(cfg config.Core) (client.ConnectionOptions, error) {
	if !cfg.TemporalOverTLS() {
		return client.ConnectionOptions{TLSDisabled: true}, nil
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.TemporalCAFile != "" {
		pem, err := os.ReadFile(cfg.TemporalCAFile)
		if err != nil {
			return client.ConnectionOptions{}, fmt.Errorf("%sTEMPORAL_CA_FILE: %w", config.Prefix, err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return client.ConnectionOptions{}, fmt.Errorf("%sTEMPORAL_CA_FILE: there is no certificate in %s", config.Prefix, cfg.TemporalCAFile)
		}
	}
	if cfg.TemporalCertFile != "" {
		own, err := tls.LoadX509KeyPair(cfg.TemporalCertFile, cfg.TemporalKeyFile)
		if err != nil {
			return client.ConnectionOptions{}, fmt.Errorf("%sTEMPORAL_CERT_FILE and %sTEMPORAL_KEY_FILE: %w", config.Prefix, config.Prefix, err)
		}
		settings.Certificates = []tls.Certificate{own}
	}
	return client.ConnectionOptions{TLS: settings}, nil
}
