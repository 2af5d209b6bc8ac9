package account

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/event"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/ledger"
)

// ChangeStatus freezes, unfreezes or closes an account and returns it as it is
// then. The event commits with the change; the status that the account has already is no change and no event. Faults: NotFound;
// Refused for an account on which facts arrive, for closing one that has money or
// open holds, and for a closed one, which stays closed.
func ChangeStatus(
	ctx context.Context, tx pgx.Tx, tenantID, accountID string, to ledger.Status, reason string,
) (ledger.Account, error) {
	if err := checkReason(reason); err != nil {
		return ledger.Account{}, err
	}
	a, err := lock(ctx, tx, tenantID, accountID)
	if err != nil || a.Status == to {
		return a, err
	}
	if err := ledger.ChangeStatus(ctx, tx, tenantID, a.Key, to, reason); err != nil {
		return a, changeRefusal(err)
	}
	a.Status = to
	err = event.Tell(ctx, tx, tenantID, event.News{
		Type: event.AccountStatusChanged, ObjectID: a.ID, Data: map[string]string{"account_id": a.ID, "status": string(to)},
	})
	return a, err
}

// ChangeLimits replaces all limits of an account; none removes them. What has
// passed stays counted while some limit remains. Events and faults are as those
// of ChangeStatus.
func ChangeLimits(
	ctx context.Context, tx pgx.Tx, tenantID, accountID string, limits []Limit, reason string,
) error {
	if err := checkReason(reason); err != nil {
		return err
	}
	a, err := lock(ctx, tx, tenantID, accountID)
	if err != nil {
		return err
	}
	wanted, err := fromNames(limits)
	if err != nil {
		return err
	}
	now, err := ledger.GetLimits(ctx, tx, tenantID, accountID)
	if err != nil || now.Limits == wanted {
		return err
	}
	if err := ledger.ChangeLimits(ctx, tx, tenantID, a.Key, wanted, reason); err != nil {
		return changeRefusal(err)
	}
	err = event.Tell(ctx, tx, tenantID, event.News{
		Type: event.AccountLimitsChanged, ObjectID: a.ID, Data: map[string]string{"account_id": a.ID},
	})
	return err
}

// lock finds an account that may be changed and locks it, so that the events of
// one account are in the order of its changes.
func lock(ctx context.Context, tx pgx.Tx, tenantID, accountID string) (ledger.Account, error) {
	a, err := ledger.GetAccount(ctx, tx, tenantID, accountID)
	if err != nil {
		return a, changeRefusal(err)
	}
	if err := changeable(a); err != nil {
		return a, err
	}
	if err := ledger.Lock(ctx, tx, tenantID, a.Key); err != nil {
		return a, err
	}
	return ledger.GetAccount(ctx, tx, tenantID, accountID)
}

func changeRefusal(err error) error {
	switch {
	case ledger.IsKind(err, ledger.NotFound):
		return fault.NotFound()
	case ledger.IsKind(err, ledger.AccountStatus):
		return fault.Refused("", CodeClosed, "The account is closed, which is final; open another with POST /v1/accounts.")
	case ledger.IsKind(err, ledger.NotEmpty):
		return fault.Refused("status", "account_not_empty",
			"An account closes at zero and without holds; transfer its money away and release its holds first.")
	}
	return err
}
