package activities

import (
	"context"
	"log/slog"
	"time"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/money"
)

// Channels finds the adapter that talks for a channel account.
type Channels interface {
	Adapter(ctx context.Context, account tenant.ChannelAccount) (channel.Adapter, error)
}

// The states below are decoded over older ones by the workflows, so no field may
// be left out of their JSON.

// PaymentState is what a workflow knows of a payment.
type PaymentState struct {
	Status  string `json:"status"`
	Final   bool   `json:"final"`
	Channel string `json:"channel"`
	// ChannelCode is the provider's last code, for people.
	ChannelCode string    `json:"channel_code"`
	ExpiresAt   time.Time `json:"expires_at"`
	// Expired: the payer's time and the grace after it are over.
	Expired bool `json:"expired"`
}

// Known reports whether the row has been read.
func (s PaymentState) Known() bool { return s.Status != "" }

// Preparing reports whether there is nothing to show to a payer yet.
func (s PaymentState) Preparing() bool { return s.Status == "processing" }

// Outcome is what the last question about moving money brought.
type Outcome string

// The outcomes of a moving call, in the words of the outcome law.
const (
	// Done: succeeded or failed for good, and booked.
	Done Outcome = "done"
	// Pending: the provider has the order and works on it.
	Pending Outcome = "pending"
	// Refused: the provider said no; nothing is committed until a query agrees.
	Refused Outcome = "refused"
	// NotFound: the provider does not know the number (yet).
	NotFound Outcome = "not_found"
	// Unknown: nothing can be concluded.
	Unknown Outcome = "unknown"
)

// MovingState is what a workflow knows of money on its way through a provider.
type MovingState struct {
	Status      string  `json:"status"`
	Final       bool    `json:"final"`
	Channel     string  `json:"channel"`
	Outcome     Outcome `json:"outcome"`
	ChannelCode string  `json:"channel_code"`
}

// LateState is what a workflow knows of a payment that was paid after its close.
type LateState struct {
	Channel     string `json:"channel"`
	ChannelCode string `json:"channel_code"`
	// Settled: it is decided whether money arrived; RefundID gives it back if so.
	Settled  bool   `json:"settled"`
	RefundID string `json:"refund_id"`
	// NotPaid: the provider says that no money arrived, which may be old news.
	NotPaid bool `json:"not_paid"`
}

// contradiction turns an answer about another amount than ours into an unknown
// one, and raises the alarm: such an answer is never booked, and the object stays
// as it is until a person has looked at it.
func contradiction(ctx context.Context, a channel.Answer, objectID string, ours, theirs money.Amount) channel.Answer {
	slog.ErrorContext(ctx, "a provider's answer contradicts our order; nothing is booked",
		"object", objectID, "ours", ours.Minor, "theirs", theirs.Minor, "currency", theirs.Currency, "code", a.Code)
	return channel.Answer{Outcome: channel.Unknown, Code: channel.CodeMismatch,
		Message: "the answer is about another amount"}
}

// outcome puts a provider's answer to a moving call into our words.
func outcome(a channel.Answer) Outcome {
	switch {
	case a.Outcome == channel.Failed && a.Code == channel.CodeNotFound:
		return NotFound
	case a.Outcome == channel.Failed:
		return Refused
	case a.Outcome == channel.Pending:
		return Pending
	}
	return Unknown
}
