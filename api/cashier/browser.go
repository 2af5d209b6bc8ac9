package cashier

import (
	"net/http"
	"strings"

	"github.com/suanpan/suanpan/core/channel"
)

// browser is where the page is looked at, as far as it decides how one can pay.
type browser string

const (
	// inWeChat and inAlipay: the browser inside the provider's own app.
	inWeChat browser = "wechat"
	inAlipay browser = "alipay"
	phone    browser = "phone"
	pc       browser = "pc"
)

// The channels that pages know by name.
const (
	alipay    = "alipay"
	wechatpay = "wechatpay"
)

// browserOf guesses by User-Agent. A wrong guess is a worse page, never a wrong
// payment: whatever is chosen is checked where payments are made. Client hints are
// not used because neither provider's app sends them.
func browserOf(r *http.Request) browser {
	agent := r.UserAgent()
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(agent, word) {
				return true
			}
		}
		return false
	}
	switch {
	// WeChat for Windows and Mac has no pay bridge: it is a PC whose payer scans.
	case has("MicroMessenger") && !has("WindowsWechat", "MacWechat"):
		return inWeChat
	case has("AlipayClient"):
		return inAlipay
	case has("Mobile", "Android", "iPhone", "iPad", "HarmonyOS"):
		return phone
	}
	return pc
}

// group is one line of the choice: the ways of one provider, best first. The
// payer sees the first that is offered.
type group []Way

// groups lists what each browser can do. WeChat lets nobody leave to Alipay, and
// Alipay lets nobody leave to WeChat.
func (b browser) groups() []group {
	switch b {
	case inWeChat:
		return []group{{{wechatpay, channel.ProductJSAPI}}}
	case inAlipay:
		return []group{{{alipay, channel.ProductJSAPI}, {alipay, channel.ProductWAP}}}
	case phone:
		return []group{
			{{alipay, channel.ProductWAP}, {alipay, channel.ProductQR}},
			{{wechatpay, channel.ProductWAP}, {wechatpay, channel.ProductQR}},
		}
	case pc:
	}
	return []group{{{alipay, channel.ProductQR}}, {{wechatpay, channel.ProductQR}}, {{alipay, channel.ProductPage}}}
}

// ways keeps of what is offered what b can do, one of each group.
func (b browser) ways(offers []Offer) []Offer {
	var can []Offer
	for _, g := range b.groups() {
		if offer, ok := g.best(offers); ok {
			can = append(can, offer)
		}
	}
	return can
}

func (g group) best(offers []Offer) (Offer, bool) {
	for _, way := range g {
		for _, offer := range offers {
			if offer.Way == way {
				return offer, true
			}
		}
	}
	return Offer{}, false
}

// text is how a way is written in addresses and forms.
func (w Way) text() string {
	if w.Channel == "" {
		return ""
	}
	return w.Channel + "." + string(w.Product)
}

// readWay reads what text wrote; anything else is no way.
func readWay(text string) Way {
	name, product, ok := strings.Cut(text, ".")
	if !ok || name != alipay && name != wechatpay || !channel.Product(product).Known() {
		return Way{}
	}
	return Way{name, channel.Product(product)}
}
