package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/cashier"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/oauth"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
)

// AskPayer implements cashier.Desk. The account whose application asks is the one
// that the payment will go through: what it calls the payer is good for it alone.
func (d payDesk) AskPayer(ctx context.Context, token string, w cashier.Way) (string, error) {
	trip, account, err := d.prepareTrip(ctx, token, w)
	if err != nil {
		return "", err
	}
	finder, err := d.finder(ctx, account)
	if err != nil {
		return "", err
	}
	var state string
	err = d.opts.DB.InTenant(ctx, trip.Tenant, func(tx pgx.Tx) (err error) {
		state, err = oauth.Begin(ctx, tx, trip)
		return err
	})
	if err != nil {
		return "", err
	}
	address, err := finder.AuthorizeURL(d.opts.PublicURL+cashier.OAuthPath(w.Channel), state)
	if err != nil { // such as an account without the secret that finding payers needs
		d.opts.Log.Warn("a channel account cannot ask who a payer is", "channel_account", account.ID, "error", err.Error())
		return "", fault.Refused("method.product", tenant.CodeProductNotOpen, "This channel account cannot find out who a payer is.")
	}
	return address, nil
}

// prepareTrip picks the account for a payment that still takes a payer.
func (d payDesk) prepareTrip(ctx context.Context, token string, w cashier.Way) (oauth.Trip, tenant.ChannelAccount, error) {
	var account tenant.ChannelAccount
	tenantID, paymentID, err := d.at(ctx, token)
	if err != nil {
		return oauth.Trip{}, account, err
	}
	err = d.opts.DB.InTenant(ctx, tenantID, func(tx pgx.Tx) error {
		p, err := payment.Get(ctx, tx, tenantID, paymentID)
		if err != nil {
			return err
		}
		if err := payable(ctx, tx, p); err != nil {
			return err
		}
		account, err = tenant.PickChannelAccount(ctx, tx, tenantID, tenant.Wanted{Merchant: p.MerchantID, Channel: w.Channel,
			Product: string(w.Product), Number: id.Number()})
		return err
	})
	return oauth.Trip{Tenant: tenantID, PaymentID: paymentID, ChannelAccountID: account.ID}, account, err
}

// finder is who finds payers for an account.
func (d payDesk) finder(ctx context.Context, account tenant.ChannelAccount) (channel.PayerFinder, error) {
	adapter, err := d.opts.Adapters.Adapter(ctx, account)
	if err != nil {
		return nil, err
	}
	finder, ok := adapter.(channel.PayerFinder)
	if !ok {
		return nil, fault.Refused("method.product", tenant.CodeProductNotOpen, "This channel cannot find out who a payer is.")
	}
	return finder, nil
}

// errPayerUnknown says that a trip brought no payer.
var errPayerUnknown = errors.New("the trip brought no payer")

// PayerCame implements cashier.Desk. The state is used up before anything else is
// done with what came along. The provider's name for the payer goes into the
// attempt, which forgets it at its end, and nowhere else.
func (d payDesk) PayerCame(ctx context.Context, channelName string, came cashier.Came) (string, error) {
	var trip oauth.Trip
	var fresh bool
	err := d.opts.DB.AsSystem(ctx, func(tx pgx.Tx) (err error) {
		trip, fresh, err = oauth.End(ctx, tx, channelName, came.State)
		return err
	})
	if err != nil {
		return "", err
	}
	var p payment.Payment
	var account tenant.ChannelAccount
	err = d.opts.DB.InTenant(ctx, trip.Tenant, func(tx pgx.Tx) (err error) {
		if p, err = payment.Get(ctx, tx, trip.Tenant, trip.PaymentID); err != nil {
			return err
		}
		account, err = tenant.GetChannelAccount(ctx, tx, trip.Tenant, trip.ChannelAccountID)
		return err
	})
	if err != nil {
		return "", err
	}
	if !fresh || came.Code == "" {
		return p.CheckoutToken, errPayerUnknown
	}
	payerID, err := d.findPayer(ctx, account, came.Code)
	if err != nil {
		return p.CheckoutToken, err
	}
	return p.CheckoutToken, d.choose(ctx, trip.Tenant, p.ID, payment.Method{Channel: channelName, Product: channel.ProductJSAPI,
		PayerID: payerID, PayerIP: came.PayerIP, ChannelAccountID: account.ID})
}

// findPayer exchanges the provider's code.
func (d payDesk) findPayer(ctx context.Context, account tenant.ChannelAccount, code string) (string, error) {
	finder, err := d.finder(ctx, account)
	if err != nil {
		return "", err
	}
	payer, err := finder.FindPayer(ctx, code)
	if err != nil {
		return "", fmt.Errorf("find the payer at channel account %s: %w", account.ID, err)
	}
	if payer.Outcome != channel.Succeeded {
		return "", fmt.Errorf("%w: %s answered %s", errPayerUnknown, account.Channel, payer.Code)
	}
	return payer.ID, nil
}
