package wechatpay

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/suanpan/suanpan/sandbox/keys"
)

// sealed is an AEAD_AES_256_GCM envelope under the merchant's APIv3 key.
type sealed struct {
	OriginalType   string `json:"original_type,omitempty"`
	Algorithm      string `json:"algorithm"`
	Ciphertext     string `json:"ciphertext"`
	AssociatedData string `json:"associated_data,omitempty"`
	Nonce          string `json:"nonce"`
}

func seal(apiV3Key, plaintext, associatedData string) (sealed, error) {
	block, err := aes.NewCipher([]byte(apiV3Key))
	if err != nil {
		return sealed{}, fmt.Errorf("APIv3 key: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return sealed{}, err
	}
	random := make([]byte, gcm.NonceSize()/2)
	_, _ = rand.Read(random) // never fails: crypto/rand aborts the process instead
	nonce := hex.EncodeToString(random)
	ciphertext := gcm.Seal(nil, []byte(nonce), []byte(plaintext), []byte(associatedData))
	return sealed{Algorithm: "AEAD_AES_256_GCM", Nonce: nonce, AssociatedData: associatedData,
		Ciphertext: base64.StdEncoding.EncodeToString(ciphertext)}, nil
}

type certificateEntry struct {
	SerialNo           string `json:"serial_no"`
	EffectiveTime      string `json:"effective_time"`
	ExpireTime         string `json:"expire_time"`
	EncryptCertificate sealed `json:"encrypt_certificate"`
}

// certificates is GET /v3/certificates: the platform certificate, encrypted.
func (g *Gateway) certificates(c call, _ string) (answer, error) {
	certificate := g.Keys.PlatformCertificate
	encrypted, err := seal(c.merchant.APIv3Key, keys.CertificatePEM(certificate), "certificate")
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, json: map[string][]certificateEntry{"data": {{
		SerialNo:           g.Keys.PlatformSerial,
		EffectiveTime:      g.format(certificate.NotBefore),
		ExpireTime:         g.format(certificate.NotAfter),
		EncryptCertificate: encrypted,
	}}}}, nil
}
