package keys

import (
	"crypto/md5" //nolint:gosec // Alipay's serial number of a certificate is an MD5
	"crypto/x509"
	"encoding/hex"
	"path/filepath"
)

// AlipaySN is how Alipay numbers a certificate: the MD5 of its issuer's name
// followed by its serial number in decimal.
func AlipaySN(certificate *x509.Certificate) string {
	sum := md5.Sum([]byte(certificate.Issuer.String() + certificate.SerialNumber.String())) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

func (k *Keys) loadAlipay(dir string) error {
	var err error
	k.alipay, err = loadCertificates(&certificates{dir: dir, stem: "alipay", owner: "Alipay sandbox", serial: AlipaySN})
	if err != nil {
		return err
	}
	k.AlipayRoot, err = loadOrCreateCertificate(filepath.Join(dir, "alipay_root_certificate.pem"), "Alipay sandbox root",
		k.alipay.inForce()[0].Key)
	return err
}

// Alipay is the key that signs for Alipay now, with its certificate.
func (k *Keys) Alipay() Certified { return k.alipay.signing() }

// AlipayKeys are those in force, oldest first.
func (k *Keys) AlipayKeys() []Certified { return k.alipay.inForce() }

// RotateAlipay is Rotate for Alipay's key.
func (k *Keys) RotateAlipay(stage Stage) error { return k.alipay.rotate(stage) }
