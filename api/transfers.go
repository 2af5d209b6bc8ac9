package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/transfer"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/money"
)

// CreateTransfer implements POST /v1/transfers.
func (h *handlers) CreateTransfer(ctx context.Context, r gen.CreateTransferRequestObject) (gen.CreateTransferResponseObject, error) {
	c, body := callOf(ctx), r.Body
	n := transfer.New{
		ID: id.New(id.Transfer), Reference: body.Reference, FromMerchantID: body.FromMerchantID, ToMerchantID: body.ToMerchantID,
		FromAccount: text(body.FromAccount), ToAccount: text(body.ToAccount), Amount: readAmount(body.Amount), HoldID: text(body.HoldID),
	}
	if body.DryRun != nil && *body.DryRun {
		return h.tryTransfer(c, r.Params.IdempotencyKey, n)
	}
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		made, err := transfer.Create(c.ctx, tx, c.tenant, n)
		return n.ID, http.StatusCreated, showTransfer(made), err
	})
}

// tryTransfer answers a dry run. It makes no object; the key remembers the payer.
func (h *handlers) tryTransfer(c call, key string, n transfer.New) (gen.CreateTransferResponseObject, error) {
	return h.acceptedAtOnce(c, key, func(tx pgx.Tx) (string, int, any, error) {
		after, err := transfer.Try(c.ctx, tx, c.tenant, n)
		return n.FromMerchantID, http.StatusOK, gen.TransferPreview{
			Reference: n.Reference, Amount: showAmount(n.Amount),
			Balances: mapped(after, func(b transfer.Balance) gen.TransferPreviewBalance {
				show := func(minor int64) gen.Amount { return showAmount(money.Of(minor, n.Amount.Currency)) }
				return gen.TransferPreviewBalance{
					MerchantID: b.MerchantID, AccountName: b.Account,
					Posted: show(b.Posted), Held: show(b.Held), Available: show(b.Posted - b.Held),
				}
			}),
		}, err
	})
}

// CreateTransferBatch implements POST /v1/transfer_batches.
func (h *handlers) CreateTransferBatch(ctx context.Context, r gen.CreateTransferBatchRequestObject) (gen.CreateTransferBatchResponseObject, error) {
	c, body := callOf(ctx), r.Body
	items := make([]transfer.New, len(body.Items))
	for i, item := range body.Items {
		items[i] = transfer.New{
			ID: id.New(id.Transfer), Reference: item.Reference, FromMerchantID: item.FromMerchantID, ToMerchantID: item.ToMerchantID,
			FromAccount: text(item.FromAccount), ToAccount: text(item.ToAccount), Amount: readAmount(item.Amount), HoldID: text(item.HoldID),
		}
	}
	mode := transfer.Mode(body.Mode)
	if body.DryRun != nil && *body.DryRun {
		return h.tryTransferBatch(c, r.Params.IdempotencyKey, mode, items)
	}
	batchID := id.New(id.TransferBatch)
	return h.acceptedAtOnce(c, r.Params.IdempotencyKey, func(tx pgx.Tx) (string, int, any, error) {
		made, err := transfer.CreateBatch(c.ctx, tx, c.tenant, batchID, mode, items)
		return batchID, http.StatusCreated, showTransferBatch(made), err
	})
}

// tryTransferBatch answers a dry run. It makes no object; the key remembers the
// first payer.
func (h *handlers) tryTransferBatch(
	c call, key string, mode transfer.Mode, items []transfer.New,
) (gen.CreateTransferBatchResponseObject, error) {
	return h.acceptedAtOnce(c, key, func(tx pgx.Tx) (string, int, any, error) {
		tried, err := transfer.TryBatch(c.ctx, tx, c.tenant, mode, items)
		if err != nil {
			return "", 0, nil, err
		}
		shown := showTransferBatch(tried)
		return items[0].FromMerchantID, http.StatusOK, gen.TransferBatchPreview{
			Mode: shown.Mode, Succeeded: shown.Succeeded, Refused: shown.Refused,
			Results: mapped(shown.Results, func(r gen.TransferBatchResult) gen.TransferBatchResult {
				r.TransferID = nil
				return r
			}),
		}, nil
	})
}

// GetTransferBatch implements GET /v1/transfer_batches/{transfer_batch_id}.
func (h *handlers) GetTransferBatch(ctx context.Context, r gen.GetTransferBatchRequestObject) (gen.GetTransferBatchResponseObject, error) {
	c := callOf(ctx)
	var found transfer.Batch
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = transfer.GetBatch(c.ctx, tx, c.tenant, r.TransferBatchID)
		return err
	})
	return gen.GetTransferBatch200JSONResponse(showTransferBatch(found)), err
}

// GetTransfer implements GET /v1/transfers/{transfer_id}.
func (h *handlers) GetTransfer(ctx context.Context, r gen.GetTransferRequestObject) (gen.GetTransferResponseObject, error) {
	c := callOf(ctx)
	var found transfer.Transfer
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = transfer.Get(c.ctx, tx, c.tenant, r.TransferID)
		return err
	})
	return gen.GetTransfer200JSONResponse(showTransfer(found)), err
}

// ListTransfers implements GET /v1/transfers.
func (h *handlers) ListTransfers(ctx context.Context, r gen.ListTransfersRequestObject) (gen.ListTransfersResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.Transfer)
	if err != nil {
		return nil, err
	}
	var list []transfer.Transfer
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, err = transfer.List(c.ctx, tx, c.tenant, transfer.Filter{
			MerchantID: text(r.Params.MerchantID), Reference: text(r.Params.Reference), BatchID: text(r.Params.BatchID),
			From: r.Params.CreatedFrom, To: r.Params.CreatedTo, Before: page.before, Limit: page.limit + 1,
		})
		return err
	})
	data, next := cut(list, page.limit, func(t transfer.Transfer) string { return t.ID }, showTransfer)
	return gen.ListTransfers200JSONResponse{Data: data, NextCursor: next}, err
}

func showTransfer(t transfer.Transfer) gen.Transfer {
	return gen.Transfer{
		ID: t.ID, Reference: t.Reference, FromMerchantID: t.FromMerchantID, ToMerchantID: t.ToMerchantID,
		FromAccount: t.FromAccount, ToAccount: t.ToAccount, Amount: showAmount(t.Amount), Status: "succeeded",
		HoldID: orNull(t.HoldID), BatchID: orNull(t.BatchID), CreatedAt: showTime(t.CreatedAt),
	}
}

func showTransferBatch(b transfer.Batch) gen.TransferBatch {
	out := gen.TransferBatch{ID: b.ID, Mode: gen.TransferBatchMode(b.Mode), CreatedAt: showTime(b.CreatedAt)}
	out.Results = mapped(b.Results, func(r transfer.Result) gen.TransferBatchResult {
		shown := gen.TransferBatchResult{Reference: r.Reference, TransferID: orNull(r.TransferID)}
		if r.TransferID != "" {
			out.Succeeded++
			return shown
		}
		out.Refused++
		shown.Refusal = &gen.TransferRefusal{Code: r.Code, Detail: r.Detail, Field: orNull(r.Field), Limit: orNull(r.Limit)}
		return shown
	})
	return out
}
