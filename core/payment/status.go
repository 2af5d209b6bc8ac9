package payment

import "slices"

// Status is the state of a payment. The comment says who acts next.
type Status string

const (
	// Processing: the platform acts; the provider is being asked to prepare the trade.
	Processing Status = "processing"
	// AwaitingPayer: the payer acts, until it expires: at a provider, or by choosing one.
	AwaitingPayer Status = "awaiting_payer"
	// Succeeded: nobody; the money is booked. Refunds are objects of their own.
	Succeeded Status = "succeeded"
	// Closed: nobody; it ended unpaid. Money that arrives later is given back.
	Closed Status = "closed"
	// Failed: the tenant; the provider refused to prepare the trade.
	Failed Status = "failed"
)

// next is the whole table of transitions; SQL repeats it by updating only
// `where status = from`.
func next(s Status) []Status {
	switch s {
	case Processing:
		return []Status{AwaitingPayer, Succeeded, Closed, Failed}
	case AwaitingPayer:
		return []Status{Succeeded, Closed}
	case Succeeded, Closed, Failed:
		return nil
	}
	return nil
}

// CanBecome reports whether to may follow s.
func (s Status) CanBecome(to Status) bool { return slices.Contains(next(s), to) }

// Final reports whether nothing follows s.
func (s Status) Final() bool { return len(next(s)) == 0 }

// CloseReason says why a payment ended unpaid.
type CloseReason string

const (
	// Expired: its time was over.
	Expired CloseReason = "expired"
	// Cancelled: the tenant asked for it.
	Cancelled CloseReason = "cancelled"
	// ByChannel: the provider closed the only trade it was asked for.
	ByChannel CloseReason = "channel"
)

// AttemptStatus is the state of one attempt. It may change after its payment's
// is final: what does not win is driven to its own end.
type AttemptStatus string

const (
	// Preparing: the platform acts; the provider may or may not know the number.
	Preparing AttemptStatus = "preparing"
	// Open: the payer acts.
	Open AttemptStatus = "awaiting_payer"
	// Paid: nobody; confirmed by a verified answer, and the payment's money.
	Paid AttemptStatus = "paid"
	// AttemptClosed: nobody; the provider accepts no payer any more, or took one
	// whose money was late.
	AttemptClosed AttemptStatus = "closed"
	// Refused: nobody; the provider refused to prepare it.
	Refused AttemptStatus = "failed"
)

// CanBecome reports whether to may follow s: the whole table of transitions.
func (s AttemptStatus) CanBecome(to AttemptStatus) bool {
	switch s {
	case Preparing:
		return slices.Contains([]AttemptStatus{Open, Paid, AttemptClosed, Refused}, to)
	case Open:
		return slices.Contains([]AttemptStatus{Paid, AttemptClosed}, to)
	}
	return false
}

// Live reports whether something may still become of the attempt at its provider.
func (s AttemptStatus) Live() bool { return s == Preparing || s == Open }
