package keys

import (
	"strings"

	"github.com/suanpan/suanpan/core/channel"
)

// Explain says in words what a provider's answer to a signed query about an unused
// number tells about the account; nothing when all is well. The provider's own
// words are not repeated, only its code.
func Explain(trade channel.Trade) []channel.Finding {
	if trade.Outcome == channel.Succeeded {
		return nil
	}
	said := strings.ToUpper(trade.Code + " " + trade.Message)
	for _, e := range explanations() {
		for _, sign := range e.signs {
			if strings.Contains(said, sign) {
				return []channel.Finding{e.finding}
			}
		}
	}
	return []channel.Finding{{Code: "provider_refused",
		Message: "The provider refused a harmless query with the code " + shortCode(trade.Code) + "; look it up in its documentation."}}
}

type explanation struct {
	// signs are parts of the answer's code or message, in upper case.
	signs   []string
	finding channel.Finding
}

// explanations are looked through in order: an unsigned answer of Alipay carries
// the reason in its text, which tells more than that it is not signed.
func explanations() []explanation {
	return []explanation{
		{[]string{"INVALID-APP-ID", "INVALID_APP_ID", "APPID_MCHID_NOT_MATCH", "APPID_NOT_EXIST"}, channel.Finding{
			Code: "app_id_wrong", Field: "params.app_id",
			Message: "The provider does not know this application, or it is not bound to this merchant: compare app_id with the portal."}},
		{[]string{"MCH_NOT_EXISTS", "MCHID_NOT_EXIST", "MCH_NOT_EXIST"}, channel.Finding{Code: "merchant_wrong", Field: "params.mch_id",
			Message: "The provider does not know this merchant number: compare mch_id with the portal."}},
		{[]string{"INVALID-SIGNATURE", "INVALID_SIGNATURE", "SIGN_ERROR", "MISSING-SIGNATURE"}, channel.Finding{
			Code: "signature_refused", Field: "private_key",
			Message: "The provider refuses our signature: the public key it has for us, or the serial, does not belong to this private key. " +
				"Upload the public half of it, or enter the key (and serial) that the provider knows."}},
		{[]string{"INVALID-TIMESTAMP", "INVALID_TIMESTAMP", "TIMESTAMP"}, channel.Finding{Code: "clock_skew",
			Message: "The provider refuses our time: set this machine's clock (NTP)."}},
		{[]string{"INVALID-APP-AUTH-TOKEN", "APP_AUTH_TOKEN"}, channel.Finding{Code: "app_auth_token_wrong", Field: "app_auth_token",
			Message: "The provider does not accept the merchant's authorisation: have it given again."}},
		{[]string{"NO_AUTH", "INSUFFICIENT-ISV-PERMISSIONS", "ACCESS_FORBIDDEN", "INVALID-CERT"}, channel.Finding{Code: "not_permitted",
			Message: "The provider knows the account and does not let it make this call: have the product opened in the portal."}},
		{[]string{channel.CodeBadSignature}, channel.Finding{Code: "answer_not_verified", Field: "provider_public_key",
			Message: "The provider answered, and its signature does not verify: provider_public_key (or its id, or the certificates) " +
				"is not the key the provider signs with for this account, or this machine's clock is wrong."}},
		{[]string{channel.CodeNoAnswer, channel.CodeNotSent}, channel.Finding{Code: "provider_unreachable",
			Message: "The provider did not answer: look at the network, the proxy and the provider's status page, and check again."}},
		{[]string{channel.CodeMismatch}, channel.Finding{Code: "identity_mismatch",
			Message: "The provider answered for another application or merchant than this account's: compare the params with the portal."}},
		{[]string{channel.CodeBadBody}, channel.Finding{Code: "answer_unreadable",
			Message: "Something answered, and not in the provider's form: look at the address and the proxy in between."}},
	}
}

// shortCode keeps what can be a code.
func shortCode(code string) string {
	kept := strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, code)
	return kept[:min(len(kept), 64)]
}
