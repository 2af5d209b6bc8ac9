package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
)

// Prefix begins the name of every variable of ours.
const Prefix = "SUANPAN_"

// Environment says how much is allowed.
type Environment string

// The two environments. Production is the default: development has to be asked for.
const (
	Development Environment = "dev"
	Production  Environment = "production"
)

// UnmarshalText refuses any other name.
func (e *Environment) UnmarshalText(text []byte) error {
	switch Environment(text) {
	case Development, Production:
		*e = Environment(text)
		return nil
	default:
		return fmt.Errorf("%q is neither %q nor %q", text, Development, Production)
	}
}

// Switch is on, off, or left to what fits the environment.
type Switch string

// The two positions of a Switch; "" is neither.
const (
	On  Switch = "on"
	Off Switch = "off"
)

// UnmarshalText refuses anything else.
func (s *Switch) UnmarshalText(text []byte) error {
	switch Switch(text) {
	case On, Off, "":
		*s = Switch(text)
		return nil
	default:
		return fmt.Errorf("%q is neither %q nor %q", text, On, Off)
	}
}

// Core is what every process needs that touches the database or Temporal.
type Core struct {
	Env Environment `env:"ENV" envDefault:"production" doc:"dev or production. dev allows http:// providers, the business clock routes and the webhook dial allow-list."`

	DatabaseURL          string `env:"DATABASE_URL,required,notEmpty" doc:"PostgreSQL URL. Its user must be a member of the roles suanpan_app and suanpan_system (the user that migrates is). In production a server on another machine needs sslmode=verify-full (with sslrootcert for an authority of your own), or sslmode=disable where something else encrypts the connection."`
	DatabasePasswordFile string `env:"DATABASE_PASSWORD_FILE" doc:"File that holds the database password, instead of writing it into the URL."`
	DatabaseMaxConns     int32  `env:"DATABASE_MAX_CONNS" envDefault:"16" doc:"Upper bound of connections per pool; a process has two pools, one per role."`

	TemporalAddress   string `env:"TEMPORAL_ADDRESS" envDefault:"127.0.0.1:7233" doc:"host:port of the Temporal frontend."`
	TemporalNamespace string `env:"TEMPORAL_NAMESPACE" envDefault:"suanpan" doc:"Temporal namespace; made by starter migrate."`
	TemporalTLS       Switch `env:"TEMPORAL_TLS" doc:"on or off: whether the connection to Temporal is encrypted and the server's certificate verified. Without it: on in production for a server on another machine, otherwise off. off is for where something else encrypts the connection."`
	TemporalCAFile    string `env:"TEMPORAL_CA_FILE" doc:"PEM file with the authorities that may have signed the certificate of Temporal's server; the system's without it."`
	TemporalCertFile  string `env:"TEMPORAL_CERT_FILE" doc:"PEM file with the certificate by which Temporal's server knows this process; none is shown without it."`
	TemporalKeyFile   string `env:"TEMPORAL_KEY_FILE" doc:"PEM file with the key of that certificate."`

	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"INFO" doc:"DEBUG, INFO, WARN or ERROR."`
}

// Dev reports whether development settings are allowed.
func (c Core) Dev() bool { return c.Env == Development }

// TemporalOverTLS reports whether the connection to Temporal is encrypted.
func (c Core) TemporalOverTLS() bool {
	if c.TemporalTLS != "" {
		return c.TemporalTLS == On
	}
	host, _, _ := net.SplitHostPort(c.TemporalAddress)
	return !c.Dev() && !thisMachine(host)
}

// Secrets is what a process needs that seals secrets or opens them.
type Secrets struct {
	MasterKeyFile string `env:"MASTER_KEY_FILE,required,notEmpty" doc:"File with the master key, 32 bytes in base64 or hex, under which secrets in the database are sealed; not readable for others. Further lines hold earlier keys during a rotation (docs/runbooks/master-key.md)."`
}

// Channels is what a process needs that calls or hears payment providers.
type Channels struct {
	Secrets

	AlipayGatewayURL string `env:"ALIPAY_GATEWAY_URL" envDefault:"https://openapi.alipay.com/gateway.do" doc:"Alipay's gateway; the sandbox's in development."`
	WeChatPayBaseURL string `env:"WECHATPAY_BASE_URL" envDefault:"https://api.mch.weixin.qq.com" doc:"WeChat Pay's API host, with a path prefix if a proxy or the sandbox needs one."`
	PublicURL        string `env:"PUBLIC_URL,required,notEmpty" doc:"Base of the addresses providers notify, as they reach us: https://pay.example.com."`
}

// Webhooks is what a process needs that checks or sends webhooks.
type Webhooks struct {
	WebhookDialAllow []netip.Prefix `env:"WEBHOOK_DIAL_ALLOW" doc:"Comma-separated private networks webhooks may be sent to, such as 127.0.0.0/8. Development only."`
	WebhookTryMonths int            `env:"WEBHOOK_TRY_MONTHS" envDefault:"3" doc:"Whole months for which every try of a webhook is kept, shown with its delivery."`
}

// Listening is what a process needs that answers others.
type Listening struct {
	TLSCertFile string `env:"TLS_CERT_FILE" doc:"PEM file with the certificate, and those between it and its authority, that this process shows at every address it listens on: API, health, metrics, codec. Read again when it changes. Without it they are plain http, for a proxy on the same machine or for whatever else encrypts the way to it."`
	TLSKeyFile  string `env:"TLS_KEY_FILE" doc:"PEM file with the key of that certificate."`
}

func (l Listening) check() error {
	if (l.TLSCertFile == "") != (l.TLSKeyFile == "") {
		return fmt.Errorf("%sTLS_CERT_FILE and %sTLS_KEY_FILE belong together: set both or neither", Prefix, Prefix)
	}
	return nil
}

// Serving says whom an API serves, and how often.
type Serving struct {
	TenantMode string `env:"TENANT_MODE" doc:"test or live: the tenants that this installation serves and makes. Keys of the others are unknown here. test in dev unless set, live in production."`
	RateTenant int    `env:"RATE_TENANT" envDefault:"1000" doc:"Requests per second that all keys of a tenant may make together, in all instances; 0 bounds nothing. A second's worth can be saved up."`
	RateKey    int    `env:"RATE_KEY" envDefault:"500" doc:"The same for a single key."`
}

// API is the configuration of starter serve.
type API struct {
	Core
	Channels
	Guards
	Webhooks
	Metrics
	Traces
	Listening
	Serving

	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" doc:"Comma-separated networks of the proxies before the API, such as 10.0.0.0/8: what they say in X-Forwarded-For about the payer's address is believed. Without it the caller's own address is the payer's."`

	Listen string `env:"API_LISTEN" envDefault:"127.0.0.1:8080" doc:"host:port the HTTP API listens on; /healthz answers there too."`
}

// Worker is the configuration of the worker.
type Worker struct {
	Core
	Channels
	Guards
	Webhooks
	Metrics
	Traces
	Listening

	HealthListen string `env:"WORKER_HEALTH_LISTEN" envDefault:"127.0.0.1:9091" doc:"host:port of the worker's /healthz."`
}

// Codec is the configuration of starter codec, at which operators have payloads
// decrypted.
type Codec struct {
	Core
	Secrets
	Listening

	Listen    string   `env:"CODEC_LISTEN" envDefault:"127.0.0.1:8082" doc:"host:port of the codec endpoint. It is for operators: let the public not reach it."`
	Operators string   `env:"CODEC_OPERATORS_FILE,required,notEmpty" doc:"File with the operators who may read payloads, one a line: a name and the digest of a token, as starter codec new-token prints them. Read anew with every call."`
	Origins   []string `env:"CODEC_ORIGINS" doc:"Comma-separated origins of the Temporal Web UIs that may ask, such as https://temporal.example.com."`
}

// Tool is the configuration of the commands that work on the database and
// Temporal and end: starter migrate, verify, tenant.
type Tool struct{ Core }

// Vault is the configuration of the commands that work on sealed secrets:
// starter secrets, redrive, replay.
type Vault struct {
	Core
	Secrets
}

// Stack is the configuration of starter dev: services to use instead of
// starting them. Everything else of the stack is decided by its flags.
type Stack struct {
	DatabaseURL       string `env:"DATABASE_URL" doc:"starter dev uses this PostgreSQL and does not start one."`
	TemporalAddress   string `env:"TEMPORAL_ADDRESS" doc:"starter dev uses this Temporal server and does not start one."`
	TemporalNamespace string `env:"TEMPORAL_NAMESPACE" envDefault:"suanpan" doc:"Namespace on that server."`
	TracesEndpoint    string `env:"TRACES_ENDPOINT" doc:"Where the APIs and workers that starter dev starts send traces."`
}

// Tests is what the test suite reads; listed so that it is no unknown variable.
type Tests struct {
	DatabaseURL     string `env:"TEST_DATABASE_URL" doc:"Server the tests make their databases on; its user must be a superuser. Without it a private one is started."`
	TemporalAddress string `env:"TEST_TEMPORAL_ADDRESS" doc:"Temporal server the tests make their namespaces on. Without it a private one is started."`
}
