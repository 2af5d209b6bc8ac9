package ledger

import "github.com/suanpan/suanpan/money"

// Book is one of the two sets of books of a tenant. Every entry balances in each.
type Book string

const (
	// Trust holds what lies in custody and to whom it belongs.
	Trust Book = "trust"
	// Own holds the tenant's own assets, income and expenses.
	Own Book = "own"
)

// Class says what kind of property an account is; the class matrix is written in classes.
type Class string

// The classes of the chart.
const (
	CustodyAsset         Class = "custody_asset"         // money at providers and banks, clients' and own mixed
	MerchantLiability    Class = "merchant_liability"    // owed to merchants
	UserLiability        Class = "user_liability"        // owed to users
	TransitLiability     Class = "transit_liability"     // instructed to pay out, not yet confirmed
	SuspenseLiability    Class = "suspense_liability"    // received, not yet known for whom
	OwnStake             Class = "own_stake"             // the tenant's own part of the custody assets
	OwnAsset             Class = "own_asset"             // claims of the tenant
	OwnIncome            Class = "own_income"            // what the tenant earned
	OwnExpense           Class = "own_expense"           // what the tenant spent or lost
	PromotionalLiability Class = "promotional_liability" // granted, not withdrawable
)

// Side is the side on which an account grows.
type Side string

// The two sides. Postings carry them as signs: + debit, − credit.
const (
	Debit  Side = "debit"
	Credit Side = "credit"
)

// sign turns a posting's amount into a change of a balance on this side.
func (s Side) sign() int64 {
	if s == Debit {
		return 1
	}
	return -1
}

// Type is one line of the chart of accounts.
type Type string

// The chart of accounts. The comment names the owner.
const (
	ChannelUnsettled     Type = "channel_unsettled"     // channel account: collected, not yet settled by the provider
	ChannelBalance       Type = "channel_balance"       // channel account: settled, payable
	ChannelSuspense      Type = "channel_suspense"      // channel account: sent back to it, waits there for a destination
	Bank                 Type = "bank"                  // bank account
	CustodyBank          Type = "custody_bank"          // custody account
	MerchantPending      Type = "merchant_pending"      // merchant: earned, not yet settled to it
	MerchantAvailable    Type = "merchant_available"    // merchant: free to withdraw
	MerchantDeposit      Type = "merchant_deposit"      // merchant: security deposit
	UserCash             Type = "user_cash"             // user
	PayoutInTransit      Type = "payout_in_transit"     // merchant: the provider accepted, has not confirmed
	UnidentifiedReceipts Type = "unidentified_receipts" // channel account: money of nobody yet, such as paid late
	OwnStakeInCustody    Type = "own_stake_in_custody"  // no owner
	CustodyClaim         Type = "custody_claim"         // no owner: mirrors own_stake_in_custody in the own book
	OwnBank              Type = "own_bank"              // no owner: the tenant's own money outside custody
	MerchantReceivable   Type = "merchant_receivable"   // merchant
	FeeIncome            Type = "fee_income"            // no owner
	ChannelFeeExpense    Type = "channel_fee_expense"   // no owner
	MarketingExpense     Type = "marketing_expense"     // no owner
	Loss                 Type = "loss"                  // no owner
	UserBonus            Type = "user_bonus"            // user
)

// TypeInfo describes a Type. It repeats the database's account_types.
type TypeInfo struct {
	Type       Type
	Class      Class
	Book       Book
	NormalSide Side
	// GLCode is the 科目 under which vouchers are exported.
	GLCode string
	// Owned says whether accounts of the type name an owner.
	Owned bool
	// Floored says whether new accounts have a floor (of zero): their balance is
	// kept under a row lock and cannot be overdrawn. The others are internal.
	Floored bool
}

// Chart returns the chart of accounts in the order of the books: trust, then own.
func Chart() []TypeInfo {
	return []TypeInfo{
		{ChannelUnsettled, CustodyAsset, Trust, Debit, "1012.01", true, false},
		{ChannelBalance, CustodyAsset, Trust, Debit, "1012.02", true, false},
		{ChannelSuspense, CustodyAsset, Trust, Debit, "1012.04", true, false},
		{Bank, CustodyAsset, Trust, Debit, "1002.01", true, false},
		{CustodyBank, CustodyAsset, Trust, Debit, "1012.03", true, false},
		{MerchantPending, MerchantLiability, Trust, Credit, "2241.01", true, true},
		{MerchantAvailable, MerchantLiability, Trust, Credit, "2241.02", true, true},
		{MerchantDeposit, MerchantLiability, Trust, Credit, "2241.03", true, true},
		{UserCash, UserLiability, Trust, Credit, "2241.04", true, true},
		{PayoutInTransit, TransitLiability, Trust, Credit, "2241.05", true, true},
		{UnidentifiedReceipts, SuspenseLiability, Trust, Credit, "2241.06", true, false},
		{OwnStakeInCustody, OwnStake, Trust, Credit, "2241.90", false, false},
		{CustodyClaim, OwnAsset, Own, Debit, "1221.90", false, false},
		{OwnBank, OwnAsset, Own, Debit, "1002.90", false, false},
		{MerchantReceivable, OwnAsset, Own, Debit, "1221.01", true, false},
		{FeeIncome, OwnIncome, Own, Credit, "6001.01", false, false},
		{ChannelFeeExpense, OwnExpense, Own, Debit, "6603.01", false, false},
		{MarketingExpense, OwnExpense, Own, Debit, "6601.01", false, false},
		{Loss, OwnExpense, Own, Debit, "6711.01", false, false},
		{UserBonus, PromotionalLiability, Own, Credit, "2801.01", true, true},
	}
}

// Info describes t; ok is false when the chart has no such type.
func (t Type) Info() (info TypeInfo, ok bool) {
	for _, line := range Chart() {
		if line.Type == t {
			return line, true
		}
	}
	return TypeInfo{}, false
}

// Kind says what an entry records.
type Kind string

// The kinds of entries.
const (
	Collect          Kind = "collect"
	Fee              Kind = "fee"
	FeeRefund        Kind = "fee_refund"
	Split            Kind = "split"
	Settle           Kind = "settle"
	Refund           Kind = "refund"
	Payout           Kind = "payout"
	PayoutReturn     Kind = "payout_return"
	Transfer         Kind = "transfer"
	MarketingFunding Kind = "marketing_funding"
	Advance          Kind = "advance"
	AdvanceRecovery  Kind = "advance_recovery"
	LossCover        Kind = "loss_cover"
	OwnTopup         Kind = "own_topup"
	OwnSweep         Kind = "own_sweep"
	CustodyTransfer  Kind = "custody_transfer"
	Adjustment       Kind = "adjustment"
	Reversal         Kind = "reversal"
)

// Kinds returns every kind of entry.
func Kinds() []Kind {
	return []Kind{Collect, Fee, FeeRefund, Split, Settle, Refund, Payout, PayoutReturn, Transfer, MarketingFunding,
		Advance, AdvanceRecovery, LossCover, OwnTopup, OwnSweep, CustodyTransfer, Adjustment, Reversal}
}

// Classes returns the classes an entry of kind k may touch: k's row of the
// class matrix, which the database repeats. It is nil for an unknown kind.
func (k Kind) Classes() []Class {
	switch k {
	case Collect:
		return []Class{CustodyAsset, MerchantLiability, UserLiability, SuspenseLiability}
	case Fee, FeeRefund:
		return []Class{CustodyAsset, MerchantLiability, UserLiability, OwnStake, OwnAsset, OwnIncome, OwnExpense}
	case Split, Settle:
		return []Class{MerchantLiability}
	case Refund:
		return []Class{CustodyAsset, MerchantLiability, UserLiability, SuspenseLiability, OwnStake, OwnAsset, OwnIncome}
	case Payout, PayoutReturn:
		return []Class{CustodyAsset, MerchantLiability, UserLiability, TransitLiability}
	case Transfer:
		return []Class{MerchantLiability, UserLiability}
	case MarketingFunding:
		return []Class{MerchantLiability, UserLiability, OwnStake, OwnAsset, OwnExpense, PromotionalLiability}
	case Advance, AdvanceRecovery:
		return []Class{MerchantLiability, OwnStake, OwnAsset}
	case LossCover:
		return []Class{CustodyAsset, MerchantLiability, UserLiability, OwnStake, OwnAsset, OwnExpense}
	case OwnTopup, OwnSweep:
		return []Class{CustodyAsset, OwnStake, OwnAsset}
	case CustodyTransfer:
		return []Class{CustodyAsset}
	case Adjustment:
		return []Class{CustodyAsset, MerchantLiability, SuspenseLiability, OwnStake, OwnAsset, OwnIncome, OwnExpense}
	case Reversal:
		return []Class{CustodyAsset, MerchantLiability, UserLiability, TransitLiability, SuspenseLiability,
			OwnStake, OwnAsset, OwnIncome, OwnExpense, PromotionalLiability}
	}
	return nil
}

// AccountKey names an account by what it is for; the account opens on first use.
type AccountKey struct {
	Type Type
	// Owner is the id of a merchant, a channel account or a user, as the type
	// demands, or "" for the tenant's own accounts.
	Owner    string
	Currency money.Currency
	// Name tells several accounts of one owner apart; "" is the usual one.
	Name string
}

// String names the account for people.
func (k AccountKey) String() string {
	text := string(k.Type)
	if k.Owner != "" {
		text += " of " + k.Owner
	}
	if k.Name != "" {
		text += " (" + k.Name + ")"
	}
	return text
}
