package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/caarlos0/env/v11"
)

// LoadAPI reads and validates the configuration of the API. environ has the
// form of os.Environ, here and below.
func LoadAPI(environ []string) (API, error) {
	c, err := load[API](environ)
	if err != nil {
		return API{}, err
	}
	c.DatabaseURL, err = c.Core.check()
	return c, errors.Join(err, c.Channels.check(c.Env), c.Guards.check(), c.Webhooks.check(c.Env), c.Metrics.check(), c.Traces.complete(c.Env),
		c.Listening.check(), c.settle(c.Env), checkListen("API_LISTEN", c.Listen))
}

// settle fills in the mode that fits the environment, and refuses real money where
// clocks can be moved.
func (s *Serving) settle(e Environment) error {
	switch {
	case s.TenantMode == "" && e == Development:
		s.TenantMode = "test"
	case s.TenantMode == "":
		s.TenantMode = "live"
	case s.TenantMode == "live" && e == Development:
		return fmt.Errorf("%sTENANT_MODE=live is refused in development: set %sENV=production", Prefix, Prefix)
	case s.TenantMode != "test" && s.TenantMode != "live":
		return fmt.Errorf("%sTENANT_MODE must be test or live", Prefix)
	}
	if s.RateTenant < 0 || s.RateKey < 0 || s.RateTenant > 1_000_000 || s.RateKey > 1_000_000 {
		return fmt.Errorf("%sRATE_TENANT and %sRATE_KEY must be from 0 to 1000000 requests per second", Prefix, Prefix)
	}
	return nil
}

// LoadWorker reads and validates the configuration of a worker.
func LoadWorker(environ []string) (Worker, error) {
	c, err := load[Worker](environ)
	if err != nil {
		return Worker{}, err
	}
	c.DatabaseURL, err = c.Core.check()
	return c, errors.Join(err, c.Channels.check(c.Env), c.Guards.check(), c.Webhooks.check(c.Env), c.Metrics.check(), c.Traces.complete(c.Env),
		c.Listening.check(), checkListen("WORKER_HEALTH_LISTEN", c.HealthListen))
}

func (w Webhooks) check(e Environment) error {
	if len(w.WebhookDialAllow) > 0 && e != Development {
		return refusedInProduction("WEBHOOK_DIAL_ALLOW", "webhooks may not reach private networks")
	}
	if w.WebhookTryMonths < 1 {
		return fmt.Errorf("%sWEBHOOK_TRY_MONTHS must be 1 or more", Prefix)
	}
	return nil
}

// LoadTool reads and validates the configuration of a command that ends.
func LoadTool(environ []string) (Tool, error) {
	c, err := load[Tool](environ)
	if err != nil {
		return Tool{}, err
	}
	c.DatabaseURL, err = c.Core.check()
	return c, err
}

// LoadVault reads and validates the configuration of a command about secrets.
func LoadVault(environ []string) (Vault, error) {
	c, err := load[Vault](environ)
	if err != nil {
		return Vault{}, err
	}
	c.DatabaseURL, err = c.Core.check()
	return c, errors.Join(err, c.Secrets.check())
}

// LoadCodec reads and validates the configuration of the codec endpoint.
func LoadCodec(environ []string) (Codec, error) {
	c, err := load[Codec](environ)
	if err != nil {
		return Codec{}, err
	}
	c.DatabaseURL, err = c.Core.check()
	err = errors.Join(err, c.Secrets.check(), c.Listening.check(), checkListen("CODEC_LISTEN", c.Listen))
	for _, origin := range c.Origins {
		u, parsed := url.Parse(origin)
		if parsed != nil || u.Scheme+"://"+u.Host != origin {
			err = errors.Join(err, fmt.Errorf("%sCODEC_ORIGINS: %q must be an origin, such as https://temporal.example.com", Prefix, origin))
		}
		if parsed == nil && u.Scheme != "https" && c.Env == Production {
			err = errors.Join(err, refusedInProduction("CODEC_ORIGINS", "payloads travel over https"))
		}
	}
	return c, err
}

// LoadStack reads what starter dev should use instead of starting it.
func LoadStack(environ []string) (Stack, error) {
	c, err := load[Stack](environ)
	if err != nil || c.DatabaseURL == "" {
		return c, err
	}
	return c, checkDatabaseURL(c.DatabaseURL)
}

// load parses one struct after refusing variables nobody knows.
func load[T any](environ []string) (T, error) {
	values := map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if strings.HasPrefix(name, Prefix) {
			values[name] = value
		}
	}
	var zero T
	if err := refuseUnknown(values); err != nil {
		return zero, err
	}
	parsed, err := env.ParseAsWithOptions[T](env.Options{Environment: values, Prefix: Prefix})
	if err != nil {
		return zero, readable(err)
	}
	return parsed, nil
}

// readable keeps the library's words out of the user's sight.
func readable(err error) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	var out []error
	for _, e := range all.Errors {
		var missing env.VarIsNotSetError
		var empty env.EmptyVarError
		var parse env.ParseError
		switch {
		case errors.As(e, &missing):
			out = append(out, fmt.Errorf("%s is not set (docs/configuration.md)", missing.Key))
		case errors.As(e, &empty):
			out = append(out, fmt.Errorf("%s is empty (docs/configuration.md)", empty.Key))
		case errors.As(e, &parse):
			out = append(out, fmt.Errorf("%s cannot be read: %w", variableOf(parse.Name), parse.Err))
		default:
			out = append(out, e)
		}
	}
	return errors.Join(out...)
}

// variableOf finds the variable that belongs to a Go field.
func variableOf(field string) string {
	for _, v := range Variables() {
		if v.field == field {
			return v.Name
		}
	}
	return field
}

func (c Channels) check(in Environment) error {
	return errors.Join(
		checkHTTP("ALIPAY_GATEWAY_URL", c.AlipayGatewayURL, in),
		checkHTTP("WECHATPAY_BASE_URL", c.WeChatPayBaseURL, in),
		checkHTTP("PUBLIC_URL", c.PublicURL, in),
		c.Secrets.check(),
	)
}

// check refuses a master key that others can read. That there is none yet is told
// by whoever needs it: development makes one.
func (s Secrets) check() error {
	info, err := os.Stat(s.MasterKeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%sMASTER_KEY_FILE: %w", Prefix, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%sMASTER_KEY_FILE: %s is not a file", Prefix, s.MasterKeyFile)
	case info.Mode().Perm()&0o027 != 0:
		return fmt.Errorf("%sMASTER_KEY_FILE: %s may be read by others (mode %04o): chmod 0400 it, or 0440 for a group of its own",
			Prefix, s.MasterKeyFile, info.Mode().Perm())
	}
	return nil
}

func checkHTTP(name, value string, in Environment) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%s%s must be an absolute http(s) URL", Prefix, name)
	}
	if u.Scheme == "http" && in == Production {
		return refusedInProduction(name, "money and its messages travel over https")
	}
	return nil
}

func checkListen(name, value string) error {
	if !strings.Contains(value, ":") {
		return fmt.Errorf("%s%s must be host:port, such as 127.0.0.1:8080", Prefix, name)
	}
	return nil
}

func checkDatabaseURL(value string) error {
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		// The URL may hold a password: it is not repeated.
		return errors.New(Prefix + "DATABASE_URL must look like postgres://user@host:5432/database")
	}
	return nil
}

func refusedInProduction(name, why string) error {
	return fmt.Errorf("%s%s is refused in production (%s): correct it, or set %sENV=dev on a machine without real money",
		Prefix, name, why, Prefix)
}

// check refuses connections to the database and to Temporal that fall back to plain
// text, and returns the database's URL with its password put in.
func (c Core) check() (databaseURL string, err error) {
	databaseURL, err = withPasswordFile(c)
	return databaseURL, errors.Join(err, checkDatabaseTLS(c.DatabaseURL, c.Env), c.checkTemporalTLS())
}

// checkDatabaseTLS wants a connection to another machine to be verified, or to be plain
// because somebody said so: every other mode encrypts if the server likes, or for whom
// it likes.
func checkDatabaseTLS(value string, in Environment) error {
	u, err := url.Parse(value)
	if err != nil || in != Production {
		return nil // that it cannot be read is told already
	}
	query := u.Query()
	host := u.Hostname()
	if host == "" {
		host = query.Get("host")
	}
	mode := query.Get("sslmode")
	if thisMachine(host) || mode == "verify-full" || mode == "disable" {
		return nil
	}
	return fmt.Errorf("%sDATABASE_URL needs sslmode=verify-full in production, with sslrootcert for an authority of your own; "+
		"or sslmode=disable where something else encrypts the connection", Prefix)
}

// thisMachine reports whether a host is reached without a network: no host and a path
// are the socket of a file.
func thisMachine(host string) bool {
	if host == "" || host == "localhost" || strings.HasPrefix(host, "/") {
		return true
	}
	at, err := netip.ParseAddr(host)
	return err == nil && at.IsLoopback()
}

func (c Core) checkTemporalTLS() error {
	files := c.TemporalCAFile != "" || c.TemporalCertFile != "" || c.TemporalKeyFile != ""
	switch {
	case (c.TemporalCertFile == "") != (c.TemporalKeyFile == ""):
		return fmt.Errorf("%sTEMPORAL_CERT_FILE and %sTEMPORAL_KEY_FILE belong together: set both or neither", Prefix, Prefix)
	case files && !c.TemporalOverTLS():
		return fmt.Errorf("%sTEMPORAL_CA_FILE and _CERT_FILE are of no use without TLS: set %sTEMPORAL_TLS=on", Prefix, Prefix)
	}
	return nil
}

// withPasswordFile returns the URL with the password of the file put in.
func withPasswordFile(c Core) (string, error) {
	if err := checkDatabaseURL(c.DatabaseURL); err != nil || c.DatabasePasswordFile == "" {
		return c.DatabaseURL, err
	}
	content, err := os.ReadFile(c.DatabasePasswordFile)
	if err != nil {
		return "", fmt.Errorf("%sDATABASE_PASSWORD_FILE: %w", Prefix, err)
	}
	u, err := url.Parse(c.DatabaseURL)
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword(u.User.Username(), strings.TrimRight(string(content), "\r\n"))
	return u.String(), nil
}
