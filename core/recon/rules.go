package recon

import (
	"slices"
	"time"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/money"
)

// currency is what trade bills of the supported channels are in.
const currency = money.CNY

// Rules are the limits of what is decided without a person.
type Rules struct {
	// AutoAdjustFen is the largest difference of one line's fee, in fen, that is
	// booked without a person; 0 means that none is.
	AutoAdjustFen int64
	// Midnight is how far from midnight a record may be, and how far the two
	// sides' clocks may be apart, for the neighbouring day to be the reason.
	Midnight time.Duration
}

// DefaultRules books fee differences up to 1.00 yuan a line, and lets ten
// minutes around midnight pass as a matter of clocks.
func DefaultRules() Rules {
	return Rules{AutoAdjustFen: 100, Midnight: 10 * time.Minute}
}

// moved reports whether a line's status says that the money moved. The words
// are the providers' own; one that is not listed is a difference to look at,
// never taken for success.
func moved(line channel.BillLine) bool {
	done := []string{"", "SUCCESS", "TRADE_SUCCESS", "TRADE_FINISHED", "交易"}
	if line.Kind == channel.BillRefund {
		done = []string{"", "SUCCESS", "REFUND/SUCCESS", "REFUND_SUCCESS", "退款"}
	}
	return slices.Contains(done, line.Status)
}

// outside reports whether a line's time contradicts the bill's day. A refund
// line may carry the moment of the original payment, so for refunds an earlier
// time says nothing.
func outside(day Day, line channel.BillLine) bool {
	if line.Kind == channel.BillRefund && line.At.Before(day.Start()) {
		return false
	}
	return !day.Contains(line.At)
}
