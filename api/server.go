package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/suanpan/suanpan/api/cashier"
	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/api/reference"
	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/telemetry"
)

// Workflows starts the workflow of an accepted object and waits, for a few
// seconds at most, until it has something to tell. false without an error means
// that it had nothing yet; the sweeper takes care of what was not started.
type Workflows interface {
	FirstAnswer(ctx context.Context, s accept.Start, about string) (bool, error)
}

// Adapters finds who verifies a provider's notifications.
type Adapters interface {
	Adapter(ctx context.Context, account tenant.ChannelAccount) (channel.Adapter, error)
	// Notifier verifies by all keys of the account that are in use.
	Notifier(ctx context.Context, account tenant.ChannelAccount) (channel.Notifier, error)
}

// Authenticate finds whom an API key's secret stands for; it returns a
// fault.Unauthenticated for any key that is not good.
type Authenticate func(ctx context.Context, secret string) (tenant.Principal, error)

// Options are what a server is made of. All are required unless said otherwise.
type Options struct {
	DB        *pg.DB
	Workflows Workflows
	Adapters  Adapters
	// PublicURL is the base of the addresses of checkout pages, without a slash at its end.
	PublicURL string
	// Desk and Box are what the routes of channel accounts work with; Box also keeps
	// the codes on payers' phones.
	Desk Desk
	Box  *secret.Box
	// Glossary explains the codes of the providers; may be empty.
	Glossary channel.Glossary
	// TrustedProxies may say for whom they call; others' word is not taken.
	TrustedProxies []netip.Prefix
	// Guard checks the URLs of new webhook endpoints.
	Guard *event.Guard
	Log   *slog.Logger
	// Traces have a trace for each request; nil for none.
	Traces *telemetry.Traces
	// Dev opens the test clock.
	Dev bool
	// Mode is that of the tenants that are served, tenant.Test unless set.
	Mode tenant.Mode
	// Rates bound the requests of a tenant and of a key; none unless set.
	Rates Rates
	// Authenticate is tenant.Authenticate on DB unless set.
	Authenticate Authenticate
}

type server struct {
	opts     Options
	contract *contract
	intake   *intake
	// stored carries out requests that waited for a second person.
	stored http.Handler
	keys   *keyring
	rates  *rates
}

// New returns the handler of the public API: /v1 by the contract, the providers'
// notifications, the payers' pages, /healthz, /openapi.yaml and /docs, the same for people.
// It is safe for concurrent use and holds no state of its own but what it may forget.
func New(opts Options) (http.Handler, error) {
	contract, err := loadContract()
	if err != nil {
		return nil, err
	}
	if opts.Mode == "" {
		opts.Mode = tenant.Test
	}
	s := &server{opts: opts, contract: contract, intake: newIntake(opts.DB, opts.Adapters), keys: newKeyring(opts),
		rates: newRates(opts.DB, opts.Rates)}

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	// Paths are taken as they are: no cleaning, no redirects, no case folding.
	engine.RedirectTrailingSlash = false
	engine.RedirectFixedPath = false
	engine.HandleMethodNotAllowed = true
	engine.ForwardedByClientIP = false
	engine.Use(identify, s.trace, s.access, s.secure, s.recover)
	engine.NoRoute(func(c *gin.Context) { s.refuse(c, fault.NotFound()) })
	engine.NoMethod(func(c *gin.Context) {
		s.refuse(c, &fault.Error{Kind: kindMethodNotAllowed, Code: "method_not_allowed", Detail: "This address does not know this method."})
	})
	engine.GET(healthPath, s.health)
	engine.GET("/openapi.yaml", func(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", contractYAML) })
	docs, err := reference.New(contract.doc)
	if err != nil {
		return nil, err
	}
	for _, path := range []string{reference.PagePath, reference.StylePath, reference.ScriptPath} {
		engine.GET(path, gin.WrapH(docs))
	}
	engine.POST("/notify/:channel/:channel_account_id", s.notify)
	pages, err := cashier.New(cashier.Options{Desk: payDesk{s}, Log: opts.Log, TrustedProxies: opts.TrustedProxies})
	if err != nil {
		return nil, err
	}
	for _, pattern := range cashier.Patterns() {
		engine.Match([]string{http.MethodGet, http.MethodHead, http.MethodPost}, pattern, gin.WrapH(pages))
	}

	strict := gen.NewStrictHandlerWithOptions(&handlers{s}, nil, gen.StrictGinServerOptions{
		RequestErrorHandlerFunc:  s.refuseMalformed,
		HandlerErrorFunc:         s.refuse,
		ResponseErrorHandlerFunc: s.refuse,
	})
	// Middleware of the group, not of the generated wrapper, which would read
	// parameters before it knows the caller.
	v1 := engine.Group("", s.authenticate, s.readBody, s.verifySignature, s.checkBody, s.validate, s.useSignature)
	gen.RegisterHandlersWithOptions(v1, strict, gen.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { s.refuseMalformed(c, err) },
	})
	stored := gin.New()
	gen.RegisterHandlersWithOptions(stored.Group("", s.resume, s.readBody, s.checkBody, s.validate), strict, gen.GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { s.refuseMalformed(c, err) },
	})
	s.stored = stored
	return engine, nil
}

// refuseMalformed answers what the generated code could not read although the
// contract's validation let it pass, such as the 30th of February.
func (s *server) refuseMalformed(c *gin.Context, err error) {
	refusal := fault.Invalid("", "request_malformed", "The request breaks the contract.")
	refusal.Cause = err
	s.refuse(c, refusal)
}

// healthPath is asked every few seconds by whoever keeps the process running.
const healthPath = "/healthz"

func (s *server) health(c *gin.Context) {
	if err := s.opts.DB.Ping(c.Request.Context()); err != nil {
		s.refuse(c, fault.Unavailable(err, time.Second))
		return
	}
	c.Data(http.StatusOK, "application/json", []byte(`{"status":"ok"}`))
}

// The limits of connections. The write timeout leaves room for requestTimeout.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 75 * time.Second
	maxHeaderBytes    = 16 << 10
	shutdownGrace     = 25 * time.Second
)

// Serve answers on listener until ctx ends, then takes no new connections and
// lets requests under way finish. It returns nil after such an end.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(fmt.Errorf("shut down: %w", err), srv.Close())
	}
	return nil
}
