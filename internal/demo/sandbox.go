package demo

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

// The providers' names, the same at the sandbox and in the contract.
const (
	alipay    = "alipay"
	wechatpay = "wechatpay"
)

// sandbox drives the providers' stand-in: its page as a payer would, its
// control calls as a tester would.
type sandbox struct {
	base string
	http *http.Client
}

func newSandbox(base string) *sandbox {
	return &sandbox{base: strings.TrimSuffix(base, "/"), http: &http.Client{Timeout: perTry}}
}

// refusedBySandbox is an answer that is not 2xx.
type refusedBySandbox struct {
	call, text string
	status     int
}

func (r *refusedBySandbox) Error() string {
	return fmt.Sprintf("the sandbox answered %s with %d: %s", r.call, r.status, r.text)
}

// once makes one call; no answer at all is an error of another type.
func (s *sandbox) once(ctx context.Context, method, target, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<30))
	if err == nil && response.StatusCode/100 != 2 {
		err = &refusedBySandbox{method + " " + target, strings.TrimSpace(string(text)), response.StatusCode}
	}
	return text, err
}

// repeat makes a call that may be repeated until it is answered.
func (s *sandbox) repeat(ctx context.Context, method, target, contentType string, body []byte) ([]byte, error) {
	deadline := time.Now().Add(patience)
	for {
		text, err := s.once(ctx, method, target, contentType, body)
		refusal, answered := err.(*refusedBySandbox)
		if err == nil || (answered && refusal.status < 500) || ctx.Err() != nil || time.Now().After(deadline) {
			return text, err
		}
		if err := pause(ctx, 300*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// get and post speak with the control API; post is only for calls that may be
// repeated. into may be nil.
func (s *sandbox) get(ctx context.Context, path string, query url.Values, into any) error {
	text, err := s.repeat(ctx, http.MethodGet, s.base+path+"?"+query.Encode(), "", nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func (s *sandbox) post(ctx context.Context, path string, body, into any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	text, err := s.repeat(ctx, http.MethodPost, s.base+path, "application/json", encoded)
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func (s *sandbox) delete(ctx context.Context, path string) error {
	_, err := s.repeat(ctx, http.MethodDelete, s.base+path, "", nil)
	return err
}

// scan opens the page behind a QR code, as a payer does, and returns the order
// number it shows.
func (s *sandbox) scan(ctx context.Context, qrCode string) (string, error) {
	if !strings.HasPrefix(qrCode, s.base+"/") {
		return "", fmt.Errorf("the QR code leads to %s and not to the sandbox at %s", qrCode, s.base)
	}
	page, err := s.repeat(ctx, http.MethodGet, qrCode, "", nil)
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`订单号 Order</dt><dd>([0-9A-Z]+)</dd>`).FindSubmatch(page)
	if found == nil {
		return "", fmt.Errorf("the payer's page %s shows no order number", qrCode)
	}
	return string(found[1]), nil
}

// click presses the page's button "pay".
func (s *sandbox) click(ctx context.Context, qrCode string) error {
	form := []byte(url.Values{"action": {"pay"}}.Encode())
	_, err := s.repeat(ctx, http.MethodPost, qrCode, "application/x-www-form-urlencoded", form)
	return err
}

// pay pays an order; with late even one that is closed or expired. An order
// that a repeated call finds paid is paid.
func (s *sandbox) pay(ctx context.Context, channel, number string, late bool) error {
	err := s.post(ctx, "/control/pay", map[string]any{"provider": channel, "number": number, "late": late}, nil)
	refusal, answered := err.(*refusedBySandbox)
	if !answered || refusal.status != http.StatusConflict {
		return err
	}
	order, lookErr := s.order(ctx, channel, number)
	if lookErr != nil {
		return lookErr
	}
	if order.State == "paid" {
		return nil
	}
	return err
}

// order is an order in the provider's books. Amounts are fen.
type order struct {
	Number     string `json:"number"`
	ProviderNo string `json:"provider_no"`
	Amount     int64  `json:"amount"`
	Fee        int64  `json:"fee"`
	State      string `json:"state"`
}

func (s *sandbox) order(ctx context.Context, channel, number string) (order, error) {
	var answer struct{ Orders []order }
	err := s.get(ctx, "/control/orders", url.Values{"provider": {channel}, "number": {number}}, &answer)
	if err == nil && len(answer.Orders) != 1 {
		err = fmt.Errorf("the sandbox knows %d orders under %s", len(answer.Orders), number)
	}
	if err != nil {
		return order{}, err
	}
	return answer.Orders[0], nil
}

// fault makes the answer to the next request of one kind get lost after the
// provider did what it asks.
type fault struct {
	ID        string `json:"id,omitempty"`
	Provider  string `json:"provider"`
	Operation string `json:"operation"`
	Kind      string `json:"kind"`
	Count     int    `json:"count"`
	Hits      int    `json:"hits,omitempty"`
}

// lost is the fault that the provider acts and its answer gets lost.
func lost(channel, operation string) fault {
	return fault{Provider: channel, Operation: operation, Kind: "lose_reply", Count: 1}
}

func (s *sandbox) faults(ctx context.Context) ([]fault, error) {
	var answer struct{ Faults []fault }
	err := s.get(ctx, "/control/faults", nil, &answer)
	return answer.Faults, err
}

// arm puts f in force once and returns its id. An unused fault of the same
// kind, armed by a call whose answer was lost or by a run that broke off, is it.
func (s *sandbox) arm(ctx context.Context, f fault) (string, error) {
	armed, err := s.faults(ctx)
	if err != nil {
		return "", err
	}
	for _, known := range armed {
		if known.Provider == f.Provider && known.Operation == f.Operation && known.Kind == f.Kind && known.Count == 1 {
			return known.ID, nil
		}
	}
	err = s.post(ctx, "/control/faults", f, &f)
	return f.ID, err
}

// struck waits until the fault has hit a request. A sandbox forgets its faults when
// it dies, so one that does not know the fault was killed after it was armed: what
// was under way then lost its reply with the process.
func (s *sandbox) struck(ctx context.Context, id string) error {
	return await(ctx, "the fault that loses a reply", func() (string, error) {
		armed, err := s.faults(ctx)
		if err != nil {
			return "", err
		}
		for _, f := range armed {
			if f.ID == id && f.Hits == 0 {
				return "no request has hit it", nil
			}
		}
		return "", nil
	})
}

// mute drops every notification about a number.
func (s *sandbox) mute(ctx context.Context, channel, number string) error {
	return s.post(ctx, "/control/notifications",
		map[string]any{"provider": channel, "number": number, "kind": "drop", "count": 100}, nil)
}

// now reads the providers' business clock; moveClock sets it.
func (s *sandbox) now(ctx context.Context) (time.Time, error) {
	var clock struct{ Now time.Time }
	err := s.get(ctx, "/control/clock", nil, &clock)
	return clock.Now, err
}

func (s *sandbox) moveClock(ctx context.Context, to time.Time) error {
	return s.post(ctx, "/control/clock", map[string]any{"now": to.Format(time.RFC3339Nano)}, nil)
}

// billEdit falsifies one line of a bill. Amount is fen, Fee is yuan.
type billEdit struct {
	Provider string `json:"provider"`
	Merchant string `json:"merchant"`
	Date     string `json:"date"`
	Edit     string `json:"edit"`
	Number   string `json:"number"`
	Kind     string `json:"kind,omitempty"`
	Amount   int64  `json:"amount,omitempty"`
	Fee      string `json:"fee,omitempty"`
}

// falsify adds the edit unless it is there.
func (s *sandbox) falsify(ctx context.Context, e billEdit) error {
	var known struct{ Edits []billEdit }
	if err := s.get(ctx, "/control/bills/edit", url.Values{"provider": {e.Provider}, "date": {e.Date}}, &known); err != nil {
		return err
	}
	for _, other := range known.Edits {
		if other == e {
			return nil
		}
	}
	return s.post(ctx, "/control/bills/edit", e, nil)
}

// honest takes back every edit of a day.
func (s *sandbox) honest(ctx context.Context, date string) error {
	return s.delete(ctx, "/control/bills/edit?"+url.Values{"date": {date}}.Encode())
}

// movement is one change of the balance of one of a provider's merchants.
// Money in is positive.
type movement struct {
	Provider    string `json:"provider"`
	Merchant    string `json:"merchant"`
	Kind        string `json:"kind"`
	OrderNumber string `json:"order_number"`
	ProviderNo  string `json:"provider_no"`
	Amount      int64  `json:"amount"`
}

// movements reads the providers' own file from its first line to its last: all
// money that ever moved at one merchant, oldest first.
func (s *sandbox) movements(ctx context.Context, channel, merchant string) ([]movement, error) {
	file, err := s.repeat(ctx, http.MethodGet, s.base+"/control/books/file", "", nil)
	if err != nil {
		return nil, err
	}
	var list []movement
	lines := json.NewDecoder(bytes.NewReader(file))
	for lines.More() {
		var line struct{ Movements []movement }
		if err := lines.Decode(&line); err != nil {
			return nil, fmt.Errorf("the sandbox's file: %w", err)
		}
		for _, m := range line.Movements {
			if m.Provider == channel && m.Merchant == merchant {
				list = append(list, m)
			}
		}
	}
	return list, nil
}

// add counts a movement among the flows.
func (f *flows) add(m movement) {
	switch m.Kind {
	case "payment":
		f.payments.add(m.Amount)
	case "payment_fee":
		f.feesTaken.add(-m.Amount)
	case "refund":
		f.refunds.add(-m.Amount)
	case "refund_fee":
		f.feesReturned.add(m.Amount)
	case "transfer":
		f.transfers.add(-m.Amount)
	}
}
