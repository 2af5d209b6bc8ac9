package books

import (
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// Pocket says where a merchant's money lies: still to be settled to it
// (pending), free to withdraw (available), or kept as its security deposit 保证金.
type Pocket struct {
	Merchant  string
	Available bool
	// Deposit goes before Available.
	Deposit bool
}

// Account is the account of the pocket.
func (p Pocket) Account(currency money.Currency) ledger.AccountKey {
	if p.Deposit {
		return ledger.AccountKey{Type: ledger.MerchantDeposit, Owner: p.Merchant, Currency: currency}
	}
	return MerchantAccount(p.Merchant, currency, p.Available)
}

// MerchantAccount is the account of a merchant's pending or available money.
func MerchantAccount(merchantID string, currency money.Currency, available bool) ledger.AccountKey {
	if available {
		return ledger.AccountKey{Type: ledger.MerchantAvailable, Owner: merchantID, Currency: currency}
	}
	return ledger.AccountKey{Type: ledger.MerchantPending, Owner: merchantID, Currency: currency}
}

// ChannelUnsettledAccount is what a provider has collected for us and not yet settled.
func ChannelUnsettledAccount(channelAccountID string, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.ChannelUnsettled, Owner: channelAccountID, Currency: currency}
}

// ChannelBalanceAccount is our balance at a provider, from which it pays out.
func ChannelBalanceAccount(channelAccountID string, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.ChannelBalance, Owner: channelAccountID, Currency: currency}
}

// ChannelSuspenseAccount is money that was sent back to a provider and waits there for
// a destination; it is not in our balance.
func ChannelSuspenseAccount(channelAccountID string, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.ChannelSuspense, Owner: channelAccountID, Currency: currency}
}

// UnidentifiedAccount is money a provider received for nobody we know yet.
func UnidentifiedAccount(channelAccountID string, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.UnidentifiedReceipts, Owner: channelAccountID, Currency: currency}
}

// TransitAccount is a merchant's money that a provider has accepted to pay out.
func TransitAccount(merchantID string, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.PayoutInTransit, Owner: merchantID, Currency: currency}
}

// UserAccount is a user's money; name tells several accounts of a user apart, ""
// is the usual one.
func UserAccount(userID string, currency money.Currency, name string) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.UserCash, Owner: userID, Currency: currency, Name: name}
}

// CustodyBankAccount is client money at a custodian bank (存管).
func CustodyBankAccount(bankAccountID string, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.CustodyBank, Owner: bankAccountID, Currency: currency}
}

// bonusAccount is what was granted to a user and not spent.
func bonusAccount(userID string, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.UserBonus, Owner: userID, Currency: currency}
}

// receivableAccount is what a merchant owes the tenant.
func receivableAccount(merchantID string, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.MerchantReceivable, Owner: merchantID, Currency: currency}
}

// own is one of the tenant's own accounts, which have no owner.
func own(t ledger.Type, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: t, Currency: currency}
}
