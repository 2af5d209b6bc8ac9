package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// provider drives the sandbox: its page as a payer does, its control calls as a
// tester does. The sandbox may be dead: calls are repeated until it is back.
type provider struct {
	base string
	http *http.Client
	page *regexp.Regexp
}

const (
	alipay    = "alipay"
	wechatpay = "wechatpay"
	// sandboxPatience is how long a call is repeated.
	sandboxPatience = 2 * time.Minute
)

func newProvider(base string) *provider {
	return &provider{base: base, http: &http.Client{Timeout: 15 * time.Second},
		page: regexp.MustCompile(`订单号 Order</dt><dd>([0-9A-Z]+)</dd>`)}
}

// once makes one call and returns the answer's status and text.
func (s *provider) once(ctx context.Context, method, target, contentType string, body []byte) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, text, err
}

// insist repeats a call until it is answered.
func (s *provider) insist(ctx context.Context, method, target, contentType string, body []byte) (int, []byte, error) {
	deadline := time.Now().Add(sandboxPatience)
	for {
		status, text, err := s.once(ctx, method, target, contentType, body)
		if err == nil && status < 500 {
			return status, text, nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return status, text, fmt.Errorf("the sandbox does not answer %s %s: %d %w", method, target, status, err)
		}
		rest(ctx, 300*time.Millisecond)
	}
}

// control makes a call of the control API; into may be nil. A refusal is an error.
func (s *provider) control(ctx context.Context, method, path string, body, into any) error {
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return err
		}
	}
	status, text, err := s.insist(ctx, method, s.base+"/control/"+path, "application/json", encoded)
	if err != nil {
		return err
	}
	if status/100 != 2 {
		return fmt.Errorf("the sandbox answered %s %s with %d: %s", method, path, status, strings.TrimSpace(string(text)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// scan opens the payer's page and returns the order's number.
func (s *provider) scan(ctx context.Context, code string) (string, error) {
	_, page, err := s.insist(ctx, http.MethodGet, code, "", nil)
	if err != nil {
		return "", err
	}
	found := s.page.FindSubmatch(page)
	if found == nil {
		return "", fmt.Errorf("the payer's page %s shows no order number: %.200s", code, page)
	}
	return string(found[1]), nil
}

// press presses a button of the payer's page and reports whether the page then
// says that the order is paid.
func (s *provider) press(ctx context.Context, code, action string) (paid bool, err error) {
	form := []byte(url.Values{"action": {action}}.Encode())
	_, page, err := s.insist(ctx, http.MethodPost, code, "application/x-www-form-urlencoded", form)
	return bytes.Contains(page, []byte("支付成功 Paid")), err
}

// payLate pays an order whatever its state; false when it is too late even for that.
func (s *provider) payLate(ctx context.Context, channel, number string) bool {
	err := s.control(ctx, http.MethodPost, "pay", map[string]any{"provider": channel, "number": number, "late": true}, nil)
	return err == nil
}

// rule is a fault of the sandbox's answers.
type rule struct {
	ID       string  `json:"id,omitempty"`
	Provider string  `json:"provider"`
	Kind     string  `json:"kind"`
	Answer   string  `json:"answer,omitempty"`
	Rate     float64 `json:"rate,omitempty"`
	Seed     uint64  `json:"seed,omitempty"`
	DelayMS  int64   `json:"delay_ms,omitempty"`
	Hits     int     `json:"hits,omitempty"`
}

func (s *provider) rules(ctx context.Context) ([]rule, error) {
	status, text, err := s.once(ctx, http.MethodGet, s.base+"/control/faults", "", nil)
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("the sandbox's faults: %d %w", status, err)
	}
	var answer struct{ Faults []rule }
	return answer.Faults, json.Unmarshal(text, &answer)
}

// now reads the providers' business clock.
func (s *provider) now(ctx context.Context) (time.Time, error) {
	var clock struct{ Now time.Time }
	err := s.control(ctx, http.MethodGet, "clock", nil, &clock)
	return clock.Now, err
}

func (s *provider) moveClock(ctx context.Context, to time.Time) error {
	return s.control(ctx, http.MethodPost, "clock", map[string]any{"now": to.Format(time.RFC3339Nano)}, nil)
}
