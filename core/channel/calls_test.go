package channel_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/money"
)

// newAccount returns a new tenant with a channel account at Alipay.
func newAccount(t *testing.T, d *pgtest.Database) (tenantID, accountID string) {
	t.Helper()
	tenantID, accountID = id.New(id.Tenant), id.New(id.ChannelAccount)
	_, err := d.Pool.Exec(t.Context(), `insert into tenants (id, name, custody_mode) values ($1, 'Test', 'own_funds')`, tenantID)
	require.NoError(t, err)
	_, err = d.Pool.Exec(t.Context(), `insert into channel_accounts (tenant_id, id, channel, name, params, fee_basis_points, fee_returned)
		values ($1, $2, 'alipay', 'Test', '{}', 60, false)`, tenantID, accountID)
	require.NoError(t, err)
	return tenantID, accountID
}

func record(t *testing.T, d *pgtest.Database, calls ...channel.Call) {
	t.Helper()
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error { return channel.RecordCalls(t.Context(), tx, calls) }))
}

func timeline(t *testing.T, db *pg.DB, tenantID string, about channel.About, limit int) []channel.Moment {
	t.Helper()
	var moments []channel.Moment
	require.NoError(t, db.InTenant(t.Context(), tenantID, func(tx pgx.Tx) (err error) {
		moments, err = channel.Timeline(t.Context(), tx, tenantID, about, limit)
		return err
	}))
	return moments
}

func TestTimelineTellsCallsNotificationsAndEventsInTheirOrder(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenantID, accountID := newAccount(t, d)
	stranger, strangers := newAccount(t, d)
	number, object := id.Number(), id.New(id.Payment)
	ago := func(by time.Duration) time.Time { return time.Now().Add(-by) }

	record(t, d,
		channel.Call{Tenant: tenantID, ChannelAccountID: accountID, Number: number, Operation: channel.OpQueryTrade, StartedAt: ago(time.Minute),
			Took: 1500 * time.Millisecond, Outcome: channel.Succeeded, Code: "10000", RequestID: "ABC-1", Answer: map[string]string{"state": "paid"}},
		channel.Call{Tenant: tenantID, ChannelAccountID: accountID, Number: number, Operation: channel.OpPrepay, StartedAt: ago(time.Hour),
			Outcome: channel.Unknown, Code: channel.CodeNotSent, Request: map[string]string{"amount": "100 CNY", "product": ""}},
		channel.Call{Tenant: tenantID, ChannelAccountID: accountID, Number: "", Operation: channel.OpFetchTradeBill, StartedAt: time.Now(), Outcome: channel.Failed},
		channel.Call{Tenant: stranger, ChannelAccountID: strangers, Number: number, Operation: channel.OpPrepay, StartedAt: time.Now(), Outcome: channel.Failed})
	require.NoError(t, d.DB.InTenant(t.Context(), tenantID, func(tx pgx.Tx) error {
		_, err := channel.StoreNotification(t.Context(), tx, channel.StoredNotification{Tenant: tenantID, ChannelAccountID: accountID,
			Notification: channel.Notification{ID: "n1", Kind: channel.NotifyTrade, Number: number, TradeNumber: number, Amount: money.Fen(100), State: "TRADE_SUCCESS"}})
		require.NoError(t, err)
		_, err = event.Emit(t.Context(), tx, tenantID, event.News{Type: event.PaymentSucceeded, ObjectID: object, Data: map[string]string{"status": "succeeded"}})
		return err
	}))

	about := channel.About{Numbers: []string{number}, Objects: []string{object}}
	got := timeline(t, d.DB, tenantID, about, 10)
	require.Len(t, got, 4)
	prepay, query, notification, changed := got[0], got[1], got[2], got[3]
	require.Equal(t, []channel.MomentKind{channel.MomentCall, channel.MomentCall, channel.MomentNotification, channel.MomentEvent},
		[]channel.MomentKind{prepay.Kind, query.Kind, notification.Kind, changed.Kind})
	require.Equal(t, map[string]string{"amount": "100 CNY"}, prepay.Request)
	require.Equal(t, channel.CodeNotSent, prepay.Code)
	require.WithinDuration(t, ago(time.Hour), prepay.At, 10*time.Second)
	require.Equal(t, channel.Moment{Kind: channel.MomentCall, At: query.At, Number: number, ChannelAccountID: accountID, Channel: "alipay",
		Name: "query_trade", Outcome: channel.Succeeded, Code: "10000", Took: 1500 * time.Millisecond, RequestID: "ABC-1",
		Request: map[string]string{}, Answer: map[string]string{"state": "paid"}}, query)
	require.Equal(t, "TRADE_SUCCESS", notification.Code)
	require.Equal(t, object, changed.ObjectID)
	require.Equal(t, "payment.succeeded", changed.Name)
	require.Equal(t, map[string]string{"status": "succeeded"}, changed.Answer)

	require.Equal(t, got[2:], timeline(t, d.DB, tenantID, about, 2), "the newest")
	require.Len(t, timeline(t, d.DB, stranger, about, 10), 1, "only the tenant's own")
}

// TestARecordIsSmallAndPlain: whatever an adapter hands over, a row is written,
// bounded, and without text in the place of codes.
func TestARecordIsSmallAndPlain(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenantID, accountID := newAccount(t, d)
	number, long := id.Number(), map[string]string{}
	for _, name := range strings.Split("abcdefghij", "") {
		long[name] = strings.Repeat("长", 1000)
	}
	record(t, d, channel.Call{Tenant: tenantID, ChannelAccountID: accountID, Number: number, Operation: channel.OpRefund, StartedAt: time.Now().Add(time.Hour),
		Outcome: channel.Failed, Code: "卡号 6222", RequestID: "<script>", Request: long, Answer: long})
	got := timeline(t, d.DB, tenantID, channel.About{Numbers: []string{number}}, 10)
	require.Len(t, got, 1)
	require.Equal(t, channel.CodeOther, got[0].Code)
	require.Empty(t, got[0].RequestID)
	text, err := json.Marshal(got[0].Request)
	require.NoError(t, err)
	require.Less(t, len(text), 2048)
	require.Len(t, got[0].Request, 10)
}

func TestOnlyTheSystemRoleWritesCalls(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenantID, accountID := newAccount(t, d)
	err := d.DB.InTenant(t.Context(), tenantID, func(tx pgx.Tx) error {
		return channel.RecordCalls(t.Context(), tx, []channel.Call{{Tenant: tenantID, ChannelAccountID: accountID, Operation: channel.OpPrepay, Outcome: channel.Failed}})
	})
	require.ErrorContains(t, err, "permission denied")
}

func TestOldMonthsOfCallsAreForgotten(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenantID, accountID := newAccount(t, d)
	number := id.Number()
	month := time.Date(time.Now().Year(), time.Now().Month(), 1, 12, 0, 0, 0, time.UTC)
	for back := range 5 {
		record(t, d, channel.Call{Tenant: tenantID, ChannelAccountID: accountID, Number: number, Operation: channel.OpPrepay,
			StartedAt: month.AddDate(0, -back, 0), Outcome: channel.Failed})
	}
	forget := func(months int) (dropped int, err error) {
		return dropped, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
			dropped, err = channel.ForgetCalls(t.Context(), tx, months)
			return err
		})
	}
	_, err := forget(0)
	require.ErrorContains(t, err, "at least the last whole month")
	_, err = forget(3)
	require.NoError(t, err)
	require.Len(t, timeline(t, d.DB, tenantID, channel.About{Numbers: []string{number}}, 10), 4, "of the catch-all, row by row")
	dropped, err := forget(1)
	require.NoError(t, err)
	require.Zero(t, dropped)
	require.Len(t, timeline(t, d.DB, tenantID, channel.About{Numbers: []string{number}}, 10), 2)

	_, err = d.Pool.Exec(t.Context(), `update business_clock set ahead = interval '3 months'`)
	require.NoError(t, err)
	dropped, err = forget(1)
	require.NoError(t, err)
	require.Equal(t, 3, dropped, "whole partitions: last month, this one and the next")
	require.Empty(t, timeline(t, d.DB, tenantID, channel.About{Numbers: []string{number}}, 10))
}

// TestInstancesShareTheCallsPerSecond: however many ask at once, no two slots are
// nearer to each other than the gap, and none is further away than asked for.
func TestInstancesShareTheCallsPerSecond(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	const gap, maxWait = 20 * time.Millisecond, time.Second
	begin := time.Now()
	var granted int
	var mu sync.Mutex
	var instances sync.WaitGroup
	for range 8 {
		instances.Go(func() {
			for range 5 {
				slots, err := channel.TakeSlots(t.Context(), d.DB, "alipay app", gap, 3, maxWait)
				require.NoError(t, err)
				mu.Lock()
				granted += slots.Granted
				mu.Unlock()
				if slots.Granted > 0 {
					require.LessOrEqual(t, slots.First, maxWait)
				}
			}
		})
	}
	instances.Wait()
	most := int((time.Since(begin)+maxWait)/gap) + 1
	require.LessOrEqual(t, granted, most)
	require.GreaterOrEqual(t, granted, 50, "a second's worth was to be had at once")
	other, err := channel.TakeSlots(t.Context(), d.DB, "alipay another", gap, 1, maxWait)
	require.NoError(t, err)
	require.Equal(t, channel.Slots{Granted: 1}, other)
}

func TestTheLastNewsOfAnAccountsHealthStands(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenantID, accountID := newAccount(t, d)
	save := func(state channel.BreakerState, since time.Time, openFor time.Duration) {
		require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
			return channel.SaveHealth(t.Context(), tx, channel.Health{Tenant: tenantID, ChannelAccountID: accountID, State: state, Since: since, OpenFor: openFor})
		}))
	}
	var state string
	var openFor *float64
	read := func() {
		require.NoError(t, d.Pool.QueryRow(t.Context(), `select state, extract(epoch from until - since)::float8 from channel_health`).Scan(&state, &openFor))
	}
	save(channel.BreakerOpen, time.Now(), 15*time.Second)
	read()
	require.Equal(t, "open", state)
	require.InDelta(t, 15, *openFor, 0.001)
	save(channel.BreakerClosed, time.Now().Add(-time.Minute), 0)
	read()
	require.Equal(t, "open", state, "older news from a slower process")
	save(channel.BreakerHalfOpen, time.Now(), 0)
	save(channel.BreakerClosed, time.Now(), 0)
	read()
	require.Equal(t, "closed", state)
	require.Nil(t, openFor)
}
