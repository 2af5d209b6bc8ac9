package api

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/refund"
)

// longestTimeline is how many moments of a payment are shown.
const longestTimeline = 500

// GetPaymentTimeline implements GET /v1/payments/{payment_id}/timeline.
func (h *handlers) GetPaymentTimeline(
	ctx context.Context, r gen.GetPaymentTimelineRequestObject,
) (gen.GetPaymentTimelineResponseObject, error) {
	c := callOf(ctx)
	out := gen.GetPaymentTimeline200JSONResponse{}
	err := h.read(c, func(tx pgx.Tx) error {
		if _, err := payment.Get(c.ctx, tx, c.tenant, r.PaymentID); err != nil {
			return err
		}
		moments, err := refund.Timeline(c.ctx, tx, c.tenant, r.PaymentID, longestTimeline)
		out.Data = mapped(moments, h.showMoment)
		return err
	})
	return out, err
}

func (h *handlers) showMoment(m channel.Moment) gen.TimelineEntry {
	out := gen.TimelineEntry{
		At: showTime(m.At), Kind: gen.TimelineEntryKind(m.Kind), Name: m.Name,
		ObjectID: orNull(m.ObjectID), Number: orNull(m.Number), Channel: orNull(m.Channel), ChannelAccountID: orNull(m.ChannelAccountID),
		Code: orNull(m.Code), ChannelRequestID: orNull(m.RequestID), Request: m.Request, Answer: m.Answer,
	}
	if m.Kind == channel.MomentCall {
		outcome, took := gen.TimelineEntryOutcome(m.Outcome), m.Took.Milliseconds()
		words := h.opts.Glossary.Of(m.Channel, m.Outcome, m.Code)
		out.Outcome, out.TookMs = &outcome, &took
		out.Explanation = &gen.Explanation{Zh: words.ZH, En: words.EN}
	}
	return out
}
