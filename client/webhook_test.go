package client_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
)

// The example of the Standard Webhooks specification's reference libraries.
const (
	secret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	messageID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	signedAt  = 1614265330
	body      = `{"test": 2432232314}`
	signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func headers(change func(http.Header)) http.Header {
	h := http.Header{}
	h.Set("webhook-id", messageID)
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", signature)
	change(h)
	return h
}

func TestVerifyWebhookAcceptsOurSignature(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(http.Header){
		"one signature":             func(http.Header) {},
		"during a rotation":         func(h http.Header) { h.Set("webhook-signature", "v1,AAAA "+signature) },
		"beside an unknown version": func(h http.Header) { h.Set("webhook-signature", "v2,AAAA "+signature) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, client.VerifyWebhook(secret, headers(change), []byte(body), time.Unix(signedAt+299, 0)))
		})
	}
}

func TestVerifyWebhookRefusesAnythingElse(t *testing.T) {
	t.Parallel()
	same := func(http.Header) {}
	for name, c := range map[string]struct {
		secret, body string
		now          int64
		change       func(http.Header)
	}{
		"another body":         {secret, body + " ", signedAt, same},
		"another secret":       {"whsec_AAAA", body, signedAt, same},
		"no secret":            {"whsec_", body, signedAt, same},
		"a secret in plain":    {"whsec_!", body, signedAt, same},
		"a recording":          {secret, body, signedAt + 301, same},
		"from the future":      {secret, body, signedAt - 301, same},
		"another id":           {secret, body, signedAt, func(h http.Header) { h.Set("webhook-id", "msg_2") }},
		"no id":                {secret, body, signedAt, func(h http.Header) { h.Del("webhook-id") }},
		"another moment":       {secret, body, signedAt, func(h http.Header) { h.Set("webhook-timestamp", "1614265331") }},
		"no moment":            {secret, body, signedAt, func(h http.Header) { h.Set("webhook-timestamp", "now") }},
		"no signature":         {secret, body, signedAt, func(h http.Header) { h.Del("webhook-signature") }},
		"an unknown version":   {secret, body, signedAt, func(h http.Header) { h.Set("webhook-signature", "v2"+signature[2:]) }},
		"a signature in plain": {secret, body, signedAt, func(h http.Header) { h.Set("webhook-signature", "v1,!") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, client.VerifyWebhook(c.secret, headers(c.change), []byte(c.body), time.Unix(c.now, 0)))
		})
	}
}
