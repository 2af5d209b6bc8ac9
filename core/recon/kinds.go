package recon

import "slices"

// Kind says what sort of difference a discrepancy is. A line or record with
// several differences gets the first that applies in the order below, and the
// explanation names the numbers of both sides.
type Kind string

const (
	// ForeignLine: the number belongs to another channel account or cannot be ours at all.
	ForeignLine Kind = "foreign_line"
	// DuplicateLine: the number was already printed, in this bill or in the one of the day before.
	DuplicateLine Kind = "duplicate_line"
	// StatusMismatch: the line's status does not say that the money moved.
	StatusMismatch Kind = "status_mismatch"
	// MissingInBooks: the bill says that money moved and our books do not have it.
	MissingInBooks Kind = "missing_in_books"
	// MissingInBill: our books say that money moved and the bill does not have it.
	MissingInBill Kind = "missing_in_bill"
	// CurrencyMismatch: the line is not in renminbi.
	CurrencyMismatch Kind = "currency_mismatch"
	// KindMismatch: a refund of ours is printed as a payment, or the reverse.
	KindMismatch Kind = "kind_mismatch"
	// AmountMismatch: the two sides state different principal.
	AmountMismatch Kind = "amount_mismatch"
	// OtherDay: both sides have it, on days or at times too far apart for midnight to explain.
	OtherDay Kind = "other_day"
	// FeeMismatch: the fee differs by a fen or more once rounded to fen.
	FeeMismatch Kind = "fee_mismatch"
	// NextDay: both sides have it on two neighbouring days, or ours lies so close
	// to midnight that the bill of the neighbouring day is expected to have it.
	NextDay Kind = "next_day"
	// FeeRounding: the fee differs by less than rounding to fen explains.
	FeeRounding Kind = "fee_rounding"
)

// Kinds lists every kind, in order of precedence.
func Kinds() []Kind {
	return []Kind{ForeignLine, DuplicateLine, StatusMismatch, MissingInBooks, MissingInBill, CurrencyMismatch,
		KindMismatch, AmountMismatch, OtherDay, FeeMismatch, NextDay, FeeRounding}
}

// Known reports whether k is one of Kinds.
func (k Kind) Known() bool { return slices.Contains(Kinds(), k) }

// DiscrepancyStatus is the state of a discrepancy. The comment says who acts next.
type DiscrepancyStatus string

const (
	// DiscrepancyOpen: a person of the tenant, who compares with the provider.
	DiscrepancyOpen DiscrepancyStatus = "open"
	// DiscrepancyAdjusted: nobody; the difference was booked and the entry is named.
	DiscrepancyAdjusted DiscrepancyStatus = "adjusted"
	// DiscrepancyExplained: nobody; the reason is known and no money is missing.
	DiscrepancyExplained DiscrepancyStatus = "explained"
)

// Known reports whether s is a status of a discrepancy.
func (s DiscrepancyStatus) Known() bool {
	return s == DiscrepancyOpen || s == DiscrepancyAdjusted || s == DiscrepancyExplained
}

// Status is the state of a reconciliation. The comment says who acts next.
type Status string

const (
	// Processing: the platform, or the provider, who has not made the bill yet.
	Processing Status = "processing"
	// Balanced: nobody; no difference is open.
	Balanced Status = "balanced"
	// Discrepant: a person, who looks at the open discrepancies.
	Discrepant Status = "discrepant"
	// Failed: a person, who reads the failure and runs the day again.
	Failed Status = "failed"
)

// CanBecome reports whether to may follow s: the whole table of transitions.
func (s Status) CanBecome(to Status) bool {
	return s == Processing && (to == Balanced || to == Discrepant || to == Failed)
}

// DailyStatus is the state of a run of daily operations.
type DailyStatus string

const (
	// DailyProcessing: the platform.
	DailyProcessing DailyStatus = "processing"
	// DailyDone: nobody; every part has ended (a reconciliation may be discrepant).
	DailyDone DailyStatus = "done"
	// DailyFailed: a person, who reads the failure and runs the date again.
	DailyFailed DailyStatus = "failed"
)

// CanBecome reports whether to may follow s: the whole table of transitions.
func (s DailyStatus) CanBecome(to DailyStatus) bool {
	return s == DailyProcessing && (to == DailyDone || to == DailyFailed)
}
