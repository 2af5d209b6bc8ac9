package e2e_test

import (
	"fmt"
	"slices"
	"strings"
)

// unknown is one way in which a provider's answer tells nothing, or the wrong thing.
type unknown struct {
	name string
	// rule is the sandbox's fault; Field and Value come from the operation.
	rule trouble
	// fits says which operations can answer so; nil is all of them.
	fits func(operation) bool
}

// operation is one of a provider's, with what can be falsified in its answer.
type operation struct {
	provider, name, path string
	// flipped and flip are a field of the answer and what is put there; twice is a
	// field that is given twice. Empty where the answer has nothing of the kind.
	flipped, flip, twice string
	// absent is the code by which it says that there is no such thing.
	absent string
}

// slow is longer than the deadline of a call in these tests.
const slowMS = 2500

func unknowns() []unknown {
	jsonAnswer := func(o operation) bool { return o.twice != "" }
	return []unknown{
		{"request lost, nothing done", trouble{Kind: "lose_request"}, nil},
		{"reply lost, done", trouble{Kind: "lose_reply"}, nil},
		{"no answer in time, done", trouble{Kind: "slow", DelayMS: slowMS}, nil},
		{"502 page, done", trouble{Kind: "error_after_success", Answer: "http_502"}, nil},
		{"502 page, nothing done", trouble{Kind: "error_before", Answer: "http_502"}, nil},
		{"system error, done", trouble{Kind: "error_after_success"}, nil},
		{"system error, nothing done", trouble{Kind: "error_before"}, nil},
		{"service unavailable, done", trouble{Kind: "error_after_success", Answer: "code_20000"},
			func(o operation) bool { return o.provider == alipay }},
		{"too many requests, nothing done", trouble{Kind: "refuse", Answer: "FREQUENCY_LIMITED"},
			func(o operation) bool { return o.provider == wechatpay }},
		{"bad signature, done", trouble{Kind: "bad_signature"}, nil},
		{"no signature, done", trouble{Kind: "unsigned"}, nil},
		{"serial of no key, done", trouble{Kind: "wrong_serial"}, func(o operation) bool { return o.provider == wechatpay }},
		{"broken off with rubbish, done", trouble{Kind: "garbage"}, nil},
		{"in GBK, done", trouble{Kind: "wrong_charset"}, jsonAnswer},
		{"50 MB, done", trouble{Kind: "huge"}, nil},
		{"gzip bomb of 1 GB, done", trouble{Kind: "gzip_bomb"}, nil},
		{"a key twice, done", trouble{Kind: "duplicate_key"}, jsonAnswer},
		{"a field flipped, well signed, done", trouble{Kind: "flip"}, func(o operation) bool { return o.flipped != "" }},
		{"not there, though it is", trouble{Kind: "refuse"}, func(o operation) bool { return o.absent != "" }},
	}
}

// at is the fault for an operation that names a number.
func (u unknown) at(o operation, number string) trouble {
	f := u.rule
	f.Provider, f.Operation, f.Number, f.Count = o.provider, o.path, number, 1
	switch f.Kind {
	case "flip":
		f.Field, f.Value = o.flipped, o.flip
	case "duplicate_key":
		f.Field, f.Value = o.twice, `"another"`
	case "refuse":
		if f.Answer == "" {
			f.Answer = o.absent
		}
	}
	return f
}

// of lists the unknowns with which an operation can answer.
func (o operation) unknowns() []unknown {
	return slices.DeleteFunc(unknowns(), func(u unknown) bool { return u.fits != nil && !u.fits(o) })
}

// foreignNumber is no number of anybody's.
const foreignNumber = `"01ARZ3NDEKTSV4RRFFQ69G5FAV"`

func operations() []operation {
	ali := func(name, method, flipped, flip, absent string) operation {
		return operation{alipay, name, "alipay." + method, flipped, flip, "code", absent}
	}
	chat := func(name, path, flipped, flip, twice, absent string) operation {
		return operation{wechatpay, name, path, flipped, flip, twice, absent}
	}
	const pay = "/v3/pay/transactions/"
	return []operation{
		ali("prepay", "trade.precreate", "out_trade_no", foreignNumber, ""),
		ali("create", "trade.create", "out_trade_no", foreignNumber, ""),
		ali("pay by code", "trade.pay", "total_amount", `"0.01"`, ""),
		ali("query", "trade.query", "total_amount", `"0.01"`, "ACQ.TRADE_NOT_EXIST"),
		ali("close", "trade.close", "out_trade_no", foreignNumber, ""),
		ali("cancel", "trade.cancel", "out_trade_no", foreignNumber, ""),
		ali("refund", "trade.refund", "out_trade_no", foreignNumber, ""),
		ali("refund query", "trade.fastpay.refund.query", "refund_amount", `"0.01"`, "ACQ.TRADE_NOT_EXIST"),
		ali("transfer", "fund.trans.uni.transfer", "out_biz_no", foreignNumber, ""),
		ali("transfer query", "fund.trans.common.query", "out_biz_no", foreignNumber, "ORDER_NOT_EXIST"),
		chat("prepay", "POST "+pay+"native", "", "", "code_url", ""),
		chat("create", "POST "+pay+"jsapi", "", "", "prepay_id", ""),
		chat("pay by code", "POST "+pay+"codepay", "total", "1", "out_trade_no", ""),
		chat("query", "GET "+pay+"out-trade-no/{out_trade_no}", "total", "1", "out_trade_no", "ORDER_NOT_EXIST"),
		chat("close", "POST "+pay+"out-trade-no/{out_trade_no}/close", "", "", "", ""),
		chat("cancel", "POST "+pay+"out-trade-no/{out_trade_no}/reverse", "", "", "", ""),
		chat("refund", "POST /v3/refund/domestic/refunds", "refund", "1", "out_refund_no", ""),
		chat("refund query", "GET /v3/refund/domestic/refunds/{out_refund_no}", "refund", "1", "out_refund_no", "RESOURCE_NOT_EXISTS"),
	}
}

func operationOf(provider, name string) operation {
	all := operations()
	at := slices.IndexFunc(all, func(o operation) bool { return o.provider == provider && o.name == name })
	if at < 0 {
		panic("no operation " + provider + " " + name)
	}
	return all[at]
}

// encounters counts what was met, by operation and unknown.
type encounters map[[3]string]int

func (n encounters) add(list []trouble) {
	for _, f := range list {
		for _, o := range operations() {
			if o.provider != f.Provider || o.path != f.Operation {
				continue
			}
			for _, u := range o.unknowns() {
				if planted := u.at(o, f.Number); planted.Kind == f.Kind && planted.Answer == f.Answer {
					n[[3]string{o.provider, o.name, u.name}] += f.Hits
				}
			}
		}
	}
}

func (n encounters) sum() (all int) {
	for _, count := range n {
		all += count
	}
	return all
}

// table has a row for each unknown and a column for each operation: Alipay's
// count, a slash, WeChat Pay's.
func (n encounters) table() string {
	var names []string
	for _, o := range operations() {
		if !slices.Contains(names, o.name) {
			names = append(names, o.name)
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "| alipay / wechatpay | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, u := range unknowns() {
		fmt.Fprintf(&text, "| %s |", u.name)
		for _, name := range names {
			fmt.Fprintf(&text, " %s / %s |", n.count(alipay, name, u), n.count(wechatpay, name, u))
		}
		text.WriteString("\n")
	}
	return text.String()
}

func (n encounters) count(provider, name string, u unknown) string {
	all := operations()
	at := slices.IndexFunc(all, func(o operation) bool { return o.provider == provider && o.name == name })
	if at < 0 || u.fits != nil && !u.fits(all[at]) {
		return "—"
	}
	return fmt.Sprint(n[[3]string{provider, name, u.name}])
}
