package alipay

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
)

// AuthorizePath is the page at openauth.alipay.com on which payers say who they are.
const AuthorizePath = "/alipay/oauth2/publicAppAuthorize.htm"

const oauthToken = "alipay.system.oauth.token"

// oauthLifetime is how long a code of the page is good, once.
const oauthLifetime = 3 * time.Minute

var openIDForm = regexp.MustCompile(`^0[0-9A-Za-z_-]{31}$`)

// Payers are the user id and, for one application, the open id of the payer called
// name. The payer without a name is the one who pays everywhere.
func Payers(appID, name string) (user, open string) {
	person := sha256.Sum256([]byte("payer/" + name))
	user = fmt.Sprintf("2088%012d", binary.BigEndian.Uint64(person[:])%1_000_000_000_000)
	if name == "" {
		user = buyerUserID
	}
	application := sha256.Sum256([]byte(appID + "/" + user))
	return user, openIDPrefix(appID) + base64.RawURLEncoding.EncodeToString(application[:])[:26]
}

func openIDPrefix(appID string) string {
	application := sha256.Sum256([]byte(appID))
	return "0" + base64.RawURLEncoding.EncodeToString(application[:])[:5]
}

// openIDOf says whether an open id is one that the application can know.
func openIDOf(id, appID string) bool {
	return openIDForm.MatchString(id) && strings.HasPrefix(id, openIDPrefix(appID))
}

// oauthCodes are the codes the page gave out, in memory: a restart ends them.
type oauthCodes struct {
	mu    sync.Mutex
	now   func() time.Time
	given map[string]oauthCode
}

type oauthCode struct {
	appID, user, open string
	at                time.Time
}

func newOAuthCodes(now func() time.Time) *oauthCodes {
	return &oauthCodes{now: now, given: map[string]oauthCode{}}
}

func (o *oauthCodes) give(code oauthCode) string {
	text := strings.ToLower(rand.Text())
	o.mu.Lock()
	defer o.mu.Unlock()
	for old, kept := range o.given {
		if o.now().Sub(kept.at) > oauthLifetime {
			delete(o.given, old)
		}
	}
	code.at = o.now()
	o.given[text] = code
	return text
}

// take uses a code up; the provider has one word for unknown, used and too old.
func (o *oauthCodes) take(text, appID string) (oauthCode, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	code, ok := o.given[text]
	if !ok || code.appID != appID || o.now().Sub(code.at) > oauthLifetime {
		return oauthCode{}, false
	}
	delete(o.given, text)
	return code, true
}

const authorizePage = `<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>支付宝授权 Alipay</title><style>body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:22rem;padding:0 1rem;color:#1f2329}
button,input{font:inherit;padding:.7rem;border-radius:8px;border:1px solid #e5e6eb;width:100%;box-sizing:border-box;margin:.3rem 0}
#allow{background:#1677ff;border-color:#1677ff;color:#fff}</style></head>
<body><h1>支付宝 Alipay</h1><p>{{.AppID}} 申请获取你的身份。 asks who you are.</p>
<form method="post"><label>付款人（可空） Payer, may stay empty<input id="payer" name="payer" maxlength="40"></label>
<button id="allow" name="action" value="allow">同意 Allow</button>
<button id="refuse" name="action" value="refuse">拒绝 Refuse</button></form></body></html>`

// Authorize is the page at openauth.alipay.com. auth_base asks nothing; auth_user
// asks the payer. The browser goes back with auth_code and state.
func (g *Gateway) Authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	scope := q.Get("scope")
	known := false
	viewed := g.books.View(func(view books.Reader) error {
		m, ok := view.Merchant(books.Alipay, q.Get("app_id"))
		known = ok && m.Partner == ""
		return nil
	})
	switch {
	case viewed != nil:
		g.refusePage(viewed).Write(w)
	case !known:
		g.refusePage(invalid("isv.invalid-app-id", "无效的AppID参数")).Write(w)
	case err != nil || back.Host == "" || !strings.HasPrefix(back.Scheme, "http"):
		g.refusePage(invalid("isv.invalid-redirect-uri", "redirect_uri不是合法的地址")).Write(w)
	case !slices.Contains([]string{"auth_base", "auth_user"}, scope):
		g.refusePage(invalid("isv.invalid-scope", "scope须为auth_base或auth_user")).Write(w)
	case len(q.Get("state")) > 100:
		g.refusePage(invalid("isv.invalid-state", "state不能超过100位")).Write(w)
	case scope == "auth_user" && r.Method == http.MethodGet:
		show(w, http.StatusOK, authorizePage, map[string]string{"AppID": q.Get("app_id")})
	case r.Method == http.MethodPost && r.PostFormValue("action") == "refuse":
		http.Redirect(w, r, "/", http.StatusSeeOther)
	default:
		user, open := Payers(q.Get("app_id"), r.PostFormValue("payer"))
		values := back.Query()
		values.Set("app_id", q.Get("app_id"))
		values.Set("scope", scope)
		values.Set("state", q.Get("state"))
		values.Set("auth_code", g.oauth.give(oauthCode{appID: q.Get("app_id"), user: user, open: open}))
		back.RawQuery = values.Encode()
		http.Redirect(w, r, back.String(), http.StatusFound)
	}
}

// token is alipay.system.oauth.token. Its fields are parameters of the request,
// its answer has no code, and its refusals come as error_response.
func (g *Gateway) token(call request) (*node, error) {
	switch call.params["grant_type"] {
	case "authorization_code":
	case "":
		return nil, missing("isv.grant-type-missing", "缺少grant_type参数")
	default:
		return nil, invalid("isv.grant-type-invalid", "grant_type参数不正确")
	}
	if call.params["code"] == "" {
		return nil, missing("isv.code-missing", "缺少code参数")
	}
	code, ok := g.oauth.take(call.params["code"], call.params["app_id"])
	if !ok {
		return nil, invalid("isv.code-invalid", "授权码code无效")
	}
	return new(node).
		set("access_token", "authbsek"+strings.ToLower(rand.Text())).
		set("auth_start", g.format(g.books.Now())).
		set("expires_in", 1296000).
		set("open_id", code.open).
		set("re_expires_in", 2592000).
		set("refresh_token", "authbsek"+strings.ToLower(rand.Text())).
		set("user_id", code.user), nil
}
