package channel

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/suanpan/suanpan/core/secret"
)

// Credentials are the keys of a channel account, as their owner enters them. They
// are shown nowhere: printing and logging them shows a placeholder, and encoding
// them fails. Which ones a provider needs is in its Provider description.
type Credentials struct {
	// PrivateKey signs our requests. PEM, or the bare base64 of Alipay's key tool.
	PrivateKey string
	// Certificate is our certificate for PrivateKey, in PEM; Serial its serial number.
	Certificate, Serial string
	// ProviderPublicKey verifies what the provider says; ProviderPublicKeyID is the
	// provider's name of it.
	ProviderPublicKey, ProviderPublicKeyID string
	// ProviderCertificate and ProviderRootCertificate do so in certificate mode.
	ProviderCertificate, ProviderRootCertificate string
	// APIv3Key opens WeChat Pay's notifications.
	APIv3Key string
	// AppSecret finds out who a payer inside WeChat is.
	AppSecret string
	// AppAuthToken is a merchant's permission to act in its name (Alipay).
	AppAuthToken string
}

// CredentialField names a field of Credentials, in the words of the API.
type CredentialField string

// The fields of Credentials.
const (
	FieldPrivateKey              CredentialField = "private_key"
	FieldCertificate             CredentialField = "certificate"
	FieldSerial                  CredentialField = "serial"
	FieldProviderPublicKey       CredentialField = "provider_public_key"
	FieldProviderPublicKeyID     CredentialField = "provider_public_key_id"
	FieldProviderCertificate     CredentialField = "provider_certificate"
	FieldProviderRootCertificate CredentialField = "provider_root_certificate"
	FieldAPIv3Key                CredentialField = "api_v3_key"
	FieldAppSecret               CredentialField = "app_secret"
	FieldAppAuthToken            CredentialField = "app_auth_token"
)

// Fields gives every field by its name, to be read or set.
func (c *Credentials) Fields() map[CredentialField]*string {
	return map[CredentialField]*string{
		FieldPrivateKey:              &c.PrivateKey,
		FieldCertificate:             &c.Certificate,
		FieldSerial:                  &c.Serial,
		FieldProviderPublicKey:       &c.ProviderPublicKey,
		FieldProviderPublicKeyID:     &c.ProviderPublicKeyID,
		FieldProviderCertificate:     &c.ProviderCertificate,
		FieldProviderRootCertificate: &c.ProviderRootCertificate,
		FieldAPIv3Key:                &c.APIv3Key,
		FieldAppSecret:               &c.AppSecret,
		FieldAppAuthToken:            &c.AppAuthToken,
	}
}

const hidden = "[credentials]"

// String hides the keys.
func (c Credentials) String() string { return hidden }

// Format hides the keys under every verb.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue hides the keys from slog.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON refuses; Pack is how they are stored.
func (c Credentials) MarshalJSON() ([]byte, error) {
	return nil, errors.New("credentials are not encoded")
}

// Pack is the form in which credentials are sealed.
func (c Credentials) Pack() (secret.Value, error) {
	given := map[CredentialField]string{}
	for name, text := range c.Fields() {
		if *text != "" {
			given[name] = *text
		}
	}
	packed, err := json.Marshal(given)
	return secret.NewValue(packed), err
}

// UnpackCredentials reads what Pack made.
func UnpackCredentials(packed secret.Value) (Credentials, error) {
	var given map[CredentialField]string
	if json.Unmarshal(packed.Reveal(), &given) != nil { // the error would quote the text
		return Credentials{}, errors.New("the stored credentials have another form")
	}
	var c Credentials
	fields := c.Fields()
	for name, text := range given {
		field, known := fields[name]
		if !known {
			return Credentials{}, fmt.Errorf("the stored credentials have a field %q, which this build does not know", name)
		}
		*field = text
	}
	return c, nil
}

// KeyFacts is what may be shown about credentials.
type KeyFacts struct {
	// Fingerprint is the SHA-256 of our public key (SubjectPublicKeyInfo), in hex.
	Fingerprint string
	// KeyID is the serial of our certificate, ProviderKeyID the provider's name of
	// its key; empty where there is none.
	KeyID, ProviderKeyID string
}

// Provider describes a channel as data: what it can do and what it wants.
type Provider struct {
	Name      string
	Offers    []Offer
	Abilities []Ability
	// Params are the public identifiers of an account.
	Params []ParamSpec
	// Credentials are the key fields it knows, with the required ones marked.
	Credentials []CredentialSpec
}

// ParamSpec is one public identifier of a channel account.
type ParamSpec struct {
	Name     string
	Required bool
}

// CredentialSpec is one key field of a channel account.
type CredentialSpec struct {
	Name     CredentialField
	Required bool
}

// Finding is something about a channel account that a person should know.
type Finding struct {
	// Code is stable, lower snake case.
	Code string
	// Field names the parameter or key field at fault; empty when none is.
	Field string
	// Message says in words what is wrong and what to do; never a key.
	Message string
}
