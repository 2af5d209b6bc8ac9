package wechatpay

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // #nosec G505 -- the provider's OAEP padding uses SHA-1
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

// openField decrypts a field the client encrypted (RSA-OAEP with SHA-1) with the
// platform key it named in Wechatpay-Serial.
func (g *Gateway) openField(c call, field, text string) (string, error) {
	var private *rsa.PrivateKey
	if c.serial == g.Keys.PublicKeyID {
		private = g.Keys.WeChatPay
	} else if platform, ok := g.Keys.PlatformBySerial(c.serial); ok {
		private = platform.Key
	} else {
		return "", paramError("敏感信息加密须在Http头Wechatpay-Serial声明所用的平台证书序列号或公钥ID")
	}
	sealedText, err := base64.StdEncoding.DecodeString(text)
	if err != nil || text == "" {
		return "", fieldProblem(field, nil, "敏感信息未加密")
	}
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, private, sealedText, nil) // #nosec G401 -- the provider's padding
	if err != nil {
		return "", fieldProblem(field, nil, "敏感信息解密失败")
	}
	return string(plain), nil
}

type certificateEntry struct {
	SerialNo           string `json:"serial_no"`
	EffectiveTime      string `json:"effective_time"`
	ExpireTime         string `json:"expire_time"`
	EncryptCertificate sealed `json:"encrypt_certificate"`
}

// certificates is GET /v3/certificates: all platform certificates in force, encrypted.
func (g *Gateway) certificates(c call, _ string) (answer, error) {
	entries := []certificateEntry{}
	for _, platform := range g.Keys.PlatformCertificates() {
		encrypted, err := seal(c.merchant.APIv3Key, keys.CertificatePEM(platform.Certificate), "certificate")
		if err != nil {
			return answer{}, err
		}
		entries = append(entries, certificateEntry{
			SerialNo:           platform.Serial,
			EffectiveTime:      g.format(platform.Certificate.NotBefore),
			ExpireTime:         g.format(platform.Certificate.NotAfter),
			EncryptCertificate: encrypted,
		})
	}
	return answer{status: http.StatusOK, json: map[string][]certificateEntry{"data": entries}}, nil
}
