package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// mall is the tenant: it asks for payments by the public API, and plays the
// provider's side by the sandbox's.
type mall struct {
	stack struct {
		APIKey     string   `json:"api_key"`
		APIURLs    []string `json:"api_urls"`
		SandboxURL string   `json:"sandbox_url"`
		TemporalUI string   `json:"temporal_ui"`
		CodecURL   string   `json:"codec_url"`
	}
	shop, merchant string
	// codecToken is the file with the operator's token.
	codecToken string
}

// payment is what the courses need of a payment.
type payment struct {
	ID          string `json:"id"`
	Status      string `json:"status"`
	CheckoutURL string `json:"checkout_url"`
	NextAction  *struct {
		Type   string `json:"type"`
		QRCode string `json:"qr_code"`
	} `json:"next_action"`
}

// open makes the merchant whose payments are paid.
func (m *mall) open(ctx context.Context) error {
	var made struct {
		ID string `json:"id"`
	}
	err := m.call(ctx, http.MethodPost, "/v1/merchants", map[string]any{
		"reference": "screens-" + rand.Text(), "name": "山茶咖啡 Camellia Coffee", "settlement": "T0"}, &made)
	m.merchant = made.ID
	return err
}

// ask asks a payer for money and leaves the way to them.
func (m *mall) ask(ctx context.Context, seconds int) (payment, error) {
	var p payment
	err := m.call(ctx, http.MethodPost, "/v1/payments", map[string]any{
		"merchant_id": m.merchant, "reference": "S" + rand.Text()[:12], "subject": "手冲咖啡两杯 Two pour-over coffees",
		"amount": map[string]any{"amount": 6800, "currency": "CNY"}, "expires_in": seconds,
		"return_url": m.shop + "/thanks",
	}, &p)
	if err == nil && p.CheckoutURL == "" {
		err = fmt.Errorf("payment %s has no checkout_url", p.ID)
	}
	return p, err
}

func (m *mall) payment(ctx context.Context, id string) (p payment, err error) {
	err = m.call(ctx, http.MethodGet, "/v1/payments/"+id, nil, &p)
	return p, err
}

func (m *mall) cancel(ctx context.Context, id string) error {
	return m.call(ctx, http.MethodPost, "/v1/payments/"+id+"/cancel", nil, &payment{})
}

// link makes a payment link whose payer enters the amount.
func (m *mall) link(ctx context.Context) (address string, err error) {
	var made struct {
		URL string `json:"url"`
	}
	yuan := func(n int) map[string]any { return map[string]any{"amount": n * 100, "currency": "CNY"} }
	err = m.call(ctx, http.MethodPost, "/v1/payment_links", map[string]any{
		"merchant_id": m.merchant, "subject": "咖啡豆众筹 Coffee beans fund", "min_amount": yuan(1), "max_amount": yuan(5000)}, &made)
	return made.URL, err
}

// moveClock lets the business clock run ahead.
func (m *mall) moveClock(ctx context.Context, ahead time.Duration) error {
	var clock struct {
		Now time.Time `json:"now"`
	}
	if err := m.call(ctx, http.MethodGet, "/v1/test/clock", nil, &clock); err != nil {
		return err
	}
	return m.call(ctx, http.MethodPost, "/v1/test/clock", map[string]any{"now": clock.Now.Add(ahead)}, &clock)
}

func (m *mall) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, m.stack.APIURLs[0]+path, body)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+m.stack.APIKey)
	if method == http.MethodPost {
		request.Header.Set("Idempotency-Key", rand.Text())
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s answered %s: %s", method, path, response.Status, strings.TrimSpace(string(text)))
	}
	return json.Unmarshal(text, out)
}

// thanks is the page of the shop that payers come back to.
func thanks() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!doctype html><title>Shop</title><main id="main" data-screen="shop"><h1>Thank you</h1></main>`)
	})
}
