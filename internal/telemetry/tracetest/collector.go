package tracetest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector takes spans until the test ends. It is safe for concurrent use.
type Collector struct {
	// URL is where it takes them.
	URL string

	t      testing.TB
	mu     sync.Mutex
	spans  []Span
	raw    bytes.Buffer
	tokens []string
	answer http.HandlerFunc
}

// Span is a span as it arrived.
type Span struct {
	Service, Name, Kind string
	// Trace, ID and Parent are in hexadecimal; Parent of a root is empty.
	Trace, ID, Parent string
	// Links are the traces it points to.
	Links []string
	// Attributes are as text.
	Attributes map[string]string
	Failed     bool
	// Reason is why.
	Reason     string
	Start, End time.Time
}

// New starts a collector.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{t: t}
	server := httptest.NewServer(c)
	t.Cleanup(func() {
		server.CloseClientConnections() // those that an answer lets hang
		server.Close()
	})
	c.URL = server.URL + "/v1/traces"
	return c
}

// Answer lets handler answer in the place of the collector from now on; nil ends that.
func (c *Collector) Answer(handler http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = handler
}

// ServeHTTP takes a batch of spans.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	instead := c.answer
	c.mu.Unlock()
	if instead != nil {
		_, _ = io.Copy(io.Discard, r.Body) // only then does a server notice that its client left
		instead(w, r)
		return
	}
	batch, err := c.take(r)
	if err != nil {
		c.t.Errorf("a batch of spans: %v", err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.keep(r.Header.Get("Authorization"), batch)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *Collector) take(r *http.Request) ([]byte, error) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return nil, fmt.Errorf("%s %s of %q", r.Method, r.URL, r.Header.Get("Content-Type"))
	}
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	unpacked, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unpacked)
}

func (c *Collector) keep(token string, batch []byte) {
	var message collectorpb.ExportTraceServiceRequest
	if err := proto.Unmarshal(batch, &message); err != nil {
		c.t.Errorf("a batch of spans: %v", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = append(c.tokens, token)
	c.raw.Write(batch)
	for _, of := range message.ResourceSpans {
		service := attributes(of.Resource.GetAttributes())["service.name"]
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, spanOf(service, s))
			}
		}
	}
}

func spanOf(service string, s *tracepb.Span) Span {
	out := Span{
		Service: service, Name: s.Name, Kind: strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_")),
		Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
		Attributes: attributes(s.Attributes), Failed: s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR,
		Reason: s.Status.GetMessage(), Start: time.Unix(0, int64(s.StartTimeUnixNano)), End: time.Unix(0, int64(s.EndTimeUnixNano)),
	}
	for _, link := range s.Links {
		out.Links = append(out.Links, hex.EncodeToString(link.TraceId))
	}
	return out
}

func attributes(all []*commonpb.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range all {
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			out[a.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			out[a.Key] = strconv.FormatInt(v.IntValue, 10)
		case *commonpb.AnyValue_BoolValue:
			out[a.Key] = strconv.FormatBool(v.BoolValue)
		default:
			out[a.Key] = v.(fmt.Stringer).String()
		}
	}
	return out
}

// Bytes are all batches as they came, one after the other.
func (c *Collector) Bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.raw.Bytes())
}

// Tokens are what came in the header Authorization, batch by batch.
func (c *Collector) Tokens() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.tokens)
}

// Spans are all that came until now, by their start.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.spans)
	slices.SortStableFunc(all, func(a, b Span) int { return cmp.Compare(a.Start.UnixNano(), b.Start.UnixNano()) })
	return all
}

// Trace is the spans of one trace, by their start.
func (c *Collector) Trace(id string) []Span {
	return slices.DeleteFunc(c.Spans(), func(s Span) bool { return s.Trace != id })
}

// Tree shows a trace, each span indented below its parent, or below "?" when its parent
// did not come. Spans that hide reports are left out with what is below them.
func Tree(spans []Span, hide func(Span) bool) string {
	below := children(spans, hide)
	var text strings.Builder
	var show func(parent, indent string)
	show = func(parent, indent string) {
		for _, s := range below[parent] {
			fmt.Fprintf(&text, "%s%s\n", indent, s.Name)
			show(s.ID, indent+"  ")
		}
	}
	show("", "")
	if len(below["?"]) > 0 {
		text.WriteString("?\n")
		show("?", "  ")
	}
	return text.String()
}

// Paths are the names from the root to each span of a trace, each path once, in order.
func Paths(spans []Span, hide func(Span) bool) []string {
	below := children(spans, hide)
	var paths []string
	var walk func(parent, path string)
	walk = func(parent, path string) {
		for _, s := range below[parent] {
			paths = append(paths, path+s.Name)
			walk(s.ID, path+s.Name+" > ")
		}
	}
	walk("", "")
	walk("?", "? > ")
	slices.Sort(paths)
	return slices.Compact(paths)
}

// None hides no span.
func None(Span) bool { return false }

func children(spans []Span, hide func(Span) bool) map[string][]Span {
	have, below := map[string]bool{}, map[string][]Span{}
	for _, s := range spans {
		have[s.ID] = true
	}
	for _, s := range spans {
		parent := s.Parent
		if parent != "" && !have[parent] {
			parent = "?"
		}
		if !hide(s) {
			below[parent] = append(below[parent], s)
		}
	}
	return below
}

// Require waits until a trace with a span of this name came whose attribute has this
// value, and returns its spans.
func (c *Collector) Require(name, attribute, value string) []Span {
	c.t.Helper()
	var found []Span
	require.Eventually(c.t, func() bool {
		for _, s := range c.Spans() {
			if s.Name == name && (attribute == "" || s.Attributes[attribute] == value) {
				found = c.Trace(s.Trace)
				return true
			}
		}
		return false
	}, time.Minute, 20*time.Millisecond, "no span %s with %s = %s", name, attribute, value)
	return found
}
