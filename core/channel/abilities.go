package channel

import (
	"context"
	"time"

	"github.com/suanpan/suanpan/money"
)

// CodeOrder asks a provider to take the money of the payer whose code was scanned.
type CodeOrder struct {
	// Number is our number at the provider: a bare 26-character ULID.
	Number string
	Amount money.Amount
	// Subject is what the payer reads, at most 127 characters.
	Subject string
	// AuthCode is the scanned code: a one-time secret, never logged or kept.
	AuthCode string
	// PayerIP is the address of the till that scanned.
	PayerIP   string
	NotifyURL string
}

// Cancelled is the answer to CancelTrade. Succeeded: the trade holds no money
// and cannot be paid any more. Unknown and Pending: the same call again.
type Cancelled struct {
	Answer
	// Refunded: the payer had paid, and the provider gave the money back.
	Refunded bool
}

// CodeCollector takes payments by the code on the payer's phone (ProductBarcode).
// Both providers ask for the same course: pay, query while the payer confirms
// (Alipay every 3 to 6 s up to 60 s, WeChat Pay every 10 s up to 45 s), then
// cancel until the cancelling is certain.
type CodeCollector interface {
	// PayByCode is a moving call: it is made once, and after Unknown or Pending only
	// QueryTrade and CancelTrade may follow, because the code is good once. Its
	// answer is TradePaid, TradeAwaiting with Outcome Pending (the payer confirms
	// on the phone), or Failed with the provider's refusal.
	PayByCode(ctx context.Context, order CodeOrder) (Trade, error)
	// CancelTrade ends a trade whatever its state, giving a payment back. CodeNotFound
	// with Outcome Failed says that the provider does not know the number.
	CancelTrade(ctx context.Context, number string) (Cancelled, error)
}

// Payer is who a payer is to the provider. ID is personal data: never logged.
type Payer struct {
	Answer
	ID string
}

// PayerFinder finds out who a payer inside the provider's app is, by the
// provider's OAuth, for products with NeedPayerID.
type PayerFinder interface {
	// AuthorizeURL is where the payer's browser goes; the provider sends it back to
	// returnTo with a code and with state.
	AuthorizeURL(returnTo, state string) (string, error)
	// FindPayer exchanges the code; a code is good once and for minutes.
	FindPayer(ctx context.Context, code string) (Payer, error)
}

// FundLine is one line of a provider's journal of the merchant's balance.
type FundLine struct {
	// Row is the line's number in the file or list, 1 for the first.
	Row int
	// Serial is the provider's number of the movement.
	Serial string
	// Number is our number of what was moved, where the provider prints it.
	Number string
	// ChannelNo is the provider's number of what was moved, where it prints it.
	ChannelNo string
	// Kind is the provider's own text of what it was.
	Kind string
	// Amount is signed: positive came into the balance.
	Amount money.Amount
	// Balance is the balance after the line.
	Balance money.Amount
	// At is the moment printed on the line, Asia/Shanghai.
	At time.Time
}

// FundBill is a provider's journal of one day, with the file as evidence.
type FundBill struct {
	Date  string
	Lines []FundLine
	// Raw is the file as downloaded, SHA256 its lower-case hex digest.
	Raw    []byte
	SHA256 string
}

// FundBillResult is the answer of FetchFundBill.
type FundBillResult struct {
	Answer
	State BillState
	Bill  FundBill
}

// FundBiller downloads and parses the journal of the merchant's balance at the
// provider: what the trade bill leaves out (fees, transfers, withdrawals) is here.
type FundBiller interface {
	// FetchFundBill takes date as yyyy-mm-dd; see Biller.FetchTradeBill for errors.
	FetchFundBill(ctx context.Context, date string) (FundBillResult, error)
}

// AbnormalRefund names where the money of a refund goes that could not return
// the way it came.
type AbnormalRefund struct {
	RefundOrder
	// ChannelRefundNo is the provider's number of the refund.
	ChannelRefundNo string
	// ToMerchant gives the money to the merchant's own account at the provider, to
	// be paid out by other means. Otherwise it goes to the payer's bank card below.
	ToMerchant bool
	// Bank, Card and Holder are the payer's bank card; personal data, encrypted on the wire.
	Bank, Card, Holder string
}

// AbnormalRefunder ends refunds whose way back is closed (WeChat Pay, ABNORMAL).
type AbnormalRefunder interface {
	// RedirectRefund is a moving call under the refund's own number.
	RedirectRefund(ctx context.Context, refund AbnormalRefund) (RefundState, error)
}

// CodeAbnormal says that a refund was accepted and its way back is closed: the
// money is out of the merchant's balance and not with the payer. Outcome Pending.
const CodeAbnormal = "REFUND_ABNORMAL"

// CodeRepeatOver accompanies Unknown when the time is over in which a number may be sent
// again: by the provider's word, or by ours. It is asked about and never sent again.
const CodeRepeatOver = "REPEAT_OVER"

// CodeNotSent accompanies Unknown when the request surely never left: nobody was
// reached (refused, no route), or a guard on our side did not let it go. Another
// channel account may be tried instead.
const CodeNotSent = "NOT_SENT"

// Ability names what an adapter can do beyond Adapter, as data.
type Ability string

const (
	AbilityBarcode        Ability = "barcode"
	AbilityPayerID        Ability = "payer_id"
	AbilityTransfer       Ability = "transfer"
	AbilityFundBill       Ability = "fund_bill"
	AbilityAbnormalRefund Ability = "abnormal_refund"
)

// Abilities lists what a can do beyond Adapter.
func Abilities(a Adapter) []Ability {
	list := []Ability{}
	add := func(ability Ability, has bool) {
		if has {
			list = append(list, ability)
		}
	}
	_, barcode := a.(CodeCollector)
	add(AbilityBarcode, barcode)
	_, payer := a.(PayerFinder)
	add(AbilityPayerID, payer)
	_, transfer := a.(Transferer)
	add(AbilityTransfer, transfer)
	_, funds := a.(FundBiller)
	add(AbilityFundBill, funds)
	_, abnormal := a.(AbnormalRefunder)
	add(AbilityAbnormalRefund, abnormal)
	return list
}
