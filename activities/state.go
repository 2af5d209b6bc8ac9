package activities

import (
	"context"
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

// PaymentState is what a workflow knows of a payment and of those of its
// attempts that are not at their end.
type PaymentState struct {
	Status    string    `json:"status"`
	Final     bool      `json:"final"`
	ExpiresAt time.Time `json:"expires_at"`
	// Expired: the payer's time and the grace after it are over.
	Expired bool `json:"expired"`
	// Cancelling: the tenant wants it ended unpaid.
	Cancelling bool `json:"cancelling"`
	// Live are the attempts that may still be paid, oldest first.
	Live []AttemptState `json:"live"`
	// ChannelCode is the last code of the provider that was asked, for people.
	ChannelCode string `json:"channel_code"`
}

// AttemptState is what a workflow knows of one attempt.
type AttemptState struct {
	ID      string `json:"id"`
	Channel string `json:"channel"`
	// Preparing: there is nothing to show to a payer yet.
	Preparing bool `json:"preparing"`
	// ByCode: the money is asked for by the code on the payer's phone.
	ByCode bool `json:"by_code"`
	// SentAt is when that was done, or was about to be; zero before.
	SentAt time.Time `json:"sent_at"`
	// Undoing: the provider may have been asked to undo it, so that only the answer
	// to that tells what became of it.
	Undoing bool `json:"undoing"`
	// Unseen: the provider, asked to close it, did not know it.
	Unseen bool `json:"unseen"`
}

// Known reports whether the row has been read.
func (s PaymentState) Known() bool { return s.Status != "" }

// Preparing reports whether there is nothing to show to a payer yet.
func (s PaymentState) Preparing() bool { return s.Status == "processing" }

// Unwanted reports whether no payer is wanted any more.
func (s PaymentState) Unwanted() bool { return s.Final || s.Cancelling }

// Attempt returns the live attempt of that id; false when it is at its end.
func (s PaymentState) Attempt(id string) (AttemptState, bool) {
	for _, attempt := range s.Live {
		if attempt.ID == id {
			return attempt, true
		}
	}
	return AttemptState{}, false
}

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
	// Redirect: the tenant has said where the money of an abnormal refund goes, and it
	// was not sent yet.
	Redirect bool `json:"redirect"`
}

// LateState is what a workflow knows of an attempt that may have been paid after
// its end.
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
	logger(ctx).Error("a provider's answer contradicts our order; nothing is booked",
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
