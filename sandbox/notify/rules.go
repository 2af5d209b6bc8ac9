package notify

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/suanpan/suanpan/sandbox/books"
)

// Kind says what a rule does to a notification.
type Kind string

const (
	// Drop never delivers it.
	Drop Kind = "drop"
	// Duplicate delivers it twice.
	Duplicate Kind = "duplicate"
	// Delay postpones it by delay_ms.
	Delay Kind = "delay"
	// Forge sends a copy with a signature that does not verify first.
	Forge Kind = "forge"
)

// Rule hits the next Count attempts that match it.
type Rule struct {
	ID       string `json:"id"`
	Provider string `json:"provider"`
	Kind     Kind   `json:"kind"`
	// Event limits the rule to one event, such as trade_success or REFUND.SUCCESS.
	Event string `json:"event,omitempty"`
	// Number limits the rule to notifications about this number.
	Number  string `json:"number,omitempty"`
	Count   int    `json:"count"`
	DelayMS int64  `json:"delay_ms,omitempty"`
}

// Rules holds the rules in force, in memory. Safe for concurrent use.
type Rules struct {
	mu    sync.Mutex
	rules []Rule
	next  int
}

// NewRules returns no rules.
func NewRules() *Rules { return &Rules{} }

// Add puts a rule in force; count 0 means 1.
func (r *Rules) Add(rule Rule) (Rule, error) {
	switch {
	case !slices.Contains([]Kind{Drop, Duplicate, Delay, Forge}, rule.Kind):
		return Rule{}, fmt.Errorf("kind must be drop, duplicate, delay or forge")
	case rule.Provider != string(books.Alipay) && rule.Provider != string(books.WeChatPay):
		return Rule{}, fmt.Errorf("provider must be alipay or wechatpay")
	case rule.Count < 0:
		return Rule{}, fmt.Errorf("count must not be negative")
	case rule.Kind == Delay && rule.DelayMS <= 0:
		return Rule{}, fmt.Errorf("kind delay needs delay_ms")
	}
	rule.Count = max(rule.Count, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	rule.ID = "rule_" + strconv.Itoa(r.next)
	r.rules = append(r.rules, rule)
	return rule, nil
}

// List returns all rules, those used up with count 0.
func (r *Rules) List() []Rule {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.rules)
}

// Clear ends all rules.
func (r *Rules) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rules = nil
}

// take returns the rule for one attempt; the zero Rule if there is none.
func (r *Rules) take(n books.Notification) Rule {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, rule := range r.rules {
		if rule.Count > 0 && rule.Provider == string(n.Provider) &&
			(rule.Number == "" || rule.Number == n.Number) && (rule.Event == "" || rule.Event == n.Event) {
			r.rules[i].Count--
			return rule
		}
	}
	return Rule{}
}
