package demo

import (
	"fmt"

	"github.com/suanpan/suanpan/client"
)

// sale is one payment on its way, and what must become of it.
type sale struct {
	ref     string
	store   *store
	channel string
	fen     int64
	// What happens to it.
	byPage    bool // a person clicks on the page, else the control call pays
	loseReply bool // the provider's answer to our order gets lost
	mute      bool // the provider never notifies
	late      bool // it is paid after it was closed

	payment client.Payment
	number  string // the provider's order number of it
}

// Names of sales that later phases refer to.
const (
	saleQuarter  = "quarter"  // a quarter of it is refunded
	saleWhole    = "whole"    // all of it is refunded
	saleTwoSteps = "twosteps" // refunded in two odd parts, the first one's reply lost
	saleLost     = "lost"     // all of it is refunded and the reply lost
	saleLate     = "late"
)

// program lists what is sold, the same in every run. Amounts include one fen,
// amounts whose shares round, and large ones.
func (r *run) program() []*sale {
	amounts := []int64{
		1, 2, 19, 99, 100, 101, 333, 999, 1_234, 3_333, 4_950, 6_667, 8_888_888, 12_345, 19_999, 23_457,
		50_001, 66_666, 77_777, 100_000, 123_457, 199_900, 250_003, 333_333, 500_005, 765_432, 999_999, 123_456_789,
	}
	channels := []string{alipay, wechatpay}
	list := []*sale{ // those that take longest first
		{ref: "unsure-alipay", store: r.stores[0], channel: alipay, fen: 150_000, loseReply: true},
		{ref: "unsure-wechatpay", store: r.stores[2], channel: wechatpay, fen: 60_606, loseReply: true},
		{ref: "deaf-alipay", store: r.stores[0], channel: alipay, fen: 45_600, mute: true},
		{ref: "deaf-wechatpay", store: r.stores[1], channel: wechatpay, fen: 7_890, mute: true},
	}
	for i, fen := range amounts {
		list = append(list, &sale{ref: fmt.Sprintf("%02d", i+1), store: r.stores[i/2%len(r.stores)],
			channel: channels[i%2], fen: fen, byPage: i%7 == 0})
	}
	return append(list,
		&sale{ref: saleQuarter, store: r.stores[0], channel: wechatpay, fen: 20_000},
		&sale{ref: saleWhole, store: r.stores[1], channel: alipay, fen: 34_567},
		&sale{ref: saleTwoSteps, store: r.stores[2], channel: wechatpay, fen: 10_001},
		&sale{ref: saleLost, store: r.stores[2], channel: alipay, fen: 9_973},
		&sale{ref: saleLate, store: r.stores[1], channel: alipay, fen: 5_150, late: true},
	)
}

// sale finds a sale by its name.
func (r *run) sale(ref string) *sale {
	for _, s := range r.sales {
		if s.ref == ref {
			return s
		}
	}
	panic("the program has no sale " + ref)
}

// fee is what the provider keeps of s.
func (r *run) fee(s *sale) int64 { return percentHalfUp(s.fen, r.rates[s.channel].basisPoints) }
