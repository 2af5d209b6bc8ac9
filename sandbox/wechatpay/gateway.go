package wechatpay

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/suanpan/suanpan/sandbox/bill"
	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/faults"
	"github.com/suanpan/suanpan/sandbox/keys"
)

// Prefix is where the gateway is mounted. A client signs the path after it.
const Prefix = "/wechatpay"

// Config is what a Gateway needs.
type Config struct {
	Books  *books.Books
	Keys   *keys.Keys
	Faults *faults.Injector
	Bills  *bill.Store
	// PublicURL is the base of the addresses in QR codes.
	PublicURL string
	// Zone is Asia/Shanghai.
	Zone *time.Location
	// RefundDelay is how long a refund stays PROCESSING.
	RefundDelay time.Duration
	// Now is protocol time, for codes of the OAuth page.
	Now func() time.Time
}

// Gateway answers WeChat Pay's calls. Safe for concurrent use.
type Gateway struct {
	Config
	nonces *nonces
	oauth  *oauthCodes
	// reverseAfter is how long after the payment a reversal is refused, in
	// nanoseconds; the control API sets it.
	reverseAfter atomic.Int64
}

// New makes a Gateway.
func New(config Config) *Gateway {
	return &Gateway{Config: config, nonces: &nonces{used: map[string]time.Time{}}, oauth: newOAuthCodes(config.Now)}
}

// answer is the honest result of a call: status and JSON body, or a raw file.
type answer struct {
	status int
	json   any
	file   *bill.File
}

// route is one operation of the API.
type route struct {
	method  string
	pattern string
	// number is the value that stands in the pattern's {…}.
	number string
	work   func(call, string) (answer, error)
	// partner and product go to the call.
	partner bool
	product string
}

func (rt route) name() string { return rt.method + " " + rt.pattern }

func (g *Gateway) routes() []route {
	routes := append(g.payRoutes("/v3/pay/transactions", false), g.payRoutes("/v3/pay/partner/transactions", true)...)
	return append(routes, []route{
		{method: http.MethodPost, pattern: "/v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund", work: g.redirectRefund},
		{method: http.MethodPost, pattern: "/v3/refund/domestic/refunds", work: g.refund},
		{method: http.MethodGet, pattern: "/v3/refund/domestic/refunds/{out_refund_no}", work: g.queryRefund},
		{method: http.MethodGet, pattern: "/v3/bill/tradebill", work: g.tradeBill},
		{method: http.MethodGet, pattern: "/v3/bill/fundflowbill", work: g.fundFlowBill},
		{method: http.MethodGet, pattern: "/v3/billdownload/file", work: g.downloadBill},
		{method: http.MethodGet, pattern: "/v3/certificates", work: g.certificates},
	}...)
}

// payRoutes are the operations on orders, which merchants and service
// providers have under paths of their own.
func (g *Gateway) payRoutes(base string, partner bool) []route {
	routes := []route{
		{method: http.MethodPost, pattern: base + "/codepay", work: g.codepay, product: tradeCode},
		{method: http.MethodPost, pattern: base + "/out-trade-no/{out_trade_no}/close", work: g.closeOrder},
		{method: http.MethodPost, pattern: base + "/out-trade-no/{out_trade_no}/reverse", work: g.reverse},
		{method: http.MethodGet, pattern: base + "/out-trade-no/{out_trade_no}", work: g.queryByNumber},
		{method: http.MethodGet, pattern: base + "/id/{transaction_id}", work: g.queryByID},
	}
	for path, product := range map[string]string{"native": tradeNative, "jsapi": tradeJSAPI, "app": tradeApp, "h5": tradeH5} {
		routes = append(routes, route{method: http.MethodPost, pattern: base + "/" + path, work: g.prepay, product: product})
	}
	for i := range routes {
		routes[i].partner = partner
	}
	return routes
}

// find matches a path against the routes; the number is the path's own part.
func (g *Gateway) find(method, path string) (route, bool) {
	for _, rt := range g.routes() {
		before, rest, variable := strings.Cut(rt.pattern, "{")
		if rt.method != method {
			continue
		}
		if !variable {
			if path == rt.pattern {
				return rt, true
			}
			continue
		}
		_, after, _ := strings.Cut(rest, "}")
		if !strings.HasPrefix(path, before) || !strings.HasSuffix(path, after) || len(path) <= len(before)+len(after) {
			continue
		}
		number := path[len(before) : len(path)-len(after)]
		if !strings.Contains(number, "/") {
			rt.number = number
			return rt, true
		}
	}
	return route{}, false
}

// ServeHTTP is everything under /wechatpay/v3/.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, Prefix)
	uri := strings.TrimPrefix(r.RequestURI, Prefix)
	c, err := g.authenticate(r, path, uri)
	c.serial = r.Header.Get("Wechatpay-Serial")
	signer, unknown := g.signerFor(c.serial)
	if err == nil && unknown != nil {
		err = unknown
	}
	rt, found := g.find(r.Method, path)
	if err == nil && !found {
		err = notFound("NOT_FOUND", "请求的资源不存在")
	}
	if err != nil {
		g.refuse(r, signer, err).Write(w)
		return
	}
	c.partner, c.product = rt.partner, rt.product
	fault := g.Faults.Take(string(books.WeChatPay), rt.name(), numbersIn(rt.number, r, c.body))
	if fault != nil && fault.Kind == faults.LoseReply && r.Method == http.MethodGet {
		g.nonces.forget(c.auth.merchant, c.auth.nonce) // before the reset: the repetition may come at once
	}
	fault.Serve(w, r, faults.Answers{
		Work: func() faults.Reply {
			result, err := rt.work(c, rt.number)
			if err != nil {
				return g.refuse(r, signer, err)
			}
			return g.accept(signer, result)
		},
		SystemError: func(string) faults.Reply { return g.refuse(r, signer, systemError()) },
		Refuse:      func(code string) faults.Reply { return g.refuse(r, signer, ordered(code)) },
		Forge:       forge,
		Unsign:      unsign,
		Relabel:     relabel,
		Rewrite: func(reply faults.Reply, change func([]byte) []byte) faults.Reply {
			return g.signed(signer, reply.Status, change(reply.Body))
		},
	})
}

// signer is one of the two keys answers are signed with, and its name.
type signer struct {
	serial string
	key    *rsa.PrivateKey
}

// signerFor picks the key for a client that names one in Wechatpay-Serial: the
// public key, or any platform certificate in force, which is answered with the
// one that signs now. A client that names none, as before it has a
// certificate, gets the platform's.
func (g *Gateway) signerFor(serial string) (signer, error) {
	if serial == g.Keys.PublicKeyID {
		return signer{g.Keys.PublicKeyID, g.Keys.WeChatPay}, nil
	}
	now := g.Keys.Platform()
	platform := signer{now.Serial, now.Key}
	if _, known := g.Keys.PlatformBySerial(serial); known || serial == "" {
		return platform, nil
	}
	return platform, paramError("Wechatpay-Serial不是有效的平台证书序列号或公钥ID")
}

// headers signs a body: timestamp, nonce and body, each followed by a newline.
func (s signer) headers(body string, now time.Time) (http.Header, error) {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails: crypto/rand aborts the process instead
	nonce := hex.EncodeToString(random)
	timestamp := strconv.FormatInt(now.Unix(), 10)
	signature, err := keys.Sign(s.key, timestamp+"\n"+nonce+"\n"+body+"\n")
	if err != nil {
		return nil, err
	}
	return http.Header{
		"Wechatpay-Timestamp":      {timestamp},
		"Wechatpay-Nonce":          {nonce},
		"Wechatpay-Serial":         {s.serial},
		"Wechatpay-Signature":      {signature},
		"Wechatpay-Signature-Type": {scheme},
		"Request-Id":               {strings.ToUpper(nonce)},
	}, nil
}

func (g *Gateway) accept(s signer, result answer) faults.Reply {
	if result.file != nil {
		return faults.Reply{Status: result.status, Header: http.Header{"Content-Type": {"application/octet-stream"}},
			Body: result.file.Content}
	}
	if result.json == nil {
		return g.signed(s, result.status, nil)
	}
	body, err := json.Marshal(result.json)
	if err != nil {
		slog.Error("wechatpay answer does not encode", "error", err)
		return faults.Reply{Status: http.StatusInternalServerError}
	}
	return g.signed(s, result.status, body)
}

func (g *Gateway) refuse(r *http.Request, s signer, err error) faults.Reply {
	var known *problem
	if !errors.As(err, &known) {
		slog.Error("wechatpay call failed inside the sandbox", "method", r.Method, "path", r.URL.Path, "error", err)
		known = systemError()
	}
	return g.signed(s, known.status, known.body())
}

func (g *Gateway) signed(s signer, status int, body []byte) faults.Reply {
	header, err := s.headers(string(body), g.Books.RealNow())
	if err != nil {
		slog.Error("wechatpay answer cannot be signed", "error", err)
		return faults.Reply{Status: http.StatusInternalServerError}
	}
	if len(body) > 0 {
		header.Set("Content-Type", "application/json; charset=utf-8")
	}
	return faults.Reply{Status: status, Header: header, Body: body}
}

// forge answers what WeChat Pay's own probe looks like: a signature that is none.
func forge(reply faults.Reply) faults.Reply {
	header := reply.Header.Clone()
	header.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+header.Get("Wechatpay-Signature"))
	reply.Header = header
	return reply
}

// unsign answers as a proxy does that drops what it does not know.
func unsign(reply faults.Reply) faults.Reply {
	header := reply.Header.Clone()
	for name := range header {
		if strings.HasPrefix(name, "Wechatpay-") {
			header.Del(name)
		}
	}
	reply.Header = header
	return reply
}

// relabel keeps the signature and names another key.
func relabel(reply faults.Reply) faults.Reply {
	header := reply.Header.Clone()
	header.Set("Wechatpay-Serial", "7132D72A03E93CDDF8C03BBD1F37EEDF00000000")
	reply.Header = header
	return reply
}

// numbersIn returns the numbers a call names, for faults aimed at one of them.
func numbersIn(inPath string, r *http.Request, body []byte) []string {
	var named struct {
		OutTradeNo    string `json:"out_trade_no"`
		TransactionID string `json:"transaction_id"`
		OutRefundNo   string `json:"out_refund_no"`
	}
	_ = json.Unmarshal(body, &named) // a body that is no JSON names no numbers
	return []string{inPath, named.OutTradeNo, named.TransactionID, named.OutRefundNo, r.URL.Query().Get("bill_date")}
}

// decode reads a JSON body. A field of another type is named in the answer.
func decode(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		field := "/body/" + strings.ReplaceAll(wrongType.Field, ".", "/")
		return fieldProblem(field, wrongType.Value, fmt.Sprintf("类型须为%s", wrongType.Type))
	}
	if err != nil {
		return paramError("请求报文不是合法的JSON")
	}
	return nil
}
