package api

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
)

// ListChannelProducts implements GET /v1/channel_accounts/{channel_account_id}/products.
func (h *handlers) ListChannelProducts(
	ctx context.Context, r gen.ListChannelProductsRequestObject,
) (gen.ListChannelProductsResponseObject, error) {
	c := callOf(ctx)
	var shown gen.ChannelProductPage
	err := h.read(c, func(tx pgx.Tx) (err error) {
		shown, err = h.showProducts(c, tx, r.ChannelAccountID, r.Params.History != nil && *r.Params.History)
		return err
	})
	return gen.ListChannelProducts200JSONResponse(shown), err
}

// ChangeChannelProducts implements PUT /v1/channel_accounts/{channel_account_id}/products.
func (h *handlers) ChangeChannelProducts(
	ctx context.Context, r gen.ChangeChannelProductsRequestObject,
) (gen.ChangeChannelProductsResponseObject, error) {
	c := callOf(ctx)
	account, err := h.channelAccount(c, r.ChannelAccountID)
	if err != nil {
		return nil, err
	}
	offers := h.offers(account.Channel)
	changes := make([]tenant.ProductChange, len(r.Body.Products))
	for i, p := range r.Body.Products {
		offered := func(o channel.Offer) bool { return string(o.Product) == string(p.Product) }
		if !slices.ContainsFunc(offers, offered) {
			return nil, fault.Invalid(fmt.Sprintf("products[%d].product", i), "product_not_offered",
				"This provider has no such product; GET /v1/channels lists those it has.")
		}
		changes[i] = tenant.ProductChange{Product: string(p.Product), MerchantID: text(p.MerchantID),
			Status: tenant.ProductStatus(p.Status), Note: text(p.Note)}
	}
	var shown gen.ChannelProductPage
	err = h.read(c, func(tx pgx.Tx) error {
		if err := tenant.SetProducts(c.ctx, tx, c.tenant, account.ID, changes); err != nil {
			return err
		}
		shown, err = h.showProducts(c, tx, account.ID, false)
		return err
	})
	return gen.ChangeChannelProducts200JSONResponse(shown), err
}

// offers lists the products of a provider.
func (h *handlers) offers(channelName string) []channel.Offer {
	for _, p := range h.opts.Desk.Providers() {
		if p.Name == channelName {
			return p.Offers
		}
	}
	return nil
}

// showProducts lists the catalogue of an account; products that nobody has said
// anything about are not_opened.
func (h *handlers) showProducts(c call, tx pgx.Tx, accountID string, history bool) (gen.ChannelProductPage, error) {
	account, err := tenant.GetChannelAccount(c.ctx, tx, c.tenant, accountID)
	if err != nil {
		return gen.ChannelProductPage{}, err
	}
	said, err := tenant.ListProducts(c.ctx, tx, c.tenant, accountID, history)
	if err != nil {
		return gen.ChannelProductPage{}, err
	}
	data := mapped(said, showProduct)
	for _, offer := range h.offers(account.Channel) {
		forAll := func(s tenant.ProductState) bool { return s.Product == string(offer.Product) && s.MerchantID == "" }
		if !slices.ContainsFunc(said, forAll) {
			data = append(data, gen.ChannelProduct{Product: gen.ChannelProductName(offer.Product),
				Status: gen.ChannelProductStatus(tenant.ProductNotOpened)})
		}
	}
	return gen.ChannelProductPage{Data: data}, nil
}

func showProduct(s tenant.ProductState) gen.ChannelProduct {
	return gen.ChannelProduct{Product: gen.ChannelProductName(s.Product), MerchantID: orNull(s.MerchantID),
		Status: gen.ChannelProductStatus(s.Status), Note: orNull(s.Note), Since: showTimeOrNull(&s.Since), EndedAt: showTimeOrNull(s.EndedAt)}
}
