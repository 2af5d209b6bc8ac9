package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// secretPrefix marks a Standard Webhooks symmetric secret; the rest is base64.
const secretPrefix = "whsec_"

// sign returns the webhook-signature header of Standard Webhooks 1.0: one
// "v1,<base64 HMAC-SHA256>" per secret, separated by spaces, over
// "<webhook-id>.<webhook-timestamp>.<body>". During a rotation there are several
// secrets, and a receiver that knows any one of them verifies.
func sign(secrets []string, messageID string, at time.Time, body []byte) (string, error) {
	if len(secrets) == 0 {
		return "", errors.New("event: the endpoint has no signing secret")
	}
	signatures := make([]string, 0, len(secrets))
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
		if err != nil {
			// The text is a secret, so it is not part of the error.
			return "", fmt.Errorf("event: a signing secret of the endpoint is not base64")
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(messageID + "." + strconv.FormatInt(at.Unix(), 10) + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " "), nil
}
