package config

import (
	"fmt"
	"net/url"
)

// Traces is where a process sends its traces, and which.
type Traces struct {
	TracesEndpoint  string  `env:"TRACES_ENDPOINT" doc:"URL that takes traces by OTLP over HTTP, such as https://collector.example.com:4318/v1/traces; without a path it is /v1/traces. No traces are made without it. In production a collector on another machine is reached by https."`
	TracesRatio     float64 `env:"TRACES_RATIO" envDefault:"1" doc:"Share of the traces that are sent, above 0 and up to 1; who begins a trace decides for all of it."`
	TracesCAFile    string  `env:"TRACES_CA_FILE" doc:"PEM file with the authorities that may have signed the collector's certificate; the system's without it."`
	TracesTokenFile string  `env:"TRACES_TOKEN_FILE" doc:"File with a token that is shown to the collector as Authorization: Bearer; none without it."`
}

// complete fills in the path, and refuses an address at which spans could be read on their
// way to another machine. The address is not repeated: it may hold a password.
func (t *Traces) complete(in Environment) error {
	if !(t.TracesRatio > 0 && t.TracesRatio <= 1) { // nor is it not a number
		return fmt.Errorf("%sTRACES_RATIO must be above 0 and at most 1", Prefix)
	}
	if t.TracesEndpoint == "" {
		if t.TracesCAFile != "" || t.TracesTokenFile != "" {
			return fmt.Errorf("%sTRACES_CA_FILE and _TOKEN_FILE are of no use without %sTRACES_ENDPOINT", Prefix, Prefix)
		}
		return nil
	}
	u, err := url.Parse(t.TracesEndpoint)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return fmt.Errorf("%sTRACES_ENDPOINT must be an absolute http(s) URL", Prefix)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%sTRACES_ENDPOINT must have no user, query or fragment; a token goes into %sTRACES_TOKEN_FILE", Prefix, Prefix)
	case u.Scheme == "http" && in == Production && !thisMachine(u.Hostname()):
		return refusedInProduction("TRACES_ENDPOINT", "traces leave this machine over https")
	case u.Scheme == "http" && t.TracesCAFile != "":
		return fmt.Errorf("%sTRACES_CA_FILE is of no use without TLS: give %sTRACES_ENDPOINT as https", Prefix, Prefix)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	t.TracesEndpoint = u.String()
	return nil
}
