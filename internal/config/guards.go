package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Guards bound what a channel account may use of a process and of its provider.
type Guards struct {
	ChannelTimeout      time.Duration `env:"CHANNEL_TIMEOUT" envDefault:"15s" doc:"How long a call to a provider may take, to the end of its answer; at most 40s."`
	ChannelTimeouts     Timeouts      `env:"CHANNEL_TIMEOUTS" envDefault:"fetch_fund_bill=5m,fetch_trade_bill=5m" doc:"The same for single operations, such as pay_by_code=20s."`
	ChannelMaxInFlight  int           `env:"CHANNEL_MAX_IN_FLIGHT" envDefault:"16" doc:"Calls that one channel account may have under way in one process, 1 to 64; more are not sent."`
	ChannelSlowAfter    time.Duration `env:"CHANNEL_SLOW_AFTER" envDefault:"8s" doc:"A call that takes longer speaks against its channel account, as one without a usable answer does."`
	ChannelBadPercent   int           `env:"CHANNEL_BAD_PERCENT" envDefault:"50" doc:"Share of such calls at which an account's breaker opens, 1 to 100."`
	ChannelBreakerCalls int           `env:"CHANNEL_BREAKER_CALLS" envDefault:"10" doc:"It opens only after this many calls within the window."`
	ChannelBadWindow    time.Duration `env:"CHANNEL_BREAKER_WINDOW" envDefault:"30s" doc:"Over which time calls are counted."`
	ChannelBreakerPause time.Duration `env:"CHANNEL_BREAKER_PAUSE" envDefault:"15s" doc:"How long an open breaker sends nothing before it tries again with three calls."`
	ChannelRates        Rates         `env:"CHANNEL_RATES" envDefault:"alipay=50,wechatpay=100,wechatpay/fetch_fund_bill=3,wechatpay/refund=100" doc:"Calls per second of one app or merchant number at a provider, over all processes; with an operation, of that operation, counted apart. The defaults are cautious, not the provider's word: ask yours. 0: no limit."`
	ChannelRateWait     time.Duration `env:"CHANNEL_RATE_WAIT" envDefault:"2s" doc:"How long a call waits for its turn before it is not sent."`
	RepeatWindow        time.Duration `env:"REPEAT_WINDOW" envDefault:"720h" doc:"How long after it was first sent a refund or withdrawal that its provider does not know is sent again under its number. Providers do not say how long they take that for a repetition; after it, two persons decide. 0: for ever."`
	ReturnWatch         time.Duration `env:"RETURN_WATCH" envDefault:"360h" doc:"How long after a withdrawal or a refund was paid its provider is asked, ever more seldom, whether the other's bank sent it back. Providers do not say how long that may take; 0: never asked."`
	ChannelCallMonths   int           `env:"CHANNEL_CALL_MONTHS" envDefault:"12" doc:"Whole months for which the record of calls, shown in timelines, is kept."`
}

// Metrics is where a process shows its metrics.
type Metrics struct {
	MetricsAddr string `env:"METRICS_ADDR" doc:"host:port of /metrics in Prometheus' format, such as 127.0.0.1:9464; nothing is served without it. It asks for no key: let nobody but your Prometheus reach it."`
}

// Timeouts are durations by operation.
type Timeouts map[string]time.Duration

// Rates are calls per second by channel, or by channel/operation.
type Rates map[string]int

var (
	_ encoding.TextUnmarshaler = (*Timeouts)(nil)
	_ encoding.TextUnmarshaler = (*Rates)(nil)
)

// UnmarshalText reads "name=duration,…".
func (t *Timeouts) UnmarshalText(text []byte) error {
	read, err := pairs(text, func(value string) (time.Duration, error) {
		d, err := time.ParseDuration(value)
		if err == nil && d <= 0 {
			err = errors.New("must be longer than nothing")
		}
		return d, err
	})
	*t = read
	return err
}

// MarshalText writes what UnmarshalText reads.
func (t Timeouts) MarshalText() ([]byte, error) {
	return written(t, time.Duration.String), nil
}

// UnmarshalText reads "name=number,…".
func (r *Rates) UnmarshalText(text []byte) error {
	read, err := pairs(text, func(value string) (int, error) {
		n, err := strconv.Atoi(value)
		if err == nil && (n < 0 || n > 100_000) {
			err = errors.New("must be 0 to 100000")
		}
		return n, err
	})
	*r = read
	return err
}

// MarshalText writes what UnmarshalText reads.
func (r Rates) MarshalText() ([]byte, error) { return written(r, strconv.Itoa), nil }

func pairs[T any](text []byte, parse func(string) (T, error)) (map[string]T, error) {
	read := map[string]T{}
	for _, pair := range strings.Split(string(text), ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not name=value", pair)
		}
		parsed, err := parse(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		read[name] = parsed
	}
	return read, nil
}

func written[T any](values map[string]T, text func(T) string) []byte {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out = append(out, name+"="+text(values[name]))
	}
	return []byte(strings.Join(out, ","))
}

func (g Guards) check() error {
	var errs []error
	within := func(name string, ok bool, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s%s must be %s", Prefix, name, want))
		}
	}
	within("CHANNEL_TIMEOUT", g.ChannelTimeout > 0 && g.ChannelTimeout <= 40*time.Second, "up to 40s: a step that calls has 45s")
	within("CHANNEL_MAX_IN_FLIGHT", g.ChannelMaxInFlight >= 1 && g.ChannelMaxInFlight <= 64, "1 to 64")
	within("CHANNEL_BAD_PERCENT", g.ChannelBadPercent >= 1 && g.ChannelBadPercent <= 100, "1 to 100")
	within("CHANNEL_BREAKER_CALLS", g.ChannelBreakerCalls >= 1, "1 or more")
	within("CHANNEL_SLOW_AFTER", g.ChannelSlowAfter > 0, "longer than nothing")
	within("CHANNEL_BREAKER_WINDOW", g.ChannelBadWindow >= time.Second, "1s or longer")
	within("CHANNEL_BREAKER_PAUSE", g.ChannelBreakerPause > 0, "longer than nothing")
	within("CHANNEL_RATE_WAIT", g.ChannelRateWait > 0 && g.ChannelRateWait <= 4*time.Second, "up to 4s")
	within("REPEAT_WINDOW", g.RepeatWindow >= 0, "0 or longer")
	within("RETURN_WATCH", g.ReturnWatch >= 0, "0 or longer")
	within("CHANNEL_CALL_MONTHS", g.ChannelCallMonths >= 1, "1 or more")
	for op, timeout := range g.ChannelTimeouts {
		within("CHANNEL_TIMEOUTS", timeout <= 40*time.Second || strings.HasPrefix(op, "fetch_"), "up to 40s, but for bills: "+op)
	}
	return errors.Join(errs...)
}

func (m Metrics) check() error {
	if m.MetricsAddr == "" {
		return nil
	}
	return checkListen("METRICS_ADDR", m.MetricsAddr)
}
