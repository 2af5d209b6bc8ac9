package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"
	_ "time/tzdata" // the providers' days are Asia/Shanghai's, on any machine

	"github.com/suanpan/suanpan/sandbox/alipay"
	"github.com/suanpan/suanpan/sandbox/bill"
	"github.com/suanpan/suanpan/sandbox/books"
	"github.com/suanpan/suanpan/sandbox/control"
	"github.com/suanpan/suanpan/sandbox/faults"
	"github.com/suanpan/suanpan/sandbox/keys"
	"github.com/suanpan/suanpan/sandbox/notify"
	"github.com/suanpan/suanpan/sandbox/page"
	"github.com/suanpan/suanpan/sandbox/wechatpay"
)

// settleDelay is how long a WeChat Pay refund stays PROCESSING and an Alipay
// transfer to a bank card stays DEALING, before the time scale.
const settleDelay = time.Second

// retryPause is the wait after work that was due failed.
const retryPause = time.Second

// Config is what a Server needs.
type Config struct {
	// DataDir holds the journal and the providers' keys; made if absent.
	DataDir string
	// PublicURL is the base of the addresses the sandbox hands out, without a
	// slash at the end, such as http://127.0.0.1:8900.
	PublicURL string
	// TimeScale divides the waits of notification schedules and the delays of
	// refunds; 1 is real time and 0 means 1.
	TimeScale int
	// Now is protocol time; nil means time.Now.
	Now func() time.Time
}

// duty is work that becomes due by itself.
type duty interface {
	// RunDue does what is due and returns when more will be: zero if unknown.
	RunDue(context.Context) (time.Time, error)
}

// Server is the whole sandbox without its listener.
type Server struct {
	books      *books.Books
	dispatcher *notify.Dispatcher
	duties     []duty
	handler    http.Handler
}

// Open reads the data directory and wires the sandbox.
func Open(config Config) (*Server, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	config.TimeScale = max(config.TimeScale, 1)
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		return nil, fmt.Errorf("time zone: %w", err)
	}
	ownKeys, err := keys.LoadOrCreate(filepath.Join(config.DataDir, "keys"))
	if err != nil {
		return nil, err
	}
	b, err := books.Open(config.DataDir, config.Now)
	if err != nil {
		return nil, err
	}
	server, err := wire(config, b, ownKeys, zone)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return server, nil
}

func wire(config Config, b *books.Books, ownKeys *keys.Keys, zone *time.Location) (*Server, error) {
	injector, rules, bills := faults.New(b.Now), notify.NewRules(), bill.NewStore(config.Now)
	delay := settleDelay / time.Duration(config.TimeScale)
	ali := alipay.New(alipay.Config{Books: b, Keys: ownKeys, Faults: injector, Bills: bills,
		PublicURL: config.PublicURL, Zone: zone, SettleDelay: delay})
	wechat := wechatpay.New(wechatpay.Config{Books: b, Keys: ownKeys, Faults: injector, Bills: bills,
		PublicURL: config.PublicURL, Zone: zone, RefundDelay: delay, Now: config.Now})
	dispatcher := notify.NewDispatcher(b, map[books.Provider]notify.Channel{books.Alipay: ali, books.WeChatPay: wechat},
		rules, config.TimeScale)
	payerPage, err := page.New(b, map[books.Provider]page.Payer{books.Alipay: ali, books.WeChatPay: wechat}, zone)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/alipay/gateway.do", ali)
	mux.HandleFunc("GET /alipay/bill/download", ali.DownloadBill)
	mux.HandleFunc(alipay.AppPath, ali.OpenApp)
	mux.HandleFunc("GET "+alipay.JSAPIPath, ali.OpenJSAPI)
	mux.HandleFunc(alipay.AuthorizePath, ali.Authorize)
	mux.Handle(wechatpay.Prefix+"/v3/", wechat)
	mux.HandleFunc("GET "+wechatpay.H5Path, wechat.OpenH5)
	mux.HandleFunc("GET "+wechatpay.JSAPIPath, wechat.OpenJSAPI)
	mux.HandleFunc("GET "+wechatpay.AppPath, wechat.OpenApp)
	mux.HandleFunc(wechatpay.AuthorizePath, wechat.Authorize)
	mux.HandleFunc("GET "+wechatpay.TokenPath, wechat.Token)
	mux.Handle("/pay/{token}", payerPage)
	mux.HandleFunc("GET /{$}", payerPage.List)
	mux.Handle("/control/", control.New(control.Config{Books: b, Keys: ownKeys, Faults: injector, Rules: rules,
		Payers:  map[books.Provider]control.Payer{books.Alipay: ali, books.WeChatPay: wechat},
		Refunds: wechat, Transfers: ali, WeChatPay: wechat, Zone: zone}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := b.View(func(books.Reader) error { return nil }); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	return &Server{books: b, dispatcher: dispatcher, duties: []duty{ali, wechat, dispatcher}, handler: recovered(mux)}, nil
}

// Handler serves everything.
func (s *Server) Handler() http.Handler { return s.handler }

// recovered turns a panic into a 500, so that one request cannot end the process.
func recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch reason := recover(); {
			case reason == nil:
			case reason == http.ErrAbortHandler:
				panic(reason) // asks net/http to drop the connection
			default:
				slog.Error("panic", "method", r.Method, "path", r.URL.Path, "reason", reason)
				http.Error(w, "internal error", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// Run does what becomes due until ctx ends: refunds that succeed, notifications
// and their retries. Trouble with the disk is logged and tried again. Run waits
// for attempts under way before it returns.
func (s *Server) Run(ctx context.Context) {
	defer s.dispatcher.Wait()
	for {
		next, err := s.RunDue(ctx)
		wait := time.Hour
		switch {
		case err != nil:
			slog.Error("work that is due failed", "error", err)
			wait = retryPause
		case !next.IsZero():
			wait = max(next.Sub(s.books.RealNow()), 0)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-s.books.Changed():
			timer.Stop()
		}
	}
}

// RunDue does once what is due now and returns when more will be: zero if
// unknown. Notification attempts may still be under way; Wait waits for them.
func (s *Server) RunDue(ctx context.Context) (time.Time, error) {
	var soonest time.Time
	for _, d := range s.duties {
		next, err := d.RunDue(ctx)
		if err != nil {
			return time.Time{}, err
		}
		if !next.IsZero() && (soonest.IsZero() || next.Before(soonest)) {
			soonest = next
		}
	}
	return soonest, nil
}

// Wait returns when no notification attempt is under way.
func (s *Server) Wait() { s.dispatcher.Wait() }

// Close flushes and closes the journal, after Run and the listener have ended.
func (s *Server) Close() error { return s.books.Close() }
