package api

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/internal/id"
)

// CreateSplitRule implements POST /v1/split_rules.
func (h *handlers) CreateSplitRule(ctx context.Context, r gen.CreateSplitRuleRequestObject) (gen.CreateSplitRuleResponseObject, error) {
	c, body := callOf(ctx), r.Body
	legs := mapped(body.Legs, func(l gen.SplitRuleLeg) split.RuleLeg {
		leg := split.RuleLeg{Receiver: split.Receiver(l.Receiver), MerchantID: text(l.MerchantID), Type: split.LegType(l.Type)}
		if l.BasisPoints != nil {
			leg.BasisPoints = *l.BasisPoints
		}
		return leg
	})
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusCreated,
		create: func(tx pgx.Tx) (string, error) {
			rule, err := split.CreateRule(c.ctx, tx, c.tenant, split.NewRule{MerchantID: body.MerchantID, Legs: legs})
			return rule.ID, err
		},
		show: func(tx pgx.Tx, ruleID string) (any, error) {
			found, err := split.GetRule(c.ctx, tx, c.tenant, ruleID)
			return showRule(found), err
		},
	})
}

// GetSplitRule implements GET /v1/split_rules/{split_rule_id}.
func (h *handlers) GetSplitRule(ctx context.Context, r gen.GetSplitRuleRequestObject) (gen.GetSplitRuleResponseObject, error) {
	c := callOf(ctx)
	var found split.Rule
	err := h.read(c, func(tx pgx.Tx) (err error) {
		found, err = split.GetRule(c.ctx, tx, c.tenant, r.SplitRuleID)
		return err
	})
	return gen.GetSplitRule200JSONResponse(showRule(found)), err
}

// ListSplitRules implements GET /v1/split_rules.
func (h *handlers) ListSplitRules(ctx context.Context, r gen.ListSplitRulesRequestObject) (gen.ListSplitRulesResponseObject, error) {
	c := callOf(ctx)
	page, err := readPage(r.Params.Limit, r.Params.Cursor, id.SplitRule)
	if err != nil {
		return nil, err
	}
	var list []split.Rule
	var last string
	err = h.read(c, func(tx pgx.Tx) (err error) {
		list, last, err = split.ListRules(c.ctx, tx, c.tenant, split.RuleFilter{
			MerchantID: text(r.Params.MerchantID), Before: page.before, Limit: page.limit,
		})
		return err
	})
	return gen.ListSplitRules200JSONResponse{Data: mapped(list, showRule), NextCursor: nextCursor(last)}, err
}

// CreateSplitPreview implements POST /v1/split_previews. It makes no object; the
// key remembers the merchant asked about.
func (h *handlers) CreateSplitPreview(ctx context.Context, r gen.CreateSplitPreviewRequestObject) (gen.CreateSplitPreviewResponseObject, error) {
	c, body := callOf(ctx), r.Body
	preview := func(tx pgx.Tx) ([]split.Leg, error) {
		return split.Preview(c.ctx, tx, c.tenant, body.MerchantID, readAmount(body.Amount))
	}
	return h.accepted(c, creation{
		key:    r.Params.IdempotencyKey,
		status: http.StatusOK,
		create: func(tx pgx.Tx) (string, error) {
			_, err := preview(tx)
			return body.MerchantID, err
		},
		show: func(tx pgx.Tx, _ string) (any, error) {
			legs, err := preview(tx)
			return gen.SplitPreview{
				MerchantID: body.MerchantID, Amount: showAmount(readAmount(body.Amount)), Legs: mapped(legs, showLeg),
			}, err
		},
	})
}

func showRule(r split.Rule) gen.SplitRule {
	return gen.SplitRule{
		ID: r.ID, MerchantID: r.MerchantID, Version: r.Version, CreatedAt: showTime(r.CreatedAt),
		Legs: mapped(r.Legs, func(l split.RuleLeg) gen.SplitRuleLeg {
			leg := gen.SplitRuleLeg{Receiver: gen.Receiver(l.Receiver), MerchantID: orNull(l.MerchantID), Type: gen.SplitRuleLegType(l.Type)}
			if l.BasisPoints != 0 {
				leg.BasisPoints = &l.BasisPoints
			}
			return leg
		}),
	}
}
