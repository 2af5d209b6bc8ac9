package refund

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/secret"
)

// Destination is where the money of an abnormal refund goes.
type Destination string

const (
	// ToPayerCard is a bank card of the payer.
	ToPayerCard Destination = "payer_card"
	// ToMerchant is the bank account to which the provider settles; the tenant pays
	// the payer by other means.
	ToMerchant Destination = "merchant"
)

// RedirectStatus is the state of what the tenant asked for. The comment says who
// acts next.
type RedirectStatus string

const (
	// RedirectRequested: the platform; it has not been sent.
	RedirectRequested RedirectStatus = "requested"
	// RedirectSent: the provider has it, or may have it; the platform asks.
	RedirectSent RedirectStatus = "sent"
	// RedirectAccepted: the provider; it pays.
	RedirectAccepted RedirectStatus = "accepted"
	// RedirectRefused: the tenant; the money still waits for a destination.
	RedirectRefused RedirectStatus = "refused"
)

// Redirect is another way for the money of a refund; the zero value is none.
type Redirect struct {
	To          Destination
	Status      RedirectStatus
	Failure     *payment.Failure
	RequestedAt time.Time
}

// Card is a payer's bank card: personal data. Printing or logging it shows it masked.
type Card struct {
	// Bank is the provider's name of the bank, such as ICBC_DEBIT.
	Bank   string `json:"bank"`
	Number string `json:"number"`
	Holder string `json:"holder"`
}

// String, GoString and LogValue show the masked form.
func (c Card) String() string {
	return c.Bank + " " + party.MaskBankCard(c.Number) + " " + party.MaskName(c.Holder)
}

// GoString is String.
func (c Card) GoString() string { return c.String() }

// LogValue is String.
func (c Card) LogValue() slog.Value { return slog.StringValue(c.String()) }

// cardLife is how long a card is kept for being sent. The workflow looks at least
// every five minutes.
const cardLife = 10 * time.Minute

// answerWithin is how long after it was sent an abnormal refund may only look so
// because the request is on its way: longer than any call lasts.
const answerWithin = time.Minute

// RequestRedirect says where the money of an abnormal refund goes: to card, or,
// when card is nil, to the merchant. The card is kept, sealed, until it is sent. It
// refuses a refund that is not abnormal, and one that is under way already.
func RequestRedirect(ctx context.Context, tx pgx.Tx, tenantID, refundID string, card *Card, box *secret.Box) error {
	r, err := Lock(ctx, tx, tenantID, refundID)
	switch {
	case err != nil:
		return err
	case !r.Status.Open() || r.AbnormalAt == nil:
		return fault.Refused("refund_id", "refund_not_abnormal",
			"Only a refund whose way back is closed (abnormal_at) goes elsewhere; this one is "+string(r.Status)+" and is not.")
	case r.Redirect.To != "" && r.Redirect.Status != RedirectRefused:
		return fault.Refused("refund_id", "refund_redirecting", "The money is on its way to where it was sent last: "+string(r.Redirect.To)+".")
	}
	to := ToMerchant
	if card != nil {
		to = ToPayerCard
		plain, err := json.Marshal(card)
		if err != nil {
			return fmt.Errorf("redirect refund %s: %w", refundID, err)
		}
		if err := box.PutOneTime(ctx, tx, tenantID, refundID, plain, cardLife); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `
		update refunds set redirect_to = $3, redirect_status = 'requested', redirect_requested_at = suanpan_now(), redirect_sent_at = null,
			redirect_failure_code = null, redirect_channel_code = null, redirect_message = null
		where tenant_id = $1 and id = $2`, tenantID, refundID, to)
	if err != nil {
		return fmt.Errorf("redirect refund %s: %w", refundID, err)
	}
	return nil
}

// TakeCard takes the card out of box; secret.ErrNoSecret says that its time is over.
func TakeCard(ctx context.Context, tx pgx.Tx, tenantID, refundID string, box *secret.Box) (Card, error) {
	value, err := box.TakeOneTime(ctx, tx, tenantID, refundID)
	if err != nil {
		return Card{}, err
	}
	var card Card
	if err := json.Unmarshal(value.Reveal(), &card); err != nil {
		return Card{}, fmt.Errorf("card of refund %s: not as it was put", refundID)
	}
	return card, nil
}

// RedirectSending commits, with tx, that the request is about to be sent.
func RedirectSending(ctx context.Context, tx pgx.Tx, tenantID, refundID string) error {
	return redirected(ctx, tx, tenantID, refundID, RedirectRequested,
		`redirect_status = 'sent', redirect_sent_at = clock_timestamp()`)
}

// RedirectRefusedNow records that the money, of a request that was in from, still
// waits for a destination. Idempotent.
func RedirectRefusedNow(ctx context.Context, tx pgx.Tx, tenantID, refundID string, from RedirectStatus, f payment.Failure) error {
	return redirected(ctx, tx, tenantID, refundID, from,
		`redirect_status = 'refused', redirect_failure_code = $4, redirect_channel_code = nullif($5, ''), redirect_message = $6`,
		f.Code, f.ChannelCode, f.Message)
}

func redirected(ctx context.Context, tx pgx.Tx, tenantID, refundID string, from RedirectStatus, set string, args ...any) error {
	args = append([]any{tenantID, refundID, string(from)}, args...)
	_, err := tx.Exec(ctx, `update refunds set `+set+`
		where tenant_id = $1 and id = $2 and redirect_status = $3 and status in ('processing', 'returned')`, args...)
	if err != nil {
		return fmt.Errorf("redirect of refund %s: %w", refundID, err)
	}
	return nil
}

// AbnormalNow records that the provider has the money and cannot pay it, and
// reports whether that is news for the tenant: the first time, and when what he
// asked for has come to nothing. Idempotent.
func AbnormalNow(ctx context.Context, tx pgx.Tx, tenantID, refundID, channelRefundNo string) (bool, error) {
	tag, err := tx.Exec(ctx, `
		update refunds set abnormal_at = suanpan_now(), channel_refund_no = $3,
			redirect_status = case when redirect_to is not null then 'refused' end,
			redirect_failure_code = case redirect_status when 'sent' then 'redirect_unanswered' when 'accepted' then 'channel_refused' end,
			redirect_channel_code = case redirect_status when 'accepted' then $4 end,
			redirect_message = case redirect_status when 'sent' then 'The provider does not know of it; ask again.'
				when 'accepted' then 'The provider could not pay it there either.' end
		where tenant_id = $1 and id = $2 and status in ('processing', 'returned') and (abnormal_at is null or redirect_status = 'accepted'
			or redirect_status = 'sent' and redirect_sent_at < clock_timestamp() - $5::interval)`,
		tenantID, refundID, channelRefundNo, channel.CodeAbnormal, answerWithin)
	if err != nil {
		return false, fmt.Errorf("abnormal refund %s: %w", refundID, err)
	}
	return tag.RowsAffected() == 1, nil
}

// OnItsWay records that the provider works on the refund, so that what was asked
// for, if anything, has reached it. Idempotent.
func OnItsWay(ctx context.Context, tx pgx.Tx, tenantID, refundID string) error {
	_, err := tx.Exec(ctx, `
		update refunds set redirect_status = 'accepted', redirect_failure_code = null, redirect_channel_code = null, redirect_message = null
		where tenant_id = $1 and id = $2 and status in ('processing', 'returned') and redirect_status in ('sent', 'refused')`, tenantID, refundID)
	if err != nil {
		return fmt.Errorf("refund %s on its way: %w", refundID, err)
	}
	return nil
}
