package alipay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/suanpan/suanpan/sandbox/bill"
	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/faults"
	"github.com/suanpan/suanpan/sandbox/keys"
)

// Config is what a Gateway needs.
type Config struct {
	Books  *books.Books
	Keys   *keys.Keys
	Faults *faults.Injector
	Bills  *bill.Store
	// PublicURL is the base of the addresses in QR codes and of bill downloads.
	PublicURL string
	// Zone is Asia/Shanghai.
	Zone *time.Location
	// SettleDelay is how long a transfer to a bank card stays DEALING.
	SettleDelay time.Duration
}

// Gateway answers Alipay's calls. Safe for concurrent use.
type Gateway struct {
	Config
	books *books.Books
	zone  *time.Location
	oauth *oauthCodes
}

// New makes a Gateway.
func New(config Config) *Gateway {
	return &Gateway{Config: config, books: config.Books, zone: config.Zone, oauth: newOAuthCodes(config.Books.RealNow)}
}

// operation answers one verified call.
type operation func(request) (*node, error)

func (g *Gateway) operations() map[string]operation {
	return map[string]operation{
		"alipay.trade.precreate":                         g.precreate,
		"alipay.trade.create":                            g.create,
		"alipay.trade.pay":                               g.payByCode,
		"alipay.trade.cancel":                            g.cancel,
		"alipay.system.oauth.token":                      g.token,
		"alipay.trade.query":                             g.queryTrade,
		"alipay.trade.close":                             g.closeTrade,
		"alipay.trade.refund":                            g.refund,
		"alipay.trade.fastpay.refund.query":              g.queryRefund,
		"alipay.fund.trans.uni.transfer":                 g.transfer,
		"alipay.fund.trans.common.query":                 g.queryTransfer,
		"alipay.data.dataservice.bill.downloadurl.query": g.billURL,
	}
}

// ServeHTTP is /alipay/gateway.do: POST for calls, GET or POST by a payer's
// browser for the methods that open a page.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	params, err := readParams(r)
	if err != nil {
		g.refuse(request{}, err).Write(w)
		return
	}
	if _, page := g.pages()[params["method"]]; page && params["method"] != appPay {
		g.open(w, r, params)
		return
	}
	if r.Method != http.MethodPost {
		g.refuse(request{}, invalid("isv.invalid-http-method", "请使用POST请求")).Write(w)
		return
	}
	call, err := g.understand(params)
	if _, carried := g.pages()[call.method]; err == nil && carried {
		err = invalid("isv.invalid-method", "该接口只能由客户端SDK调用")
	}
	if err != nil {
		g.refuse(call, err).Write(w)
		return
	}
	g.Faults.Take(string(books.Alipay), call.method, numbersIn(call.bizContent)).Serve(w, r, faults.Answers{
		Work: func() faults.Reply {
			answer, err := g.operations()[call.method](call)
			if err != nil {
				return g.refuse(call, err)
			}
			return g.reply(call, answer)
		},
		SystemError: func(answer string) faults.Reply { return g.reply(call, systemError(call.method, answer).node()) },
		Refuse:      func(code string) faults.Reply { return g.reply(call, failed(code, "沙箱按要求拒绝").node()) },
		Forge:       g.forge,
		Unsign:      unsign,
		Relabel:     relabel,
		Rewrite:     g.rewrite,
	})
}

// systemError is how the method says that the outcome is unknown.
func systemError(method, answer string) *refusal {
	switch {
	case answer == "code_20000" || strings.HasPrefix(method, "alipay.data.") || strings.HasPrefix(method, "alipay.system."):
		return unavailable()
	case strings.HasPrefix(method, "alipay.fund."):
		return failed("SYSTEM_ERROR", "系统繁忙")
	default:
		return failed("ACQ.SYSTEM_ERROR", "系统错误")
	}
}

func (g *Gateway) refuse(call request, err error) faults.Reply {
	var known *refusal
	if !errors.As(err, &known) {
		slog.Error("alipay call failed inside the sandbox", "method", call.method, "error", err)
		known = unavailable()
	}
	if call.method == oauthToken {
		call.method = "" // this one's refusals come as error_response
	}
	return g.reply(call, known.node())
}

// reply puts the node into the signed envelope. Calls of an unknown app_id are
// answered unsigned, and calls without a method as error_response.
func (g *Gateway) reply(call request, n *node) faults.Reply {
	text, err := n.encode()
	if err != nil {
		slog.Error("alipay answer does not encode", "method", call.method, "error", err)
		return faults.Reply{Status: http.StatusInternalServerError}
	}
	name := "error_response"
	if call.method != "" {
		name = strings.ReplaceAll(call.method, ".", "_") + "_response"
	}
	quoted, err := json.Marshal(name)
	if err != nil {
		return faults.Reply{Status: http.StatusInternalServerError}
	}
	body := fmt.Sprintf("{%s:%s", quoted, text)
	if call.known {
		signer := g.Keys.Alipay()
		signature, err := keys.Sign(signer.Key, text)
		if err != nil {
			slog.Error("alipay answer cannot be signed", "error", err)
			return faults.Reply{Status: http.StatusInternalServerError}
		}
		if call.certified {
			body += fmt.Sprintf(`,"alipay_cert_sn":"%s"`, signer.Serial)
		}
		body += fmt.Sprintf(`,"sign":"%s"`, signature)
	}
	return faults.Reply{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"text/html;charset=utf-8"}},
		Body:   []byte(body + "}"),
	}
}

// forge replaces the signature by one over other text.
func (g *Gateway) forge(reply faults.Reply) faults.Reply {
	body := string(reply.Body)
	at := strings.LastIndex(body, `,"sign":"`)
	if at < 0 {
		return reply
	}
	signature, err := keys.Sign(g.Keys.Alipay().Key, "forged")
	if err != nil {
		return reply
	}
	reply.Body = []byte(body[:at] + `,"sign":"` + signature + `"}`)
	return reply
}

// unsign takes the signature out of the envelope.
func unsign(reply faults.Reply) faults.Reply {
	if at := bytes.LastIndex(reply.Body, []byte(`,"sign":"`)); at >= 0 {
		reply.Body = append(bytes.Clone(reply.Body[:at]), '}')
	}
	return reply
}

// relabel keeps the signature and names another certificate, in certificate mode.
func relabel(reply faults.Reply) faults.Reply {
	const label = `,"alipay_cert_sn":"`
	from := bytes.LastIndex(reply.Body, []byte(label))
	if from < 0 {
		return reply
	}
	from += len(label)
	to := from + bytes.IndexByte(reply.Body[from:], '"')
	body := append(bytes.Clone(reply.Body[:from]), strings.Repeat("0", 32)...)
	reply.Body = append(body, reply.Body[to:]...)
	return reply
}

// rewrite changes the answer and signs what came out.
func (g *Gateway) rewrite(reply faults.Reply, change func([]byte) []byte) faults.Reply {
	body := string(reply.Body)
	from, to := strings.Index(body, ":")+1, strings.LastIndex(body, `,"sign":"`)
	if to < from {
		return reply
	}
	serial := ""
	if at := strings.LastIndex(body[:to], `,"alipay_cert_sn":"`); at > from {
		serial, to = body[at:to], at
	}
	text := string(change([]byte(body[from:to])))
	signature, err := keys.Sign(g.Keys.Alipay().Key, text)
	if err != nil {
		return reply
	}
	reply.Body = []byte(body[:from] + text + serial + `,"sign":"` + signature + `"}`)
	return reply
}

// numbersIn returns the numbers a call names, for faults aimed at one of them.
func numbersIn(bizContent string) []string {
	var named struct {
		OutTradeNo   string `json:"out_trade_no"`
		TradeNo      string `json:"trade_no"`
		OutRequestNo string `json:"out_request_no"`
		OutBizNo     string `json:"out_biz_no"`
		BillDate     string `json:"bill_date"`
	}
	if json.Unmarshal([]byte(bizContent), &named) != nil {
		return nil
	}
	return []string{named.OutTradeNo, named.TradeNo, named.OutRequestNo, named.OutBizNo, named.BillDate}
}

// decode reads biz_content into fields.
func decode(call request, fields any) error {
	if call.bizContent == "" {
		return missing("isv.missing-biz-content", "缺少biz_content参数")
	}
	if err := json.Unmarshal([]byte(call.bizContent), fields); err != nil {
		return invalid("isv.invalid-parameter", "biz_content不是合法的JSON或字段类型错误")
	}
	return nil
}
