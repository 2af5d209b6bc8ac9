package event

import (
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestPatternsDecideWhatIsQueued(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	nouns, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: "https://a.example.com/hook", Types: []Pattern{"payment.*", "hold.placed"}})
	emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	emit(t, d, tenant, PaymentPaidLate, id.New(id.Payment))
	emit(t, d, tenant, HoldPlaced, id.New(id.Hold))
	emit(t, d, tenant, HoldReleased, id.New(id.Hold))
	emit(t, d, tenant, RefundSucceeded, id.New(id.Refund))
	require.Len(t, deliveries(t, d, tenant, nouns.ID), 3)

	_, err := change(t, d, tenant, nouns.ID, EndpointChange{Types: &[]Pattern{"refund.*"}, Description: new("refunds")})
	require.NoError(t, err)
	emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	emit(t, d, tenant, RefundFailed, id.New(id.Refund))
	require.Len(t, deliveries(t, d, tenant, nouns.ID), 4)
	require.Equal(t, "https://a.example.com/hook", endpointNow(t, d, tenant, nouns.ID).URL, "what is left out stays")

	for pattern, known := range map[Pattern]bool{
		"payment.*": true, "payment.succeeded": true, "webhook_endpoint.*": true, "*": false, "*.*": false, "pay.*": false,
		"payment.succ*": false, "payment": false, "ping": false, "": false, ".*": false, "payment.exploded": false,
	} {
		require.Equal(t, known, pattern.Known(), string(pattern))
	}
}

func TestAPausedEndpointKeepsWhatHappens(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	s := newSink(t, answerWith(http.StatusOK))
	other := newSink(t, answerWith(http.StatusOK))
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL})
	newEndpoint(t, d, tenant, NewEndpoint{URL: other.URL})
	paused, err := change(t, d, tenant, endpoint.ID, EndpointChange{Status: new(EndpointPaused)})
	require.NoError(t, err)
	require.Equal(t, ReasonRequested, paused.StatusReason)
	run(t, d, quick(loopback()))
	eventID := emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	eventually(t, func() bool { return len(other.all()) == 1 })
	require.Empty(t, s.all())
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		_, err := PingEndpoint(t.Context(), tx, tenant, endpoint.ID)
		require.True(t, fault.Is(err, "webhook_endpoint_not_active"), "%v", err)
		return nil
	}))
	_, err = change(t, d, tenant, endpoint.ID, EndpointChange{Status: new(EndpointActive)})
	require.NoError(t, err)
	eventually(t, func() bool { return delivery(t, d, tenant, endpoint.ID, eventID).Status == DeliveryDelivered })
}

func TestAPingGoesToOneEndpointWhateverItAskedFor(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	s := newSink(t, answerWith(http.StatusOK))
	asked, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL, Types: []Pattern{"refund.failed"}})
	everything, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL})
	run(t, d, quick(loopback()))
	for n := 1; n <= 2; n++ {
		var pinged Event
		require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) (err error) {
			pinged, err = PingEndpoint(t.Context(), tx, tenant, asked.ID)
			return err
		}))
		require.Equal(t, Ping, pinged.Type)
		require.Equal(t, n, pinged.Sequence)
		eventually(t, func() bool { return delivery(t, d, tenant, asked.ID, pinged.ID).Status == DeliveryDelivered })
	}
	require.Empty(t, deliveries(t, d, tenant, everything.ID))
}

func TestAnEndpointThatAnsweredGoneIsToldAndComesBack(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	gone := newSink(t, answerWith(http.StatusGone))
	good := newSink(t, answerWith(http.StatusOK))
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: gone.URL, Types: []Pattern{"payment.*"}})
	first := emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	run(t, d, quick(loopback()))
	eventually(t, func() bool { return endpointNow(t, d, tenant, endpoint.ID).Status == EndpointDisabled })
	require.Len(t, told(t, d, tenant, WebhookEndpointDisabled), 1)
	missed := emit(t, d, tenant, PaymentClosed, id.New(id.Payment))

	_, err := change(t, d, tenant, endpoint.ID, EndpointChange{Status: new(EndpointPaused)})
	require.True(t, fault.Is(err, "webhook_endpoint_disabled"), "%v", err)
	_, err = change(t, d, tenant, endpoint.ID, EndpointChange{URL: &good.URL, Status: new(EndpointActive)})
	require.NoError(t, err)
	redeliver(t, d, tenant, NewRedelivery{EndpointID: endpoint.ID, CreatedFrom: time.Now().Add(-time.Hour), CreatedTo: time.Now(), Scope: RedeliverMissed})
	for _, e := range []string{first, missed} {
		eventually(t, func() bool {
			found, _, err := GetDelivery(t.Context(), d.Pool, tenant, endpoint.ID, e)
			return err == nil && found.Status == DeliveryDelivered
		})
	}
}

// redeliver starts a redelivery and goes on with it to its end.
func redeliver(t *testing.T, d *pgtest.Database, tenant string, n NewRedelivery) Redelivery {
	t.Helper()
	var r Redelivery
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) (err error) {
		r, err = StartRedelivery(t.Context(), tx, tenant, n)
		return err
	}))
	eventually(t, func() bool {
		advance(t, d)
		var err error
		r, err = GetRedelivery(t.Context(), d.Pool, tenant, n.EndpointID, r.ID)
		require.NoError(t, err)
		return r.Status != RedeliveryRunning
	})
	return r
}

func advance(t *testing.T, d *pgtest.Database) (n int) {
	t.Helper()
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) (err error) {
		n, err = AdvanceRedeliveries(t.Context(), tx)
		return err
	}))
	return n
}

func TestOneEventIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	s := newSink(t, answerWith(http.StatusOK))
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: s.URL, Types: []Pattern{"payment.*"}})
	eventID := emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	unasked := emit(t, d, tenant, RefundSucceeded, id.New(id.Refund))
	run(t, d, quick(loopback()))
	eventually(t, func() bool { return delivery(t, d, tenant, endpoint.ID, eventID).Status == DeliveryDelivered })

	again := func(event, endpoint string) (due []Delivery, err error) {
		err = d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) (err error) {
			due, err = RedeliverEvent(t.Context(), tx, tenant, event, endpoint)
			return err
		})
		return due, err
	}
	due, err := again(eventID, "")
	require.NoError(t, err)
	require.Len(t, due, 1)
	eventually(t, func() bool {
		return len(s.all()) == 2 && delivery(t, d, tenant, endpoint.ID, eventID).Status == DeliveryDelivered
	})
	require.Equal(t, s.all()[0].body, s.all()[1].body)
	require.Equal(t, eventID, s.all()[1].header.Get("webhook-id"))
	require.Equal(t, 2, tried(t, d, tenant, endpoint.ID, eventID), "both tries are in its log")

	_, err = again(unasked, "")
	require.True(t, fault.Is(err, "no_webhook_endpoint"), "%v", err)
	due, err = again(unasked, endpoint.ID)
	require.NoError(t, err)
	require.Len(t, due, 1, "whatever it asks for, when it is named")
	_, err = again(id.New(id.Event), "")
	require.ErrorIs(t, err, fault.NotFound())
	_, err = again(eventID, id.New(id.Endpoint))
	require.ErrorIs(t, err, fault.NotFound())
}

func TestARangeIsDeliveredAgainInBatches(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	const count = 2*redeliveryBatch + 7
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		for range count {
			if err := Tell(t.Context(), tx, tenant, News{Type: PaymentSucceeded, ObjectID: id.New(id.Payment)},
				News{Type: RefundSucceeded, ObjectID: id.New(id.Refund)}); err != nil {
				return err
			}
		}
		return nil
	}))
	from, to := time.Now().Add(-time.Hour), time.Now().Add(time.Minute)
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: "https://a.example.com/hook", Types: []Pattern{"payment.*"}})
	emit(t, d, tenant, PaymentClosed, id.New(id.Payment)) // queued already
	start := func(n NewRedelivery) (r Redelivery, err error) {
		err = d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) (err error) {
			r, err = StartRedelivery(t.Context(), tx, tenant, n)
			return err
		})
		return r, err
	}
	n := NewRedelivery{EndpointID: endpoint.ID, CreatedFrom: from, CreatedTo: to, Scope: RedeliverMissed}
	r, err := start(n)
	require.NoError(t, err)
	require.Equal(t, RedeliveryRunning, r.Status)
	_, err = start(n)
	require.True(t, fault.Is(err, "redelivery_running"), "%v", err)

	require.Equal(t, redeliveryBatch, advance(t, d))
	require.Equal(t, redeliveryBatch, advance(t, d))
	require.Equal(t, 0, advance(t, d), "half a batch more than five hundred are due: it waits for the endpoint")
	shown, err := GetRedelivery(t.Context(), d.Pool, tenant, endpoint.ID, r.ID)
	require.NoError(t, err)
	require.EqualValues(t, 2*redeliveryBatch, shown.Examined)
	require.EqualValues(t, redeliveryBatch, shown.Queued)
	require.NotNil(t, shown.Position)
	takeAll := func() {
		_, err := d.Pool.Exec(t.Context(), `update webhook_deliveries set status = 'delivered', delivered_at = now() where status = 'pending'`)
		require.NoError(t, err)
	}
	for shown.Status == RedeliveryRunning {
		takeAll()
		require.NotZero(t, advance(t, d))
		shown, err = GetRedelivery(t.Context(), d.Pool, tenant, endpoint.ID, r.ID)
		require.NoError(t, err)
	}
	require.Equal(t, RedeliveryDone, shown.Status)
	require.EqualValues(t, 2*count+1, shown.Examined)
	require.EqualValues(t, count, shown.Queued)
	takeAll()

	// What was missed is missed no more; all of it can be had.
	require.Zero(t, redeliver(t, d, tenant, n).Queued)
	n.Scope = RedeliverAll
	r, err = start(n)
	require.NoError(t, err)
	require.Equal(t, redeliveryBatch, advance(t, d))
	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error { return DeleteEndpoint(t.Context(), tx, tenant, endpoint.ID) }))
	require.Zero(t, advance(t, d))
	shown, err = GetRedelivery(t.Context(), d.Pool, tenant, endpoint.ID, r.ID)
	require.NoError(t, err)
	require.Equal(t, RedeliveryCancelled, shown.Status)
}

func TestRangesThatAreRefused(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: "https://a.example.com/hook"})
	now := time.Now()
	for name, c := range map[string]struct {
		from, to time.Time
		code     string
	}{
		"empty":         {now, now, "range_empty"},
		"backwards":     {now, now.Add(-time.Hour), "range_empty"},
		"in the future": {now.Add(time.Hour), now.Add(2 * time.Hour), "range_empty"},
		"32 days":       {now.Add(-32 * 24 * time.Hour), now, "range_too_long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
				_, err := StartRedelivery(t.Context(), tx, tenant, NewRedelivery{EndpointID: endpoint.ID, CreatedFrom: c.from, CreatedTo: c.to, Scope: RedeliverAll})
				return err
			})
			require.True(t, fault.Is(err, c.code), "%v", err)
		})
	}
}
