package cashier

import (
	"context"
	"time"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// Desk is the platform as the cashier needs it. A token that is not known is a
// fault.NotFound; every other refusal is a fault the payer can be told about.
type Desk interface {
	// Order returns what the checkout token stands for.
	Order(ctx context.Context, token string) (Order, error)
	// Choose adds an attempt by the chosen way, or keeps the open one of that way.
	// The same nonce adds one attempt at most. It waits a few seconds at most for
	// what the payer has to do next.
	Choose(ctx context.Context, token string, c Choice) error
	// AskPayer returns the provider's address that finds out who the payer is and
	// comes back to the OAuth route of w's channel.
	AskPayer(ctx context.Context, token string, w Way) (string, error)
	// PayerCame ends what AskPayer began: it takes state, which is good once, and
	// the provider's code, and chooses the way for that payer. It returns the
	// checkout token also when the payer could not be found out.
	PayerCame(ctx context.Context, channelName string, came Came) (token string, err error)
	// Link returns what the token of a payment link stands for.
	Link(ctx context.Context, token string) (Link, error)
	// OpenLink makes a payment for one payer and returns its checkout token; the
	// same nonce makes one payment.
	OpenLink(ctx context.Context, token string, o Opening) (checkoutToken string, err error)
}

// Way is one way to pay: a provider and one of its products.
type Way struct {
	Channel string
	Product channel.Product
}

// Offer is a way that this payment can be paid by.
type Offer struct {
	Way
	// AsksPayer: the payer has to be found out first; see Desk.AskPayer.
	AsksPayer bool
}

// Choice is a payer's click.
type Choice struct {
	Way
	// Nonce is the click's own: a second click of the same button carries the same.
	Nonce string
	// PayerIP is the address the browser came from.
	PayerIP string
	// ReturnPath is the page of ours that the provider sends the payer back to.
	ReturnPath string
}

// Came is what a provider's OAuth sends back.
type Came struct {
	State, Code string
	PayerIP     string
}

// Status is how a payment stands, in the payer's words.
type Status string

const (
	// Waiting: it can be paid, or it is being found out whether it was.
	Waiting Status = "waiting"
	// Paid: the money arrived.
	Paid Status = "paid"
	// Expired: the payer's time was over.
	Expired Status = "expired"
	// Cancelled: the merchant took it back.
	Cancelled Status = "cancelled"
	// Failed: the only way it could be paid was refused.
	Failed Status = "failed"
)

// Order is a payment as its payer may see it: nothing about other people, and
// nothing about the payer.
type Order struct {
	Merchant, Subject, Reference string
	Amount                       money.Amount
	Status                       Status
	// Left is how long the payer may still take, on the business clock.
	Left time.Duration
	// ReturnURL is where the payer goes afterwards; empty: nowhere.
	ReturnURL string
	// PaidBy is the way that it was paid, once it is.
	PaidBy Way
	// Tries are the attempts, oldest first.
	Tries []Try
	// Offers are the ways it can be paid by.
	Offers []Offer
}

// TryState is how one attempt stands.
type TryState string

const (
	// TryPreparing: the provider is being asked.
	TryPreparing TryState = "preparing"
	// TryOpen: the payer can pay it, by its Action.
	TryOpen TryState = "open"
	// TryRefused: the provider did not take it.
	TryRefused TryState = "refused"
	// TryOver: it can no longer be paid, or it was paid.
	TryOver TryState = "over"
)

// Try is one attempt.
type Try struct {
	Way
	State  TryState
	Action channel.Action
	// Code is our code of the refusal.
	Code string
}

// Link is a payment link as its payer may see it.
type Link struct {
	Merchant, Subject string
	// Amount is fixed, or zero when the payer enters it between Min and Max.
	Amount, Min, Max money.Amount
	// Closed: it takes no new payer, by its status, its time or its number of uses.
	Closed bool
}

// Opening is a payer who goes on from a link.
type Opening struct {
	Nonce string
	// Amount is what the payer entered; zero for a link whose amount is fixed.
	Amount money.Amount
}
