package api

import (
	"time"

	"github.com/suanpan/suanpan/api/gen"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/split"
	"github.com/suanpan/suanpan/money"
)

// The contract's spellings of what several nouns share.

func showAmount(a money.Amount) gen.Amount {
	return gen.Amount{Amount: a.Minor, Currency: gen.Currency(a.Currency)}
}

func readAmount(a gen.PositiveAmount) money.Amount {
	return money.Of(a.Amount, money.Currency(a.Currency))
}

// orNull shows an empty text as null.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// text reads an optional text of any string type; absent is empty.
func text[T ~string](s *T) string {
	if s == nil {
		return ""
	}
	return string(*s)
}

// showTime shows UTC, which is what the contract promises.
func showTime(t time.Time) time.Time { return t.UTC() }

func showTimeOrNull(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	utc := t.UTC()
	return &utc
}

func showFailure(f *payment.Failure) *gen.Failure {
	if f == nil {
		return nil
	}
	return &gen.Failure{Code: f.Code, ChannelCode: orNull(f.ChannelCode), Message: f.Message}
}

func showLeg(l split.Leg) gen.SplitLeg {
	return gen.SplitLeg{
		Level: l.Level, Receiver: gen.Receiver(l.Receiver),
		MerchantID: orNull(l.MerchantID), Amount: showAmount(l.Amount),
	}
}
