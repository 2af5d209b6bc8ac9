// Package keys owns the sandbox's own key pairs, kept as files in the data
// directory, and the RSA-SHA256 signatures that both providers use. It may not
// know what is signed.
package keys

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Keys are the providers' private keys, as the sandbox plays them.
type Keys struct {
	// WeChatPay signs for merchants in public-key mode, under PublicKeyID.
	WeChatPay   *rsa.PrivateKey
	PublicKeyID string
	platform    *certificates
	// alipay are the keys with their certificates that sign for Alipay.
	alipay *certificates
	// AlipayRoot is the root certificate that apps in certificate mode name.
	AlipayRoot *x509.Certificate
}

// LoadOrCreate reads the keys from dir, making those that are not there yet.
func LoadOrCreate(dir string) (*Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create key directory: %w", err)
	}
	var k Keys
	var err error
	if k.WeChatPay, err = loadOrCreateKey(filepath.Join(dir, "wechatpay_private_key.pem")); err != nil {
		return nil, err
	}
	fingerprint := sha256.Sum256(x509.MarshalPKCS1PublicKey(&k.WeChatPay.PublicKey))
	digits := new(big.Int).SetBytes(fingerprint[:]).String()
	k.PublicKeyID = "PUB_KEY_ID_" + digits[:28]
	if k.platform, err = loadPlatform(dir); err != nil {
		return nil, err
	}
	if err := k.loadAlipay(dir); err != nil {
		return nil, err
	}
	return &k, nil
}

func loadOrCreateKey(path string) (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("generate key: %w", err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		return key, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block: delete it to have a new key made", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is not an RSA key", path)
	}
	return key, nil
}

func loadOrCreateCertificate(path, owner string, key *rsa.PrivateKey) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 152))
		if err != nil {
			return nil, err
		}
		// The top byte is fixed so that the serial always prints as 40 hex digits.
		serial.Add(serial, new(big.Int).Lsh(big.NewInt(0x5A), 152))
		template := &x509.Certificate{
			SerialNumber: serial,
			Subject:      pkix.Name{CommonName: owner, Organization: []string{"Suanpan sandbox"}, Country: []string{"CN"}},
			NotBefore:    time.Now().Add(-time.Hour),
			NotAfter:     time.Now().AddDate(5, 0, 0),
			KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			return nil, fmt.Errorf("make certificate: %w", err)
		}
		text = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if err := writeFile(path, text); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block: delete it to have a new certificate made", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

// writeFile puts the whole file in place or nothing, so that a crash while the
// keys are made leaves no half key.
func writeFile(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(0o600), file.Sync(), file.Close())
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return os.Rename(file.Name(), path)
}

// PublicPEM writes the public half of a key as PEM.
func PublicPEM(key *rsa.PrivateKey) string {
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		// An RSA public key always encodes.
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// CertificatePEM writes a certificate as PEM.
func CertificatePEM(certificate *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
}

// ParsePublicKey reads an RSA public key from a PEM public key or certificate,
// or from the bare base64 that Alipay's console shows. It also returns the
// serial number in hex if the text was a certificate.
func ParsePublicKey(text string) (*rsa.PublicKey, string, error) {
	der, isCertificate := []byte(nil), false
	if block, _ := pem.Decode([]byte(text)); block != nil {
		der, isCertificate = block.Bytes, block.Type == "CERTIFICATE"
	} else {
		bare, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return nil, "", errors.New("not a PEM public key, a PEM certificate or base64 of a public key")
		}
		der = bare
	}
	if isCertificate {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, "", fmt.Errorf("not a certificate: %w", err)
		}
		public, ok := certificate.PublicKey.(*rsa.PublicKey)
		if !ok {
			return nil, "", errors.New("the certificate does not hold an RSA key")
		}
		return public, fmt.Sprintf("%X", certificate.SerialNumber), nil
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, "", fmt.Errorf("not a PKIX public key: %w", err)
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, "", errors.New("not an RSA key")
	}
	return public, "", nil
}

// NormalisePublicKey reads what ParsePublicKey reads and returns it as PKIX PEM.
func NormalisePublicKey(text string) (public, serial string, err error) {
	key, serial, err := ParsePublicKey(text)
	if err != nil {
		return "", "", err
	}
	if key.N.BitLen() < 2048 {
		return "", "", errors.New("the RSA key must have at least 2048 bits")
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), serial, nil
}

// Sign returns the base64 of the SHA256withRSA (PKCS #1 v1.5) signature.
func Sign(key *rsa.PrivateKey, message string) (string, error) {
	digest := sha256.Sum256([]byte(message))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}

// Verify checks what Sign makes.
func Verify(key *rsa.PublicKey, message, signature string) error {
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return errors.New("the signature is not base64")
	}
	digest := sha256.Sum256([]byte(message))
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], raw)
}
