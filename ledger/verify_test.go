package ledger_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/ledger"
)

// Edits that only a superuser with the triggers off can make, and the invariants
// that must name them.
func TestVerifyFindsEveryKindOfBreak(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.newTenant("licensed_reserve")
	b.mustPost(collect("p1", "mch_a", 500))
	_, err := b.hold(held("h1", 100))
	require.NoError(t, err)
	b.mustPost(spend("p2", "mch_a", 60, "h1"), entry(ledger.Fee, "p1",
		leg(ledger.MerchantAvailable, "mch_a", 10), leg(ledger.OwnStakeInCustody, "", -10),
		leg(ledger.CustodyClaim, "", 10), leg(ledger.FeeIncome, "", -10)))
	b.requireSound()
	names := strings.NewReplacer("$A", "'"+b.balance(key(ledger.MerchantAvailable, "mch_a")).ID+"'",
		"$K", "'"+b.balance(key(ledger.CustodyClaim, "")).ID+"'", "$U", "'"+other+"'")

	for _, c := range []struct{ name, edit, finds string }{
		{"amount changed", `update postings set amount = amount + 1 where account_id = $A and leg = 2`, "C1 C2 C3 C6"},
		{"both amounts changed", `update postings set amount = amount * 2`, "C3 C6 C9"},
		{"posting deleted", `delete from postings where account_id = $A`, "C1 C2 C3 C5 C6 C9"},
		{"entry emptied", `delete from postings where entry_seq = (select min(seq) from entries)`, "C3 C4 C5 C6"},
		{"balance changed", `update ledger_accounts set posted = posted + 1 where id = $A`, "C3"},
		{"held changed", `update ledger_accounts set held = 0 where id = $A`, "C3"},
		{"below the floor", `alter table ledger_accounts drop constraint ledger_accounts_floor; update ledger_accounts set posted = -5 where id = $A`, "C3 C4"},
		{"balance after changed", `update postings set balance_after = 7 where account_id = $A and leg = 2`, "C6"},
		{"sequence changed", `update postings set account_seq = 9 where account_id = $A and leg = 1`, "C6"},
		{"last sequence changed", `update ledger_accounts set last_seq = 9 where id = $A`, "C6"},
		{"kind changed", `update entries set kind = 'split' where number = 'p2'`, "C5"},
		{"currency changed", `update entries set currency = 'USD' where number = 'p1'`, "C5"},
		{"legs changed", `update entries set legs = 3 where number = 'p1'`, "C5"},
		{"reference doubled", `alter table entries drop constraint entries_reference; update entries set kind = 'collect', number = 'p1'`, "C8"},
		{"unique index gone", `alter table holds drop constraint holds_reference`, "C8"},
		{"hold captured without posting", `update holds set captured = captured + 1`, "C3 C9"},
		{"hold deleted", `delete from holds`, "C3 C9"},
		{"posting of another tenant", `update postings set tenant_id = $U where account_id = $A and leg = 2`, "C1 C2 C3 C5 C6 C23"},
		{"account moved to another tenant", `update ledger_accounts set tenant_id = $U where id = $A`, "C23"},
		{"tenant gone", `delete from tenants where id <> $U`, "C23"},
		{"booked before the tenant was there", `update entries set booked_at = booked_at - interval '1 day' where number = 'p2'`, "C23 C26"},
		{"booked in the future", `update entries set booked_at = booked_at + interval '1 hour' where number = 'p2'`, "C23 C26"},
		{"amount out of range", `alter table postings drop constraint postings_amount_check; update postings set amount = amount * 100000000000000`, "C3 C26"},
		{"stake without claim", `update postings set amount = amount + 1 where account_id = $K`, "C1 C2 CUSTODY"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := context.Background()
			tx, err := b.Pool.Begin(ctx)
			require.NoError(t, err)
			defer func() { require.NoError(t, tx.Rollback(ctx)) }()
			_, err = tx.Exec(ctx, `set local session_replication_role = replica; `+names.Replace(c.edit))
			require.NoError(t, err)
			require.Subset(t, brokenIDs(t, tx), strings.Fields(c.finds))
		})
	}
	b.requireSound()
}

func brokenIDs(t *testing.T, tx pgx.Tx) (ids []string) {
	t.Helper()
	report, err := ledger.Verify(context.Background(), tx, ledger.VerifyOptions{MaxBreaks: 1})
	require.NoError(t, err)
	require.False(t, report.Sound)
	for _, result := range report.Results {
		require.LessOrEqual(t, len(result.Breaks), 1)
		if result.Broken > 0 {
			require.NotEmpty(t, result.Breaks[0].Subject)
			require.NotEmpty(t, result.Breaks[0].Detail)
			ids = append(ids, result.ID)
		}
	}
	return ids
}

func TestVerifyCountsReportsAndScopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mustPost(collect("p1", "mch_a", 500))
	first := b.tenant
	b.tenant = b.newTenant("licensed_reserve")
	b.mustPost(collect("p1", "mch_a", 500), collect("p2", "mch_a", 500))
	_, err := b.Pool.Exec(context.Background(), `update ledger_accounts set posted = posted + 1 where tenant_id = $1 and floor is not null`, b.tenant)
	require.NoError(t, err)
	check := func(tenant string) (report ledger.Report, heard int) {
		require.NoError(t, b.DB.Snapshot(context.Background(), func(tx pgx.Tx) (err error) {
			report, err = ledger.Verify(context.Background(), tx, ledger.VerifyOptions{Tenant: tenant, Progress: func(ledger.Result) { heard++ }})
			return err
		}))
		return report, heard
	}
	sound, heard := check(first)
	require.True(t, sound.Sound)
	require.Equal(t, len(ledger.Invariants()), heard)
	require.EqualValues(t, 1, sound.Results[0].Checked)
	broken, _ := check("")
	require.False(t, broken.Sound)
	require.EqualValues(t, 3, broken.Results[0].Checked)
}
