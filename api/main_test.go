package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/accept"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// fixture is an API on a database of its own, with one tenant that has a channel
// account, a merchant and a key that may do everything.
type fixture struct {
	t         *testing.T
	db        *pgtest.Database
	handler   http.Handler
	log       *bytes.Buffer
	tenant    string
	key       string
	merchant  string
	channel   tenant.ChannelAccount
	workflows *workflowsStub
	adapters  adaptersStub
	desk      *deskStub
	box       *secret.Box
}

// workflowsStub stands for the workflow service.
type workflowsStub struct {
	mu      sync.Mutex
	started []accept.Start
	answer  func(ctx context.Context, s accept.Start) (bool, error)
}

func (w *workflowsStub) FirstAnswer(ctx context.Context, s accept.Start, _ string) (bool, error) {
	w.mu.Lock()
	w.started = append(w.started, s)
	w.mu.Unlock()
	if w.answer == nil {
		return true, nil
	}
	return w.answer(ctx, s)
}

type adaptersStub map[string]channel.Adapter

func (a adaptersStub) Adapter(_ context.Context, account tenant.ChannelAccount) (channel.Adapter, error) {
	adapter, ok := a[account.ID]
	if !ok {
		return nil, errors.New("no keys for this account")
	}
	return adapter, nil
}

func (a adaptersStub) Notifier(ctx context.Context, account tenant.ChannelAccount) (channel.Notifier, error) {
	return a.Adapter(ctx, account)
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, db: pgtest.New(t), log: &bytes.Buffer{}, workflows: &workflowsStub{}, adapters: adaptersStub{},
		desk: &deskStub{}}
	masters, err := secret.ParseMasters(secret.NewMasterKeyText())
	require.NoError(t, err)
	f.box, err = secret.NewBox(masters)
	require.NoError(t, err)
	f.handler = f.serve(Options{Dev: true})
	f.tenant, f.key = f.newTenant()
	require.NoError(t, f.db.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		var err error
		f.channel, err = tenant.AddChannelAccount(t.Context(), tx, f.tenant, tenant.ChannelAccount{
			Channel: "alipay", Name: "Test", Params: map[string]string{"app_id": "9021000000000000"}, FeeBasisPoints: 60,
		})
		return err
	}))
	f.merchant = f.newMerchant("shop")
	return f
}

func (f *fixture) serve(opts Options) http.Handler {
	f.t.Helper()
	opts.DB, opts.Workflows, opts.Adapters, opts.Desk, opts.Box = f.db.DB, f.workflows, f.adapters, f.desk, f.box
	opts.Guard = event.NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil)
	opts.Log = slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	handler, err := New(opts)
	require.NoError(f.t, err)
	return handler
}

func (f *fixture) newTenant(scopes ...string) (tenantID, secret string) {
	f.t.Helper()
	require.NoError(f.t, f.db.DB.AsSystem(f.t.Context(), func(tx pgx.Tx) error {
		created, err := tenant.Create(f.t.Context(), tx, "Test", tenant.LicensedReserve)
		if err != nil {
			return err
		}
		tenantID = created.ID
		return nil
	}))
	if len(scopes) == 0 {
		scopes = []string{tenant.AllScopes}
	}
	return tenantID, f.newKey(tenantID, scopes...)
}

func (f *fixture) newKey(tenantID string, scopes ...string) (secret string) {
	f.t.Helper()
	require.NoError(f.t, f.db.DB.AsSystem(f.t.Context(), func(tx pgx.Tx) (err error) {
		_, secret, err = tenant.CreateKey(f.t.Context(), tx, tenantID, tenant.NewKey{Name: "test", Scopes: scopes})
		return err
	}))
	return secret
}

// newOperator makes a key of those who run the platform.
func (f *fixture) newOperator(scopes ...string) (secret string) {
	f.t.Helper()
	require.NoError(f.t, f.db.DB.AsSystem(f.t.Context(), func(tx pgx.Tx) (err error) {
		_, secret, err = tenant.CreateOperatorKey(f.t.Context(), tx, "ops", scopes, nil)
		return err
	}))
	return secret
}

func (f *fixture) newMerchant(reference string) string {
	f.t.Helper()
	resp := f.post("/v1/merchants", `{"reference":"`+reference+`","name":"A shop","settlement":"T0"}`)
	require.Equal(f.t, http.StatusCreated, resp.Code, resp.Body.String())
	return resp.field("id")
}

// response is a recorded answer with a shortcut to its fields.
type response struct {
	*httptest.ResponseRecorder
	t *testing.T
}

func (r response) json() map[string]any {
	r.t.Helper()
	var m map[string]any
	require.NoError(r.t, json.Unmarshal(r.Body.Bytes(), &m), r.Body.String())
	return m
}

func (r response) field(name string) string {
	r.t.Helper()
	text, ok := r.json()[name].(string)
	require.True(r.t, ok, "%s in %s", name, r.Body.String())
	return text
}

// refused checks that the answer is a well-formed problem with this status, code and field.
func (r response) refused(status int, code, field string) {
	r.t.Helper()
	require.Equal(r.t, status, r.Code, r.Body.String())
	require.Equal(r.t, "application/problem+json", r.Header().Get("Content-Type"))
	m := r.json()
	require.Equal(r.t, code, m["code"], r.Body.String())
	require.InDelta(r.t, status, m["status"], 0)
	require.NotEmpty(r.t, m["detail"])
	require.NotEmpty(r.t, m["title"])
	if field == "" {
		require.NotContains(r.t, m, "field", r.Body.String())
	} else {
		require.Equal(r.t, field, m["field"], r.Body.String())
	}
}

// send makes one request with the fixture's key; headers are name, value pairs
// and an empty value removes the header.
func (f *fixture) send(method, target string, body io.Reader, headers ...string) response {
	f.t.Helper()
	r := httptest.NewRequestWithContext(f.t.Context(), method, target, body)
	r.Header.Set("Authorization", "Bearer "+f.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", id.Number())
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return response{w, f.t}
}

func (f *fixture) post(target, body string, headers ...string) response {
	f.t.Helper()
	return f.send(http.MethodPost, target, strings.NewReader(body), headers...)
}

func (f *fixture) get(target string, headers ...string) response {
	f.t.Helper()
	return f.send(http.MethodGet, target, nil, headers...)
}

// payment is a body that POST /v1/payments accepts.
func (f *fixture) payment(reference string) string {
	return `{"merchant_id":"` + f.merchant + `","reference":"` + reference + `","amount":{"amount":19900,"currency":"CNY"},` +
		`"subject":"Two coffees","method":{"channel":"alipay","product":"qr"}}`
}
