package wechatpay

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/wechatpay-apiv3/wechatpay-go/utils"
)

// TestPublishedKeys: what the SDK's authors published judges our reading of keys,
// our signing of the payer's parameters, and our opening of certificates.
func TestPublishedKeys(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/published/keys.json")
	require.NoError(t, err)
	var v struct {
		Source string `json:"source"`
		Signer struct {
			PrivateKey string `json:"private_key"`
			Message    string `json:"message"`
			Signature  string `json:"signature"`
		} `json:"signer"`
		AES struct {
			Key        string `json:"api_v3_key"`
			Ciphertext string `json:"ciphertext"`
			Plaintext  string `json:"plaintext"`
			Nonce      string `json:"nonce"`
			Associated string `json:"associated_data"`
		} `json:"aes"`
		Certificates struct {
			Key         string `json:"api_v3_key"`
			Answer      string `json:"answer"`
			Certificate string `json:"certificate"`
		} `json:"certificates"`
	}
	require.NoError(t, json.Unmarshal(text, &v))
	require.Contains(t, v.Source, "not written by this project")

	cfg := testConfig(t, "https://api.mch.weixin.qq.com")
	cfg.MchPrivateKey = strings.ReplaceAll(v.Signer.PrivateKey, "TESTING KEY", "PRIVATE KEY")
	a, err := New(cfg)
	require.NoError(t, err)
	signed, err := a.client.Sign(t.Context(), v.Signer.Message)
	require.NoError(t, err)
	require.Equal(t, v.Signer.Signature, signed.Signature)

	plain, err := utils.DecryptAES256GCM(v.AES.Key, v.AES.Associated, v.AES.Nonce, v.AES.Ciphertext)
	require.NoError(t, err)
	require.Equal(t, v.AES.Plaintext, plain)

	list, err := openCertificates([]byte(v.Certificates.Answer), v.Certificates.Key)
	require.NoError(t, err)
	require.Len(t, list, 1)
	block, _ := pem.Decode([]byte(v.Certificates.Certificate))
	want, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	require.True(t, want.Equal(list["D7CE59D1F522D701"]))
	for name, spoiled := range map[string]string{
		"another serial":    strings.Replace(v.Certificates.Answer, "D7CE59D1F522D701", "D7CE59D1F522D702", 1),
		"another algorithm": strings.Replace(v.Certificates.Answer, "AEAD_AES_256_GCM", "NONE", 1),
		"another context":   strings.Replace(v.Certificates.Answer, `"associated_data":"certificate"`, `"associated_data":"x"`, 1),
		"no list":           `{"data":[]}`,
		"no object":         `[]`,
		"a key twice":       `{"data":[],` + v.Certificates.Answer[1:],
	} {
		require.NotEqual(t, v.Certificates.Answer, spoiled, name)
		_, err = openCertificates([]byte(spoiled), v.Certificates.Key)
		require.Error(t, err, name)
	}
	_, err = openCertificates([]byte(v.Certificates.Answer), strings.Repeat("k", 16))
	require.ErrorContains(t, err, "APIv3Key")
}

// FuzzOpenCertificates: no answer makes it panic or trust anything.
func FuzzOpenCertificates(f *testing.F) {
	f.Add(`{"data":[{"serial_no":"1","encrypt_certificate":{"algorithm":"AEAD_AES_256_GCM","nonce":"123456789012","ciphertext":"AAAA"}}]}`)
	f.Add(`{"data":[{}]}`)
	f.Add(`{"data":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		list, err := openCertificates([]byte(body), testAPIKey)
		require.Error(t, err)
		require.Empty(t, list)
	})
}
