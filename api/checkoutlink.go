package api

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/cashier"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/paymentlink"
)

// linkAt finds the link of a page.
func (d payDesk) linkAt(ctx context.Context, token string) (link paymentlink.Link, err error) {
	err = d.opts.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		link, err = paymentlink.ByToken(ctx, tx, token)
		return err
	})
	return link, err
}

// Link implements cashier.Desk.
func (d payDesk) Link(ctx context.Context, token string) (cashier.Link, error) {
	link, err := d.linkAt(ctx, token)
	if err != nil {
		return cashier.Link{}, err
	}
	var merchant party.Merchant
	err = d.opts.DB.InTenant(ctx, link.TenantID, func(tx pgx.Tx) (err error) {
		merchant, err = party.Get(ctx, tx, link.TenantID, link.MerchantID)
		return err
	})
	return cashier.Link{Merchant: merchant.Name, Subject: link.Subject, Amount: link.Amount, Min: link.Min, Max: link.Max,
		Closed: !link.Open()}, err
}

// OpenLink implements cashier.Desk.
func (d payDesk) OpenLink(ctx context.Context, token string, o cashier.Opening) (string, error) {
	link, err := d.linkAt(ctx, token)
	if err != nil {
		return "", err
	}
	var p payment.Payment
	err = d.opts.DB.InTenant(ctx, link.TenantID, func(tx pgx.Tx) error {
		paymentID, err := paymentlink.Open(ctx, tx, link.TenantID, link.ID, o.Nonce, o.Amount)
		if err != nil {
			return err
		}
		p, err = payment.Get(ctx, tx, link.TenantID, paymentID)
		return err
	})
	if err != nil {
		return "", err
	}
	return p.CheckoutToken, d.firstAnswer(ctx, link.TenantID, "", func(pgx.Tx) (string, error) { return payment.WorkflowID(p.ID), nil })
}
