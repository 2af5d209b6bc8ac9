package api

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/tenant"
)

// ListChannelAccounts implements GET /v1/channel_accounts. There are few of them,
// so the list is one page.
func (h *handlers) ListChannelAccounts(ctx context.Context, _ gen.ListChannelAccountsRequestObject) (gen.ListChannelAccountsResponseObject, error) {
	c := callOf(ctx)
	var list []tenant.ChannelAccount
	err := h.read(c, func(tx pgx.Tx) (err error) {
		list, err = tenant.ListChannelAccounts(c.ctx, tx, c.tenant)
		return err
	})
	return gen.ListChannelAccounts200JSONResponse{Data: mapped(list, showChannelAccount)}, err
}

// showChannelAccount leaves the provider's identifiers out: they are for wiring.
func showChannelAccount(a tenant.ChannelAccount) gen.ChannelAccount {
	return gen.ChannelAccount{
		ID: a.ID, Channel: gen.Channel(a.Channel), Name: a.Name, FeeBasisPoints: a.FeeBasisPoints,
		FeeReturned: a.FeeReturned, Status: gen.ChannelAccountStatus(a.Status), CreatedAt: showTime(a.CreatedAt),
	}
}
