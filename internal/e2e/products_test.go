package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/client"
	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/internal/app"
)

var (
	allProducts   = flag.Bool("products.all", false, "bring every product to every end, not only a share")
	writeProducts = flag.Bool("products.write", false, "write what became of them into docs/channels.md")
)

// ends are the ends to which each product is brought, in the order of the table.
func ends() []string {
	return []string{"paid", "declined", "expired", "cancelled", "paid late", "paid twice", "refunded in part", "refunded whole"}
}

// cell is one product of one provider on its way to one end.
type cell struct {
	*world
	provider string
	product  channel.Product
	end      string

	payment client.Payment
	page    *page
	// result is what the table says.
	result string
}

// price is what each cell's payment costs, part what is refunded of it at first.
const price, part = 1200, 500

// Each product of each provider comes to each end through the public API and the
// sandbox's page: the payment, our entries and the provider's own books say the
// same of it.
//
//	make products    # every cell; writes the table of docs/channels.md
func TestEveryProductToEveryEnd(t *testing.T) {
	w := newWorld(t)
	w.topUp(100_000) // Alipay keeps its fee when a payment is refunded
	var cells []*cell
	for _, provider := range []string{alipay, wechatpay} {
		for _, offer := range app.OffersOf(provider) {
			if !*allProducts && !inShare(provider, offer.Product) {
				continue
			}
			for _, end := range ends() {
				c := &cell{world: w, provider: provider, product: offer.Product, end: end}
				c.result = c.impossible()
				cells = append(cells, c)
			}
		}
	}
	together(cells, (*cell).begin)
	require.False(t, t.Failed())
	w.moveClock(w.now().Add(2 * time.Hour)) // everybody's time is over
	together(cells, (*cell).finish)
	require.False(t, t.Failed())
	rows := table(cells)
	t.Log("\n" + strings.Join(rows, "\n"))
	recorded(t, rows)
}

// inShare: what `make test` tries of it.
func inShare(provider string, product channel.Product) bool {
	return provider == alipay && product == channel.ProductQR || provider == wechatpay && product == channel.ProductJSAPI
}

// together does the same with every cell, some at a time.
func together(cells []*cell, do func(*cell)) {
	room := make(chan struct{}, 16)
	var all sync.WaitGroup
	for _, c := range cells {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			do(c)
		})
	}
	all.Wait()
}

// impossible says why there is no such end; empty where there is one.
func (c *cell) impossible() string {
	if c.provider == wechatpay && c.product == channel.ProductBarcode && c.end == "paid late" {
		return "cannot be: a reversal is final"
	}
	return ""
}

// begin does what happens within the payer's time.
func (c *cell) begin() {
	if c.impossible() != "" {
		return
	}
	c.order()
	switch c.end {
	case "declined":
		c.decline()
	case "cancelled":
		c.press("wait")
		c.cancel()
	case "paid late":
		c.press("wait")
	case "paid twice":
		c.payTwice()
	case "paid", "refunded in part", "refunded whole":
		c.press("pay")
		c.payment = c.paymentIs(c.payment.ID, client.PaymentStatusSucceeded)
		c.refunds()
	}
}

// finish does what happens after it, and judges.
func (c *cell) finish() {
	if c.impossible() != "" {
		return
	}
	switch c.end {
	case "declined", "expired":
		if !c.refused() {
			c.payment = c.closed("expired")
		}
		c.judge()
	case "cancelled":
		c.judge()
	case "paid late":
		c.payment = c.closed("expired")
		c.pay(c.payment, true)
		c.late("payment.paid_late")
		c.judge(price, -price)
	case "paid twice":
		c.late("payment.paid_twice")
		c.judge(price, price, -price)
	case "paid":
		c.judge(price)
	case "refunded in part":
		c.judge(price, -part)
	case "refunded whole":
		c.judge(price, -part, part-price)
	}
}

// order makes the payment and opens the payer's page.
func (c *cell) order() {
	c.Helper()
	body := c.world.order(c.provider, price)
	method := client.PaymentMethod{Channel: client.Channel(c.provider), Product: client.Product(c.product)}
	switch c.product {
	case channel.ProductWAP:
		method.PayerIP, method.ReturnURL = ptr("203.0.113.7"), ptr("https://shop.example.com/back")
	case channel.ProductPage:
		method.ReturnURL = ptr("https://shop.example.com/back")
	case channel.ProductJSAPI:
		method.PayerID = ptr(map[string]string{alipay: "2088102177846880", wechatpay: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}[c.provider])
	case channel.ProductBarcode:
		method.AuthCode = ptr(c.codeOn(c.provider, c.outcome()))
	}
	body.Method = &method
	c.payment = c.post(body)
	if c.refused() {
		c.payment = c.paymentIs(c.payment.ID, client.PaymentStatusFailed)
		return
	}
	c.payment = c.paymentIs(c.payment.ID, client.PaymentStatusAwaitingPayer)
	if c.product == channel.ProductBarcode {
		c.page = c.askedOnPhone(c.provider, c.numberOf(c.payment.ID))
	} else {
		c.page = c.follow(c.provider, c.payment.NextAction)
	}
}

// outcome is what comes of scanning the code on the payer's phone: the payer is
// asked, but for one who has no money.
func (c *cell) outcome() string {
	if c.end != "declined" {
		return "confirm"
	}
	return map[string]string{alipay: "ACQ.BUYER_BALANCE_NOT_ENOUGH", wechatpay: "NOT_ENOUGH"}[c.provider]
}

// refused: the provider refuses the payer, where a code is scanned. At the other
// products a payer who declines may still come back.
func (c *cell) refused() bool { return c.product == channel.ProductBarcode && c.end == "declined" }

func (c *cell) press(button string) {
	c.Helper()
	c.page.press(button)
}

func (c *cell) decline() {
	c.Helper()
	if c.refused() {
		return
	}
	c.press("decline")
	require.Contains(c, c.page.status(), "Declined")
	require.Equal(c, client.PaymentStatusAwaitingPayer, c.world.payment(c.payment.ID).Status, "the payer may still come back")
}

func (c *cell) cancel() {
	c.Helper()
	answer, err := c.api.CancelPaymentWithResponse(c.ctx, c.payment.ID, &client.CancelPaymentParams{IdempotencyKey: c.ref("cancel")})
	require.NoError(c, err)
	require.NotNil(c, answer.JSON200, "%s", answer.Body)
	c.payment = c.closed("cancelled")
}

// closed waits until the payment is closed for a reason.
func (c *cell) closed(why string) client.Payment {
	c.Helper()
	p := c.paymentIs(c.payment.ID, client.PaymentStatusClosed)
	if c.product != channel.ProductBarcode || why != "expired" {
		require.Equal(c, why, string(*p.CloseReason))
	}
	return p
}

// payTwice pays two attempts, the second before the platform can close it, or, if
// it was faster, all the same.
func (c *cell) payTwice() {
	c.Helper()
	other := map[string]string{alipay: wechatpay, wechatpay: alipay}[c.provider]
	answer, err := c.api.CreatePaymentAttemptWithResponse(c.ctx, c.payment.ID, &client.CreatePaymentAttemptParams{IdempotencyKey: c.ref("attempt")},
		client.CreatePaymentAttempt{Method: client.PaymentMethod{Channel: client.Channel(other), Product: client.ProductQr}})
	require.NoError(c, err)
	require.NotNil(c, answer.JSON201, "%s", answer.Body)
	c.await("the second attempt", func() (bool, any) {
		c.payment = c.world.payment(c.payment.ID)
		return c.payment.Attempts[1].NextAction != nil, c.payment
	})
	second := c.follow(other, c.payment.Attempts[1].NextAction)
	c.press("pay")
	if second.visit("GET", second.at, nil); second.has("pay") {
		second.visit("POST", second.at, map[string][]string{"action": {"pay"}})
	}
	c.payment = c.paymentIs(c.payment.ID, client.PaymentStatusSucceeded)
	if !strings.Contains(second.status(), "Paid") {
		c.control("POST", "/control/pay", map[string]any{"provider": other, "number": c.numbers(`select number from attempts
			where payment_id = $1 and channel = $2`, c.payment.ID, other)[0], "late": true}, nil)
	}
}

// late waits until the money that was not wanted is booked and given back.
func (c *cell) late(event string) {
	c.Helper()
	c.await("the money that goes back", func() (bool, any) {
		c.payment = c.world.payment(c.payment.ID)
		return len(c.payment.LatePayments) > 0, c.payment
	})
	require.Len(c, c.payment.LatePayments, 1)
	r := c.refundIs(c.payment.LatePayments[0].RefundID, client.RefundStatusSucceeded)
	require.Equal(c, client.RefundOriginLatePayment, r.Origin)
	require.Contains(c, c.eventsOf(c.payment.ID), event)
}

// refunds gives back a part, and the rest of what is to be refunded whole.
func (c *cell) refunds() {
	c.Helper()
	if c.end == "paid" {
		return
	}
	fen := []int64{part}
	if c.end == "refunded whole" {
		fen = append(fen, price-part)
	}
	sum := int64(0)
	for _, each := range fen {
		sum += each
		c.refundIs(c.world.refund(c.payment, each).ID, client.RefundStatusSucceeded)
	}
	c.payment = c.world.payment(c.payment.ID)
	require.Equal(c, sum, c.payment.Refunded.Amount)
}

// judge holds that our entries and the provider's books say of the payment that
// these amounts moved, and nothing else.
func (c *cell) judge(fen ...int64) {
	c.Helper()
	c.payment = c.world.payment(c.payment.ID)
	slices.Sort(fen)
	require.Equal(c, fen, c.inOurBooks(), "entries of %s %s, %s", c.provider, c.product, c.end)
	require.Equal(c, fen, c.inTheirBooks(), "the books of %s for %s, %s", c.provider, c.product, c.end)
	c.result = string(c.payment.Status)
	if c.payment.Failure != nil {
		c.result += " (" + *c.payment.Failure.ChannelCode + ")"
	} else if c.payment.CloseReason != nil {
		c.result += " (" + string(*c.payment.CloseReason) + ")"
	}
	slices.Sort(fen)
	slices.Reverse(fen)
	for _, each := range fen {
		c.result += fmt.Sprintf(" %+d.%02d", each/100, max(each, -each)%100)
	}
}

// inOurBooks are the amounts that our entries about the payment moved at providers.
func (c *cell) inOurBooks() []int64 {
	c.Helper()
	var fen []int64
	for _, number := range c.numbers(`select id from attempts where payment_id = $1 union all select id from refunds where payment_id = $1`, c.payment.ID) {
		answer, err := c.api.ListEntriesWithResponse(c.ctx, &client.ListEntriesParams{Number: &number})
		require.NoError(c, err)
		require.NotNil(c, answer.JSON200, "%s", answer.Body)
		for _, entry := range answer.JSON200.Data {
			for _, p := range entry.Postings {
				if p.AccountType == client.AccountTypeChannelUnsettled && (entry.Kind == "collect" || entry.Kind == "refund") {
					fen = append(fen, signed(p))
				}
			}
		}
	}
	slices.Sort(fen)
	return fen
}

// signed is a posting's amount, positive for a debit.
func signed(p client.EntryPosting) int64 {
	if p.Side == client.SideCredit {
		return -p.Amount.Amount
	}
	return p.Amount.Amount
}

// inTheirBooks are the amounts that moved at the providers under the payment's numbers.
func (c *cell) inTheirBooks() []int64 {
	c.Helper()
	var fen []int64
	for _, number := range c.numbers(`select number from attempts where payment_id = $1 union all select number from refunds where payment_id = $1`, c.payment.ID) {
		for _, m := range c.moved(number) {
			fen = append(fen, m.Fen)
		}
	}
	slices.Sort(fen)
	return fen
}

func (c *cell) numbers(sql string, args ...any) []string {
	c.Helper()
	rows, err := c.db.Pool.Query(c.ctx, sql, args...)
	require.NoError(c, err)
	defer rows.Close()
	var list []string
	for rows.Next() {
		var number string
		require.NoError(c, rows.Scan(&number))
		list = append(list, number)
	}
	require.NoError(c, rows.Err())
	return list
}

// table has a row for each product of each provider; what a provider does not
// offer is said.
func table(cells []*cell) []string {
	rows := []string{"| product | provider | " + strings.Join(ends(), " | ") + " |", "|---|---|" + strings.Repeat("---|", len(ends()))}
	for _, product := range channel.Products() {
		for _, provider := range []string{alipay, wechatpay} {
			row := fmt.Sprintf("| %s | %s |", product, provider)
			known := len(row)
			for _, c := range cells {
				if c.product == product && c.provider == provider {
					row += " " + c.result + " |"
				}
			}
			if len(row) == known {
				row += strings.Repeat(" "+untried(provider, product)+" |", len(ends()))
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// untried says why a row has no cells.
func untried(provider string, product channel.Product) string {
	if slices.ContainsFunc(app.OffersOf(provider), func(o channel.Offer) bool { return o.Product == product }) {
		return "not tried"
	}
	return "not offered"
}

const (
	productsPage  = "../../docs/channels.md"
	productsBegin = "<!-- ends:begin (make products) -->\n"
	productsEnd   = "<!-- ends:end -->\n"
)

// recorded writes the table, or holds that what was tried is what it says.
func recorded(t *testing.T, rows []string) {
	t.Helper()
	content, err := os.ReadFile(productsPage)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(content), productsBegin)
	old, after, ended := strings.Cut(rest, productsEnd)
	require.True(t, ok && ended, "%s has the marks of the table", productsPage)
	if *writeProducts {
		page := before + productsBegin + strings.Join(rows, "\n") + "\n" + productsEnd + after
		require.NoError(t, os.WriteFile(productsPage, []byte(page), 0o600))
		return
	}
	for _, row := range rows {
		if !strings.Contains(row, "not tried") {
			require.Contains(t, old, row+"\n", "make products writes it anew")
		}
	}
}
