package notice

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// Verdict says what became of a notification.
type Verdict string

const (
	// Taken: it is stored and will wake its workflow.
	Taken Verdict = "taken"
	// Repeated: it was taken before; nothing was written.
	Repeated Verdict = "repeated"
	// UnknownNumber: we never gave this number to a provider. It may be that of
	// an order whose transaction is still under way, so it must come again.
	UnknownNumber Verdict = "unknown_number"
	// OtherAccount: the number was given to another channel account.
	OtherAccount Verdict = "other_account"
	// AmountDiffers and CurrencyDiffers: it is not what was asked under the number.
	AmountDiffers   Verdict = "amount_differs"
	CurrencyDiffers Verdict = "currency_differs"
	// NonceUsed: another notification was signed with the same nonce.
	NonceUsed Verdict = "nonce_used"
)

// Good reports whether the provider may be told that it arrived.
func (v Verdict) Good() bool { return v == Taken || v == Repeated }

// Judge stores n, which must be verified and checked, if it agrees with what was
// asked of the provider, and otherwise keeps an audit row. Both are as durable
// as tx: acknowledge only after its commit. Idempotent.
func Judge(ctx context.Context, tx pgx.Tx, n channel.StoredNotification) (Verdict, error) {
	asked, err := find(ctx, tx, n)
	if err != nil {
		return "", err
	}
	verdict := asked.compare(n)
	if verdict == Taken {
		stored, err := channel.StoreNotification(ctx, tx, n)
		if err != nil {
			return "", err
		}
		verdict = map[channel.Stored]Verdict{
			channel.StoredNow: Taken, channel.StoredBefore: Repeated, channel.StoredNonceUsed: NonceUsed,
		}[stored]
	}
	if verdict.Good() {
		return verdict, nil
	}
	return verdict, channel.RefuseNotification(ctx, tx, n, string(verdict))
}

// asked is what was asked under a notification's numbers; nil without a trade.
type asked struct {
	account string
	amount  money.Amount
	// refund is what the refund of that trade gives back, nil without one.
	refund *int64
}

func find(ctx context.Context, tx pgx.Tx, n channel.StoredNotification) (*asked, error) {
	var a asked
	if n.Kind == channel.NotifyTransfer {
		return a.or(tx.QueryRow(ctx, `select channel_account_id, currency, amount from withdrawals where tenant_id = $1 and number = $2`,
			n.Tenant, n.Number).Scan(&a.account, &a.amount.Currency, &a.amount.Minor))
	}
	return a.or(tx.QueryRow(ctx, `
		select a.channel_account_id, p.currency, p.amount, r.amount
		from attempts a
		join payments p on p.tenant_id = a.tenant_id and p.id = a.payment_id
		left join refunds r on r.tenant_id = a.tenant_id and r.attempt_id = a.id and r.number = $3 and $4 = 'refund'
		where a.tenant_id = $1 and a.number = $2`,
		n.Tenant, n.TradeNumber, n.Number, n.Kind).Scan(&a.account, &a.amount.Currency, &a.amount.Minor, &a.refund))
}

// or is a, unless it was not found.
func (a *asked) or(err error) (*asked, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("what a notification is about: %w", err)
	}
	return a, nil
}

func (a *asked) compare(n channel.StoredNotification) Verdict {
	switch {
	case a == nil || !slices.Contains([]channel.NotificationKind{channel.NotifyTrade, channel.NotifyRefund, channel.NotifyTransfer}, n.Kind):
		return UnknownNumber
	case a.account != n.ChannelAccountID:
		return OtherAccount
	case n.Amount.Currency != a.amount.Currency:
		return CurrencyDiffers
	case n.Kind == channel.NotifyRefund:
		return a.compareRefund(n)
	case n.Amount != a.amount:
		return AmountDiffers
	}
	return Taken
}

// compareRefund judges a refund's message. One that names no refund says only
// that the trade's money is changing, and is bounded by the trade.
func (a *asked) compareRefund(n channel.StoredNotification) Verdict {
	if n.TradeAmount.Currency != "" && n.TradeAmount != a.amount {
		return AmountDiffers
	}
	least, most := int64(0), a.amount.Minor
	switch {
	case n.Number != "" && a.refund == nil:
		return UnknownNumber
	case n.Number != "" && n.Cumulative:
		least = *a.refund
	case n.Number != "":
		least, most = *a.refund, *a.refund
	}
	if n.Amount.Minor < least || n.Amount.Minor > most {
		return AmountDiffers
	}
	return Taken
}
