package account

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// The codes of the refusals that only accounts have.
const (
	CodeUnknown       = "account_unknown"
	CodeNotChangeable = "account_not_changeable"
	CodeClosed        = "account_closed"
)

// maxReason bounds a reason in bytes, as the ledger does; the contract counts characters.
const maxReason = 256

func checkReason(reason string) error {
	if reason == "" || len(reason) > maxReason {
		return fault.Invalid("reason", "length_out_of_range", "A reason takes 1 to 256 bytes in UTF-8: 256 Latin or 85 Chinese characters.")
	}
	return nil
}

// Key is a merchant's account of available money. The one without a name is the
// usual one: payments, splits, refunds and withdrawals use it, and it opens with
// the first of them. Others are opened by Open and touched by transfers and holds.
func Key(merchantID, name string, currency money.Currency) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.MerchantAvailable, Owner: merchantID, Currency: currency, Name: name}
}

// Open makes sure that a merchant's account is open and returns its id. It is
// idempotent. Faults: Refused for a merchant that does not exist in the tenant.
func Open(ctx context.Context, tx pgx.Tx, tenantID, merchantID, name string, currency money.Currency) (string, error) {
	if err := party.RequireExisting(ctx, tx, tenantID, "merchant_id", merchantID); err != nil {
		return "", err
	}
	return ledger.Open(ctx, tx, tenantID, Key(merchantID, name, currency))
}

// RequireOpen refuses, as Refused in field, a named account that is not open. The
// usual one needs no opening.
func RequireOpen(ctx context.Context, q pg.Querier, tenantID, field string, key ledger.AccountKey) error {
	if key.Name == "" {
		return nil
	}
	found, err := ledger.Balances(ctx, q, tenantID, key)
	if err != nil {
		return err
	}
	if found[0].ID == "" {
		return fault.Refused(field, CodeUnknown, fmt.Sprintf("The merchant has no account named %s; open it with POST /v1/accounts.", key.Name))
	}
	return nil
}

// changeable refuses a status or limits for an account on which facts arrive. What
// a provider took or paid must be booked, and with it the splits and fees that
// were promised of it; a frozen or limited account would refuse them, and the money
// would stand in no book. Named accounts see nothing but what somebody asks for.
func changeable(a ledger.Account) error {
	if a.Key.Type == ledger.MerchantAvailable && a.Key.Name != "" {
		return nil
	}
	return fault.Refused("", CodeNotChangeable,
		"Status and limits can be changed of a merchant's named accounts. What providers did is booked to this account and must not be "+
			"refused: place a hold on its money, or transfer the money to a named account and freeze or limit that.")
}
