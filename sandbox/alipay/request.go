package alipay

import (
	"crypto/rsa"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/keys"
)

const (
	// requestLimit bounds the body of a request.
	requestLimit = 1 << 20
	timeLayout   = "2006-01-02 15:04:05"
	// timestampWindow is how far a request's timestamp may be from real time.
	timestampWindow = 15 * time.Minute
)

// request is a call whose signature was verified.
type request struct {
	method     string
	merchant   books.Merchant
	notifyURL  string
	returnURL  string
	bizContent string
	// partner is the app that signed, if it acts for merchant by a token.
	partner string
	// certified says that the app is in certificate mode.
	certified bool
	params    map[string]string
	// known says that the app_id is known, so that an answer can be signed.
	known bool
}

// understand verifies a call. The request is returned with a refusal too, as far
// as it was understood, because the answer is named after its method.
func (g *Gateway) understand(params map[string]string) (request, error) {
	call := request{method: params["method"], notifyURL: params["notify_url"], returnURL: params["return_url"],
		bizContent: params["biz_content"], params: params}
	for _, required := range []struct{ name, subCode, subMsg string }{
		{"method", "isv.missing-method", "缺少方法名参数"},
		{"app_id", "isv.missing-app-id", "缺少appId参数"},
	} {
		if params[required.name] == "" {
			return call, missing(required.subCode, required.subMsg)
		}
	}
	err := g.books.View(func(r books.Reader) error {
		call.merchant, call.known = r.Merchant(books.Alipay, params["app_id"])
		return nil
	})
	if err != nil {
		return call, err
	}
	call.known = call.known && call.merchant.Partner == ""
	if !call.known {
		return call, invalid("isv.invalid-app-id", "无效的AppID参数")
	}
	call.certified = call.merchant.Serial != ""
	for _, required := range []struct{ name, subCode, subMsg string }{
		{"sign_type", "isv.missing-signature-type", "缺少签名类型参数"},
		{"sign", "isv.missing-signature", "缺少签名参数"},
		{"timestamp", "isv.missing-timestamp", "缺少时间戳参数"},
		{"version", "isv.missing-version", "缺少版本参数"},
	} {
		if params[required.name] == "" {
			return call, missing(required.subCode, required.subMsg)
		}
	}
	if err := g.verify(call); err != nil {
		return call, err
	}
	return g.actFor(call)
}

func (g *Gateway) verify(call request) error {
	params := call.params
	switch {
	case params["sign_type"] != "RSA2":
		return invalid("isv.invalid-signature-type", "无效的签名类型")
	case params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8"):
		return invalid("isv.invalid-charset", "字符集错误")
	case params["format"] != "" && !strings.EqualFold(params["format"], "json"):
		return invalid("isv.invalid-format", "无效的数据格式")
	case params["version"] != "1.0":
		return invalid("isv.invalid-version", "无效的版本参数")
	case params["encrypt_type"] != "":
		return invalid("isv.invalid-encrypt-type", "无效的加密类型")
	}
	sent, err := time.ParseInLocation(timeLayout, params["timestamp"], g.zone)
	if err != nil {
		return invalid("isv.invalid-timestamp", "非法的时间戳参数")
	}
	// An address that a payer's browser carries may be opened much later.
	_, carried := g.pages()[call.method]
	if skew := g.books.RealNow().Sub(sent); !carried && (skew > timestampWindow || skew < -timestampWindow) {
		return invalid("isv.invalid-timestamp", "非法的时间戳参数")
	}
	public, err := g.appKey(call)
	if err != nil {
		return err
	}
	if keys.Verify(public, signString(params, "sign"), params["sign"]) != nil {
		return invalid("isv.invalid-signature", "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配")
	}
	if _, known := g.operations()[call.method]; !known && !carried {
		return invalid("isv.invalid-method", "不存在的方法名")
	}
	return nil
}

// appKey is the key that has to have signed: in key mode the app's, or the one
// before it whose time is not over, whichever verifies; in certificate mode that
// of the certificate named.
func (g *Gateway) appKey(call request) (*rsa.PublicKey, error) {
	m, named, root := call.merchant, call.params["app_cert_sn"], call.params["alipay_root_cert_sn"]
	overlap := g.books.RealNow().Before(m.PreviousUntil)
	text := m.PublicKey
	switch {
	case !call.certified && named+root != "":
		return nil, invalid("isv.invalid-parameter", "应用未使用公钥证书模式")
	case call.certified && named == "":
		return nil, missing("isv.missing-app-cert-sn", "缺少应用公钥证书序列号")
	case call.certified && root != keys.AlipaySN(g.Keys.AlipayRoot):
		return nil, invalid("isv.invalid-alipay-root-cert-sn", "支付宝根证书序列号错误")
	case call.certified && overlap && named == m.PreviousSerial:
		text = m.PreviousPublicKey
	case call.certified && named != m.Serial:
		return nil, invalid("isv.invalid-app-cert-sn", "应用公钥证书序列号错误")
	}
	public, _, err := keys.ParsePublicKey(text)
	if err != nil || call.certified || !overlap {
		return public, err
	}
	if keys.Verify(public, signString(call.params, "sign"), call.params["sign"]) == nil {
		return public, nil
	}
	public, _, err = keys.ParsePublicKey(m.PreviousPublicKey)
	return public, err
}

// actFor turns a call with an app_auth_token into one of the merchant who gave it.
func (g *Gateway) actFor(call request) (request, error) {
	token := call.params["app_auth_token"]
	if token == "" {
		return call, nil
	}
	found := false
	err := g.books.View(func(r books.Reader) error {
		for _, m := range r.Merchants() {
			if m.Provider == books.Alipay && m.Partner == call.merchant.ID && m.AuthToken == token {
				call.partner, call.merchant, found = m.Partner, m, true
				break
			}
		}
		return nil
	})
	if err == nil && !found {
		err = &refusal{"20001", "Insufficient Token Permissions", "aop.invalid-app-auth-token", "无效的应用授权令牌"}
	}
	return call, err
}

// readParams returns the parameters of the query and the form together. A
// parameter given twice has no one meaning under a signature and is refused.
func readParams(r *http.Request) (map[string]string, error) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Method == http.MethodGet:
	case r.Method != http.MethodPost:
		return nil, invalid("isv.invalid-http-method", "请使用POST请求")
	case err != nil || mediaType != "application/x-www-form-urlencoded":
		return nil, invalid("isv.invalid-content-type", "Content-Type须为application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(nil, r.Body, requestLimit)
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, invalid("isv.request-too-large", "请求报文过大")
		}
		return nil, invalid("isv.invalid-parameter", "请求参数不是合法的表单")
	}
	params := make(map[string]string, len(r.Form))
	for name, values := range r.Form {
		if len(values) > 1 {
			return nil, invalid("isv.invalid-parameter", "参数重复："+name)
		}
		params[name] = values[0]
	}
	return params, nil
}

// signString joins the non-empty parameters, except the given ones, by name.
func signString(params map[string]string, except ...string) string {
	names := make([]string, 0, len(params))
next:
	for name, value := range params {
		for _, skipped := range except {
			if name == skipped {
				continue next
			}
		}
		if value != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	pairs := make([]string, len(names))
	for i, name := range names {
		pairs[i] = name + "=" + params[name]
	}
	return strings.Join(pairs, "&")
}

// checkAddress refuses an address that could never be called.
func checkAddress(field, text string) error {
	if text == "" {
		return nil
	}
	parsed, err := url.Parse(text)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" || len(text) > 256 {
		return invalidParameter("%s须为256字符以内的http(s)地址", field)
	}
	return nil
}
