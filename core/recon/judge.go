package recon

import (
	"fmt"

	"github.com/suanpan/suanpan/core/channel"
)

// verdict is what the rules say about one line, one record or a pair. An empty
// kind means that the pair agrees in everything.
type verdict struct {
	kind   Kind
	status DiscrepancyStatus
	// adjust is what to book, in fen; settles: the pair counts as settled.
	adjust  int64
	settles bool
	why     string
}

// judge compares a record with the line that stands for its number. The order
// of the questions is the order of precedence of Kinds.
func (m *Matcher) judge(r Record, line channel.BillLine) verdict {
	open := func(kind Kind, why string) verdict { return verdict{kind: kind, status: DiscrepancyOpen, why: why} }
	switch {
	case r.OtherAccount:
		return open(ForeignLine, "the number was issued for another channel account")
	case r.InPreviousBill:
		return open(DuplicateLine, "the bill of "+m.day.Previous().String()+" prints the number already")
	case !moved(line):
		return open(StatusMismatch, fmt.Sprintf("the line's status is %q, so it does not show that the money moved", line.Status))
	case r.Unfinished:
		return open(MissingInBooks, "we issued the number and have not booked any money for it; let its workflow ask the provider again")
	case line.Amount.Currency != currency:
		return open(CurrencyMismatch, fmt.Sprintf("the line is in %q", string(line.Amount.Currency)))
	case line.Kind != r.Kind:
		return open(KindMismatch, fmt.Sprintf("our %s is printed as a %s", r.Kind, line.Kind))
	case line.Amount != r.Amount:
		return open(AmountMismatch, "the principal differs; ask the provider which is right")
	case m.farFrom(r):
		return open(OtherDay, "our record is of "+DayOf(r.At).String()+", more than a day away")
	case outside(m.day, line) && line.At.Sub(r.At).Abs() > m.rules.Midnight:
		return open(OtherDay, "the line's own time is "+line.At.In(shanghai()).Format("2006-01-02 15:04:05")+", outside the bill's day")
	}
	return m.judgeFee(r, line)
}

// judgeFee goes on where both sides agree on the principal.
func (m *Matcher) judgeFee(r Record, line channel.BillLine) verdict {
	fee, more, readable := compareFee(r.signedFee(), line.FeeText)
	switch {
	case !readable:
		return verdict{kind: FeeMismatch, status: DiscrepancyOpen, why: "the printed fee is not an amount"}
	case fee == feeDiffers && max(more, -more) > m.rules.AutoAdjustFen:
		return verdict{kind: FeeMismatch, status: DiscrepancyOpen,
			why: "the difference of the fee is above the limit of " + yuan(m.rules.AutoAdjustFen) + " yuan for booking it without a person"}
	case fee == feeDiffers:
		return verdict{kind: FeeMismatch, status: DiscrepancyAdjusted, adjust: more, settles: true, why: feeReason(more)}
	case !m.day.Contains(r.At) || outside(m.day, line):
		return verdict{kind: NextDay, status: DiscrepancyExplained, settles: true,
			why: "both sides have it, on either side of midnight: ours is of " + r.At.Format("2006-01-02 15:04:05")}
	case fee == feeRounded:
		return verdict{kind: FeeRounding, status: DiscrepancyExplained, settles: true,
			why: "the printed fee, rounded to fen, is the fee we accrued"}
	}
	return verdict{settles: true}
}

func feeReason(more int64) string {
	if more > 0 {
		return "the provider took " + yuan(more) + " yuan more than accrued, booked as channel fee expense"
	}
	return "the provider took " + yuan(-more) + " yuan less than accrued, booked back from channel fee expense"
}

// judgeUnknown is about a line whose number none of our records bears.
func (m *Matcher) judgeUnknown(line channel.BillLine) verdict {
	if !moved(line) {
		return verdict{kind: StatusMismatch, status: DiscrepancyOpen,
			why: fmt.Sprintf("we do not know the number, and the line's status is %q", line.Status)}
	}
	return verdict{kind: MissingInBooks, status: DiscrepancyOpen,
		why: "we have no payment or refund with this number; find out with the provider whose money it is"}
}

// judgeAbsent is about a record that is due and that the bill does not print.
func (m *Matcher) judgeAbsent(r Record) verdict {
	explained := func(why string) verdict { return verdict{kind: NextDay, status: DiscrepancyExplained, why: why} }
	closeToEnd := m.day.Contains(r.At) && m.day.End().Sub(r.At) <= m.rules.Midnight
	switch {
	case r.InPreviousBill:
		return explained("the bill of " + m.day.Previous().String() + " prints it")
	case r.Carried:
		return verdict{kind: MissingInBill, status: DiscrepancyOpen,
			why: "it succeeded just before this day began, and the bill of " + m.day.Previous().String() + " does not have it either"}
	case m.carries && closeToEnd:
		return explained("it lies just before midnight: the reconciliation of " + m.day.Next().String() +
			" matches it or reports it as missing")
	case !m.carries && r.InNextBill:
		return explained("the bill of " + m.day.Next().String() + " prints it")
	}
	return verdict{kind: MissingInBill, status: DiscrepancyOpen, why: "our books say that the money moved; ask the provider"}
}

// farFrom reports whether r is neither of the day nor of a neighbouring one.
func (m *Matcher) farFrom(r Record) bool {
	return r.At.Before(m.day.Previous().Start()) || !r.At.Before(m.day.Next().End())
}

// explain writes the sentence for a person: both sides' numbers, then the reason.
func (m *Matcher) explain(v verdict, d Difference) string {
	ours, theirs := "Our books have nothing", "the bill has nothing"
	if d.Ours != nil {
		r := d.Ours
		ours = fmt.Sprintf("Our books have a %s of %s yuan with a fee of %s", r.Kind, yuan(r.Amount.Minor), yuan(r.signedFee()))
		if r.Unfinished {
			ours = fmt.Sprintf("Our books have an unfinished %s of %s yuan", r.Kind, yuan(r.Amount.Minor))
		}
	}
	if d.Line != nil {
		unit := "yuan"
		if d.Line.Amount.Currency != currency {
			unit = string(d.Line.Amount.Currency)
		}
		theirs = fmt.Sprintf("row %d of the bill has a %s of %s %s with a fee of %.24s", d.Row, d.Line.Kind,
			yuan(d.Line.Amount.Minor), unit, d.Line.FeeText)
	}
	return ours + "; " + theirs + ": " + v.why + "."
}
