package oauth_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/oauth"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// desk is a tenant with a payment that somebody is about to pay by WeChat Pay.
type desk struct {
	*testing.T
	*pgtest.Database
	trip oauth.Trip
}

func open(t *testing.T) *desk {
	t.Helper()
	t.Parallel()
	d := &desk{T: t, Database: pgtest.New(t), trip: oauth.Trip{PaymentID: id.New(id.Payment)}}
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		made, err := tenant.Create(t.Context(), tx, "Test", tenant.LicensedReserve)
		require.NoError(t, err)
		d.trip.Tenant = made.ID
		account, err := tenant.AddChannelAccount(t.Context(), tx, made.ID, tenant.ChannelAccount{
			Channel: "wechatpay", Name: "W", Params: map[string]string{"mch_id": "1900000001"}})
		d.trip.ChannelAccountID = account.ID
		return err
	}))
	require.NoError(t, d.DB.InTenant(t.Context(), d.trip.Tenant, func(tx pgx.Tx) error {
		merchant, err := party.Create(t.Context(), tx, nil, d.trip.Tenant, party.NewMerchant{Reference: "m", Name: "M", Settlement: party.T0})
		require.NoError(t, err)
		return payment.Create(t.Context(), tx, d.trip.Tenant, payment.New{ID: d.trip.PaymentID, MerchantID: merchant.ID, Reference: "r",
			Subject: "s", Amount: money.Fen(1), ExpiresIn: time.Hour}, payment.Till{})
	}))
	return d
}

func (d *desk) begin() (state string) {
	d.Helper()
	require.NoError(d, d.DB.InTenant(d.Context(), d.trip.Tenant, func(tx pgx.Tx) (err error) {
		state, err = oauth.Begin(d.Context(), tx, d.trip)
		return err
	}))
	return state
}

func (d *desk) end(channelName, state string) (trip oauth.Trip, fresh bool, err error) {
	err = d.DB.AsSystem(d.Context(), func(tx pgx.Tx) error {
		trip, fresh, err = oauth.End(d.Context(), tx, channelName, state)
		return err
	})
	return trip, fresh, err
}

func TestAStateIsGoodOnce(t *testing.T) {
	d := open(t)
	state := d.begin()
	require.GreaterOrEqual(t, len(state), 26, "at least 128 bits")
	require.NotEqual(t, state, d.begin())
	var fresh atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			trip, first, err := d.end("wechatpay", state)
			if err == nil && trip == d.trip && first {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	require.Equal(t, int32(1), fresh.Load())
	trip, first, err := d.end("wechatpay", state)
	require.NoError(t, err)
	require.False(t, first)
	require.Equal(t, d.trip, trip, "who comes back twice still finds the page")
}

func TestAStateIsGoodWhereItWasMadeForAndInTime(t *testing.T) {
	d := open(t)
	state := d.begin()
	for channelName, forged := range map[string]string{"alipay": state, "wechatpay": state[1:] + "A", "": ""} {
		_, _, err := d.end(channelName, forged)
		require.ErrorIs(t, err, &fault.Error{Kind: fault.KindNotFound})
	}
	var kept int
	require.NoError(t, d.Pool.QueryRow(t.Context(), `select count(*) from oauth_trips where encode(state_hash, 'escape') like '%' || $1 || '%'`, state).Scan(&kept))
	require.Zero(t, kept, "the state itself is not in the database")
	_, err := d.Pool.Exec(t.Context(), `update oauth_trips set expires_at = clock_timestamp() - interval '1 second'`)
	require.NoError(t, err)
	_, fresh, err := d.end("wechatpay", state)
	require.NoError(t, err)
	require.False(t, fresh)

	_, err = d.Pool.Exec(t.Context(), `update oauth_trips set expires_at = clock_timestamp() - interval '25 hours'`)
	require.NoError(t, err)
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		swept, err := oauth.Sweep(t.Context(), tx, 10)
		require.Equal(t, 1, swept)
		return err
	}))
	_, _, err = d.end("wechatpay", state)
	require.ErrorIs(t, err, &fault.Error{Kind: fault.KindNotFound})
}
