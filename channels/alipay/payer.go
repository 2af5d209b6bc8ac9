package alipay

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	sdk "github.com/smartwalle/alipay/v3"

	"github.com/suanpan/suanpan/channels/internal/wire"
	"github.com/suanpan/suanpan/core/channel"
)

// Limits of what the payer's browser carries, in bytes.
const (
	maxState = 100
	maxCode  = 512
)

const authorizePath = "/oauth2/publicAppAuthorize.htm"

// authorizeURL is given, or the page that belongs to the gateway: Alipay's hosts
// begin with openapi for the gateway and openauth for the page.
func authorizeURL(given string, gateway *url.URL) (string, error) {
	if given != "" {
		u, err := url.Parse(given)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" {
			return "", errors.New("alipay: AuthorizeURL: not an absolute http(s) address without query")
		}
		return given, nil
	}
	page := url.URL{Scheme: gateway.Scheme, Host: gateway.Host, Path: path.Join("/", path.Dir(gateway.Path), authorizePath)}
	if rest, official := strings.CutPrefix(gateway.Host, "openapi"); official {
		page.Host, page.Path = "openauth"+rest, authorizePath
	}
	return page.String(), nil
}

// AuthorizeURL implements channel.PayerFinder: the page at which Alipay finds out
// who the payer is, without asking them.
func (a *Adapter) AuthorizeURL(returnTo, state string) (string, error) {
	if err := checkReturnURL("returnTo", returnTo); err != nil {
		return "", err
	}
	if len(state) > maxState {
		return "", fmt.Errorf("field state: has %d bytes, %d are allowed", len(state), maxState)
	}
	values := url.Values{"app_id": {a.appID}, "scope": {"auth_base"}, "redirect_uri": {returnTo}, "state": {state}}
	return a.authorizeURL + "?" + values.Encode(), nil
}

// FindPayer implements channel.PayerFinder with alipay.system.oauth.token. Its
// refusals may come unsigned; they only say that nobody was found.
func (a *Adapter) FindPayer(ctx context.Context, code string) (channel.Payer, error) {
	if err := wire.CheckText("code", code, maxCode); err != nil {
		return channel.Payer{}, err
	}
	if err := ctx.Err(); err != nil {
		return channel.Payer{}, fmt.Errorf("alipay: nothing was sent: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	payload := sdk.NewPayload("alipay.system.oauth.token").AddParam("grant_type", "authorization_code").AddParam("code", code)
	var out struct {
		reply
		UserID string `json:"user_id"`
		OpenID string `json:"open_id"`
	}
	err := a.client.Request(ctx, payload, &out)
	if unsigned, ok := err.(*sdk.Error); ok && unsigned != nil { //nolint:errorlint // see whyUnusable
		answer := a.refusal(payerFinding, reply{string(unsigned.Code), unsigned.Msg, unsigned.SubCode, unsigned.SubMsg})
		if answer.Outcome == channel.Failed {
			return channel.Payer{Answer: answer}, nil
		}
	}
	if failure := whyUnusable(err); failure != nil {
		return channel.Payer{Answer: unusable(failure)}, nil
	}
	// A success has no code of its own.
	if out.SubCode != "" || (out.Code != "" && out.Code != codeOK) {
		return channel.Payer{Answer: a.refusal(payerFinding, out.reply)}, nil
	}
	for _, id := range []string{out.UserID, out.OpenID} {
		if id != "" && wire.CheckText("id", id, maxPayerID) == nil {
			return channel.Payer{Answer: channel.Answer{Outcome: channel.Succeeded, Code: codeOK}, ID: id}, nil
		}
	}
	return channel.Payer{Answer: badBody("user_id")}, nil
}
