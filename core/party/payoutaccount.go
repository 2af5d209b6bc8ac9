package party

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/internal/pg"
)

// PayoutAccount is where a merchant's withdrawals go. Account and Name are
// personal data: printing or logging the struct shows them masked.
type PayoutAccount struct {
	// Channel is "alipay".
	Channel string
	// Account is the payee's Alipay login (mobile number or e-mail) or user number.
	Account string
	// Name is the payee's real name, which the provider checks.
	Name string
}

// Masked returns the account as it may be shown.
func (a PayoutAccount) Masked() PayoutAccount {
	return PayoutAccount{Channel: a.Channel, Account: MaskAccount(a.Account), Name: MaskName(a.Name)}
}

// String, GoString and LogValue show the masked form, so that no log line or
// error message can carry the real one by accident.
func (a PayoutAccount) String() string {
	m := a.Masked()
	return m.Channel + " " + m.Account + " " + m.Name
}

// GoString is String.
func (a PayoutAccount) GoString() string { return a.String() }

// LogValue is String.
func (a PayoutAccount) LogValue() slog.Value { return slog.StringValue(a.String()) }

// accountForm accepts what Alipay lets people log in with: a mainland mobile
// number, an e-mail address, or the 16-digit user number.
var accountForm = regexp.MustCompile(`^(1[0-9]{10}|2088[0-9]{12}|[^@\s]{1,64}@[A-Za-z0-9.-]{1,63})$`)

func (a PayoutAccount) check() error {
	if a.Channel != "alipay" {
		return fault.Invalid("payout_account.channel", "channel_unknown", "payout_account.channel must be alipay")
	}
	if !accountForm.MatchString(a.Account) {
		return fault.Invalid("payout_account.account", "account_malformed",
			"payout_account.account must be an 11-digit mobile number, an e-mail address or a 16-digit Alipay user number")
	}
	if err := checkText("payout_account.account", a.Account, 128); err != nil {
		return err
	}
	return checkText("payout_account.name", a.Name, 64)
}

// CodeNoPayoutAccount is the refusal to pay out to a merchant without an account.
const CodeNoPayoutAccount = "payout_account_missing"

// PayoutAccountOf returns the real payout account of a merchant. It is personal
// data: only the activity that instructs the transfer may call it, and must
// neither store, log nor return it. A merchant without one, or an unknown
// merchant, is refused with CodeNoPayoutAccount.
func PayoutAccountOf(ctx context.Context, tx pgx.Tx, tenant, merchantID string) (PayoutAccount, error) {
	var a PayoutAccount
	err := tx.QueryRow(ctx, `
		select channel, account, name from merchant_payout_accounts
		where tenant_id = $1 and merchant_id = $2`,
		tenant, merchantID).Scan(&a.Channel, &a.Account, &a.Name)
	if errors.Is(err, pgx.ErrNoRows) {
		return PayoutAccount{}, fault.Refused("merchant_id", CodeNoPayoutAccount,
			"this merchant has no payout account; withdraw for a merchant that was created with one")
	}
	if err != nil {
		return PayoutAccount{}, fmt.Errorf("read payout account: %w", err)
	}
	return a, nil
}

func insertPayoutAccount(ctx context.Context, q pg.Querier, tenant, merchantID string, a PayoutAccount) error {
	_, err := q.Exec(ctx, `
		insert into merchant_payout_accounts (tenant_id, merchant_id, channel, account, name)
		values ($1, $2, $3, $4, $5)`, tenant, merchantID, a.Channel, a.Account, a.Name)
	if err != nil {
		return fmt.Errorf("store payout account: %w", err)
	}
	return nil
}
