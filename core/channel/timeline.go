package channel

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// MomentKind says what happened at a Moment.
type MomentKind string

const (
	// MomentCall: a provider was asked or instructed, or our own guard did not let us.
	MomentCall MomentKind = "call"
	// MomentNotification: a provider's notification was verified and stored.
	MomentNotification MomentKind = "notification"
	// MomentRefused: a notification was signed by the provider and contradicts what
	// was asked of it; it had no effect.
	MomentRefused MomentKind = "refused_notification"
	// MomentEvent: an object of ours changed.
	MomentEvent MomentKind = "event"
)

// Moment is one line of a timeline. Fields that its kind does not have are empty.
type Moment struct {
	Kind MomentKind
	// At is on the business clock.
	At time.Time
	// Number is our number at the provider (calls, notifications); ObjectID is
	// what changed (events).
	Number, ObjectID string
	ChannelAccountID string
	// Channel is the provider's name.
	Channel string
	// Name is the Operation of a call, the kind of a notification, the type of an event.
	Name string
	// Outcome and Code are of calls; for a notification Code is the provider's state,
	// for a refused one why it was refused.
	Outcome   Outcome
	Code      string
	Took      time.Duration
	RequestID string
	// Details are the fields kept of a call's request and answer, or of an event.
	Request, Answer map[string]string
}

// About names what a timeline is of: our numbers at providers, and objects whose
// events belong to it.
type About struct{ Numbers, Objects []string }

// Timeline returns the newest moments of about, at most limit of them, oldest
// first: calls, notifications and events. A moment of a call can be missing, because
// calls are kept without a guarantee; the others cannot.
func Timeline(ctx context.Context, tx pgx.Tx, tenantID string, about About, limit int) ([]Moment, error) {
	rows, err := tx.Query(ctx, `
		select kind, at, number, object_id, coalesce(m.channel_account_id, ''), coalesce(a.channel, ''), m.name, outcome, code,
			took_ms, request_id, request, answer
		from (
			select * from (
				select 'call' as kind, started_at as at, number, '' as object_id, channel_account_id, operation as name,
					outcome, code, took_ms, request_id, request, answer, id as rank
				from channel_calls where tenant_id = $1 and number <> '' and number = any ($2)
				union all
				select 'notification', received_at + (select ahead from business_clock), number, '', channel_account_id, kind,
					'', state, 0, '', '{}', '{}', id
				from notifications where tenant_id = $1 and trade_number = any ($2)
				union all
				select 'refused_notification', first_at + (select ahead from business_clock), number, '', channel_account_id, kind,
					'', reason, 0, '', '{}', '{}', id
				from refused_notifications where tenant_id = $1 and trade_number = any ($2)
				union all
				select 'event', created_at, '', object_id, null, type, '', '', 0, '', '{}', data, lpad(sequence::text, 10, '0')
				from events where tenant_id = $1 and object_id = any ($3)
			) happened order by at desc, kind desc, rank desc limit $4
		) m left join channel_accounts a on a.tenant_id = $1 and a.id = m.channel_account_id
		order by at, kind, rank`, tenantID, about.Numbers, about.Objects, limit)
	if err != nil {
		return nil, fmt.Errorf("timeline: %w", err)
	}
	moments, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Moment, error) {
		var m Moment
		var tookMS int64
		err := row.Scan(&m.Kind, &m.At, &m.Number, &m.ObjectID, &m.ChannelAccountID, &m.Channel, &m.Name, &m.Outcome, &m.Code,
			&tookMS, &m.RequestID, &m.Request, &m.Answer)
		m.Took = time.Duration(tookMS) * time.Millisecond
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("timeline: %w", err)
	}
	return moments, nil
}
