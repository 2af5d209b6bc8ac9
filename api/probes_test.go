package api

import (
	"flag"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

var allProbes = flag.Bool("probes.all", false,
	"probe every kind of object on every route, by everybody; without it, the kinds that a route takes, and one other")

// foreign are objects of one tenant, by kind.
type foreign map[id.Prefix]string

// foreignObjects makes one object of every kind that can be in a path, of the staffed
// tenant, and shows that their owner finds them.
func (f *staffed) foreignObjects() foreign {
	f.t.Helper()
	made := foreign{id.Principal: f.makerID, id.ChannelAccount: f.channel.ID, id.Tenant: f.tenant}
	add := func(resp response) string {
		require.Less(f.t, resp.Code, 300, resp.Body)
		objectID := resp.field("id")
		made[id.Prefix(objectID[:3])] = objectID
		return objectID
	}
	paid := add(f.post("/v1/payments", f.payment("p")))
	add(f.link(`,"amount":{"amount":100,"currency":"CNY"}`))
	add(f.post("/v1/merchants", `{"reference":"m","name":"n","settlement":"T0"}`))
	add(f.post("/v1/accounts", `{"merchant_id":"`+f.merchant+`","name":"spare","currency":"CNY"}`))
	add(f.hold("h", 10, ""))
	add(f.post("/v1/transfers", f.transfer(f.other, "t", 10, "")))
	add(f.post("/v1/transfer_batches", `{"mode":"per_item","items":[`+f.transfer(f.other, "b", 10, "")+`]}`))
	add(f.post("/v1/split_rules", `{"merchant_id":"`+f.merchant+
		`","legs":[{"receiver":"merchant","merchant_id":"`+f.merchant+`","type":"remainder"}]}`))
	add(f.post("/v1/daily_operations", `{"business_date":"2026-01-01"}`))
	add(f.post("/v1/reconciliations", `{"channel_account_id":"`+f.channel.ID+`","bill_date":"2026-01-01"}`))
	add(f.ask("a"))
	add(f.post("/v1/channel_accounts/"+f.channel.ID+"/credentials", encoded(f.t, map[string]any{
		"private_key": newPair(f.t).private, "provider_public_key": newPair(f.t).public})))
	endpoint := add(f.post("/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/hook"}`))
	add(f.post("/v1/webhook_endpoints/"+endpoint+"/redeliveries",
		`{"created_from":"2026-01-01T00:00:00Z","created_to":"2026-01-02T00:00:00Z"}`))
	signatory := f.newSignatory("never")
	made[id.APIKey], made[id.SigningKey] = signatory.keyID, signatory.signingKey
	made[id.Refund], made[id.Withdrawal] = f.refundOf(paid), f.withdrawalOf(f.merchant)
	for prefix, list := range map[id.Prefix]string{id.Event: "/v1/events", id.Entry: "/v1/entries"} {
		made[prefix] = f.get(list).json()["data"].([]any)[0].(map[string]any)["id"].(string)
	}
	for name, kind := range pathKinds() {
		require.NotEmpty(f.t, made[kind], "%s: a new kind of object: make one here", name)
	}
	return made
}

// refundOf and withdrawalOf write rows that workflows would need hours for.
func (f *staffed) refundOf(paymentID string) string {
	f.t.Helper()
	refundID := id.New(id.Refund)
	_, err := f.db.Pool.Exec(f.t.Context(), `
		insert into refunds (tenant_id, id, payment_id, attempt_id, origin, reference, reason, currency, amount, number, request_hash, status)
		select tenant_id, $2, payment_id, id, 'request', 'r', 'r', 'CNY', 1, $3, sha256(''), 'processing' from attempts where payment_id = $1`,
		paymentID, refundID, id.Number())
	require.NoError(f.t, err)
	return refundID
}

func (f *staffed) withdrawalOf(merchantID string) string {
	f.t.Helper()
	rich := f.post("/v1/merchants", `{"reference":"rich","name":"n","settlement":"T0",`+
		`"payout_account":{"channel":"alipay","account":"a@example.com","name":"Ann"}}`).field("id")
	f.merchant = rich
	f.fund(100)
	f.merchant = merchantID
	made := f.post("/v1/withdrawals", `{"merchant_id":"`+rich+`","reference":"w","amount":{"amount":100,"currency":"CNY"}}`)
	require.Equal(f.t, http.StatusCreated, made.Code, made.Body)
	return made.field("id")
}

// probe asks for foreign objects by one operation, and for objects that never were.
type probe struct {
	op          *operation
	real, never string
	// fits: the objects are of the kinds that the operation takes.
	fits bool
}

var pathID = regexp.MustCompile(`\{[a-z_]+\}`)

// probes are all operations with an id in the path × all kinds of objects. A further
// id in the path is a foreign one of the right kind, too.
func probes(t *testing.T, objects foreign) (all []probe) {
	t.Helper()
	kinds := pathKinds()
	everyOperation(t, func(op *operation, _ string) {
		names := pathID.FindAllString(op.route.Path, -1)
		if len(names) == 0 {
			return
		}
		for _, prefix := range slices.Sorted(maps.Keys(objects)) {
			p := probe{op: op, fits: kinds[strings.Trim(names[0], "{}")] == prefix}
			at := 0
			fill := func(pick func(id.Prefix) string) string {
				at = 0
				return pathID.ReplaceAllStringFunc(op.route.Path, func(name string) string {
					if at++; at == 1 {
						return pick(prefix)
					}
					return pick(kinds[strings.Trim(name, "{}")])
				})
			}
			p.real = fill(func(kind id.Prefix) string { return objects[kind] })
			p.never = fill(func(kind id.Prefix) string { return id.New(kind) })
			if *allProbes || p.fits || prefix == id.Payment {
				all = append(all, p)
			}
		}
	})
	return all
}

// caller has no business with the foreign objects.
type caller struct {
	name    string
	headers []string
	// codes are the answers that may come.
	codes []int
}

// strangers are everybody who has no business with the staffed tenant's objects.
func (f *staffed) strangers() []caller {
	f.t.Helper()
	_, stranger := f.newTenant()
	scopeless, revoked := f.newKey(f.tenant, "nothing:read"), f.newKey(f.tenant, tenant.AllScopes)
	p, err := tenant.Authenticate(f.t.Context(), f.db.DB, revoked)
	require.NoError(f.t, err)
	require.NoError(f.t, f.db.DB.AsSystem(f.t.Context(), func(tx pgx.Tx) error {
		return tenant.RevokeKey(f.t.Context(), tx, f.tenant, p.KeyID)
	}))
	_, otherStaff := f.merchantStaff(f.newMerchant("lonely"))
	return []caller{
		{"another tenant", as(stranger), []int{404}},
		{"another merchant's staff", as(otherStaff), []int{403, 404}},
		{"an operator", as(f.newOperator(tenant.OperatorScopes()...)), []int{403}},
		{"a key without the scope", as(scopeless), []int{403}},
		{"a revoked key", as(revoked), []int{401}},
		{"nobody", []string{"Authorization", ""}, []int{401}},
	}
}

// Every operation is asked for every kind of object of another tenant by everybody
// who has no business with it; the answer is that to an object that never was, byte
// for byte. Then every other method on every address.
func TestForeignObjectsByEverybodyOnEveryRoute(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	objects := f.foreignObjects()
	all := probes(t, objects)
	f.ownerFinds(all)
	count, callers := 0, f.strangers()
	for _, by := range callers {
		for _, p := range all {
			f.probe(p, by)
			count++
		}
		count += f.otherMethods(objects, by)
	}
	t.Logf("%d probes, %d operations × kinds of objects, by %d callers", count, len(all), len(callers))
	require.Greater(t, count, map[bool]int{true: 10_000, false: 2_000}[*allProbes])
}

// ownerFinds shows that the objects are there to be found: by their owner.
func (f *staffed) ownerFinds(all []probe) {
	f.t.Helper()
	found := 0
	for _, p := range all {
		if p.op.route.Method != http.MethodGet || !p.fits || p.op.operator || strings.Count(p.op.route.Path, "{") > 1 {
			continue
		}
		require.Equal(f.t, http.StatusOK, f.call(p.op, p.real).Code, p.real)
		found++
	}
	require.Greater(f.t, found, 20)
}

func (f *staffed) probe(p probe, by caller) {
	f.t.Helper()
	got, never := f.call(p.op, p.real, by.headers...), f.call(p.op, p.never, by.headers...)
	codes := by.codes
	if p.op.operator {
		codes = []int{401, 403, 404} // an operator finds tenants, and nothing else there
		if by.name == "an operator" && p.fits {
			return
		}
	}
	require.Contains(f.t, codes, got.Code, "%s %s by %s: %s", p.op.route.Method, p.real, by.name, got.Body)
	require.Equal(f.t, never.Code, got.Code)
	require.Equal(f.t, never.Body.String(), got.Body.String(), "%s %s by %s", p.op.route.Method, p.real, by.name)
}

// otherMethods sends what an address does not offer.
func (f *staffed) otherMethods(objects foreign, by caller) (count int) {
	f.t.Helper()
	kinds := pathKinds()
	everyOperation(f.t, func(op *operation, _ string) {
		target := pathID.ReplaceAllStringFunc(op.route.Path, func(name string) string { return objects[kinds[strings.Trim(name, "{}")]] })
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			if _, offered := op.route.PathItem.Operations()[method]; !offered {
				resp := f.send(method, target, nil, by.headers...)
				require.Equal(f.t, http.StatusMethodNotAllowed, resp.Code, "%s %s by %s", method, target, by.name)
				count++
			}
		}
	})
	return count
}

// The second wall: with every tenant predicate taken out of every statement on its
// way to the server, row-level security alone still hides what is another tenant's.
// Without it the same probes succeed, which shows that the predicates were gone.
func TestRowLevelSecurityAloneHidesForeignObjects(t *testing.T) {
	t.Parallel()
	f := newStaffed(t)
	all := probes(t, f.foreignObjects())
	_, stranger := f.newTenant()
	blind, blanked := blindProxy(t, f.db.URL)
	db, err := pg.Open(t.Context(), blind, pg.Options{MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	f.handler, err = New(Options{DB: db, Workflows: f.workflows, Adapters: f.adapters, Desk: f.desk, Box: f.box, Dev: true,
		Guard: event.NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	never := f.get("/v1/payments/"+id.New(id.Payment), as(stranger)...).Body.String()
	tried := 0
	for _, p := range all {
		if p.op.operator {
			continue // the system role sees all tenants
		}
		resp := f.call(p.op, p.real, as(stranger)...)
		require.Equal(t, http.StatusNotFound, resp.Code, "%s %s: %s", p.op.route.Method, p.real, resp.Body)
		require.Equal(t, never, resp.Body.String(), "%s %s", p.op.route.Method, p.real)
		tried++
	}
	without := blanked()
	require.Greater(t, without, 30, "statements lost their tenant")
	f.dropTheWall()
	found := 0
	for _, p := range all {
		if p.op.route.Method == http.MethodGet && !p.op.operator && f.call(p.op, p.real, as(stranger)...).Code == http.StatusOK {
			found++
		}
	}
	t.Logf("%d statements lost their tenant, %d probes found nothing; %d find a foreign object once row-level security is off",
		without, tried, found)
	require.Greater(t, found, 20)
}

// dropTheWall switches row-level security off.
func (f *staffed) dropTheWall() {
	f.t.Helper()
	_, err := f.db.Pool.Exec(f.t.Context(), `do $$ declare r record; begin
		for r in select c.oid::regclass as t from pg_class c where c.relrowsecurity loop
		  execute format('alter table %s disable row level security', r.t); end loop; end $$`)
	require.NoError(f.t, err)
}
