package api

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/cashier"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/clock"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/tenant"
)

// payDesk is the platform as the payers' pages need it. A page's token names the
// tenant; everything after that is done in the tenant's name, behind its wall.
type payDesk struct{ *server }

// at finds the payment of a checkout page.
func (d payDesk) at(ctx context.Context, token string) (tenantID, paymentID string, err error) {
	err = d.opts.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		tenantID, paymentID, err = payment.ByCheckoutToken(ctx, tx, token)
		return err
	})
	return tenantID, paymentID, err
}

// Order implements cashier.Desk.
func (d payDesk) Order(ctx context.Context, token string) (cashier.Order, error) {
	var out cashier.Order
	tenantID, paymentID, err := d.at(ctx, token)
	if err != nil {
		return out, err
	}
	err = d.opts.DB.InTenant(ctx, tenantID, func(tx pgx.Tx) error {
		p, err := payment.Get(ctx, tx, tenantID, paymentID)
		if err != nil {
			return err
		}
		out, err = d.order(ctx, tx, tenantID, p)
		return err
	})
	return out, err
}

func (d payDesk) order(ctx context.Context, tx pgx.Tx, tenantID string, p payment.Payment) (cashier.Order, error) {
	now, err := clock.Now(ctx, tx)
	if err != nil {
		return cashier.Order{}, err
	}
	merchant, err := party.Get(ctx, tx, tenantID, p.MerchantID)
	if err != nil {
		return cashier.Order{}, err
	}
	attempts, err := payment.Attempts(ctx, tx, tenantID, p.ID)
	if err != nil {
		return cashier.Order{}, err
	}
	out := cashier.Order{Merchant: merchant.Name, Subject: p.Subject, Reference: p.Reference, Amount: p.Amount,
		Status: statusForPayer(p), Left: p.ExpiresAt.Sub(now), ReturnURL: p.ReturnURL}
	if p.CancelRequested {
		out.Left = 0 // nobody is to begin now
	}
	if p.Status == payment.Succeeded {
		out.PaidBy = wayOf(p.Attempt)
	}
	till := d.till()
	for _, a := range attempts {
		out.Tries = append(out.Tries, tryOf(a, till.Stale(a, now)))
	}
	if p.Status == payment.AwaitingPayer && out.Left > 0 && len(attempts) < payment.MaxAttempts {
		out.Offers, err = d.offers(ctx, tx, tenantID, p.MerchantID)
	}
	return out, err
}

func statusForPayer(p payment.Payment) cashier.Status {
	switch p.Status {
	case payment.Succeeded:
		return cashier.Paid
	case payment.Failed:
		return cashier.Failed
	case payment.Closed:
		switch p.CloseReason {
		case payment.Cancelled:
			return cashier.Cancelled
		case payment.ByChannel:
			return cashier.Failed
		case payment.Expired:
		}
		return cashier.Expired
	case payment.Processing, payment.AwaitingPayer:
	}
	return cashier.Waiting
}

func wayOf(a payment.Attempt) cashier.Way { return cashier.Way{Channel: a.Channel, Product: a.Product} }

// tryOf is an attempt as its payer may see it. stale: what the payer was given to
// pay by is no longer good.
func tryOf(a payment.Attempt, stale bool) cashier.Try {
	try := cashier.Try{Way: wayOf(a), State: cashier.TryOver}
	switch a.Status {
	case payment.Preparing:
		try.State = cashier.TryPreparing
	case payment.Open:
		if a.Action != nil && !stale {
			try.State, try.Action = cashier.TryOpen, *a.Action
		}
	case payment.Refused:
		try.State = cashier.TryRefused
		if a.Failure != nil {
			try.Code = a.Failure.Code
		}
	case payment.Paid, payment.AttemptClosed:
	}
	return try
}

// offers lists the ways that the tenant has opened for the merchant and that a
// page can make something of.
func (d payDesk) offers(ctx context.Context, tx pgx.Tx, tenantID, merchantID string) ([]cashier.Offer, error) {
	open, err := tenant.OpenProducts(ctx, tx, tenantID, merchantID)
	if err != nil {
		return nil, err
	}
	var out []cashier.Offer
	for _, provider := range d.opts.Desk.Providers() {
		for _, offer := range provider.Offers {
			if !slices.Contains(open, tenant.OpenProduct{Channel: provider.Name, Product: string(offer.Product)}) {
				continue
			}
			asks := slices.Contains(offer.Needs, channel.NeedPayerID)
			if asks && !slices.Contains(provider.Abilities, channel.AbilityPayerID) {
				continue
			}
			out = append(out, cashier.Offer{Way: cashier.Way{Channel: provider.Name, Product: offer.Product}, AsksPayer: asks})
		}
	}
	return out, nil
}

// Choose implements cashier.Desk.
func (d payDesk) Choose(ctx context.Context, token string, c cashier.Choice) error {
	tenantID, paymentID, err := d.at(ctx, token)
	if err != nil {
		return err
	}
	return d.choose(ctx, tenantID, paymentID, payment.Method{Channel: c.Channel, Product: c.Product,
		PayerIP: c.PayerIP, ReturnURL: d.opts.PublicURL + c.ReturnPath, Click: c.Nonce})
}

// choose adds the attempt and gives its provider a moment to answer.
func (d payDesk) choose(ctx context.Context, tenantID, paymentID string, m payment.Method) error {
	var attemptID string
	err := d.opts.DB.InTenant(ctx, tenantID, func(tx pgx.Tx) (err error) {
		attemptID, err = payment.ChooseAttempt(ctx, tx, tenantID, paymentID, m, d.till())
		return err
	})
	if err != nil {
		return err
	}
	return d.firstAnswer(ctx, tenantID, attemptID, func(pgx.Tx) (string, error) { return payment.WorkflowID(paymentID), nil })
}

// payable refuses a payment that takes no payer any more.
func payable(ctx context.Context, tx pgx.Tx, p payment.Payment) error {
	now, err := clock.Now(ctx, tx)
	if err != nil {
		return err
	}
	if p.Status != payment.AwaitingPayer || p.CancelRequested || !now.Before(p.ExpiresAt) {
		return fault.Refused("payment_id", "payment_not_payable", "The payment takes no payer any more.")
	}
	return nil
}
