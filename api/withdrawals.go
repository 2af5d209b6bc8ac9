package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payout"
	"github.com/suanpan/suanpan/internal/id"
)

// CreateWithdrawal implements POST /v1/withdrawals.
func (h *handlers) CreateWithdrawal(ctx context.Context, r gen.CreateWithdrawalRequestObject) (gen.CreateWithdrawalResponseObject, error) {
	c, body := callOf(ctx), r.Body
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			withdrawalID := id.New(id.Withdrawal)
			return withdrawalID, payout.Create(c.ctx, tx, c.tenant, payout.New{
				ID: withdrawalID, MerchantID: body.MerchantID, Reference: body.Reference, Amount: readAmount(body.Amount),
			})
		},
		workflow: func(_ pgx.Tx, withdrawalID string) (string, error) { return payout.WorkflowID(withdrawalID), nil },
		preview:  func(tx pgx.Tx) (any, error) { return h.previewWithdrawal(c, tx, body.MerchantID) },
		show: func(tx pgx.Tx, withdrawalID string) (any, error) {
			found, err := payout.Get(c.ctx, tx, c.tenant, withdrawalID)
			return showWithdrawal(found), err
		},
	})
}

// previewWithdrawal shows where the money would go, masked: the request names a merchant,
// and whoever created that chose the account.
func (h *handlers) previewWithdrawal(c call, tx pgx.Tx, merchantID string) (any, error) {
	shown := map[string]any{"merchant_id": merchantID}
	account, err := party.PayoutAccountOf(c.ctx, tx, c.tenant, merchantID)
	if refusal, refused := fault.As(err); refused && refusal.Code == party.CodeNoPayoutAccount {
		return shown, nil // which is refused when it is carried out
	}
	if err != nil {
		return nil, err
	}
	masked, err := account.Masked(c.ctx, tx, h.opts.Box)
	shown["payout_account"] = map[string]string{"channel": masked.Channel, "account": masked.Account, "name": masked.Name}
	return shown, err
}

// GetWithdrawal implements GET /v1/withdrawals/{withdrawal_id}.
func (h *handlers) GetWithdrawal(ctx context.Context, r gen.GetWithdrawalRequestObject) (gen.GetWithdrawalResponseObject, error) {
	c := callOf(ctx)
	var found payout.Withdrawal
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = payout.Get(c.ctx, tx, c.tenant, r.WithdrawalID)
		return err
	})
	return gen.GetWithdrawal200JSONResponse(showWithdrawal(found)), err
}

// ListWithdrawals implements GET /v1/withdrawals.
func (h *handlers) ListWithdrawals(ctx context.Context, r gen.ListWithdrawalsRequestObject) (gen.ListWithdrawalsResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Withdrawal)
	if err != nil {
		return nil, err
	}
	var list []payout.Withdrawal
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, err = payout.List(c.ctx, tx, c.tenant, payout.Filter{
			Status: text(r.Params.Status), MerchantID: text(r.Params.MerchantID), Reference: text(r.Params.Reference),
			From: r.Params.CreatedFrom, To: r.Params.CreatedTo, Before: page.before, Limit: page.limit + 1,
		})
		return err
	})
	data, next := cut(list, page.limit, func(w payout.Withdrawal) string { return w.ID }, showWithdrawal)
	return gen.ListWithdrawals200JSONResponse{Data: data, NextCursor: next}, err
}

func showWithdrawal(w payout.Withdrawal) gen.Withdrawal {
	return gen.Withdrawal{
		ID: w.ID, MerchantID: w.MerchantID, Reference: w.Reference, Status: gen.WithdrawalStatus(w.Status),
		Amount: showAmount(w.Amount), Channel: gen.Channel(w.Channel), ChannelAccountID: w.ChannelAccountID,
		WaitingFor: orNull(w.WaitingFor), ChannelTransferNo: orNull(w.ChannelTransferNo), Failure: showFailure(w.Failure),
		Unresolved: showUnresolved(w.Unresolved),
		CreatedAt:  showTime(w.CreatedAt), AcceptedAt: showTimeOrNull(w.AcceptedAt), PaidAt: showTimeOrNull(w.PaidAt),
		ReturnedAt: showTimeOrNull(w.ReturnedAt),
	}
}
