package telemetry

import (
	"regexp"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The attributes of spans. What is not ours is named as OpenTelemetry's conventions
// and Temporal's SDKs name it.
const (
	keyMethod    = attribute.Key("http.request.method")
	keyRoute     = attribute.Key("http.route")
	keyStatus    = attribute.Key("http.response.status_code")
	keyRequest   = attribute.Key("suanpan.request_id")
	keyOperation = attribute.Key("suanpan.operation")
	keyRefusal   = attribute.Key("suanpan.refusal")
	keyTenant    = attribute.Key("suanpan.tenant")

	keyChannel      = attribute.Key("suanpan.channel")
	keyAccount      = attribute.Key("suanpan.channel_account")
	keyCall         = attribute.Key("suanpan.channel.operation")
	keyOutcome      = attribute.Key("suanpan.channel.outcome")
	keyCode         = attribute.Key("suanpan.channel.code")
	keyProviderCode = attribute.Key("suanpan.channel.provider_code")
	keyRefusedBy    = attribute.Key("suanpan.channel.refused_by")
	keyWaited       = attribute.Key("suanpan.channel.waited_ms")

	keyEvent      = attribute.Key("suanpan.event")
	keyEndpoint   = attribute.Key("suanpan.webhook_endpoint")
	keyTry        = attribute.Key("suanpan.webhook.try")
	keyTryOutcome = attribute.Key("suanpan.webhook.outcome")

	keyDatabase  = attribute.Key("db.system.name")
	keyRole      = attribute.Key("suanpan.database.role")
	keyCommitted = attribute.Key("suanpan.database.committed")

	keyWorkflowID = attribute.Key("temporalWorkflowID")
	keyRunID      = attribute.Key("temporalRunID")
	keyActivityID = attribute.Key("temporalActivityID")
	keyUpdateID   = attribute.Key("temporalUpdateID")
	keyAttempt    = attribute.Key("suanpan.activity.attempt")
)

// form is what a value has to look like: a text that matches, a number from 0 to most,
// or, with neither, true or false.
type form struct {
	text *regexp.Regexp
	most int64
}

func words(pattern string) form { return form{text: regexp.MustCompile(`^(?:` + pattern + `)$`)} }
func upTo(most int64) form      { return form{most: most} }

const (
	idForm   = `[a-z]{3}_[0-9A-Z]{1,26}`
	wordForm = `[a-z][a-z0-9_]{0,63}`
	// codeForm is a code as providers make them: a word, or a short number. What has
	// more digits could be a telephone or a card.
	codeForm = `[A-Za-z][A-Za-z0-9_.-]{0,63}|[0-9]{1,6}`
	partForm = `[A-Za-z0-9_:.-]{1,64}`
	hourInMS = 60 * 60 * 1000
)

// vocabulary is everything that a span can say, by attribute, and the form in which.
var vocabulary = map[attribute.Key]form{
	keyMethod:    words(`[A-Z]{1,16}|_OTHER`),
	keyRoute:     words(`/[A-Za-z0-9_/:.-]{0,127}`),
	keyStatus:    upTo(599),
	keyRequest:   words(`[a-z0-9]{26}`),
	keyOperation: words(`[A-Za-z]{1,64}`),
	keyRefusal:   words(wordForm),
	keyTenant:    words(idForm),

	keyChannel:      words(wordForm),
	keyAccount:      words(idForm),
	keyCall:         words(wordForm),
	keyOutcome:      words(wordForm),
	keyCode:         words(codeForm),
	keyProviderCode: words(codeForm),
	keyRefusedBy:    words(wordForm),
	keyWaited:       upTo(hourInMS),

	keyEvent:      words(idForm),
	keyEndpoint:   words(idForm),
	keyTry:        upTo(1000),
	keyTryOutcome: words(wordForm),

	keyDatabase:  words(wordForm),
	keyRole:      words(wordForm),
	keyCommitted: {},

	keyWorkflowID: words(partForm + `(?:/` + partForm + `){0,4}`),
	keyRunID:      words(`[0-9a-f-]{36}`),
	keyActivityID: words(`[0-9a-z-]{1,36}`),
	keyUpdateID:   words(partForm + `(?:/` + partForm + `)?`),
	keyAttempt:    upTo(1_000_000),
}

// What names of spans look like, and the reason that a span gives when it failed.
var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9 _/:.-]{1,160}$`)
	reasonForm = regexp.MustCompile(`^` + wordForm + `$`)
)

func (f form) fits(v attribute.Value) bool {
	switch v.Type() {
	case attribute.STRING:
		return f.text != nil && f.text.MatchString(v.AsString())
	case attribute.INT64:
		return f.text == nil && v.AsInt64() >= 0 && v.AsInt64() <= f.most
	case attribute.BOOL:
		return f.text == nil && f.most == 0
	}
	return false
}

// told is a span as it leaves the process.
type told struct {
	sdktrace.ReadOnlySpan
	name       string
	attributes []attribute.KeyValue
	links      []sdktrace.Link
	status     sdktrace.Status
}

func (t *told) Name() string                     { return t.name }
func (t *told) Attributes() []attribute.KeyValue { return t.attributes }
func (t *told) Links() []sdktrace.Link           { return t.links }
func (t *told) Status() sdktrace.Status          { return t.status }
func (t *told) Events() []sdktrace.Event         { return nil }

// plain is a span without what is not of the vocabulary, which is counted.
func plain(s sdktrace.ReadOnlySpan, metrics *Spans) sdktrace.ReadOnlySpan {
	out := &told{ReadOnlySpan: s, name: s.Name(), status: s.Status()}
	if !nameForm.MatchString(out.name) {
		out.name = "withheld"
		metrics.withheld.Inc()
	}
	for _, a := range s.Attributes() {
		if f, known := vocabulary[a.Key]; known && f.fits(a.Value) {
			out.attributes = append(out.attributes, a)
			continue
		}
		metrics.withheld.Inc()
	}
	if out.status.Description != "" && !reasonForm.MatchString(out.status.Description) {
		out.status.Description = ""
		metrics.withheld.Inc()
	}
	if out.status.Code != codes.Error {
		out.status.Description = ""
	}
	// Events, which would hold errors' texts, are not even kept (NewTraces).
	for _, link := range s.Links() {
		out.links = append(out.links, sdktrace.Link{SpanContext: idsOnly(link.SpanContext)})
	}
	return out
}

// idsOnly is a span's context without its state, which can be any text.
func idsOnly(c trace.SpanContext) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: c.TraceID(), SpanID: c.SpanID(), TraceFlags: c.TraceFlags(), Remote: true})
}
