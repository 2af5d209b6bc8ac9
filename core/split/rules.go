package split

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// NewRule is what CreateRule needs. ID may be empty, then one is minted.
type NewRule struct {
	ID         string
	MerchantID string
	Legs       []RuleLeg
}

// CreateRule stores the next version of a merchant's rule, in force as soon as
// tx commits. Faults: Invalid naming the field ("legs[2].basis_points"),
// Refused for a merchant that does not exist, for a circle over the rules of
// several merchants, for too many levels or receivers. Rules of one tenant are
// created one after another (an advisory lock until tx ends), because two new
// rules can make a circle that neither makes alone.
func CreateRule(ctx context.Context, tx pgx.Tx, tenant string, n NewRule) (Rule, error) {
	rule := Rule{ID: n.ID, MerchantID: n.MerchantID, Legs: n.Legs}
	if rule.ID == "" {
		rule.ID = id.New(id.SplitRule)
	}
	if id.Check(id.SplitRule, rule.ID) != nil {
		return Rule{}, fault.Invalid("id", "id_malformed", "a split rule's id is spr_ and a 26-character ULID")
	}
	if err := rule.Check(); err != nil {
		return Rule{}, err
	}
	if err := requireReceivers(ctx, tx, tenant, rule); err != nil {
		return Rule{}, err
	}
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('split_rules ' || $1, 0))`, tenant); err != nil {
		return Rule{}, fmt.Errorf("lock split rules: %w", err)
	}
	if err := checkAgainstOthers(ctx, tx, tenant, rule); err != nil {
		return Rule{}, err
	}
	return insertRule(ctx, tx, tenant, rule)
}

func requireReceivers(ctx context.Context, q pg.Querier, tenant string, rule Rule) error {
	asked := []string{rule.MerchantID}
	for _, leg := range rule.Legs {
		if leg.Receiver == ToMerchant {
			asked = append(asked, leg.MerchantID)
		}
	}
	missing, err := party.Missing(ctx, q, tenant, asked)
	if err != nil || len(missing) == 0 {
		return err
	}
	for i, leg := range rule.Legs {
		if leg.MerchantID == missing[0] && leg.MerchantID != rule.MerchantID {
			return party.NotFoundIn(legField(i, "merchant_id"))
		}
	}
	return party.NotFoundIn("merchant_id")
}

// checkAgainstOthers gathers the rules that money on its way to or from rule's
// merchant may meet, puts rule among them and checks the whole.
func checkAgainstOthers(ctx context.Context, q pg.Querier, tenant string, rule Rule) error {
	rows, err := q.Query(ctx, `
		with recursive in_force as materialized (
			select distinct on (merchant_id) merchant_id, id from split_rules
			where tenant_id = $1 order by merchant_id, version desc
		), payers (merchant_id) as (
			select $2::text
			union
			select f.merchant_id from payers p
			join split_rule_legs l on l.tenant_id = $1 and l.merchant_id = p.merchant_id
			join in_force f on f.id = l.rule_id
		)
		select merchant_id from payers`, tenant, rule.MerchantID)
	if err != nil {
		return fmt.Errorf("find payers: %w", err)
	}
	starts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("find payers: %w", err)
	}
	for _, leg := range rule.Legs {
		if leg.Receiver == ToMerchant {
			starts = append(starts, leg.MerchantID)
		}
	}
	met, err := rulesFrom(ctx, q, tenant, starts)
	if err != nil {
		return err
	}
	met.rules[rule.MerchantID] = rule
	return checkGraph(met.rules, rule)
}

func insertRule(ctx context.Context, tx pgx.Tx, tenant string, rule Rule) (Rule, error) {
	err := tx.QueryRow(ctx, `
		insert into split_rules (tenant_id, id, merchant_id, version)
		select $1, $2, $3, coalesce(max(version), 0) + 1 from split_rules
		where tenant_id = $1 and merchant_id = $3
		returning version, created_at`,
		tenant, rule.ID, rule.MerchantID).Scan(&rule.Version, &rule.CreatedAt)
	if err != nil {
		return Rule{}, fmt.Errorf("create split rule: %w", err)
	}
	var receivers, merchants, types []string
	var basisPoints []int
	for _, leg := range rule.Legs {
		receivers = append(receivers, string(leg.Receiver))
		merchants = append(merchants, leg.MerchantID)
		types = append(types, string(leg.Type))
		basisPoints = append(basisPoints, leg.BasisPoints)
	}
	_, err = tx.Exec(ctx, `
		insert into split_rule_legs (tenant_id, rule_id, position, receiver, merchant_id, type, basis_points)
		select $1, $2, l.n - 1, l.receiver, nullif(l.merchant_id, ''), l.type, nullif(l.basis_points, 0)
		from unnest($3::text[], $4::text[], $5::text[], $6::int[])
			with ordinality l (receiver, merchant_id, type, basis_points, n)`,
		tenant, rule.ID, receivers, merchants, types, basisPoints)
	if err != nil {
		return Rule{}, fmt.Errorf("create split rule: %w", err)
	}
	return rule, nil
}

// selectRules reads rules with their legs, one row a leg.
const selectRules = `
	select r.id, r.merchant_id, r.version, r.created_at,
	       l.receiver, coalesce(l.merchant_id, ''), l.type, coalesce(l.basis_points, 0)
	from split_rules r join split_rule_legs l on l.tenant_id = r.tenant_id and l.rule_id = r.id`

// collectRules folds rows of selectRules, which must be ordered by rule and
// position, into rules.
func collectRules(rows pgx.Rows) ([]Rule, error) {
	var rules []Rule
	var r Rule
	var leg RuleLeg
	_, err := pgx.ForEachRow(rows, []any{
		&r.ID, &r.MerchantID, &r.Version, &r.CreatedAt,
		&leg.Receiver, &leg.MerchantID, &leg.Type, &leg.BasisPoints,
	}, func() error {
		if len(rules) == 0 || rules[len(rules)-1].ID != r.ID {
			rules = append(rules, r)
		}
		last := &rules[len(rules)-1]
		last.Legs = append(last.Legs, leg)
		return nil
	})
	return rules, err
}

// GetRule returns one version of a rule by its id, or a NotFound fault.
func GetRule(ctx context.Context, q pg.Querier, tenant, ruleID string) (Rule, error) {
	rows, err := q.Query(ctx, selectRules+` where r.tenant_id = $1 and r.id = $2 order by l.position`, tenant, ruleID)
	if err != nil {
		return Rule{}, fmt.Errorf("read split rule: %w", err)
	}
	rules, err := collectRules(rows)
	if err != nil {
		return Rule{}, fmt.Errorf("read split rule: %w", err)
	}
	if len(rules) == 0 {
		return Rule{}, fault.NotFound()
	}
	return rules[0], nil
}

// RuleFilter narrows ListRules; empty fields do not filter.
type RuleFilter struct {
	MerchantID string
	// Before continues a list after the rule with this id.
	Before string
	// Limit is 1 to 100; other values mean the nearest of them, 0 means 20.
	Limit int
}

func (f RuleFilter) limit() int {
	switch {
	case f.Limit == 0:
		return 20
	case f.Limit < 1:
		return 1
	}
	return min(f.Limit, 100)
}

// ListRules returns rules of all versions, newest first, and the id to put into
// RuleFilter.Before for the next page; it is empty on the last page.
func ListRules(ctx context.Context, q pg.Querier, tenant string, f RuleFilter) ([]Rule, string, error) {
	where := []string{"tenant_id = $1"}
	args := []any{tenant}
	and := func(condition string, value any) {
		args = append(args, value)
		where = append(where, condition+" $"+strconv.Itoa(len(args)))
	}
	if f.MerchantID != "" {
		and("merchant_id =", f.MerchantID)
	}
	if f.Before != "" {
		and("id <", f.Before)
	}
	// One rule more than asked tells whether there is a next page.
	limit := f.limit()
	args = append(args, limit+1)
	page := `select id from split_rules where ` + strings.Join(where, " and ") +
		` order by id desc limit $` + strconv.Itoa(len(args))
	rows, err := q.Query(ctx, selectRules+` where r.tenant_id = $1 and r.id in (`+page+`) order by r.id desc, l.position`, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list split rules: %w", err)
	}
	rules, err := collectRules(rows)
	if err != nil {
		return nil, "", fmt.Errorf("list split rules: %w", err)
	}
	if len(rules) <= limit {
		return rules, "", nil
	}
	return rules[:limit], rules[limit-1].ID, nil
}

// surroundings are the merchants that money arriving somewhere can reach.
type surroundings struct {
	// settlements names every such merchant, those without a rule included.
	settlements map[string]party.Settlement
	// rules holds the rule in force of those that have one.
	rules map[string]Rule
}

// rulesFrom reads everything reachable from starts in one statement, hence as
// of one moment: rules created meanwhile are seen all or not at all.
func rulesFrom(ctx context.Context, q pg.Querier, tenant string, starts []string) (surroundings, error) {
	rows, err := q.Query(ctx, `
		with recursive reached (merchant_id) as (
			select unnest($2::text[])
			union
			select l.merchant_id from reached
			cross join lateral (
				select r.id from split_rules r
				where r.tenant_id = $1 and r.merchant_id = reached.merchant_id
				order by r.version desc limit 1) r
			join split_rule_legs l on l.tenant_id = $1 and l.rule_id = r.id
			where l.merchant_id is not null
		)
		select m.id, m.settlement, coalesce(r.id, ''), coalesce(r.version, 0), r.created_at,
		       coalesce(l.receiver, ''), coalesce(l.merchant_id, ''), coalesce(l.type, ''), coalesce(l.basis_points, 0)
		from reached
		join merchants m on m.tenant_id = $1 and m.id = reached.merchant_id
		left join lateral (
			select r.id, r.version, r.created_at from split_rules r
			where r.tenant_id = $1 and r.merchant_id = m.id
			order by r.version desc limit 1) r on true
		left join split_rule_legs l on l.tenant_id = $1 and l.rule_id = r.id
		order by m.id, l.position`, tenant, starts)
	if err != nil {
		return surroundings{}, fmt.Errorf("load split rules: %w", err)
	}
	found := surroundings{settlements: map[string]party.Settlement{}, rules: map[string]Rule{}}
	var merchant string
	var settlement party.Settlement
	var r Rule
	var createdAt *time.Time
	var leg RuleLeg
	_, err = pgx.ForEachRow(rows, []any{
		&merchant, &settlement, &r.ID, &r.Version, &createdAt,
		&leg.Receiver, &leg.MerchantID, &leg.Type, &leg.BasisPoints,
	}, func() error {
		found.settlements[merchant] = settlement
		if r.ID == "" {
			return nil
		}
		rule, ok := found.rules[merchant]
		if !ok {
			rule = Rule{ID: r.ID, MerchantID: merchant, Version: r.Version, CreatedAt: *createdAt}
		}
		rule.Legs = append(rule.Legs, leg)
		found.rules[merchant] = rule
		return nil
	})
	if err != nil {
		return surroundings{}, fmt.Errorf("load split rules: %w", err)
	}
	return found, nil
}
