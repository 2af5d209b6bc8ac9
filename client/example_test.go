package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/suanpan/suanpan/client"
)

// Every POST takes an idempotency key. Give nil to have one made, or make and
// store it before you ask, so that a program that died can ask again.
func ExampleNew() {
	service := answering(http.StatusCreated, `{"id": "mch_01JD8Y3K5T7W9ABCDEFGHJKMNP", "name": "Noodle House"}`)
	defer service.Close()

	api, err := client.New(client.Config{BaseURLs: []string{service.URL}, Key: "sk_test_…"})
	if err != nil {
		panic(err)
	}
	answer, err := api.CreateMerchantWithResponse(context.Background(), nil,
		client.CreateMerchant{Reference: "store-1", Name: "Noodle House", Settlement: client.SettlementT0})
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.JSON201.ID, answer.JSON201.Name)
	// Output: mch_01JD8Y3K5T7W9ABCDEFGHJKMNP Noodle House
}

// Decide by the code; a refusal did nothing, an unknown outcome is asked for
// again under the same key.
func ExampleIsCode() {
	service := answering(http.StatusConflict, `{"code": "reference_used", "detail": "The reference belongs to another merchant."}`)
	defer service.Close()

	api, err := client.New(client.Config{BaseURLs: []string{service.URL}, Key: "sk_test_…"})
	if err != nil {
		panic(err)
	}
	_, err = api.CreateMerchantWithResponse(context.Background(), nil,
		client.CreateMerchant{Reference: "store-1", Name: "Noodle House", Settlement: client.SettlementT0})
	switch {
	case client.IsCode(err, "reference_used"):
		fmt.Println("we have it already")
	case client.IsUnknown(err):
		fmt.Println("ask again under the same key")
	}
	// Output: we have it already
}

// Lists come as iterators; the next page is asked for when it is needed.
func ExampleAPI_AllPayments() {
	service := answering(http.StatusOK, `{"data": [{"id": "pay_1"}, {"id": "pay_2"}], "next_cursor": null}`)
	defer service.Close()

	api, err := client.New(client.Config{BaseURLs: []string{service.URL}, Key: "sk_test_…"})
	if err != nil {
		panic(err)
	}
	for payment, err := range api.AllPayments(context.Background(), nil) {
		if err != nil {
			panic(err)
		}
		fmt.Println(payment.ID)
	}
	// Output:
	// pay_1
	// pay_2
}

func ExampleVerifyWebhook() {
	received := http.Header{}
	received.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	received.Set("webhook-timestamp", "1614265330")
	received.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	body := []byte(`{"test": 2432232314}`) // as it arrived, byte for byte

	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	fmt.Println(client.VerifyWebhook(secret, received, body, time.Unix(1614265330, 0)))
	err := client.VerifyWebhook(secret, received, []byte(`{"test": 1}`), time.Unix(1614265330, 0))
	fmt.Println(errors.Is(err, client.ErrWebhookSignature))
	// Output:
	// <nil>
	// true
}

// answering stands in for the service in these examples.
func answering(status int, body string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
}
