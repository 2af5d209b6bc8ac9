package payment

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
)

// Method is how a payer is to pay.
type Method struct {
	Channel string
	Product channel.Product
	// PayerID is who the payer is to the provider: personal data, never logged.
	PayerID string
	PayerIP string
	// ReturnURL is where the payer's browser comes back to.
	ReturnURL string
	// ChannelAccountID is the only account that may take it, because PayerID is what
	// that account calls the payer; empty: any.
	ChannelAccountID string
	// Click is the payer's click on the checkout page; see ChooseAttempt.
	Click string
	// AuthCode is the code on the payer's phone: a one-time secret, never logged
	// and stored only sealed, for minutes.
	AuthCode string
}

// codeLife is how long the code on a payer's phone is kept: providers take it for
// about a minute.
const codeLife = 2 * time.Minute

// Till is what taking a method needs from outside.
type Till struct {
	// Offers lists what a channel can take. It is called inside a transaction, so it
	// may not open another.
	Offers func(channelName string) []channel.Offer
	// Box seals who pays, and the codes on payers' phones.
	Box *secret.Box
}

// choose returns the account that offers what m asks for, but for those in not.
// number is the attempt's. It refuses what tenant.PickChannelAccount refuses, and
// a method that lacks what its product needs.
func (t Till) choose(
	ctx context.Context, tx pgx.Tx, tenantID, merchantID, number string, m Method, not []string,
) (tenant.ChannelAccount, error) {
	if !m.Product.Known() {
		return tenant.ChannelAccount{}, fault.Invalid("method.product", "product_unknown", "There is no such product.")
	}
	wanted := tenant.Wanted{Merchant: merchantID, Channel: m.Channel, Product: string(m.Product), Number: number,
		Only: m.ChannelAccountID, Except: not}
	for {
		account, err := tenant.PickChannelAccount(ctx, tx, tenantID, wanted)
		if err != nil {
			return account, err
		}
		offers := t.Offers(m.Channel)
		at := slices.IndexFunc(offers, func(o channel.Offer) bool { return o.Product == m.Product })
		if at >= 0 {
			return account, m.check(offers[at])
		}
		wanted.Except = append(slices.Clone(wanted.Except), account.ID)
	}
}

// check finds the first field that the offer needs and m lacks, or that no method
// can have.
func (m Method) check(offer channel.Offer) error {
	has := map[channel.Need]string{channel.NeedPayerID: m.PayerID, channel.NeedPayerIP: m.PayerIP,
		channel.NeedReturnURL: m.ReturnURL, channel.NeedAuthCode: m.AuthCode}
	for _, need := range offer.Needs {
		if has[need] == "" {
			return fault.Invalid("method."+string(need), "method_incomplete",
				"The product "+string(m.Product)+" of "+m.Channel+" needs "+string(need)+".")
		}
	}
	if (m.AuthCode != "") != (m.Product == channel.ProductBarcode) {
		return fault.Invalid("method.auth_code", "method_contradictory", "auth_code belongs to the product barcode, and to no other.")
	}
	if _, err := netip.ParseAddr(m.PayerIP); m.PayerIP != "" && err != nil {
		return fault.Invalid("method.payer_ip", "payer_ip_malformed", "payer_ip must be an IP address.")
	}
	if m.ReturnURL == "" {
		return nil
	}
	return CheckReturnURL("method.return_url", m.ReturnURL)
}
