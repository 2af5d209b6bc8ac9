package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/tenant"
)

// CreateChannelCredentials implements POST
// /v1/channel_accounts/{channel_account_id}/credentials. Of the body nothing but a
// digest is stored beside the sealed keys, and the answer holds no key, so that a
// repetition can be answered like any other.
func (h *handlers) CreateChannelCredentials(
	ctx context.Context, r gen.CreateChannelCredentialsRequestObject,
) (gen.CreateChannelCredentialsResponseObject, error) {
	c := callOf(ctx)
	account, err := h.channelAccount(c, r.ChannelAccountID)
	if err != nil {
		return nil, err
	}
	keys, facts, err := h.opts.Desk.Inspect(account, readCredentials(*r.Body))
	if err != nil {
		return nil, err
	}
	packed, err := keys.Pack()
	if err != nil {
		return nil, err
	}
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			created, err := tenant.AddCredentials(c.ctx, tx, h.opts.Box, c.tenant, account.ID, tenant.Credential{
				Fingerprint: facts.Fingerprint, KeyID: facts.KeyID, ProviderKeyID: facts.ProviderKeyID}, packed)
			return created.ID, err
		},
		show: func(tx pgx.Tx, credentialID string) (any, error) {
			return h.showCredential(c, tx, account.ID, credentialID)
		},
	})
}

// readCredentials moves the keys out of the generated type, which would print them,
// into the one that does not.
func readCredentials(body gen.CreateChannelCredentials) channel.Credentials {
	return channel.Credentials{
		PrivateKey: body.PrivateKey, Certificate: text(body.Certificate), Serial: text(body.Serial),
		ProviderPublicKey: text(body.ProviderPublicKey), ProviderPublicKeyID: text(body.ProviderPublicKeyID),
		ProviderCertificate: text(body.ProviderCertificate), ProviderRootCertificate: text(body.ProviderRootCertificate),
		APIv3Key: text(body.APIV3Key), AppSecret: text(body.AppSecret), AppAuthToken: text(body.AppAuthToken),
	}
}

func (h *handlers) showCredential(c call, tx pgx.Tx, accountID, credentialID string) (gen.ChannelCredentials, error) {
	found, err := tenant.GetCredential(c.ctx, tx, c.tenant, accountID, credentialID)
	return showCredential(found), err
}

func showCredential(k tenant.Credential) gen.ChannelCredentials {
	return gen.ChannelCredentials{
		ID: k.ID, Fingerprint: k.Fingerprint, KeyID: orNull(k.KeyID), ProviderKeyID: orNull(k.ProviderKeyID),
		Status: gen.ChannelCredentialsStatus(k.Status), CreatedAt: showTime(k.CreatedAt), RetiredAt: showTimeOrNull(k.RetiredAt),
	}
}

// ListChannelCredentials implements GET /v1/channel_accounts/{channel_account_id}/credentials.
func (h *handlers) ListChannelCredentials(
	ctx context.Context, r gen.ListChannelCredentialsRequestObject,
) (gen.ListChannelCredentialsResponseObject, error) {
	c := callOf(ctx)
	var list []tenant.Credential
	err := h.read(c, func(tx pgx.Tx) error {
		if _, err := tenant.GetChannelAccount(c.ctx, tx, c.tenant, r.ChannelAccountID); err != nil {
			return err
		}
		var err error
		list, err = tenant.ListCredentials(c.ctx, tx, c.tenant, r.ChannelAccountID)
		return err
	})
	return gen.ListChannelCredentials200JSONResponse{Data: mapped(list, showCredential)}, err
}

// RetireChannelCredentials implements POST
// /v1/channel_accounts/{channel_account_id}/credentials/{credential_id}/retire.
func (h *handlers) RetireChannelCredentials(
	ctx context.Context, r gen.RetireChannelCredentialsRequestObject,
) (gen.RetireChannelCredentialsResponseObject, error) {
	c := callOf(ctx)
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusOK,
		create: func(tx pgx.Tx) (string, error) {
			retired, err := tenant.RetireCredentials(c.ctx, tx, c.tenant, r.ChannelAccountID, r.CredentialID)
			return retired.ID, err
		},
		show: func(tx pgx.Tx, credentialID string) (any, error) {
			return h.showCredential(c, tx, r.ChannelAccountID, credentialID)
		},
	})
}
