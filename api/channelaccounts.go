package api

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/tenant"
)

// Desk knows what the providers want of a channel account. Its refusals are faults
// that name the field.
type Desk interface {
	// Providers describes every channel.
	Providers() []channel.Provider
	// CheckParams refuses public parameters that an account cannot have.
	CheckParams(channelName string, params map[string]string) error
	// Inspect refuses keys that cannot work for account and returns them in the form
	// they are kept in; it makes no call.
	Inspect(account tenant.ChannelAccount, c channel.Credentials) (channel.Credentials, channel.KeyFacts, error)
	// Check asks the provider and says what is wrong.
	Check(ctx context.Context, account tenant.ChannelAccount) ([]channel.Finding, error)
}

func (a answer) VisitCreateChannelAccountResponse(w http.ResponseWriter) error     { return a.write(w) }
func (a answer) VisitCreateChannelCredentialsResponse(w http.ResponseWriter) error { return a.write(w) }
func (a answer) VisitRetireChannelCredentialsResponse(w http.ResponseWriter) error { return a.write(w) }
func (a answer) VisitCheckChannelAccountResponse(w http.ResponseWriter) error      { return a.write(w) }

// ListChannels implements GET /v1/channels.
func (h *handlers) ListChannels(context.Context, gen.ListChannelsRequestObject) (gen.ListChannelsResponseObject, error) {
	return gen.ListChannels200JSONResponse{Data: mapped(h.opts.Desk.Providers(), showProvider)}, nil
}

func showProvider(p channel.Provider) gen.ChannelDescription {
	return gen.ChannelDescription{
		Channel: gen.Channel(p.Name),
		Products: mapped(p.Offers, func(o channel.Offer) gen.ChannelOffer {
			return gen.ChannelOffer{Product: gen.ChannelProductName(o.Product), Action: string(o.Action),
				Needs: mapped(o.Needs, func(n channel.Need) string { return string(n) })}
		}),
		Abilities: mapped(p.Abilities, func(a channel.Ability) string { return string(a) }),
		Params: mapped(p.Params, func(s channel.ParamSpec) gen.ChannelParam {
			return gen.ChannelParam{Name: s.Name, Required: s.Required}
		}),
		Credentials: mapped(p.Credentials, func(s channel.CredentialSpec) gen.ChannelParam {
			return gen.ChannelParam{Name: string(s.Name), Required: s.Required}
		}),
	}
}

// CreateChannelAccount implements POST /v1/channel_accounts.
func (h *handlers) CreateChannelAccount(ctx context.Context, r gen.CreateChannelAccountRequestObject) (gen.CreateChannelAccountResponseObject, error) {
	c, body := callOf(ctx), r.Body
	if err := h.opts.Desk.CheckParams(string(body.Channel), body.Params); err != nil {
		return nil, err
	}
	wanted := tenant.ChannelAccount{
		Channel: string(body.Channel), Name: body.Name, MerchantID: text(body.MerchantID), Params: body.Params,
		FeeBasisPoints: body.FeeBasisPoints, FeeReturned: body.FeeReturned, Weight: tenant.DefaultWeight,
	}
	if body.Weight != nil {
		wanted.Weight = *body.Weight
	}
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			created, err := tenant.OpenChannelAccount(c.ctx, tx, c.tenant, wanted)
			return created.ID, err
		},
		show: func(tx pgx.Tx, accountID string) (any, error) { return h.showAccount(c, tx, accountID) },
	})
}

// ListChannelAccounts implements GET /v1/channel_accounts. There are few of them,
// so the list is one page.
func (h *handlers) ListChannelAccounts(ctx context.Context, _ gen.ListChannelAccountsRequestObject) (gen.ListChannelAccountsResponseObject, error) {
	c := callOf(ctx)
	var list []tenant.ChannelAccount
	var health map[string]tenant.Health
	err := h.read(c, func(tx pgx.Tx) (err error) {
		if list, err = tenant.ListChannelAccounts(c.ctx, tx, c.tenant); err != nil {
			return err
		}
		health, err = tenant.ChannelHealth(c.ctx, tx, c.tenant)
		return err
	})
	return gen.ListChannelAccounts200JSONResponse{Data: mapped(list, func(a tenant.ChannelAccount) gen.ChannelAccount {
		return showChannelAccount(a, health)
	})}, err
}

// GetChannelAccount implements GET /v1/channel_accounts/{channel_account_id}.
func (h *handlers) GetChannelAccount(ctx context.Context, r gen.GetChannelAccountRequestObject) (gen.GetChannelAccountResponseObject, error) {
	c := callOf(ctx)
	var shown gen.ChannelAccount
	err := h.read(c, func(tx pgx.Tx) (err error) {
		shown, err = h.showAccount(c, tx, r.ChannelAccountID)
		return err
	})
	return gen.GetChannelAccount200JSONResponse(shown), err
}

// ChangeChannelAccount implements PATCH /v1/channel_accounts/{channel_account_id}.
func (h *handlers) ChangeChannelAccount(ctx context.Context, r gen.ChangeChannelAccountRequestObject) (gen.ChangeChannelAccountResponseObject, error) {
	c, body := callOf(ctx), r.Body
	change := tenant.ChannelAccountChange{
		Name: body.Name, FeeBasisPoints: body.FeeBasisPoints, FeeReturned: body.FeeReturned, Weight: body.Weight,
	}
	if body.Status != nil {
		status := string(*body.Status)
		change.Status = &status
	}
	var shown gen.ChannelAccount
	err := h.read(c, func(tx pgx.Tx) error {
		if _, err := tenant.ChangeChannelAccount(c.ctx, tx, c.tenant, r.ChannelAccountID, change); err != nil {
			return err
		}
		var err error
		shown, err = h.showAccount(c, tx, r.ChannelAccountID)
		return err
	})
	return gen.ChangeChannelAccount200JSONResponse(shown), err
}

// CheckChannelAccount implements POST /v1/channel_accounts/{channel_account_id}/check.
func (h *handlers) CheckChannelAccount(ctx context.Context, r gen.CheckChannelAccountRequestObject) (gen.CheckChannelAccountResponseObject, error) {
	c := callOf(ctx)
	account, err := h.channelAccount(c, r.ChannelAccountID)
	if err != nil {
		return nil, err
	}
	// Outside any transaction: the provider may take its time.
	findings, err := h.opts.Desk.Check(c.ctx, account)
	if err != nil {
		return nil, err
	}
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusOK,
		create: func(pgx.Tx) (string, error) { return account.ID, nil },
		show: func(pgx.Tx, string) (any, error) {
			return gen.ChannelAccountCheck{
				Ok: len(findings) == 0, Findings: mapped(findings, showFinding), CheckedAt: showTime(time.Now()),
			}, nil
		},
	})
}

func showFinding(f channel.Finding) gen.ChannelFinding {
	return gen.ChannelFinding{Code: f.Code, Field: orNull(f.Field), Message: f.Message}
}

// channelAccount reads one account of the caller's.
func (h *handlers) channelAccount(c call, accountID string) (account tenant.ChannelAccount, err error) {
	err = h.read(c, func(tx pgx.Tx) error {
		account, err = tenant.GetChannelAccount(c.ctx, tx, c.tenant, accountID)
		return err
	})
	return account, err
}

// showAccount reads one account and renders it.
func (h *handlers) showAccount(c call, tx pgx.Tx, accountID string) (gen.ChannelAccount, error) {
	account, err := tenant.GetChannelAccount(c.ctx, tx, c.tenant, accountID)
	if err != nil {
		return gen.ChannelAccount{}, err
	}
	health, err := tenant.ChannelHealth(c.ctx, tx, c.tenant)
	return showChannelAccount(account, health), err
}

func showChannelAccount(a tenant.ChannelAccount, health map[string]tenant.Health) gen.ChannelAccount {
	shown := gen.ChannelAccount{
		ID: a.ID, Channel: gen.Channel(a.Channel), Name: a.Name, MerchantID: orNull(a.MerchantID), Params: a.Params,
		FeeBasisPoints: a.FeeBasisPoints, FeeReturned: a.FeeReturned, Weight: a.Weight,
		Status: gen.ChannelAccountStatus(a.Status), CreatedAt: showTime(a.CreatedAt),
	}
	if known, ok := health[a.ID]; ok {
		shown.Health = &gen.ChannelHealth{State: gen.ChannelHealthState(known.State), Since: showTime(known.Since),
			Until: showTimeOrNull(known.Until), Reason: known.Reason}
	}
	return shown
}
