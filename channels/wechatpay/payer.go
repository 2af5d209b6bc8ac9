package wechatpay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

// maxState is the length of state, in bytes.
const maxState = 128

// AuthorizeURL implements channel.PayerFinder: the page at which WeChat finds
// out who the payer is, without asking them. WeChat wants the parameters in this
// order, which is also that of the alphabet.
func (a *Adapter) AuthorizeURL(returnTo, state string) (string, error) {
	if a.appSecret == "" {
		return "", errors.New("wechatpay: AppSecret: missing; without it nobody can be found")
	}
	if err := checkReturnURL(returnTo); err != nil {
		return "", err
	}
	if len(state) > maxState {
		return "", fmt.Errorf("field state: has %d bytes, %d are allowed", len(state), maxState)
	}
	query := url.Values{"appid": {a.payerApp()}, "redirect_uri": {returnTo}, "response_type": {"code"},
		"scope": {"snsapi_base"}, "state": {state}}
	return a.open.String() + "/connect/oauth2/authorize?" + query.Encode() + "#wechat_redirect", nil
}

// FindPayer implements channel.PayerFinder. The answer is not signed; it comes
// over TLS from WeChat itself, and only names a payer: an order for another's id
// is paid by that other person or by nobody.
func (a *Adapter) FindPayer(ctx context.Context, code string) (channel.Payer, error) {
	if a.appSecret == "" {
		return channel.Payer{}, errors.New("wechatpay: AppSecret: missing; without it nobody can be found")
	}
	if err := wire.CheckText("code", code, 512); err != nil {
		return channel.Payer{}, err
	}
	if err := ctx.Err(); err != nil {
		return channel.Payer{}, fmt.Errorf("wechatpay: nothing was sent: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	query := url.Values{"appid": {a.payerApp()}, "secret": {a.appSecret}, "code": {code}, "grant_type": {"authorization_code"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.api.String()+"/sns/oauth2/access_token?"+query.Encode(), nil)
	if err != nil {
		return channel.Payer{}, errors.New("wechatpay: APIURL: no request can be made of it")
	}
	response, err := a.oauth.Do(request)
	if err != nil {
		refused := whyRefused(err)
		return channel.Payer{Answer: channel.Answer{Outcome: channel.Unknown, Code: refused.code, Message: refused.message}}, nil
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return channel.Payer{Answer: channel.Answer{Outcome: channel.Unknown, Code: channel.CodeNoAnswer,
			Message: fmt.Sprintf("HTTP status %d", response.StatusCode)}}, nil
	}
	return readPayer(body), nil
}

// readPayer reads the answer of the exchange. WeChat's -1 is "busy" and 45011
// "too often"; of the other codes only those listed say that this code will
// never do.
func readPayer(body []byte) channel.Payer {
	var out struct {
		ErrCode int    `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
		OpenID  string `json:"openid"`
	}
	if wire.PlainJSON(body) != nil || json.Unmarshal(body, &out) != nil {
		return channel.Payer{Answer: badBody("openid")}
	}
	if out.ErrCode != 0 {
		answer := channel.Answer{Outcome: channel.Unknown, Code: strconv.Itoa(out.ErrCode), Message: out.ErrMsg}
		switch out.ErrCode {
		case 40013, 40029, 40125, 40163, 41008, 42003:
			answer.Outcome = channel.Failed
		}
		return channel.Payer{Answer: answer}
	}
	if wire.CheckText("openid", out.OpenID, maxPayerID) != nil {
		return channel.Payer{Answer: badBody("openid")}
	}
	return channel.Payer{Answer: accepted("OK"), ID: out.OpenID}
}
