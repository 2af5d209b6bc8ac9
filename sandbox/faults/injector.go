package faults

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Kind says what goes wrong.
type Kind string

const (
	// LoseRequest does nothing and resets the connection: the request never arrived.
	LoseRequest Kind = "lose_request"
	// LoseReply does the work durably and then resets the connection.
	LoseReply Kind = "lose_reply"
	// ErrorAfterSuccess does the work and answers with a system error.
	ErrorAfterSuccess Kind = "error_after_success"
	// ErrorBefore answers with a system error and does nothing.
	ErrorBefore Kind = "error_before"
	// Slow does the work at once and answers after the delay.
	Slow Kind = "slow"
	// BadSignature does the work and signs the answer wrongly.
	BadSignature Kind = "bad_signature"
	// Unsigned does the work and answers without a signature.
	Unsigned Kind = "unsigned"
	// WrongSerial does the work and answers, well signed, in the name of a key that
	// nobody has. At Alipay only an app in certificate mode is told a serial.
	WrongSerial Kind = "wrong_serial"
	// Garbage does the work and answers what is not a message of the protocol.
	Garbage Kind = "garbage"
	// Refuse does nothing and answers with the provider's code in Answer, such as
	// FREQUENCY_LIMITED, NOT_ENOUGH or a "does not exist" right after a request.
	Refuse Kind = "refuse"
	// Flip does the work and answers, well signed, with the text Field in place of
	// what the answer has under it: another amount, merchant or number.
	Flip Kind = "flip"
	// DuplicateKey does the work and answers, well signed, with Field twice: first
	// with Value, then as it is.
	DuplicateKey Kind = "duplicate_key"
	// WrongCharset does the work and answers, well signed, in GBK.
	WrongCharset Kind = "wrong_charset"
	// Huge does the work and answers with 50 MB.
	Huge Kind = "huge"
	// GzipBomb does the work and answers with a small packed body of 1 GB.
	GzipBomb Kind = "gzip_bomb"
)

func kinds() []Kind {
	return []Kind{
		LoseRequest, LoseReply, ErrorAfterSuccess, ErrorBefore, Slow, BadSignature, Unsigned, WrongSerial, Garbage,
		Refuse, Flip, DuplicateKey, WrongCharset, Huge, GzipBomb,
	}
}

// Rule hits some requests.
type Rule struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
	// Operation is a method such as alipay.trade.refund, a route such as
	// "POST /v3/refund/domestic/refunds", or empty for every operation.
	Operation string `json:"operation,omitempty"`
	Kind      Kind   `json:"kind"`
	// Number limits the rule to requests that name this number.
	Number string `json:"number,omitempty"`
	// Count is how many requests are still to be hit; 0 with a Rate or ForSeconds means no limit.
	Count   int   `json:"count,omitempty"`
	DelayMS int64 `json:"delay_ms,omitempty"`
	// Rate hits this share of the matching requests, drawn from Seed.
	Rate float64 `json:"rate,omitempty"`
	Seed uint64  `json:"seed,omitempty"`
	// Answer picks the shape of a system error: "" for the provider's own body,
	// "http_502" for a proxy's page, "code_20000" (Alipay) for service unavailable.
	// For kind refuse it is the provider's error code.
	Answer string `json:"answer,omitempty"`
	// Field is a key of the answer's JSON, found at any depth, and Value the JSON
	// that is put there: for kinds flip and duplicate_key.
	Field string `json:"field,omitempty"`
	Value string `json:"value,omitempty"`
	// ForSeconds ends the rule when the business clock has gone on by so much; with it a
	// Count of 0 means every matching request until then.
	ForSeconds int64 `json:"for_seconds,omitempty"`
	// Hits counts the requests that were hit.
	Hits int `json:"hits"`
}

type activeRule struct {
	Rule
	limited bool
	draw    *rand.Rand
	// until is when the rule ends, on the business clock; zero for never.
	until time.Time
}

// Injector holds the rules in force. Safe for concurrent use.
type Injector struct {
	mu    sync.Mutex
	rules []*activeRule
	next  int
	now   func() time.Time
}

// New returns an Injector without rules; now is the business clock.
func New(now func() time.Time) *Injector { return &Injector{now: now} }

// Add puts a rule in force and returns it with its id. A rule without count
// and rate hits one request.
func (i *Injector) Add(rule Rule) (Rule, error) {
	switch {
	case !slices.Contains(kinds(), rule.Kind):
		return Rule{}, fmt.Errorf("kind must be one of %v", kinds())
	case rule.Provider != "alipay" && rule.Provider != "wechatpay":
		return Rule{}, fmt.Errorf("provider must be alipay or wechatpay")
	case rule.Count < 0:
		return Rule{}, fmt.Errorf("count must not be negative")
	case rule.Rate < 0 || rule.Rate > 1:
		return Rule{}, fmt.Errorf("rate must be between 0 and 1")
	case rule.ForSeconds < 0 || rule.ForSeconds > 366*24*3600:
		return Rule{}, fmt.Errorf("for_seconds must be between 0 and a year")
	case rule.DelayMS < 0 || rule.DelayMS > 600_000:
		return Rule{}, fmt.Errorf("delay_ms must be between 0 and 600000")
	case rule.Kind == Slow && rule.DelayMS == 0:
		return Rule{}, fmt.Errorf("kind slow needs delay_ms")
	case rule.Kind == Refuse && rule.Answer == "":
		return Rule{}, fmt.Errorf("kind refuse needs answer, the provider's error code")
	case (rule.Kind == Flip || rule.Kind == DuplicateKey) && (rule.Field == "" || !json.Valid([]byte(rule.Value))):
		return Rule{}, fmt.Errorf("kinds flip and duplicate_key need field and value, the JSON to put there")
	case rule.Kind != Refuse && !slices.Contains([]string{"", "http_502", "code_20000"}, rule.Answer):
		return Rule{}, fmt.Errorf("answer must be empty, http_502 or code_20000")
	}
	if rule.Count == 0 && rule.Rate == 0 && rule.ForSeconds == 0 {
		rule.Count = 1
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.next++
	rule.ID, rule.Hits = "fault_"+strconv.Itoa(i.next), 0
	added := &activeRule{Rule: rule, limited: rule.Count > 0, draw: rand.New(rand.NewPCG(rule.Seed, 0))}
	if rule.ForSeconds > 0 {
		added.until = i.now().Add(time.Duration(rule.ForSeconds) * time.Second)
	}
	i.rules = append(i.rules, added)
	return rule, nil
}

// List returns the rules in force and those used up, oldest first.
func (i *Injector) List() []Rule {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := make([]Rule, len(i.rules))
	for n, rule := range i.rules {
		list[n] = rule.Rule
	}
	return list
}

// Remove ends one rule, or all for an empty id. It returns how many it removed.
func (i *Injector) Remove(id string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := len(i.rules)
	i.rules = slices.DeleteFunc(i.rules, func(r *activeRule) bool { return id == "" || r.ID == id })
	return before - len(i.rules)
}

// Take returns the fault for one request, or nil. numbers are all the numbers
// that the request names. The first rule that matches and draws is used.
func (i *Injector) Take(provider, operation string, numbers []string) *Fault {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, rule := range i.rules {
		if !rule.matches(provider, operation, numbers) || !rule.until.IsZero() && !i.now().Before(rule.until) {
			continue
		}
		if rule.Rate > 0 && rule.draw.Float64() >= rule.Rate {
			continue
		}
		if rule.limited {
			rule.Count--
		}
		rule.Hits++
		return &Fault{Kind: rule.Kind, Answer: rule.Answer, Field: rule.Field, Value: rule.Value,
			Delay: time.Duration(rule.DelayMS) * time.Millisecond}
	}
	return nil
}

func (r *activeRule) matches(provider, operation string, numbers []string) bool {
	return r.Provider == provider &&
		(!r.limited || r.Count > 0) &&
		(r.Operation == "" || r.Operation == operation) &&
		(r.Number == "" || slices.Contains(numbers, r.Number))
}
