package channel

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// StoredNotification is a verified notification that waits to wake a workflow.
type StoredNotification struct {
	Tenant           string
	ChannelAccountID string
	Notification
}

// StoreNotification keeps a verified notification before it is acknowledged.
// It reports false when the provider sent this one before.
func StoreNotification(ctx context.Context, tx pgx.Tx, n StoredNotification) (bool, error) {
	tag, err := tx.Exec(ctx, `
		insert into notifications (tenant_id, channel_account_id, id, kind, number, trade_number,
			currency, amount, state)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing`,
		n.Tenant, n.ChannelAccountID, n.ID, n.Kind, n.Number, n.TradeNumber,
		n.Amount.Currency, n.Amount.Minor, n.State)
	if err != nil {
		return false, fmt.Errorf("store notification: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// ClaimNotifications locks up to limit notifications of all tenants that have
// not woken their workflow yet, for the rest of tx.
func ClaimNotifications(ctx context.Context, tx pgx.Tx, limit int) ([]StoredNotification, error) {
	rows, err := tx.Query(ctx, `
		select tenant_id, channel_account_id, id, kind, number, trade_number, currency, amount, state
		from notifications where handled_at is null
		order by received_at limit $1 for update skip locked`, limit)
	if err != nil {
		return nil, fmt.Errorf("waiting notifications: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (StoredNotification, error) {
		var n StoredNotification
		err := row.Scan(&n.Tenant, &n.ChannelAccountID, &n.ID, &n.Kind, &n.Number, &n.TradeNumber,
			&n.Amount.Currency, &n.Amount.Minor, &n.State)
		return n, err
	})
}

// NotificationsOfTrade returns the ids of all notifications about the trade, handled
// or not; those of its refunds are not among them.
func NotificationsOfTrade(ctx context.Context, tx pgx.Tx, tenantID, tradeNumber string) ([]string, error) {
	rows, err := tx.Query(ctx, `
		select id from notifications where tenant_id = $1 and trade_number = $2 and kind = 'trade' order by received_at, id`,
		tenantID, tradeNumber)
	if err != nil {
		return nil, fmt.Errorf("notifications of trade %s: %w", tradeNumber, err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// MarkHandled notes that the notification has woken its workflow, or that there
// is nothing left to wake. Idempotent.
func MarkHandled(ctx context.Context, tx pgx.Tx, n StoredNotification) error {
	_, err := tx.Exec(ctx, `
		update notifications set handled_at = clock_timestamp()
		where tenant_id = $1 and channel_account_id = $2 and id = $3 and handled_at is null`,
		n.Tenant, n.ChannelAccountID, n.ID)
	if err != nil {
		return fmt.Errorf("notification handled: %w", err)
	}
	return nil
}
