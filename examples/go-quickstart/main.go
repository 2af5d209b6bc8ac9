// Command go-quickstart takes a payment from its creation to its refund, on the
// development stack that make up starts:
//
//	go run ./examples/go-quickstart
//
// It creates a merchant, receives webhooks and verifies them, asks a payer for
// 199.00 yuan, plays that payer (-browser lets you do it), and gives 50.00 back.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/suanpan/suanpan/client"
)

func main() {
	dev := flag.String("dev", ".data/dev.json", "where make up wrote addresses and an API key")
	browser := flag.Bool("browser", false, "pay by hand, on the payer's page, instead of letting this program do it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := run(ctx, *dev, *browser); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dev string, browser bool) error {
	api, err := connect(dev)
	if err != nil {
		return err
	}
	now := time.Now().Unix() // makes references unique each time this runs

	merchant, err := api.CreateMerchantWithResponse(ctx, nil, client.CreateMerchant{
		Reference: fmt.Sprintf("store-%d", now), Name: "Noodle House", Settlement: client.SettlementT0})
	if err != nil {
		return err
	}
	fmt.Println("merchant", merchant.JSON201.ID)

	events, endpoint, err := receive(ctx, api)
	if err != nil {
		return err
	}
	defer func() { // a real receiver stays
		_, _ = api.DeleteWebhookEndpointWithResponse(context.WithoutCancel(ctx), endpoint)
	}()

	// The key is stored with the order before this is sent: a program that died
	// here asks again under it, and there is still one payment.
	key := client.NewIdempotencyKey()
	payment, err := api.CreatePaymentWithResponse(ctx, &client.CreatePaymentParams{IdempotencyKey: key}, client.CreatePayment{
		MerchantID: merchant.JSON201.ID, Reference: fmt.Sprintf("order-%d", now), Subject: "Two bowls of noodles",
		Amount: client.PositiveAmount{Amount: 19900, Currency: client.CurrencyCNY}, // fen: 199.00 yuan
		Method: &client.PaymentMethod{Channel: client.ChannelAlipay, Product: client.ProductQr}})
	if err != nil {
		return err
	}
	id := payment.JSON201.ID
	if err := pay(ctx, api, id, browser); err != nil {
		return err
	}

	// Events are thin and may come late or twice: they say when to look.
	if err := await(ctx, events, "payment.succeeded", id); err != nil {
		return err
	}
	paid, err := api.GetPaymentWithResponse(ctx, id)
	if err != nil {
		return err
	}
	fmt.Println("payment", id, "is", paid.JSON200.Status)

	refund, err := api.CreateRefundWithResponse(ctx, id, nil, client.CreateRefund{
		Reference: fmt.Sprintf("refund-%d", now), Reason: "One bowl was cold",
		Amount: client.PositiveAmount{Amount: 5000, Currency: client.CurrencyCNY}})
	if err != nil {
		return err
	}
	if approval := refund.JSON202; approval != nil { // 202: the tenant wants a second person for refunds like this
		fmt.Printf("the refund waits for a second person, who may approve %s until %s\n", approval.ID, approval.ExpiresAt.Format(time.RFC3339))
		return nil
	}
	if err := await(ctx, events, "refund.succeeded", refund.JSON201.ID); err != nil {
		return err
	}
	fmt.Println("refund", refund.JSON201.ID, "went back to the payer")
	return nil
}

// connect makes a client for the development stack.
func connect(dev string) (*client.API, error) {
	text, err := os.ReadFile(dev)
	if err != nil {
		return nil, fmt.Errorf("is the stack up (make up)? %w", err)
	}
	var stack struct {
		APIURLs []string `json:"api_urls"`
		APIKey  string   `json:"api_key"`
	}
	if err := json.Unmarshal(text, &stack); err != nil {
		return nil, err
	}
	return client.New(client.Config{BaseURLs: stack.APIURLs, Key: stack.APIKey})
}

// receive opens a webhook endpoint and gives the events that come in genuine.
func receive(ctx context.Context, api *client.API) (events <-chan client.Event, endpointID string, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	endpoint, err := api.CreateWebhookEndpointWithResponse(ctx, nil,
		client.CreateWebhookEndpoint{URL: "http://" + listener.Addr().String() + "/hooks"})
	if err != nil {
		return nil, "", err
	}
	secret := endpoint.JSON201.Secret // shown once; keep it where your receiver finds it
	received := make(chan client.Event, 100)
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil || client.VerifyWebhook(secret, r.Header, body, time.Now()) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var event client.Event
		if err := json.Unmarshal(body, &event); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		received <- event // a real receiver stores it, answers, and works afterwards
	})}
	go func() { _ = server.Serve(listener) }()
	return received, endpoint.JSON201.ID, nil
}

// pay waits for the payer's QR code and pays, as the sandbox's page would.
func pay(ctx context.Context, api *client.API, id string, browser bool) error {
	for {
		payment, err := api.GetPaymentWithResponse(ctx, id)
		if err != nil {
			return err
		}
		if action := payment.JSON200.NextAction; action != nil && action.QrCode != nil {
			fmt.Println("the payer's page is", *action.QrCode)
			if browser {
				return nil
			}
			answer, err := http.PostForm(*action.QrCode, url.Values{"action": {"pay"}})
			if err != nil {
				return err
			}
			return answer.Body.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// await waits for an event of this type about this object.
func await(ctx context.Context, events <-chan client.Event, what, about string) error {
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no %s for %s: %w", what, about, ctx.Err())
		case event := <-events:
			fmt.Println("webhook", event.Type, event.ObjectID)
			if string(event.Type) == what && event.ObjectID == about {
				return nil
			}
		}
	}
}
