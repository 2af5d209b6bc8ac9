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

// Stored says what StoreNotification found.
type Stored int

const (
	// StoredNow: it is new and kept.
	StoredNow Stored = iota
	// StoredBefore: the provider sent this one before; nothing was written.
	StoredBefore
	// StoredNonceUsed: another notification was signed with the same nonce;
	// nothing was written.
	StoredNonceUsed
)

// StoreNotification keeps a verified notification before it is acknowledged.
func StoreNotification(ctx context.Context, tx pgx.Tx, n StoredNotification) (Stored, error) {
	tag, err := tx.Exec(ctx, `
		insert into notifications (tenant_id, channel_account_id, id, kind, number, trade_number,
			currency, amount, state, nonce)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10, '')) on conflict do nothing`,
		n.Tenant, n.ChannelAccountID, n.ID, n.Kind, n.Number, n.TradeNumber,
		n.Amount.Currency, n.Amount.Minor, n.State, n.Nonce)
	if err != nil {
		return 0, fmt.Errorf("store notification: %w", err)
	}
	if tag.RowsAffected() == 1 {
		return StoredNow, nil
	}
	var known bool
	err = tx.QueryRow(ctx, `
		select exists (select from notifications where tenant_id = $1 and channel_account_id = $2 and id = $3)`,
		n.Tenant, n.ChannelAccountID, n.ID).Scan(&known)
	if err != nil {
		return 0, fmt.Errorf("store notification: %w", err)
	}
	if !known {
		return StoredNonceUsed, nil
	}
	return StoredBefore, nil
}

// RefuseNotification keeps the audit row of a notification that the provider
// signed and that contradicts what we asked of it. The same again is counted in
// the same row, so the rows are no more than the provider's own messages.
func RefuseNotification(ctx context.Context, tx pgx.Tx, n StoredNotification, reason string) error {
	_, err := tx.Exec(ctx, `
		insert into refused_notifications as r (tenant_id, channel_account_id, id, reason, kind, number, trade_number,
			currency, amount, state)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		on conflict (tenant_id, channel_account_id, id, reason)
		do update set times = r.times + 1, last_at = clock_timestamp()`,
		n.Tenant, n.ChannelAccountID, n.ID, reason, n.Kind, n.Number, n.TradeNumber,
		n.Amount.Currency, n.Amount.Minor, n.State)
	if err != nil {
		return fmt.Errorf("refuse notification: %w", err)
	}
	return nil
}

// maxNoticeText bounds each text of a notification; providers print 64 at most.
const maxNoticeText = 128

// Check returns an error unless the texts of n can be stored, compared and
// logged as they are: printable ASCII, neither missing nor endless.
func (n Notification) Check() error {
	for name, text := range map[string]string{"id": n.ID, "trade number": n.TradeNumber, "state": n.State} {
		if text == "" {
			return fmt.Errorf("the %s is missing", name)
		}
	}
	for name, text := range map[string]string{
		"id": n.ID, "number": n.Number, "trade number": n.TradeNumber, "state": n.State, "nonce": n.Nonce,
	} {
		if len(text) > maxNoticeText {
			return fmt.Errorf("the %s is longer than %d bytes", name, maxNoticeText)
		}
		for i := range len(text) {
			if text[i] <= ' ' || text[i] > '~' {
				return fmt.Errorf("the %s has a character that no provider prints", name)
			}
		}
	}
	return nil
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
