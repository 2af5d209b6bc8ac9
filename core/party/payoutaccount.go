package party

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
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

// The codes of refusals about a merchant's payee.
const (
	// CodeNoPayoutAccount: there is no account to pay out to.
	CodeNoPayoutAccount = "payout_account_missing"
	// CodePayeeForgotten: there was one, and its payee was forgotten.
	CodePayeeForgotten = "payee_forgotten"
	// CodePayeeNotSealed: the account is from before payees were sealed.
	CodePayeeNotSealed = "payee_not_sealed"
)

// SealedPayoutAccount is a PayoutAccount as it is kept: under the key of its payee.
type SealedPayoutAccount struct {
	Channel string
	// ForgottenAt is when the payee was forgotten, nil while he is not.
	ForgottenAt *time.Time

	tenant        string
	payee         person
	account, name []byte
	// plain is of an account from before payees were sealed.
	plain *PayoutAccount
}

// Open returns the real payout account, or ErrForgotten. It is personal data: only what
// instructs the transfer may call it, and what shows it to somebody who may see it;
// neither may store or log it.
func (a SealedPayoutAccount) Open(ctx context.Context, q pg.Querier, box *secret.Box) (PayoutAccount, error) {
	if a.plain != nil {
		return *a.plain, nil
	}
	key, err := a.payee.open(ctx, q, box, a.tenant)
	if err != nil {
		return PayoutAccount{}, err
	}
	out := PayoutAccount{Channel: a.Channel}
	if out.Account, err = a.payee.text(key, a.tenant, accountColumn(), a.account); err != nil {
		return PayoutAccount{}, err
	}
	out.Name, err = a.payee.text(key, a.tenant, nameColumn(), a.name)
	return out, err
}

// Masked returns the account as it may be shown: with the word Forgotten for a payee
// who was forgotten.
func (a SealedPayoutAccount) Masked(ctx context.Context, q pg.Querier, box *secret.Box) (PayoutAccount, error) {
	out, err := a.Open(ctx, q, box)
	if errors.Is(err, ErrForgotten) {
		return PayoutAccount{Channel: a.Channel, Account: Forgotten, Name: Forgotten}, nil
	}
	return out.Masked(), err
}

// Frozen is what stands for the account in a hash of what is sent: the sealed texts, so
// that no hash lets anybody try numbers and names.
func (a SealedPayoutAccount) Frozen() []string {
	if a.plain != nil {
		return []string{a.Channel, a.plain.Account, a.plain.Name}
	}
	return []string{a.Channel, a.payee.id, string(a.account), string(a.name)}
}

const payoutColumns = `p.channel, p.account, p.name, coalesce(p.person_id, ''), p.sealed_account, p.sealed_name,
	s.sealed_key, s.forgotten_at`

// fromPayouts joins payout accounts p with their payees s.
const fromPayouts = ` merchant_payout_accounts p left join persons s on s.tenant_id = p.tenant_id and s.id = p.person_id `

// payoutRow is a row of payoutColumns; channel is nil where there is none.
type payoutRow struct {
	channel, account, name *string
	sealed                 SealedPayoutAccount
}

func (r *payoutRow) fields() []any {
	a := &r.sealed
	return []any{&r.channel, &r.account, &r.name, &a.payee.id, &a.account, &a.name, &a.payee.key, &a.ForgottenAt}
}

// value is nil where there is no account.
func (r *payoutRow) value(tenant string) *SealedPayoutAccount {
	if r.channel == nil {
		return nil
	}
	a := r.sealed
	a.Channel, a.tenant = *r.channel, tenant
	if a.payee.id == "" {
		a.plain = &PayoutAccount{Channel: a.Channel, Account: *r.account, Name: *r.name}
	}
	return &a
}

// PayoutAccountToSend is PayoutAccountOf for a transaction that commits that money is
// about to be sent there: until it ends, the payee cannot be forgotten.
func PayoutAccountToSend(ctx context.Context, tx pgx.Tx, tenant, merchantID string) (SealedPayoutAccount, error) {
	// The lock comes first: what is joined before it was waited for may be old.
	_, err := tx.Exec(ctx, `select from persons where tenant_id = $1 and merchant_id = $2 for share`, tenant, merchantID)
	if err != nil {
		return SealedPayoutAccount{}, fmt.Errorf("lock payee: %w", err)
	}
	return PayoutAccountOf(ctx, tx, tenant, merchantID)
}

func noPayoutAccount() error {
	return fault.Refused("merchant_id", CodeNoPayoutAccount,
		"this merchant has no payout account; withdraw for a merchant that was created with one")
}

// PayeeForgotten is the refusal to pay out to somebody who was forgotten.
func PayeeForgotten() error {
	return fault.Refused("merchant_id", CodePayeeForgotten,
		"The merchant's payee was forgotten; nothing is paid out to this merchant any more.")
}

// PayoutAccountOf returns the payout account of a merchant. A merchant without one, or
// an unknown merchant, is refused with CodeNoPayoutAccount.
func PayoutAccountOf(ctx context.Context, q pg.Querier, tenant, merchantID string) (SealedPayoutAccount, error) {
	var row payoutRow
	err := q.QueryRow(ctx, `select `+payoutColumns+` from `+fromPayouts+`
		where p.tenant_id = $1 and p.merchant_id = $2`, tenant, merchantID).Scan(row.fields()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return SealedPayoutAccount{}, noPayoutAccount()
	}
	if err != nil {
		return SealedPayoutAccount{}, fmt.Errorf("read payout account: %w", err)
	}
	return *row.value(tenant), nil
}

// sealPayoutAccount makes a's payee a person and returns the account as it is kept.
func sealPayoutAccount(
	ctx context.Context, q pg.Querier, box *secret.Box, tenant, merchantID string, a PayoutAccount,
) (SealedPayoutAccount, error) {
	payee, key, err := newPerson(ctx, q, box, tenant)
	if err != nil {
		return SealedPayoutAccount{}, err
	}
	if _, err := q.Exec(ctx, sqlInsertPerson, tenant, payee.id, merchantID, payee.key); err != nil {
		return SealedPayoutAccount{}, fmt.Errorf("store payee: %w", err)
	}
	return SealedPayoutAccount{Channel: a.Channel, tenant: tenant, payee: payee,
		account: payee.seal(key, tenant, accountColumn(), a.Account), name: payee.seal(key, tenant, nameColumn(), a.Name)}, nil
}

func insertPayoutAccount(ctx context.Context, q pg.Querier, box *secret.Box, tenant, merchantID string, a PayoutAccount) error {
	sealed, err := sealPayoutAccount(ctx, q, box, tenant, merchantID, a)
	if err != nil {
		return err
	}
	_, err = q.Exec(ctx, `
		insert into merchant_payout_accounts (tenant_id, merchant_id, channel, person_id, sealed_account, sealed_name)
		values ($1, $2, $3, $4, $5, $6)`, tenant, merchantID, a.Channel, sealed.payee.id, sealed.account, sealed.name)
	if err != nil {
		return fmt.Errorf("store payout account: %w", err)
	}
	return nil
}

// ForgetPayee destroys the key of a merchant's payee: account and name open nowhere any
// more, whoever has a copy of them. Idempotent. An unknown merchant is NotFound, one
// without a payout account refused with CodeNoPayoutAccount.
func ForgetPayee(ctx context.Context, tx pgx.Tx, tenant, merchantID, reason string) error {
	if _, err := Get(ctx, tx, tenant, merchantID); err != nil {
		return err
	}
	a, err := PayoutAccountOf(ctx, tx, tenant, merchantID)
	if err != nil {
		return err
	}
	if a.plain != nil {
		return fault.Refused("merchant_id", CodePayeeNotSealed,
			"The payee is from before payees had keys of their own; whoever runs the platform seals it with `starter secrets seal`.")
	}
	return forget(ctx, tx, tenant, `merchant_id = $2`, merchantID, reason)
}

// PlainPayees lists merchants whose payees are from before payees were sealed, at most
// limit of them, as pairs of tenant and merchant. It needs the system role.
func PlainPayees(ctx context.Context, q pg.Querier, limit int) ([][2]string, error) {
	rows, err := q.Query(ctx, `
		select tenant_id, merchant_id from merchant_payout_accounts where person_id is null
		order by tenant_id, merchant_id limit $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("payees in plain: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (of [2]string, err error) {
		err = row.Scan(&of[0], &of[1])
		return of, err
	})
}

// SealPayee seals the payee of a merchant from before payees were sealed, and returns
// the account as it was and as it is kept now; the two are the same when it was sealed
// already. It needs the system role. Idempotent.
func SealPayee(
	ctx context.Context, tx pgx.Tx, box *secret.Box, tenant, merchantID string,
) (before, after SealedPayoutAccount, err error) {
	_, err = tx.Exec(ctx, `
		select from merchant_payout_accounts where tenant_id = $1 and merchant_id = $2 for update`, tenant, merchantID)
	if err != nil {
		return before, after, fmt.Errorf("lock payout account: %w", err)
	}
	before, err = PayoutAccountOf(ctx, tx, tenant, merchantID)
	if err != nil || before.plain == nil {
		return before, before, err
	}
	if after, err = sealPayoutAccount(ctx, tx, box, tenant, merchantID, *before.plain); err != nil {
		return before, after, err
	}
	_, err = tx.Exec(ctx, `
		update merchant_payout_accounts set person_id = $3, sealed_account = $4, sealed_name = $5, account = null, name = null
		where tenant_id = $1 and merchant_id = $2`, tenant, merchantID, after.payee.id, after.account, after.name)
	if err != nil {
		return before, after, fmt.Errorf("seal payee: %w", err)
	}
	return before, after, nil
}
