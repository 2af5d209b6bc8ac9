package wechatpay

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/keys"
)

const (
	scheme = "WECHATPAY2-SHA256-RSA2048"
	// clockTolerance is how far a request's timestamp may be from real time.
	clockTolerance = 300 * time.Second
	// requestLimit bounds the body of a request.
	requestLimit = 1 << 20
)

var authorizationField = regexp.MustCompile(`^([a-z_]+)="([^"]*)"$`)

// authorization is the parsed Authorization header.
type authorization struct {
	merchant, nonce, serial, signature string
	timestamp                          int64
}

func parseAuthorization(header string) (authorization, error) {
	if header == "" {
		return authorization{}, errors.New("Http头缺少Authorization")
	}
	kind, rest, _ := strings.Cut(header, " ")
	if kind != scheme {
		return authorization{}, errors.New("Authorization的认证类型须为" + scheme)
	}
	fields := map[string]string{}
	for _, part := range strings.Split(rest, ",") {
		match := authorizationField.FindStringSubmatch(strings.TrimSpace(part))
		if match == nil {
			return authorization{}, errors.New("Authorization格式错误")
		}
		if _, twice := fields[match[1]]; twice {
			return authorization{}, errors.New("Authorization字段重复：" + match[1])
		}
		fields[match[1]] = match[2]
	}
	for _, name := range []string{"mchid", "nonce_str", "timestamp", "serial_no", "signature"} {
		if fields[name] == "" {
			return authorization{}, errors.New("Authorization缺少" + name)
		}
	}
	timestamp, err := strconv.ParseInt(fields["timestamp"], 10, 64)
	if err != nil {
		return authorization{}, errors.New("Authorization的timestamp须为秒")
	}
	return authorization{merchant: fields["mchid"], nonce: fields["nonce_str"], serial: fields["serial_no"],
		signature: fields["signature"], timestamp: timestamp}, nil
}

// call is a request whose signature was verified.
type call struct {
	merchant books.Merchant
	auth     authorization
	method   string
	path     string
	body     []byte
	http     *http.Request
	// partner says that the path is a service provider's; product is the trade
	// type of a path that prepares or makes a payment.
	partner bool
	product string
	// serial is the platform key the client named in Wechatpay-Serial.
	serial string
}

// authenticate verifies a request. path and uri are what comes after the
// gateway's prefix: the client signs those.
func (g *Gateway) authenticate(r *http.Request, path, uri string) (call, error) {
	c := call{method: r.Method, path: path, http: r}
	r.Body = http.MaxBytesReader(nil, r.Body, requestLimit)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return c, paramError("请求报文过大或不完整")
	}
	c.body = body
	if r.Header.Get("Accept") == "" || r.Header.Get("User-Agent") == "" {
		return c, paramError("Http头缺少Accept或User-Agent")
	}
	if r.Method == http.MethodPost && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return c, &problem{status: http.StatusUnsupportedMediaType, code: "PARAM_ERROR", message: "Content-Type须为application/json"}
	}
	c.auth, err = parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return c, signError(err.Error())
	}
	known := false
	err = g.Books.View(func(view books.Reader) error {
		c.merchant, known = view.Merchant(books.WeChatPay, c.auth.merchant)
		return nil
	})
	if err != nil {
		return c, err
	}
	if !known || c.merchant.Partner != "" {
		return c, signError("mchid不存在")
	}
	return c, g.verify(c, uri)
}

func (g *Gateway) verify(c call, uri string) error {
	now := g.Books.RealNow()
	publicText, known := merchantKey(c.merchant, c.auth.serial, now)
	if !known {
		return signError("商户证书序列号有误")
	}
	skew := now.Sub(time.Unix(c.auth.timestamp, 0))
	if c.auth.timestamp < 0 || c.auth.timestamp > 1<<40 || skew >= clockTolerance || skew <= -clockTolerance {
		return signError("时间戳与服务器时间相差超过5分钟")
	}
	public, _, err := keys.ParsePublicKey(publicText)
	if err != nil {
		return err
	}
	message := fmt.Sprintf("%s\n%s\n%d\n%s\n%s\n", c.method, uri, c.auth.timestamp, c.auth.nonce, c.body)
	if keys.Verify(public, message, c.auth.signature) != nil {
		return signError("sign not match")
	}
	if !g.nonces.use(c.auth.merchant, c.auth.nonce, now) {
		return signError("随机串nonce_str重复")
	}
	return nil
}

// merchantKey is the merchant's public key under a certificate serial: the
// present one, or the one before while both are good.
func merchantKey(m books.Merchant, serial string, now time.Time) (string, bool) {
	switch {
	case strings.EqualFold(m.Serial, serial):
		return m.PublicKey, true
	case m.PreviousSerial != "" && strings.EqualFold(m.PreviousSerial, serial) && now.Before(m.PreviousUntil):
		return m.PreviousPublicKey, true
	}
	return "", false
}

// nonces remembers what was used inside the time in which a signature is good.
// It lives in memory: after a restart a replay inside 300 s is not noticed.
type nonces struct {
	mu    sync.Mutex
	used  map[string]time.Time
	swept time.Time
}

func (n *nonces) use(merchant, nonce string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.swept) > clockTolerance {
		for key, at := range n.used {
			if now.Sub(at) > 2*clockTolerance {
				delete(n.used, key)
			}
		}
		n.swept = now
	}
	key := merchant + "/" + nonce
	if _, seen := n.used[key]; seen {
		return false
	}
	n.used[key] = now
	return true
}

// forget lets a nonce be used again. A GET whose answer was lost is repeated
// byte for byte by HTTP clients themselves.
func (n *nonces) forget(merchant, nonce string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.used, merchant+"/"+nonce)
}
