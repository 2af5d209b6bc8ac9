package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// WebhookTolerance is how far the moment a webhook was signed at may be from
// the receiver's clock: an older message may be a recording.
const WebhookTolerance = 5 * time.Minute

// ErrWebhookSignature says that no signature of a webhook is one of ours.
var ErrWebhookSignature = errors.New("the webhook's signature does not verify")

// VerifyWebhook checks that a webhook was signed with secret ("whsec_…", as the
// endpoint's creation showed it) within WebhookTolerance of now, by the rules of
// Standard Webhooks 1.0. body is the request's body, byte for byte. A message
// may come more than once: its id is in the header webhook-id.
func VerifyWebhook(secret string, header http.Header, body []byte, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		return errors.New("the webhook secret is not whsec_ and base64")
	}
	id, at := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if id == "" || err != nil {
		return errors.New("the webhook lacks the header webhook-id or webhook-timestamp")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age.Abs() > WebhookTolerance {
		return fmt.Errorf("the webhook was signed %s from now: check the receiver's clock", age.Round(time.Second))
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	wanted := mac.Sum(nil)
	// While a secret is being rotated there is a signature for each.
	for _, signature := range strings.Fields(header.Get("webhook-signature")) {
		version, encoded, _ := strings.Cut(signature, ",")
		given, err := base64.StdEncoding.DecodeString(encoded)
		if version == "v1" && err == nil && hmac.Equal(given, wanted) {
			return nil
		}
	}
	return ErrWebhookSignature
}
