package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/internal/id"
)

var (
	badRequests = flag.Int("bad.requests", 3000, "how many bad requests TestBadRequestsChangeNothing sends")
	badSeed     = flag.Uint64("bad.seed", 7, "seed of the bad requests")
)

// request is one that is to be made bad.
type request struct {
	method, target string
	body           []byte
	headers        map[string]string
}

// spoiler makes requests of an operation bad; every one of its classes makes a
// request that the contract cannot accept, whatever else it holds.
type spoiler struct {
	random *rand.Rand
	op     *operation
	schema *openapi3.Schema
}

// class is one way to be bad; spoil returns false where it does not apply.
type class struct {
	name  string
	spoil func(s *spoiler, r *request) bool
}

func classes() []class {
	return slices.Concat(fieldClasses(), bodyClasses(), headerClasses(), addressClasses())
}

// fieldClasses are by what the contract says of a field.
func fieldClasses() []class {
	return []class{
		{"field missing", (*spoiler).missing}, {"field null", (*spoiler).null}, {"field of another type", (*spoiler).otherType},
		{"text too long", (*spoiler).tooLong}, {"number out of range", (*spoiler).outOfRange},
		{"fraction for a whole number", (*spoiler).fraction},
		{"value not in the list", (*spoiler).notListed}, {"field unknown", (*spoiler).unknown},
	}
}

// bodyClasses are no JSON, or not the JSON of one object.
func bodyClasses() []class {
	raw := func(change func(s *spoiler, body []byte) []byte) func(*spoiler, *request) bool {
		return func(s *spoiler, r *request) bool {
			if !s.op.hasBody {
				return false
			}
			r.body = change(s, r.body)
			return r.body != nil || s.op.route.Operation.RequestBody.Value.Required
		}
	}
	return []class{
		{"key twice", raw(func(_ *spoiler, b []byte) []byte { return append([]byte(`{"a":1,"a":2,`), b[1:]...) })},
		{"cut off", raw(func(s *spoiler, b []byte) []byte { return b[:s.random.IntN(len(b))] })},
		{"more after it", raw(func(_ *spoiler, b []byte) []byte { return append(b, []byte(`{}`)...) })},
		{"byte order mark", raw(func(_ *spoiler, b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) })},
		{"not UTF-8", raw(func(s *spoiler, b []byte) []byte { return append([]byte("{\"x\":\"\xff\xc0\x80\","), b[1:]...) })},
		{"lone surrogate", raw(func(_ *spoiler, b []byte) []byte { return append([]byte(`{"x":"\ud800",`), b[1:]...) })},
		{"null character", raw(func(_ *spoiler, b []byte) []byte { return append([]byte(`{"x":"\u0000",`), b[1:]...) })},
		{"too deep", raw(func(s *spoiler, _ []byte) []byte { return bytes.Repeat([]byte(`{"a":[`), 500+s.random.IntN(5000)) })},
		{"deep and closed", raw(func(_ *spoiler, _ []byte) []byte {
			return []byte(`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}")
		})},
		{"too large", raw(func(_ *spoiler, b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), 65<<10)...) })},
		{"huge number", raw(func(_ *spoiler, b []byte) []byte { return append([]byte(`{"x":1e9999,`), b[1:]...) })},
		{"an array", raw(func(_ *spoiler, b []byte) []byte { return append(append([]byte("["), b...), ']') })},
		{"a text", raw(func(_ *spoiler, b []byte) []byte { return []byte(`"` + strings.Repeat("a", 20) + `"`) })},
		{"null", raw(func(*spoiler, []byte) []byte { return []byte("null") })},
		{"nothing", raw(func(*spoiler, []byte) []byte { return nil })},
		{"noise", raw(func(s *spoiler, _ []byte) []byte {
			out := make([]byte, 1+s.random.IntN(200))
			for i := range out {
				out[i] = byte(s.random.IntN(256))
			}
			return append(out, 0xff)
		})},
	}
}

func headerClasses() []class {
	header := func(name, value string) func(*spoiler, *request) bool {
		return func(s *spoiler, r *request) bool {
			r.headers[name] = value
			if name == "Idempotency-Key" {
				return s.op.route.Method == http.MethodPost
			}
			return s.op.hasBody
		}
	}
	return []class{
		{"a form", header("Content-Type", "application/x-www-form-urlencoded")}, {"XML", header("Content-Type", "application/xml")},
		{"no content type", header("Content-Type", "")}, {"a broken content type", header("Content-Type", "application/json; charset=\"")},
		{"another charset", header("Content-Type", "application/json; charset=gbk")},
		{"no idempotency key", header("Idempotency-Key", "")}, {"a short idempotency key", header("Idempotency-Key", "short")},
		{"a long idempotency key", header("Idempotency-Key", strings.Repeat("k", 256))},
	}
}

// addressClasses are about query, path, method and key.
func addressClasses() []class {
	query := func(text string) func(*spoiler, *request) bool {
		return func(_ *spoiler, r *request) bool {
			r.target += "?" + text
			return true
		}
	}
	listed := func(text string) func(*spoiler, *request) bool {
		return func(s *spoiler, r *request) bool {
			r.target += "?" + text
			return s.op.query["limit"]
		}
	}
	list := []class{
		{"query unknown", query("unknown=1")}, {"query twice", listed("limit=1&limit=2")}, {"limit negative", listed("limit=-1")},
		{"limit zero", listed("limit=0")}, {"limit large", listed("limit=1000000000")}, {"limit a word", listed("limit=ten")},
		{"limit overflows", listed("limit=99999999999999999999")}, {"cursor broken", listed("cursor=%00%ff")},
		{"cursor of another list", listed("cursor=" + *nextCursor(id.New(id.Settlement)))},
		{"cursor long", listed("cursor=" + strings.Repeat("A", 4000))},
		{"address unknown", func(_ *spoiler, r *request) bool { r.target += "/" + id.Number(); return true }},
		{"address with a slash more", func(_ *spoiler, r *request) bool { r.target += "/"; return true }},
		{"no key", func(_ *spoiler, r *request) bool { r.headers["Authorization"] = ""; return true }},
		{"a wrong key", func(_ *spoiler, r *request) bool {
			r.headers["Authorization"] = "Bearer sk_test_" + strings.Repeat("a", 43)
			return true
		}},
		{"method unknown", func(_ *spoiler, r *request) bool { r.method = "PROPFIND"; return true }},
	}
	for _, bad := range []string{"1", "pay_", "pay_01ARZ3NDEKTSV4RRFFQ69G5FA", "' or 1=1--", "..%2f..", "%00",
		"%ff%fe", strings.Repeat("9", 3000), "null", "pay_01arz3ndektsv4rrffq69g5fav"} {
		list = append(list, class{"path id " + bad[:min(12, len(bad))], func(s *spoiler, r *request) bool {
			if !strings.Contains(s.op.route.Path, "{") {
				return false
			}
			r.target = pathID.ReplaceAllString(s.op.route.Path, strings.ReplaceAll(url.PathEscape(bad), "$", "$$"))
			return true
		}})
	}
	return list
}

// field is one of an object of the body, with what the contract says of it.
type field struct {
	of     map[string]any
	name   string
	schema *openapi3.Schema
}

// fields lists all that are there, at whatever depth.
func fields(value any, schema *openapi3.Schema) (all []field) {
	object, ok := value.(map[string]any)
	if !ok || schema == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		property := schema.Properties[name]
		if property == nil {
			continue
		}
		all = append(all, field{object, name, property.Value})
		all = append(all, fields(object[name], property.Value)...)
		if items, isList := object[name].([]any); isList && property.Value.Items != nil {
			for _, item := range items {
				all = append(all, fields(item, property.Value.Items.Value)...)
			}
		}
	}
	return all
}

// change applies fn to a random field that fits.
func (s *spoiler) change(r *request, fits func(field) bool, fn func(field)) bool {
	var body any
	if !s.op.hasBody || json.Unmarshal(r.body, &body) != nil {
		return false
	}
	candidates := slices.DeleteFunc(fields(body, s.schema), func(f field) bool { return !fits(f) })
	if len(candidates) == 0 {
		return false
	}
	fn(candidates[s.random.IntN(len(candidates))])
	r.body, _ = json.Marshal(body)
	return true
}

func (s *spoiler) missing(r *request) bool {
	var body map[string]any
	if !s.op.hasBody || json.Unmarshal(r.body, &body) != nil || len(s.schema.Required) == 0 {
		return false
	}
	delete(body, s.schema.Required[s.random.IntN(len(s.schema.Required))])
	r.body, _ = json.Marshal(body)
	return true
}

func (s *spoiler) null(r *request) bool {
	return s.change(r, func(f field) bool {
		return !f.schema.Nullable && len(f.schema.AllOf)+len(f.schema.OneOf)+len(f.schema.AnyOf) == 0
	},
		func(f field) { f.of[f.name] = nil })
}

func (s *spoiler) otherType(r *request) bool {
	values := map[string]any{"string": "text", "integer": 7, "boolean": true, "array": []any{1}, "object": map[string]any{"a": 1}}
	return s.change(r, func(f field) bool { return f.schema.Type != nil }, func(f field) {
		for _, kind := range slices.Sorted(maps.Keys(values)) {
			if !f.schema.Type.Is(kind) && (s.random.IntN(2) == 0 || kind == "string") {
				f.of[f.name] = values[kind]
				return
			}
		}
		f.of[f.name] = []any{map[string]any{}}
		if f.schema.Type.Is("array") {
			f.of[f.name] = true
		}
	})
}

func (s *spoiler) tooLong(r *request) bool {
	return s.change(r, func(f field) bool { return f.schema.MaxLength != nil },
		func(f field) { f.of[f.name] = strings.Repeat("a", int(*f.schema.MaxLength)+1+s.random.IntN(100)) })
}

func (s *spoiler) outOfRange(r *request) bool {
	return s.change(r, func(f field) bool { return f.schema.Max != nil || f.schema.Min != nil }, func(f field) {
		if f.schema.Max != nil && (f.schema.Min == nil || s.random.IntN(2) == 0) {
			f.of[f.name] = *f.schema.Max + 1 + float64(s.random.IntN(1000))
		} else {
			f.of[f.name] = *f.schema.Min - 1 - float64(s.random.IntN(1000))
		}
	})
}

func (s *spoiler) fraction(r *request) bool {
	return s.change(r, func(f field) bool { return f.schema.Type.Is("integer") },
		func(f field) { f.of[f.name] = 1.5 + float64(s.random.IntN(100)) })
}

func (s *spoiler) notListed(r *request) bool {
	return s.change(r, func(f field) bool { return len(f.schema.Enum) > 0 && f.schema.Type.Is("string") },
		func(f field) { f.of[f.name] = fmt.Sprint("x", s.random.IntN(1000)) })
}

func (s *spoiler) unknown(r *request) bool {
	var body map[string]any
	if !s.op.hasBody || json.Unmarshal(r.body, &body) != nil {
		return false
	}
	body[fmt.Sprint("unknown_", s.random.IntN(1000))] = 1
	r.body, _ = json.Marshal(body)
	return true
}

// rowsAndTransactions is a text that is another one when any row of any table was
// written, also if it was written as it was.
func (f *fixture) rowsAndTransactions() string {
	f.t.Helper()
	var all []string
	rows, err := f.db.Pool.Query(f.t.Context(), `select tablename::text from pg_tables where schemaname = 'public' order by 1`)
	require.NoError(f.t, err)
	var tables []string
	for rows.Next() {
		var table string
		require.NoError(f.t, rows.Scan(&table))
		tables = append(tables, table)
	}
	require.NoError(f.t, rows.Err())
	for _, table := range tables {
		var text string
		require.NoError(f.t, f.db.Pool.QueryRow(f.t.Context(), fmt.Sprintf(
			`select count(*) || ' ' || coalesce(md5(string_agg(md5(x), '' order by x)), '') 
			from (select xmin::text || t::text as x from only %s t) r`, table)).Scan(&text))
		all = append(all, table+" "+text)
	}
	return strings.Join(all, "\n")
}

// Whatever is wrong with a request, the answer is 4xx, nothing panics, nothing is
// written and nothing is kept in memory.
func TestBadRequestsChangeNothing(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	objects, kinds := f.foreignObjects(), pathKinds() // a request that is let through would find them
	operator := f.newOperator("tenants:read", "tenants:write", "platform_audit:read")
	_, err := f.db.Pool.Exec(t.Context(), `update api_keys set last_used_at = '2100-01-01'; update operator_keys set last_used_at = '2100-01-01'`)
	require.NoError(t, err) // the use of a key is noted; not here
	log := &bytes.Buffer{}
	f.handler, err = New(Options{DB: f.db.DB, Workflows: f.workflows, Adapters: f.adapters, Desk: f.desk, Box: f.box, Dev: true,
		Guard: event.NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil),
		Log:   slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))})
	require.NoError(t, err)
	var operations []*operation
	targets := map[*operation]string{}
	everyOperation(t, func(op *operation, _ string) {
		operations = append(operations, op)
		targets[op] = pathID.ReplaceAllStringFunc(op.route.Path, func(name string) string {
			return objects[kinds[strings.Trim(name, "{}")]]
		})
	})
	slices.SortFunc(operations, func(a, b *operation) int {
		return strings.Compare(a.route.Operation.OperationID, b.route.Operation.OperationID)
	})
	random := rand.New(rand.NewPCG(*badSeed, 0))
	before, ways := f.rowsAndTransactions(), classes()
	sent, perClass, perStatus, heap := 0, map[string]int{}, map[int]int{}, uint64(0)
	for sent < *badRequests {
		op, way := operations[random.IntN(len(operations))], ways[random.IntN(len(ways))]
		s := &spoiler{random: random, op: op}
		key := f.key
		if op.operator {
			key = operator
		}
		r := &request{method: op.route.Method, target: targets[op], headers: map[string]string{"Authorization": "Bearer " + key,
			"Idempotency-Key": id.Number(), "Content-Type": "application/json"}}
		if op.hasBody {
			s.schema = op.route.Operation.RequestBody.Value.Content["application/json"].Schema.Value
			r.body = []byte(f.bodyFor(op))
			require.NotEmpty(t, r.body, "%s: give it a body in bodyFor", op.route.Operation.OperationID)
		}
		if !way.spoil(s, r) {
			continue
		}
		got := f.raw(r)
		require.True(t, got.Code >= 400 && got.Code < 500, "%s: %s %.200s %.300s: %d %s",
			way.name, r.method, r.target, r.body, got.Code, got.Body)
		sent++
		perClass[way.name]++
		perStatus[got.Code]++
		if sent == *badRequests/4 {
			heap = heapInUse()
		}
		if sent%100_000 == 0 {
			t.Logf("%d sent, heap %d KiB", sent, heapInUse()>>10)
		}
	}
	require.Equal(t, before, f.rowsAndTransactions(), "something was written")
	require.Empty(t, log.String())
	require.Less(t, int64(heapInUse())-int64(heap), int64(32<<20), "memory grows")
	require.Len(t, perClass, len(ways), "each way was tried")
	t.Logf("%d bad requests of %d classes at %d operations, seed %d: %v; heap %d KiB after a quarter, %d KiB at the end",
		sent, len(perClass), len(operations), *badSeed, perStatus, heap>>10, heapInUse()>>10)
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// raw sends the request as it is.
func (f *fixture) raw(r *request) *httptest.ResponseRecorder {
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	out := httptest.NewRequestWithContext(f.t.Context(), r.method, r.target, body)
	for name, value := range r.headers {
		if value != "" {
			out.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, out)
	return w
}
