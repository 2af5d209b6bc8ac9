package wechatpay

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/faults"
)

// Paths of WeChat's OAuth: the page at open.weixin.qq.com and the exchange at
// api.weixin.qq.com.
const (
	AuthorizePath = Prefix + "/connect/oauth2/authorize"
	TokenPath     = Prefix + "/sns/oauth2/access_token"
)

// tokenOperation is the exchange's name in a fault.
const tokenOperation = "GET /sns/oauth2/access_token"

// oauthLifetime is how long a code of the page is good, once.
const oauthLifetime = 5 * time.Minute

var openIDForm = regexp.MustCompile(`^o[0-9A-Za-z_-]{27}$`)

// OpenID is the payer called name as one application knows them. The first
// letters are the application's, as at the provider. The payer without a name
// has one id everywhere.
func OpenID(appID, name string) string {
	if name == "" {
		return openID
	}
	person := sha256.Sum256([]byte(appID + "/" + name))
	return openIDPrefix(appID) + base64.RawURLEncoding.EncodeToString(person[:])[:22]
}

func openIDPrefix(appID string) string {
	application := sha256.Sum256([]byte(appID))
	return "o" + base64.RawURLEncoding.EncodeToString(application[:])[:5]
}

// openIDOf says whether an id is one that the application can know.
func openIDOf(openid, appID string) bool {
	return openid == openID || strings.HasPrefix(openid, openIDPrefix(appID))
}

// oauthCodes are the codes the page gave out, in memory: a restart ends them.
type oauthCodes struct {
	mu    sync.Mutex
	now   func() time.Time
	given map[string]oauthCode
}

type oauthCode struct {
	appID, openID, scope string
	at                   time.Time
	used                 bool
}

func newOAuthCodes(now func() time.Time) *oauthCodes {
	return &oauthCodes{now: now, given: map[string]oauthCode{}}
}

func (o *oauthCodes) give(appID, openid, scope string) string {
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails: crypto/rand aborts the process instead
	code := base64.RawURLEncoding.EncodeToString(random)
	o.mu.Lock()
	defer o.mu.Unlock()
	for old, kept := range o.given {
		if o.now().Sub(kept.at) > 2*oauthLifetime {
			delete(o.given, old)
		}
	}
	o.given[code] = oauthCode{appID: appID, openID: openid, scope: scope, at: o.now()}
	return code
}

// take uses a code; problem is WeChat's errcode, zero if there is none.
func (o *oauthCodes) take(code, appID string) (taken oauthCode, problem int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken, ok := o.given[code]
	switch {
	case !ok || taken.appID != appID:
		return oauthCode{}, 40029
	case taken.used:
		return oauthCode{}, 40163
	case o.now().Sub(taken.at) > oauthLifetime:
		return oauthCode{}, 42003
	}
	taken.used = true
	o.given[code] = taken
	return taken, 0
}

// authorizePage asks the payer who they are; snsapi_base does not ask.
const authorizePage = `<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>微信登录 WeChat</title><style>body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:22rem;padding:0 1rem;color:#1f2329}
button,input{font:inherit;padding:.7rem;border-radius:8px;border:1px solid #e5e6eb;width:100%;box-sizing:border-box;margin:.3rem 0}
#allow{background:#07a35a;border-color:#07a35a;color:#fff}</style></head>
<body><h1>微信 WeChat</h1><p>{{.AppID}} 申请获取你的身份。 asks who you are.</p>
<form method="post"><label>付款人（可空） Payer, may stay empty<input id="payer" name="payer" maxlength="40"></label>
<button id="allow" name="action" value="allow">允许 Allow</button>
<button id="refuse" name="action" value="refuse">拒绝 Refuse</button></form></body></html>`

// Authorize is the page at open.weixin.qq.com. It sends the browser back to
// redirect_uri with a code and the state.
func (g *Gateway) Authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	scope := q.Get("scope")
	switch {
	case len(g.apps(q.Get("appid"))) == 0:
		http.Error(w, "AppID 参数错误 appid is not known", http.StatusBadRequest)
	case err != nil || back.Host == "" || !strings.HasPrefix(back.Scheme, "http"):
		http.Error(w, "redirect_uri 参数错误 redirect_uri is not an address", http.StatusBadRequest)
	case q.Get("response_type") != "code" || (scope != "snsapi_base" && scope != "snsapi_userinfo"):
		http.Error(w, "scope 或 response_type 参数错误", http.StatusBadRequest)
	case len(q.Get("state")) > 128:
		http.Error(w, "state 不能超过128字节", http.StatusBadRequest)
	case scope == "snsapi_userinfo" && r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		page, err := template.New("authorize").Parse(authorizePage)
		if err == nil {
			err = page.Execute(w, map[string]string{"AppID": q.Get("appid")})
		}
		if err != nil {
			slog.Error("authorize page does not render", "error", err)
		}
	default:
		g.sendBack(w, r, back, q)
	}
}

func (g *Gateway) sendBack(w http.ResponseWriter, r *http.Request, back *url.URL, q url.Values) {
	values := back.Query()
	if r.Method == http.MethodPost && r.FormValue("action") == "refuse" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	values.Set("code", g.oauth.give(q.Get("appid"), OpenID(q.Get("appid"), r.FormValue("payer")), q.Get("scope")))
	values.Set("state", q.Get("state"))
	back.RawQuery = values.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// Token is GET /sns/oauth2/access_token at api.weixin.qq.com: errors come with
// status 200, an errcode and an errmsg, and nothing is signed.
func (g *Gateway) Token(w http.ResponseWriter, r *http.Request) {
	answer := func(content map[string]any) faults.Reply {
		text, err := json.Marshal(content)
		if err != nil {
			return faults.Reply{Status: http.StatusInternalServerError}
		}
		// The provider calls its JSON plain text.
		return faults.Reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Body: text}
	}
	problem := func(code int, text string) faults.Reply {
		return answer(map[string]any{"errcode": code, "errmsg": text + ", rid: sandbox"})
	}
	q := r.URL.Query()
	fault := g.Faults.Take(string(books.WeChatPay), tokenOperation, []string{q.Get("appid")})
	fault.Serve(w, r, faults.Answers{
		Work: func() faults.Reply {
			code, errcode, text := g.exchange(q)
			if errcode != 0 {
				return problem(errcode, text)
			}
			return answer(map[string]any{
				"access_token": "ACCESS_" + q.Get("code"), "expires_in": 7200, "refresh_token": "REFRESH_" + q.Get("code"),
				"openid": code.openID, "scope": code.scope,
			})
		},
		SystemError: func(string) faults.Reply { return problem(-1, "system error") },
		Refuse: func(code string) faults.Reply {
			number, err := strconv.Atoi(code)
			if err != nil {
				number = -1
			}
			return problem(number, "refused as the sandbox was asked to")
		},
		Forge: func(reply faults.Reply) faults.Reply { return reply },
		Rewrite: func(reply faults.Reply, change func([]byte) []byte) faults.Reply {
			reply.Body = change(reply.Body)
			return reply
		},
	})
}

// exchange uses a code; a problem is WeChat's errcode and its text.
func (g *Gateway) exchange(q url.Values) (code oauthCode, problem int, text string) {
	apps, secret := g.apps(q.Get("appid")), false
	for _, m := range apps {
		secret = secret || (m.AppSecret != "" && m.AppSecret == q.Get("secret"))
	}
	switch {
	case len(apps) == 0:
		return code, 40013, "invalid appid"
	case !secret:
		return code, 40125, "invalid appsecret"
	case q.Get("grant_type") != "authorization_code":
		return code, 40002, "invalid grant_type"
	case q.Get("code") == "":
		return code, 41008, "missing code"
	}
	code, problem = g.oauth.take(q.Get("code"), q.Get("appid"))
	return code, problem, map[int]string{40029: "invalid code", 40163: "code been used", 42003: "code expired"}[problem]
}

// apps are the merchants an application belongs to.
func (g *Gateway) apps(appID string) []books.Merchant {
	var found []books.Merchant
	_ = g.Books.View(func(r books.Reader) error { // a View fails only when the disk does, which the next call reports
		for _, m := range r.Merchants() {
			if m.Provider == books.WeChatPay && m.AppID == appID && appID != "" {
				found = append(found, m)
			}
		}
		return nil
	})
	return found
}
