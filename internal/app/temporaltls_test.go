package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/config"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/internal/temporaltest"
)

// authority signs certificates for one test.
type authority struct {
	*testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// file holds its certificate.
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{T: t, dir: t.TempDir()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key, a.file, _ = a.sign("authority", template)
	return a
}

// sign makes a certificate and its key and writes both down.
func (a *authority) sign(name string, template *x509.Certificate) (cert *x509.Certificate, key *ecdsa.PrivateKey, certFile, keyFile string) {
	a.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a, err)
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a, err)
	cert, err = x509.ParseCertificate(der)
	require.NoError(a, err)
	encoded, err := x509.MarshalECPrivateKey(key)
	require.NoError(a, err)
	certFile, keyFile = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	require.NoError(a, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(a, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}), 0o600))
	return cert, key, certFile, keyFile
}

// leaf is a certificate for one address, good for an hour.
func (a *authority) leaf(name string, usage x509.ExtKeyUsage) (certFile, keyFile string) {
	a.Helper()
	_, _, certFile, keyFile = a.sign(name, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	return certFile, keyFile
}

// encrypted puts TLS, with certificates on both sides, before a server that has none.
func encrypted(t *testing.T, a *authority, server string) (address string) {
	t.Helper()
	certFile, keyFile := a.leaf("server", x509.ExtKeyUsageServerAuth)
	own, err := tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(t, err)
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own},
		ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{"h2"}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go join(conn, server)
		}
	}()
	return listener.Addr().String()
}

// join passes bytes on until one side ends.
func join(conn net.Conn, server string) {
	defer func() { _ = conn.Close() }()
	behind, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = behind.Close() }()
	go func() { _, _ = io.Copy(behind, conn); _ = behind.Close() }()
	_, _ = io.Copy(conn, behind)
}

// Temporal is reached over TLS by whom it knows, and nobody who shows another
// certificate is believed to be it.
func TestTemporalIsReachedOverTLS(t *testing.T) {
	t.Parallel()
	namespace := temporaltest.New(t)
	ours, strange := newAuthority(t), newAuthority(t)
	certFile, keyFile := ours.leaf("worker", x509.ExtKeyUsageClientAuth)
	strangeCert, strangeKey := strange.leaf("worker", x509.ExtKeyUsageClientAuth)
	address := encrypted(t, ours, namespace.Address)
	codec := app.NewCodec(pgtest.New(t).DB, boxOf(t))
	reach := func(cfg config.Core) error {
		cfg.TemporalAddress, cfg.TemporalNamespace = address, namespace.Name
		c, err := app.DialTemporal(cfg, codec, quiet())
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err = c.CheckHealth(ctx, &client.CheckHealthRequest{})
		return err
	}
	good := config.Core{TemporalTLS: config.On, TemporalCAFile: ours.file, TemporalCertFile: certFile, TemporalKeyFile: keyFile}
	require.NoError(t, reach(good))
	for name, change := range map[string]func(*config.Core){
		"plain text":           func(c *config.Core) { *c = config.Core{TemporalTLS: config.Off} },
		"another authority":    func(c *config.Core) { c.TemporalCAFile = strange.file },
		"the system's":         func(c *config.Core) { c.TemporalCAFile = "" },
		"nobody":               func(c *config.Core) { c.TemporalCertFile, c.TemporalKeyFile = "", "" },
		"a stranger":           func(c *config.Core) { c.TemporalCertFile, c.TemporalKeyFile = strangeCert, strangeKey },
		"no authority in it":   func(c *config.Core) { c.TemporalCAFile = keyFile },
		"no file":              func(c *config.Core) { c.TemporalCAFile = "/nowhere" },
		"the key of something": func(c *config.Core) { c.TemporalKeyFile = strangeKey },
	} {
		cfg := good
		change(&cfg)
		require.Error(t, reach(cfg), name)
	}
}

func boxOf(t *testing.T) *secret.Box {
	t.Helper()
	masters, err := secret.ParseMasters(secret.NewMasterKeyText())
	require.NoError(t, err)
	box, err := secret.NewBox(masters)
	require.NoError(t, err)
	return box
}
