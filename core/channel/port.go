package channel

import (
	"context"
	"net/http"
	"time"

	"github.com/suanpan/suanpan/money"
)

// Outcome says what a provider's answer means for the money.
type Outcome string

const (
	// Succeeded: the provider confirmed, with a verified signature, that it was done.
	Succeeded Outcome = "succeeded"
	// Pending: the provider accepted the instruction and has not finished it; ask again.
	Pending Outcome = "pending"
	// Failed: the provider refused, with a code that says no money moved or will move.
	Failed Outcome = "failed"
	// Unknown: timeout, 5xx, unverifiable or unreadable answer, "system error".
	// Nothing may be concluded; ask again by our own number.
	Unknown Outcome = "unknown"
)

// Answer is what every call to a provider returns: the outcome, and the
// provider's own code and words kept for the timeline and for support. It
// holds no amounts and no personal data.
type Answer struct {
	Outcome Outcome
	// Code is the provider's own code, such as ACQ.TRADE_NOT_EXIST or NOT_ENOUGH;
	// for Unknown without an answer, one of NO_ANSWER, BAD_SIGNATURE, BAD_BODY.
	Code string
	// Message is the provider's text for Code, or the transport error in words.
	Message string
}

// TradeState is the state of one trade (attempt) at the provider.
type TradeState string

const (
	// TradeNotFound: the provider does not know the number. For a QR trade this is
	// normal before the payer scans, so it never means "closed" by itself.
	TradeNotFound TradeState = "not_found"
	// TradeAwaiting: the trade exists and waits for the payer.
	TradeAwaiting TradeState = "awaiting"
	// TradePaid: the payer's money arrived (also after later refunds).
	TradePaid TradeState = "paid"
	// TradeClosed: the trade can no longer be paid and holds no money.
	TradeClosed TradeState = "closed"
)

// PrepayOrder asks a provider to prepare a trade that a payer can pay.
type PrepayOrder struct {
	// Number is our number at the provider: a bare 26-character ULID.
	Number string
	Amount money.Amount
	// Subject is what the payer reads, at most 127 characters.
	Subject string
	// ExpiresAt is the absolute moment after which the provider refuses the payer.
	ExpiresAt time.Time
	// NotifyURL receives the provider's notifications.
	NotifyURL string
	// Product is how the payer pays; every product but ProductBarcode.
	Product Product
	// PayerID, PayerIP and ReturnURL are set when the product's Offer needs them.
	// PayerID is personal data: never logged. The provider sends the payer's
	// browser to ReturnURL; that it comes proves nothing.
	PayerID, PayerIP, ReturnURL string
}

// Prepaid is the answer to a PrepayOrder. Action is set when Outcome is Succeeded.
type Prepaid struct {
	Answer
	Action Action
}

// Trade is what a provider says about one number. The fields after Answer are
// meaningful only when Answer.Outcome is Succeeded (that is: the *query*
// succeeded); State then tells about the trade itself.
type Trade struct {
	Answer
	State          TradeState
	Number         string
	ChannelTradeNo string
	Amount         money.Amount
	PaidAt         time.Time
}

// Collector prepares, queries and closes trades that a payer pays by an act of
// the payer's own. Prepay and Close are instructing calls: they may be resent
// identically. All methods are safe for concurrent use and report transport
// trouble as Unknown; an error return means the caller's own mistake (a field
// out of range) or a context that had ended before anything was sent.
type Collector interface {
	// Offers lists the products this account can take; empty fields of an order
	// that its Offer needs are the caller's mistake.
	Offers() []Offer
	Prepay(ctx context.Context, order PrepayOrder) (Prepaid, error)
	QueryTrade(ctx context.Context, number string) (Trade, error)
	// CloseTrade asks that number can no longer be paid. Succeeded also covers
	// "already closed". Code TRADE_PAID with Outcome Failed says that the trade
	// was paid meanwhile: query it. CodeNotFound with Outcome Failed says that the
	// provider does not know the number: at Alipay a QR nobody scanned yet can
	// still be paid, so only its expiry closes it.
	CloseTrade(ctx context.Context, number string) (Answer, error)
}

// CodeTradePaid is the code CloseTrade answers when the trade is paid, in the
// words of this package because providers spell it differently.
const CodeTradePaid = "TRADE_PAID"

// CodeNoAnswer, CodeBadSignature, CodeBadBody and CodeMismatch accompany
// Unknown. CodeMismatch is a signed answer whose number, amount, currency,
// app or merchant is not what was asked: freeze and alert, never book.
const (
	CodeNoAnswer     = "NO_ANSWER"
	CodeBadSignature = "BAD_SIGNATURE"
	CodeBadBody      = "BAD_BODY"
	CodeMismatch     = "MISMATCH"
)

// RefundOrder asks a provider to give back part or all of a paid trade.
type RefundOrder struct {
	// Number identifies this refund at the provider; TradeNumber the trade.
	Number      string
	TradeNumber string
	Amount      money.Amount
	TradeAmount money.Amount
	Reason      string
	NotifyURL   string
}

// RefundState is what a provider says about one refund number. When the query
// found no such refund, Answer.Outcome is Failed and Code CodeNotFound: resend
// identically under the same number.
type RefundState struct {
	Answer
	Number          string
	ChannelRefundNo string
	Amount          money.Amount
	RefundedAt      time.Time
}

// CodeNotFound says that the provider does not know the number asked about.
const CodeNotFound = "NOT_FOUND"

// CodeChannelBalance says that our own balance at the provider is too small:
// wait, alert and resend under the same number; never a failure of the order.
const CodeChannelBalance = "CHANNEL_BALANCE"

// Refunder gives money back. Refund is a moving call: after Unknown or Pending
// only QueryRefund, or the identical Refund under the same number, may follow.
type Refunder interface {
	Refund(ctx context.Context, order RefundOrder) (RefundState, error)
	QueryRefund(ctx context.Context, order RefundOrder) (RefundState, error)
}

// TransferOrder asks a provider to pay money out of our balance to a payee.
type TransferOrder struct {
	Number string
	Amount money.Amount
	// PayeeAccount and PayeeName are personal data: never logged.
	PayeeAccount string
	PayeeName    string
	Title        string
}

// TransferState is what a provider says about one transfer number. A query
// that found nothing answers Failed with CodeNotFound.
type TransferState struct {
	Answer
	Number            string
	ChannelTransferNo string
	Amount            money.Amount
	PaidAt            time.Time
	// Fee is what the provider took from our balance on top of Amount.
	Fee money.Amount
}

// CodeReturned says that a transfer was paid and then came back from the
// payee's side: Outcome Failed, because no money stays moved. After an earlier
// Succeeded it is a new fact to be booked as a return, not a correction.
const CodeReturned = "RETURNED"

// Transferer pays out. Transfer is a moving call, as Refunder.Refund is.
type Transferer interface {
	Transfer(ctx context.Context, order TransferOrder) (TransferState, error)
	QueryTransfer(ctx context.Context, number string) (TransferState, error)
}

// BillKind tells the two kinds of bill line apart.
type BillKind string

const (
	BillPayment BillKind = "payment"
	BillRefund  BillKind = "refund"
)

// BillLine is one line of a provider's daily trade bill, amounts positive.
type BillLine struct {
	// Row is the line's number in the file, 1 for the first data row.
	Row  int
	Kind BillKind
	// Number is our number: of the attempt for a payment, of the refund for a refund.
	Number string
	// TradeNumber is our number of the attempt, also on refund lines.
	TradeNumber    string
	ChannelTradeNo string
	// ChannelRefundNo is the provider's number of a refund, where it prints one.
	ChannelRefundNo string
	Amount          money.Amount
	// FeeText is the fee exactly as printed, in yuan, positive when the provider
	// takes it and negative when it gives it back ("0.12", "-0.00600"): WeChat
	// prints five decimals, and a sub-fen difference must stay visible.
	FeeText string
	// Status is the provider's own status text for the line.
	Status string
	// At is the moment printed on the line, Asia/Shanghai.
	At time.Time
}

// Bill is a provider's daily bill: the file as received and its parsed lines.
type Bill struct {
	// Date is the provider's day, yyyy-mm-dd.
	Date  string
	Lines []BillLine
	// Total are the sums printed in the file's own footer, cross-checked by the
	// parser; a file whose lines do not add up to its footer is an error.
	PaymentCount, RefundCount int
	PaymentTotal, RefundTotal money.Amount
	// Raw is the file as downloaded (for Alipay the zip, for WeChat the CSV) and
	// SHA256 its lower-case hex digest, kept as evidence.
	Raw    []byte
	SHA256 string
}

// BillState says whether a daily bill could be had.
type BillState string

const (
	// BillReady: Bill holds the parsed bill.
	BillReady BillState = "ready"
	// BillEmpty: the provider says that the day had no trades; Bill has no lines.
	BillEmpty BillState = "empty"
	// BillNotReady: the provider has not produced it yet; ask later.
	BillNotReady BillState = "not_ready"
	// BillUnknown: no usable answer; ask again.
	BillUnknown BillState = "unknown"
	// BillRefused: the provider refuses to give it (permission, date too old).
	BillRefused BillState = "refused"
)

// BillResult is the answer of FetchTradeBill.
type BillResult struct {
	Answer
	State BillState
	Bill  Bill
}

// Biller downloads, verifies and parses the trade bill of one provider day.
type Biller interface {
	// FetchTradeBill takes date as yyyy-mm-dd. A file that does not parse, whose
	// digest is wrong or whose lines do not add up to its footer is reported as
	// an error that names the row; it is never an empty bill.
	FetchTradeBill(ctx context.Context, date string) (BillResult, error)
}

// NotificationKind says what a notification is about.
type NotificationKind string

const (
	NotifyTrade  NotificationKind = "trade"
	NotifyRefund NotificationKind = "refund"
	// NotifyTransfer: money that was paid out; Number and TradeNumber are that of the transfer.
	NotifyTransfer NotificationKind = "transfer"
)

// Notification is a provider's message after its signature, its identity
// (app, seller, merchant) and its encryption were checked. It is only a hint:
// the platform asks the provider itself before money is booked.
type Notification struct {
	// ID is the provider's id, constant over its retries of one event.
	ID   string
	Kind NotificationKind
	// Number is our number of the attempt, of the refund or of the transfer.
	Number string
	// TradeNumber is our number of the attempt, or of the transfer.
	TradeNumber string
	// Amount is the trade's, or of a refund what it gives back; with Cumulative
	// it is what all refunds of the trade gave back so far, this one included.
	Amount     money.Amount
	Cumulative bool
	// TradeAmount is the whole trade's amount where a refund's message prints it.
	TradeAmount money.Amount
	// State is the provider's own status text.
	State string
	// Nonce is the signed text that the provider uses once, where it has one:
	// its retries of one event have others.
	Nonce string
}

// StateAbnormal is the State of a notification about a refund whose way back is closed,
// also when that turns out after it was paid. Only WeChat Pay sends it.
const StateAbnormal = "ABNORMAL"

// Notifier verifies notifications and knows how the provider wants them
// answered.
type Notifier interface {
	// ReadNotification verifies r and its body (already read, bounded by the
	// caller). Any error means: refuse it, write nothing but an audit line.
	ReadNotification(ctx context.Context, r *http.Request, body []byte) (Notification, error)
	// Acknowledge writes the provider's "received" (ok) or "send again" answer.
	Acknowledge(w http.ResponseWriter, ok bool)
}

// Adapter is what each provider package offers at the least. Optional
// abilities (Transferer) are found by type assertion.
type Adapter interface {
	Collector
	Refunder
	Biller
	Notifier
	// Name is the channel's name: "alipay" or "wechatpay".
	Name() string
}
