package event

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/pgtest"
)

// childArg makes this test binary a dispatcher that a test can kill.
const childArg = "dispatch-until-killed"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == childArg {
		dispatchUntilKilled(os.Args[2])
		return
	}
	if len(os.Args) == 4 && os.Args[1] == killedArg {
		sendUntilKilled(os.Args[2], os.Args[3])
		return
	}
	pgtest.Main(m)
}

func dispatchUntilKilled(url string) {
	ctx := context.Background()
	db, err := pg.Open(ctx, url, pg.Options{MaxConns: 4})
	if err != nil {
		panic(err)
	}
	NewDispatcher(db, quick(loopback())).Run(ctx)
}

// loopback is the development setting: receivers on this machine.
func loopback() *Guard {
	return NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, nil)
}

// box seals under one master key in all processes of these tests.
func box() *secret.Box {
	masters, err := secret.ParseMasters(strings.Repeat("5c", 32))
	if err != nil {
		panic(err)
	}
	out, err := secret.NewBox(masters)
	if err != nil {
		panic(err)
	}
	return out
}

// quick are options that retry within a test's patience.
func quick(guard *Guard) DispatcherOptions {
	return DispatcherOptions{
		Guard:    guard,
		Box:      box(),
		Poll:     10 * time.Millisecond,
		Lease:    4 * time.Second,
		Timeout:  2 * time.Second,
		Schedule: []time.Duration{20 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond},
	}
}

func newTenant(t *testing.T, d *pgtest.Database) string {
	t.Helper()
	tenant := id.New(id.Tenant)
	_, err := d.Pool.Exec(t.Context(), `insert into tenants (id, name, custody_mode) values ($1, 'Test', 'own_funds')`, tenant)
	require.NoError(t, err)
	return tenant
}

func newEndpoint(t *testing.T, d *pgtest.Database, tenant string, n NewEndpoint) (Endpoint, string) {
	t.Helper()
	var (
		e      Endpoint
		secret string
	)
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		var err error
		e, secret, err = CreateEndpoint(t.Context(), tx, box(), tenant, n)
		return err
	}))
	return e, secret
}

// emit records an event in a millisecond of its own: ids of one millisecond are
// in no order.
func emit(t *testing.T, d *pgtest.Database, tenant string, typ Type, object string) string {
	t.Helper()
	for before := time.Now().UnixMilli(); time.Now().UnixMilli() == before; {
		continue
	}
	var eventID string
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		var err error
		eventID, err = Emit(t.Context(), tx, tenant, News{Type: typ, ObjectID: object, Data: map[string]string{"status": "succeeded"}})
		return err
	}))
	return eventID
}

func deliveries(t *testing.T, d *pgtest.Database, tenant, endpoint string) []Delivery {
	t.Helper()
	var list []Delivery
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		var err error
		list, err = ListDeliveries(t.Context(), tx, tenant, endpoint, "", "", 100)
		return err
	}))
	return list
}

// run starts a dispatcher and stops it with the test.
func run(t *testing.T, d *pgtest.Database, opts DispatcherOptions) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		NewDispatcher(d.DB, opts).Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 10*time.Millisecond)
}

// clock is a clock that a test moves; it never stands before the database's.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func newClock() *clock { return &clock{} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += max(0, by)
}

func delivery(t *testing.T, d *pgtest.Database, tenant, endpoint, event string) Delivery {
	t.Helper()
	found, _, err := GetDelivery(t.Context(), d.Pool, tenant, endpoint, event)
	require.NoError(t, err)
	return found
}

// tried counts the tries of a delivery that came to their end.
func tried(t *testing.T, d *pgtest.Database, tenant, endpoint, event string) int {
	t.Helper()
	_, tries, err := GetDelivery(t.Context(), d.Pool, tenant, endpoint, event)
	require.NoError(t, err)
	return len(tries)
}

func endpointNow(t *testing.T, d *pgtest.Database, tenant, endpoint string) Endpoint {
	t.Helper()
	e, err := GetEndpoint(t.Context(), d.Pool, tenant, endpoint)
	require.NoError(t, err)
	return e
}

func change(t *testing.T, d *pgtest.Database, tenant, endpoint string, by EndpointChange) (e Endpoint, err error) {
	t.Helper()
	err = d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) (err error) {
		e, err = ChangeEndpoint(t.Context(), tx, tenant, endpoint, by)
		return err
	})
	return e, err
}

// told lists the events of a type.
func told(t *testing.T, d *pgtest.Database, tenant string, what Type) []Event {
	t.Helper()
	list, err := List(t.Context(), d.Pool, tenant, Filter{Type: what, Limit: 100})
	require.NoError(t, err)
	return list
}
