package event

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
)

func TestEmitNumbersEventsPerObjectAndQueuesForThoseWhoAsked(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	everything, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: "https://a.example.com/hook"})
	refunds, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: "https://b.example.com/hook", Types: []Pattern{"refund.succeeded"}})
	stranger := newTenant(t, d)
	foreign, _ := newEndpoint(t, d, stranger, NewEndpoint{URL: "https://c.example.com/hook"})

	payment, refund := id.New(id.Payment), id.New(id.Refund)
	emit(t, d, tenant, PaymentAwaitingPayer, payment)
	second := emit(t, d, tenant, PaymentSucceeded, payment)
	third := emit(t, d, tenant, RefundSucceeded, refund)

	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		e, err := Get(t.Context(), tx, tenant, second)
		require.NoError(t, err)
		require.Equal(t, 2, e.Sequence)
		require.JSONEq(t, `{"status":"succeeded"}`, string(e.Data))

		all, err := List(t.Context(), tx, tenant, Filter{Limit: 10})
		require.NoError(t, err)
		require.Len(t, all, 3)
		require.Equal(t, third, all[0].ID, "newest first")
		require.Equal(t, 1, all[0].Sequence, "counted per object")

		page, err := List(t.Context(), tx, tenant, Filter{Limit: 10, ObjectID: payment, Before: second})
		require.NoError(t, err)
		require.Len(t, page, 1)
		return nil
	}))
	require.Len(t, deliveries(t, d, tenant, everything.ID), 3)
	require.Len(t, deliveries(t, d, tenant, refunds.ID), 1)
	require.Empty(t, deliveries(t, d, stranger, foreign.ID))
}

func TestARolledBackChangeLeavesNoEventAndNoDelivery(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: "https://a.example.com/hook"})
	stop := errors.New("the change failed")

	err := d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		_, err := Emit(t.Context(), tx, tenant, News{Type: PaymentSucceeded, ObjectID: id.New(id.Payment)})
		require.NoError(t, err)
		return stop
	})

	require.ErrorIs(t, err, stop)
	require.Empty(t, deliveries(t, d, tenant, endpoint.ID))
	var count int
	require.NoError(t, d.Pool.QueryRow(t.Context(), `select count(*) from events`).Scan(&count))
	require.Zero(t, count)
}

func TestEventsOfAnotherTenantDoNotExist(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant, stranger := newTenant(t, d), newTenant(t, d)
	eventID := emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: "https://a.example.com/hook"})

	require.NoError(t, d.DB.InTenant(t.Context(), stranger, func(tx pgx.Tx) error {
		for _, as := range []string{stranger, tenant} { // the second is stopped by row-level security alone
			_, err := Get(t.Context(), tx, as, eventID)
			require.ErrorIs(t, err, fault.NotFound())
			_, err = GetEndpoint(t.Context(), tx, as, endpoint.ID)
			require.ErrorIs(t, err, fault.NotFound())
			require.ErrorIs(t, DeleteEndpoint(t.Context(), tx, as, endpoint.ID), fault.NotFound())
			_, err = RotateSecret(t.Context(), tx, box(), as, endpoint.ID)
			require.ErrorIs(t, err, fault.NotFound())
		}
		return nil
	}))
}

func TestEventsAreAppendOnlyAndSecretsCannotBeReadByTheApplication(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))
	for _, sql := range []string{
		`update events set type = 'payment.failed'`,
		`delete from events`,
		`select secret from webhook_secrets`,
		`select sealed from webhook_secrets`,
		`update webhook_secrets set sealed = ''`,
		`update webhook_secrets set secret = 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'`,
	} {
		err := d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
		require.ErrorContains(t, err, "permission denied", sql)
	}
}

func TestDeletingAnEndpointStopsItForGood(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	endpoint, _ := newEndpoint(t, d, tenant, NewEndpoint{URL: "https://a.example.com/hook"})
	emit(t, d, tenant, PaymentSucceeded, id.New(id.Payment))

	require.NoError(t, d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		require.NoError(t, DeleteEndpoint(t.Context(), tx, tenant, endpoint.ID))
		require.ErrorIs(t, DeleteEndpoint(t.Context(), tx, tenant, endpoint.ID), fault.NotFound())
		list, err := ListEndpoints(t.Context(), tx, tenant, "", 10)
		require.NoError(t, err)
		require.Empty(t, list)
		return nil
	}))
	emit(t, d, tenant, PaymentFailed, id.New(id.Payment))
	left := deliveries(t, d, tenant, endpoint.ID)
	require.Len(t, left, 1)
	require.Equal(t, DeliveryFailed, left[0].Status)
}

func TestATenantHasAtMostSixteenEndpoints(t *testing.T) {
	t.Parallel()
	d := pgtest.New(t)
	tenant := newTenant(t, d)
	for range MaxEndpoints {
		newEndpoint(t, d, tenant, NewEndpoint{URL: "https://a.example.com/hook"})
	}
	err := d.DB.InTenant(t.Context(), tenant, func(tx pgx.Tx) error {
		_, _, err := CreateEndpoint(t.Context(), tx, box(), tenant, NewEndpoint{URL: "https://a.example.com/hook"})
		return err
	})
	require.True(t, fault.Is(err, "too_many_webhook_endpoints"), "%v", err)
}

func TestEmitRefusesAnUnknownType(t *testing.T) {
	t.Parallel()
	_, err := Emit(t.Context(), nil, "", News{Type: "payment.exploded"})
	require.ErrorContains(t, err, "unknown type")
}
