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
		var err error
		if settings.RootCAs, err = authorities("TEMPORAL_CA_FILE", cfg.TemporalCAFile); err != nil {
			return client.ConnectionOptions{}, err
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

// authorities are those in the file that a variable names.
func authorities(variable, file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", config.Prefix, variable, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s%s: there is no certificate in %s", config.Prefix, variable, file)
	}
	return pool, nil
}
