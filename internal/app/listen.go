package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/suanpan/suanpan/internal/config"
)

// listen opens an address that the variable chose, over TLS 1.2 or later when the
// process has a certificate.
func listen(ctx context.Context, cfg config.Listening, address, variable string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("address %s (choose another with %s%s): %w", address, config.Prefix, variable, err)
	}
	if cfg.TLSCertFile == "" {
		return listener, nil
	}
	own := &certificate{certFile: cfg.TLSCertFile, keyFile: cfg.TLSKeyFile}
	if _, err := own.current(nil); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("%sTLS_CERT_FILE and %sTLS_KEY_FILE: %w", config.Prefix, config.Prefix, err)
	}
	return tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: own.current}), nil
}

// certificate is the pair in two files, read again when they change, so that a new one
// needs no restart. It is safe for concurrent use.
type certificate struct {
	certFile, keyFile string
	mu                sync.Mutex
	pair              *tls.Certificate
	read              [2]time.Time // when the files had changed that pair was read from
}

// current is the pair that the files hold; while they hold none that fits, as in the
// middle of a change, it is the one before.
func (c *certificate) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, err := changes(c.certFile, c.keyFile)
	if err == nil && (c.pair == nil || changed != c.read) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
			c.pair, c.read = &pair, changed
		}
	}
	if c.pair == nil {
		return nil, err
	}
	return c.pair, nil
}

func changes(files ...string) (at [2]time.Time, err error) {
	for i, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return at, err
		}
		at[i] = info.ModTime()
	}
	return at, nil
}

// insideServer answers machines of our own network, about health and metrics. Should a
// browser come all the same, it is to make nothing of the answers.
func insideServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Header().Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
			w.Header().Set("Cache-Control", "no-store")
			handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second,
		ErrorLog: brokenConnections(logger),
	}
}

// brokenConnections is where a server tells of callers who do not speak its protocol;
// scanners are many.
func brokenConnections(logger *slog.Logger) *log.Logger {
	return slog.NewLogLogger(logger.Handler(), slog.LevelDebug)
}

// serveMetrics answers GET /metrics in the background; nothing is served without an
// address. The function it returns ends that. The public must not reach the address.
func serveMetrics(
	ctx context.Context, cfg config.Metrics, own config.Listening, metrics http.Handler, logger *slog.Logger,
) (stop func(), err error) {
	if cfg.MetricsAddr == "" {
		return func() {}, nil
	}
	listener, err := listen(ctx, own, cfg.MetricsAddr, "METRICS_ADDR")
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	server := insideServer(mux, logger)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	return func() {
		_ = server.Close()
		<-done
	}, nil
}
