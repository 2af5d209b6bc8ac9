package control

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/faults"
	"github.com/suanpan/suanpan/sandbox/keys"
	"github.com/suanpan/suanpan/sandbox/notify"
)

// requestLimit bounds the body of a request.
const requestLimit = 1 << 20

// Payer acts as the payer of one provider.
type Payer interface {
	Scan(merchant, number string) (books.Order, error)
	Pay(merchant, number, channel string, late bool) (books.Order, error)
	Decline(merchant, number string) (books.Order, error)
}

// RefundSettler brings a WeChat Pay refund to a later state.
type RefundSettler interface {
	SettleRefund(merchant, number string, to books.RefundState) (books.Refund, error)
	ReturnRefundLater(merchant, number string, after time.Duration) (books.Refund, error)
}

// TransferSettler brings an Alipay transfer to a later state.
type TransferSettler interface {
	SettleTransfer(merchant, number string, to books.TransferState) (books.Transfer, error)
	ReturnTransferLater(merchant, number string, after time.Duration) (books.Transfer, error)
}

// WeChatPay takes the settings that only WeChat Pay has.
type WeChatPay interface {
	SetReverseAfter(time.Duration)
}

// Config is what the API works on.
type Config struct {
	Books     *books.Books
	Keys      *keys.Keys
	Faults    *faults.Injector
	Rules     *notify.Rules
	Payers    map[books.Provider]Payer
	Refunds   RefundSettler
	Transfers TransferSettler
	WeChatPay WeChatPay
	Zone      *time.Location
}

type api struct{ Config }

// New returns the handler of everything under /control/.
func New(config Config) http.Handler {
	a := &api{config}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*http.Request) (any, error){
		"POST /control/alipay/apps":                     a.registerAlipay,
		"POST /control/alipay/payees":                   a.registerPayee,
		"POST /control/alipay/gateways":                 a.setAlipayGateway,
		"POST /control/alipay/sub-merchants":            a.authorizeAlipay,
		"POST /control/alipay/app-keys":                 a.changeAlipayApp,
		"POST /control/alipay/keys":                     a.rotateAlipay,
		"POST /control/wechatpay/merchants":             a.registerWeChatPay,
		"POST /control/topups":                          a.topUp,
		"POST /control/wechatpay/sub-merchants":         a.registerSubMerchant,
		"POST /control/wechatpay/merchant-certificates": a.changeCertificate,
		"POST /control/wechatpay/platform-certificates": a.rotatePlatform,
		"POST /control/wechatpay/settings":              a.setWeChatPay,
		"GET /control/orders":                           a.listOrders,
		"POST /control/codes":                           a.addCode,
		"POST /control/scan":                            a.scan,
		"POST /control/pay":                             a.pay,
		"POST /control/decline":                         a.decline,
		"POST /control/refunds":                         a.settleRefund,
		"POST /control/transfers":                       a.settleTransfer,
		"GET /control/faults":                           a.listFaults,
		"POST /control/faults":                          a.addFault,
		"DELETE /control/faults":                        a.removeFaults,
		"DELETE /control/faults/{id}":                   a.removeFaults,
		"GET /control/notifications":                    a.listNotifications,
		"POST /control/notifications":                   a.addRule,
		"DELETE /control/notifications":                 a.clearRules,
		"GET /control/clock":                            a.showClock,
		"POST /control/clock":                           a.setClock,
		"GET /control/bills/edit":                       a.listEdits,
		"POST /control/bills/edit":                      a.addEdit,
		"DELETE /control/bills/edit":                    a.clearEdits,
		"GET /control/books":                            a.totals,
		"GET /control/books/movements":                  a.movements,
	} {
		mux.Handle(pattern, respond(handle))
	}
	mux.HandleFunc("GET /control/books/file", a.journal)
	return localOnly(mux)
}

// failure is an error with the HTTP status it is answered with.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func bad(text string) error { return &failure{http.StatusBadRequest, errors.New(text)} }

func badBecause(err error) error { return &failure{http.StatusBadRequest, err} }

func respond(handle func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, requestLimit)
		result, err := handle(r)
		if err != nil {
			status := http.StatusInternalServerError
			var known *failure
			switch {
			case errors.As(err, &known):
				status = known.status
			case errors.Is(err, books.ErrNotFound):
				status = http.StatusNotFound
			case errors.Is(err, books.ErrNotPayable):
				status = http.StatusConflict
			default:
				slog.Error("control call failed", "path", r.URL.Path, "error", err)
			}
			write(w, status, map[string]string{"error": err.Error()})
			return
		}
		write(w, http.StatusOK, result)
	})
}

func write(w http.ResponseWriter, status int, body any) {
	text, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

// read decodes a body that has no unknown fields and nothing after it.
func read[T any](r *http.Request) (T, error) {
	var into T
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&into); err != nil {
		return into, badBecause(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return into, bad("the body must be one JSON object")
	}
	return into, nil
}

// localOnly refuses callers from other machines, and web pages: a page may make
// a browser on this machine call it, but the browser says so in Origin or, after
// DNS rebinding, in Host.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if !loopback(r.RemoteAddr) || !loopback(r.Host) || (origin != "" && !loopbackURL(origin)) {
			write(w, http.StatusForbidden, map[string]string{"error": "the control API answers only callers on this machine"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func loopbackURL(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && loopback(parsed.Hostname())
}

func provider(name string) (books.Provider, error) {
	switch p := books.Provider(name); p {
	case books.Alipay, books.WeChatPay:
		return p, nil
	default:
		return "", bad("provider must be alipay or wechatpay")
	}
}
