package recon

import (
	"time"

	"github.com/suanpan/suanpan/core/fault"
)

// Day is one provider day: 24 hours that begin at midnight in Shanghai. The
// zero Day is not valid.
type Day struct{ start time.Time }

// shanghai is the providers' clock. China has had no summer time since 1991,
// so a fixed offset needs no time zone files on the machine.
func shanghai() *time.Location { return time.FixedZone("Asia/Shanghai", 8*60*60) }

// ParseDay reads yyyy-mm-dd; anything else is a fault of kind invalid.
func ParseDay(date string) (Day, error) {
	start, err := time.ParseInLocation(time.DateOnly, date, shanghai())
	if err != nil {
		return Day{}, fault.Invalid("date", "date_malformed", "Give an existing date as yyyy-mm-dd, such as 2026-03-01.")
	}
	return Day{start}, nil
}

// DayOf returns the day that contains t.
func DayOf(t time.Time) Day {
	y, m, d := t.In(shanghai()).Date()
	return Day{time.Date(y, m, d, 0, 0, 0, 0, shanghai())}
}

// String gives yyyy-mm-dd.
func (d Day) String() string { return d.start.Format(time.DateOnly) }

// Start is the first moment of the day, End the first moment after it.
func (d Day) Start() time.Time { return d.start }

// End is the first moment after the day.
func (d Day) End() time.Time { return d.start.Add(24 * time.Hour) }

// Next is the day after.
func (d Day) Next() Day { return Day{d.End()} }

// Previous is the day before.
func (d Day) Previous() Day { return Day{d.start.Add(-24 * time.Hour)} }

// Contains reports whether t lies in the day.
func (d Day) Contains(t time.Time) bool { return !t.Before(d.start) && t.Before(d.End()) }
