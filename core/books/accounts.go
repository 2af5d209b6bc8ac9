package books

import (
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// Pocket says where a merchant's money lies: still to be settled to it
// (pending), or free to withdraw (available).
type Pocket struct {
	Merchant  string
	Available bool
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

// UnidentifiedAccount is money a provider received for nobody we know yet.
func UnidentifiedAccount(channelAccountID string, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.UnidentifiedReceipts, Owner: channelAccountID, Currency: currency}
}

// TransitAccount is a merchant's money that a provider has accepted to pay out.
func TransitAccount(merchantID string, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.PayoutInTransit, Owner: merchantID, Currency: currency}
}

// own is one of the tenant's own accounts, which have no owner.
func own(t ledger.Type, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: t, Currency: currency}
}
