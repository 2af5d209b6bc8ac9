package party

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/internal/id"
)

// CodePrincipalRequired is the refusal to show personal data to a key that belongs to
// nobody.
const CodePrincipalRequired = "principal_required"

// Look is somebody's wish to see who a merchant's payee really is.
type Look struct {
	MerchantID         string
	KeyID, PrincipalID string
	Reason             string
}

// Unmask keeps, for the audit log, that somebody looks and why, and returns the id of
// that and the real payout account: show it after tx has committed, to that somebody,
// and keep it nowhere. An unknown merchant is NotFound; refused are a look without a
// principal, a merchant without a payout account and a payee who was forgotten.
func Unmask(ctx context.Context, tx pgx.Tx, box *secret.Box, tenant string, l Look) (string, PayoutAccount, error) {
	m, err := Get(ctx, tx, tenant, l.MerchantID)
	switch {
	case err != nil:
		return "", PayoutAccount{}, err
	case l.PrincipalID == "":
		return "", PayoutAccount{}, &fault.Error{Kind: fault.KindForbidden, Code: CodePrincipalRequired,
			Detail: "Personal data are shown to a person whose name is kept; use an API key of a principal."}
	case m.PayoutAccount == nil:
		return "", PayoutAccount{}, noPayoutAccount()
	case m.PayoutAccount.ForgottenAt != nil:
		return "", PayoutAccount{}, PayeeForgotten()
	}
	unmaskingID := id.New(id.Unmasking)
	_, err = tx.Exec(ctx, `
		insert into unmaskings (tenant_id, id, merchant_id, reason, key_id, principal_id) values ($1, $2, $3, $4, $5, $6)`,
		tenant, unmaskingID, l.MerchantID, l.Reason, l.KeyID, l.PrincipalID)
	if err != nil {
		return "", PayoutAccount{}, fmt.Errorf("keep a look: %w", err)
	}
	account, err := m.PayoutAccount.Open(ctx, tx, box)
	return unmaskingID, account, err
}
