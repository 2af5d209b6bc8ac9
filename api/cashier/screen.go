package cashier

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"time"

	"github.com/suanpan/suanpan/core/channel"
)

// screenName says which of the pages of a checkout is shown; templates and the
// browser tests know them by these words.
type screenName string

const (
	screenChoose    screenName = "choose"    // the payer chooses a way
	screenPreparing screenName = "preparing" // the provider is being asked
	screenScan      screenName = "scan"      // a QR code
	screenGo        screenName = "go"        // the payer pays at the provider's
	screenInvoke    screenName = "invoke"    // the app around the page takes over
	screenWaiting   screenName = "waiting"   // the payer confirms somewhere else
	screenEnding    screenName = "ending"    // time is up; was it paid?
	screenPaid      screenName = "paid"
	screenElsewhere screenName = "elsewhere" // paid, not by what this tab showed
	screenExpired   screenName = "expired"
	screenCancelled screenName = "cancelled"
	screenFailed    screenName = "failed"
)

// asked is what the address of the page says beyond the token. All of it only
// chooses among what the order allows anyway.
type asked struct {
	// way is what this tab was opened for.
	way Way
	// change: the payer wants to choose again.
	change bool
	// notice is why the page is shown again, one of the texts.
	notice string
	lang   string
}

// screen is everything that the template of a checkout shows.
type screen struct {
	page
	Name  screenName
	Order Order
	// Version is of everything that can change; a page that shows an older one is
	// loaded again.
	Version string
	Ways    []Offer
	// Others: this browser is offered more than the way that is shown.
	Others bool
	Way    Way
	Action channel.Action
	QR     template.HTML
	// Params is what the app around the page is given, as JSON.
	Params     string
	Notice     string
	Nonce      string
	Path       string
	ReturnHost string
	// Live: something may still change without the payer's doing.
	Live bool
	Left int
}

// order makes the screen for an order. It decides nothing about money: the order
// says how it stands.
func (h *Handler) screen(p page, token string, o Order, b browser, a asked) (screen, error) {
	s := screen{page: p, Order: o, Version: version(o), Way: a.way, Notice: a.notice, Path: checkoutPath(token),
		Nonce: newNonce(), Left: int(max(o.Left, 0) / time.Second), ReturnHost: hostOf(o.ReturnURL)}
	s.Name, s.Ways = s.name(a), b.ways(o.Offers)
	s.Others = slices.ContainsFunc(s.Ways, func(offer Offer) bool { return offer.Way != s.Way })
	s.Live = s.Name != screenChoose && o.Status == Waiting
	if s.ReturnHost == "" {
		s.Order.ReturnURL = ""
	}
	var err error
	switch s.Name {
	case screenChoose:
		s.Live = len(o.Tries) > 0 // another tab may pay
	case screenScan:
		s.QR, err = qrSVG(s.Action.QRCode, h.words.say(p.Tongue, "qr"))
	case screenInvoke:
		var params []byte
		params, err = json.Marshal(s.Action.Params)
		s.Params = string(params)
	case screenPaid, screenElsewhere:
		s.Way = o.PaidBy
	}
	return s, err
}

// name decides what is shown, and notes the try that it is about.
func (s *screen) name(a asked) screenName {
	o := s.Order
	switch o.Status {
	case Paid:
		if a.way != (Way{}) && a.way != o.PaidBy {
			return screenElsewhere
		}
		return screenPaid
	case Expired:
		return screenExpired
	case Cancelled:
		return screenCancelled
	case Failed:
		return screenFailed
	case Waiting:
	}
	if o.Left <= 0 {
		return screenEnding
	}
	try, found := o.shown(a.way)
	if !found || a.change {
		return screenChoose
	}
	s.Way, s.Action = try.Way, try.Action
	switch try.State {
	case TryPreparing:
		return screenPreparing
	case TryOpen:
		return nameOf(try.Action.Type)
	case TryRefused:
		if s.Notice == "" {
			s.Notice = refusal(try.Code)
		}
	case TryOver:
	}
	return screenChoose
}

func nameOf(action channel.ActionType) screenName {
	switch action {
	case channel.ActionQRCode:
		return screenScan
	case channel.ActionRedirect, channel.ActionForm:
		return screenGo
	case channel.ActionJSAPI:
		return screenInvoke
	case channel.ActionApp, channel.ActionNone:
	}
	return screenWaiting
}

// shown is the try that a tab is about: the newest of its way, or the newest at all.
func (o Order) shown(way Way) (Try, bool) {
	for _, try := range slices.Backward(o.Tries) {
		if way == (Way{}) || try.Way == way {
			return try, true
		}
	}
	return Try{}, false
}

// refusal is the text for our code of a refused try. What a provider said is for
// the tenant; a payer can only choose another way.
func refusal(code string) string {
	if code == "amount_out_of_range" || code == "limit_exceeded" {
		return "refused_limit"
	}
	return "refused"
}

// version changes whenever anything that a page shows has changed.
func version(o Order) string {
	digest := sha256.New()
	_, _ = fmt.Fprintln(digest, o.Status, o.Left > 0, o.PaidBy)
	for _, try := range o.Tries {
		_, _ = fmt.Fprintln(digest, try.Way, try.State, try.Action, try.Code)
	}
	return hex.EncodeToString(digest.Sum(nil)[:8])
}

// hostOf is what the payer reads of an address before following it; "" for what
// no payer is sent to.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Host
}
