package channeltest

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/suanpan/suanpan/core/channel"
)

// Operation names a call, so that a Harness can aim a fault at it.
type Operation string

// The operations of the port.
const (
	Prepay        Operation = "prepay"
	QueryTrade    Operation = "query trade"
	CloseTrade    Operation = "close trade"
	Refund        Operation = "refund"
	QueryRefund   Operation = "query refund"
	Transfer      Operation = "transfer"
	QueryTransfer Operation = "query transfer"
	BillAddress   Operation = "bill address"
	BillFile      Operation = "bill file"
	PayByCode     Operation = "pay by code"
	CancelTrade   Operation = "cancel trade"
	FindPayer     Operation = "find payer"
)

// Trouble is what happens to the next call of an operation.
type Trouble string

// The troubles a provider, or the way to it, can make.
const (
	// LostReply does the work and drops the connection.
	LostReply Trouble = "lost reply"
	// ErrorAfterSuccess does the work and answers "system error".
	ErrorAfterSuccess Trouble = "system error after success"
	// ProxyPage does the work; a proxy in between answers 502 with a page.
	ProxyPage Trouble = "502 page after success"
	// ErrorBefore does nothing and answers "system error".
	ErrorBefore Trouble = "system error, nothing done"
	// BadSignature does the work and signs the answer wrongly.
	BadSignature Trouble = "bad signature"
	// Garbage does the work and answers half a message.
	Garbage Trouble = "garbage"
	// Slow does the work and answers after the adapter's patience has ended.
	Slow Trouble = "slow"
)

// Movement is one movement of money in the provider's own books, in fen,
// positive towards the merchant.
type Movement struct {
	// Kind is payment, refund or transfer; fees and returns are left out.
	Kind   string
	Number string
	Fen    int64
}

// Phone is what comes of scanning the code on a payer's phone.
type Phone string

// The phones.
const (
	// PhonePays lets the money move at once.
	PhonePays Phone = "pays"
	// PhoneAsks makes the payer confirm on the phone.
	PhoneAsks Phone = "asks"
	// PhoneEmpty has no money: the provider refuses.
	PhoneEmpty Phone = "empty"
)

// Fund is one change of the merchant's balance in the provider's own books, in fen.
type Fund struct {
	Number       string
	Fen, Balance int64
}

// Contract is what the merchant agreed with the provider. Each merchant starts
// with a balance of nothing and pays 0.6 % of a payment, in fen, rounded.
type Contract struct {
	// FeeReturned says that a refund gives the fee back in proportion.
	FeeReturned bool
}

// Harness is one adapter with a provider to speak to. Its methods fail the
// test themselves.
type Harness interface {
	// Adapter is the adapter under test, with a patience of Patience.
	Adapter() channel.Adapter
	// Stranger is the same adapter for another merchant of the same provider.
	Stranger() channel.Adapter
	// ExistsBeforeScan says whether a prepared trade is known to the provider
	// before a payer scans its code.
	ExistsBeforeScan() bool
	// Stage says what the provider knows of a trade of product that was prepared,
	// and after the payer's side took up its action, both before anybody pays.
	Stage(product channel.Product) (prepared, followed channel.TradeState)
	// Follow does what the payer's side does with an action: the browser goes to
	// the address, the app or the page hands the parameters to the provider's app.
	Follow(t *testing.T, product channel.Product, action channel.Action)
	// Refuses makes the payer's side try a spoiled action and holds that it is refused.
	Refuses(t *testing.T, product channel.Product, action channel.Action)
	// Payer is who a payer is to the merchant at the provider.
	Payer(t *testing.T) string
	// Code is a new code on a payer's phone.
	Code(t *testing.T, phone Phone) string
	// Decline is the payer saying no.
	Decline(t *testing.T, number string)
	// Authorize sends the payer's browser to an AuthorizeURL, lets the payer agree,
	// and returns the address at which the browser comes back.
	Authorize(t *testing.T, address string) *url.URL
	// CodeParameter is the name under which that address has the code.
	CodeParameter() string
	// Funds are the changes of the merchant's balance on a day, oldest first.
	Funds(t *testing.T, day string) []Fund
	// NotifyURL is where the provider may send notifications.
	NotifyURL() string

	// Scan and Pay are acts of the payer; late lets a closed or expired trade be
	// paid, as happens when payment and closing race.
	Scan(t *testing.T, number string)
	Pay(t *testing.T, number string, late bool)
	// TopUp puts fen on the merchant's balance.
	TopUp(t *testing.T, fen int64)
	// FinishRefund lets an accepted refund succeed now.
	FinishRefund(t *testing.T, number string)
	// Make orders a trouble for the next call of op that names number (any
	// number when empty).
	Make(t *testing.T, trouble Trouble, op Operation, number string)
	// Now is the provider's business time; Advance moves it.
	Now(t *testing.T) time.Time
	Advance(t *testing.T, by time.Duration)
	// Movements are those of the merchant under number.
	Movements(t *testing.T, number string) []Movement
	// Notifications delivers what is due and returns the requests as received,
	// each with its body.
	Notifications(t *testing.T) []Delivery
}

// Delivery is a notification as it arrived.
type Delivery struct {
	Request *http.Request
	Body    []byte
}

// Patience is the time an adapter under test waits for an answer. It is long,
// because these tests share a machine with others; a test of slowness bounds its
// own calls.
const Patience = 30 * time.Second
