package alipay

import (
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
	bizContent string
	// known says that the app_id is known, so that an answer can be signed.
	known bool
}

// parse reads and verifies a call. The request is returned with a refusal too,
// as far as it was understood, because the answer is named after its method.
func (g *Gateway) parse(r *http.Request) (request, error) {
	params, err := readParams(r)
	if err != nil {
		return request{}, err
	}
	call := request{method: params["method"], notifyURL: params["notify_url"], bizContent: params["biz_content"]}
	for _, required := range []struct{ name, subCode, subMsg string }{
		{"method", "isv.missing-method", "缺少方法名参数"},
		{"app_id", "isv.missing-app-id", "缺少appId参数"},
	} {
		if params[required.name] == "" {
			return call, missing(required.subCode, required.subMsg)
		}
	}
	err = g.books.View(func(r books.Reader) error {
		call.merchant, call.known = r.Merchant(books.Alipay, params["app_id"])
		return nil
	})
	if err != nil {
		return call, err
	}
	if !call.known {
		return call, invalid("isv.invalid-app-id", "无效的AppID参数")
	}
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
	return call, g.verify(call, params)
}

func (g *Gateway) verify(call request, params map[string]string) error {
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
	case params["app_cert_sn"] != "" || params["alipay_root_cert_sn"] != "":
		return invalid("isv.invalid-parameter", "应用未使用公钥证书模式")
	case params["app_auth_token"] != "":
		return &refusal{"20001", "Insufficient Token Permissions", "aop.invalid-app-auth-token", "无效的应用授权令牌"}
	}
	sent, err := time.ParseInLocation(timeLayout, params["timestamp"], g.zone)
	if err != nil {
		return invalid("isv.invalid-timestamp", "非法的时间戳参数")
	}
	if skew := g.books.RealNow().Sub(sent); skew > timestampWindow || skew < -timestampWindow {
		return invalid("isv.invalid-timestamp", "非法的时间戳参数")
	}
	public, _, err := keys.ParsePublicKey(call.merchant.PublicKey)
	if err != nil {
		return err
	}
	if keys.Verify(public, signString(params, "sign"), params["sign"]) != nil {
		return invalid("isv.invalid-signature", "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配")
	}
	if _, known := g.operations()[call.method]; !known {
		return invalid("isv.invalid-method", "不存在的方法名")
	}
	return nil
}

// readParams returns the parameters of the query and the form together. A
// parameter given twice has no one meaning under a signature and is refused.
func readParams(r *http.Request) (map[string]string, error) {
	if r.Method != http.MethodPost {
		return nil, invalid("isv.invalid-http-method", "请使用POST请求")
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
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

// checkNotifyURL refuses an address that could never be called.
func checkNotifyURL(text string) error {
	if text == "" {
		return nil
	}
	parsed, err := url.Parse(text)
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" || len(text) > 256 {
		return invalidParameter("notify_url须为256字符以内的http(s)地址")
	}
	return nil
}
