package payment_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/party"
	"github.com/suanpan/suanpan/core/payment"
	"github.com/suanpan/suanpan/core/secret"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pgtest"
	"github.com/suanpan/suanpan/money"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// till is where payments are made: one tenant with an Alipay account.
type till struct {
	*testing.T
	*pgtest.Database
	tenant, merchant string
	box              *secret.Box
}

func open(t *testing.T) *till {
	t.Helper()
	t.Parallel()
	masters, err := secret.ParseMasters(secret.NewMasterKeyText())
	require.NoError(t, err)
	box, err := secret.NewBox(masters)
	require.NoError(t, err)
	d := &till{T: t, Database: pgtest.New(t), box: box}
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error {
		created, err := tenant.Create(t.Context(), tx, "A tenant", tenant.LicensedReserve)
		if err != nil {
			return err
		}
		d.tenant = created.ID
		account, err := tenant.AddChannelAccount(t.Context(), tx, d.tenant, tenant.ChannelAccount{Channel: "alipay", Name: "Alipay"})
		if err != nil {
			return err
		}
		return openProducts(t.Context(), tx, d.tenant, account.ID)
	}))
	require.NoError(t, d.do(func(ctx context.Context, tx pgx.Tx) error {
		m, err := party.Create(ctx, tx, nil, d.tenant, party.NewMerchant{Reference: "shop", Name: "Shop", Settlement: "T0"})
		d.merchant = m.ID
		return err
	}))
	return d
}

func (d *till) do(fn func(ctx context.Context, tx pgx.Tx) error) error {
	return d.DB.InTenant(d.Context(), d.tenant, func(tx pgx.Tx) error { return fn(d.Context(), tx) })
}

func (d *till) request() payment.New {
	return payment.New{ID: id.New(id.Payment), MerchantID: d.merchant, Reference: id.Number(), Subject: "龙井茶",
		Amount: money.Fen(1000), Method: &payment.Method{Channel: "alipay", Product: channel.ProductQR}, ExpiresIn: time.Hour}
}

// shelf is what every account of these tests offers.
func (d *till) shelf() payment.Till {
	return payment.Till{Box: d.box, Offers: func(string) []channel.Offer {
		return []channel.Offer{
			{Product: channel.ProductQR, Action: channel.ActionQRCode, Life: time.Hour},
			{Product: channel.ProductWAP, Action: channel.ActionRedirect, Needs: []channel.Need{channel.NeedReturnURL, channel.NeedPayerIP}},
			{Product: channel.ProductJSAPI, Action: channel.ActionJSAPI, Needs: []channel.Need{channel.NeedPayerID}},
			{Product: channel.ProductBarcode, Action: channel.ActionNone, Needs: []channel.Need{channel.NeedAuthCode}},
		}
	}}
}

// openProducts says that an account sells everything.
func openProducts(ctx context.Context, tx pgx.Tx, tenantID, accountID string) error {
	var all []tenant.ProductChange
	for _, product := range channel.Products() {
		all = append(all, tenant.ProductChange{Product: string(product), Status: tenant.ProductOpened})
	}
	return tenant.SetProducts(ctx, tx, tenantID, accountID, all)
}

func (d *till) create(n payment.New) error {
	return d.do(func(ctx context.Context, tx pgx.Tx) error { return payment.Create(ctx, tx, d.tenant, n, d.shelf()) })
}

func (d *till) get(paymentID string) payment.Payment {
	d.Helper()
	var p payment.Payment
	require.NoError(d, d.do(func(ctx context.Context, tx pgx.Tx) (err error) {
		p, err = payment.Get(ctx, tx, d.tenant, paymentID)
		return err
	}))
	return p
}

// statuses lists every status.
func statuses() []payment.Status {
	return []payment.Status{payment.Processing, payment.AwaitingPayer, payment.Succeeded, payment.Closed, payment.Failed}
}

// allowed is the table of transitions, written down a second time.
func allowed() map[string]bool {
	return map[string]bool{
		"processing awaiting_payer": true, "processing succeeded": true, "processing closed": true, "processing failed": true,
		"awaiting_payer succeeded": true, "awaiting_payer closed": true,
	}
}

func TestEveryPairOfStatuses(t *testing.T) {
	t.Parallel()
	for _, from := range statuses() {
		final := true
		for _, to := range statuses() {
			pair := fmt.Sprintf("%s %s", from, to)
			require.Equal(t, allowed()[pair], from.CanBecome(to), pair)
			final = final && !allowed()[pair]
		}
		require.Equal(t, final, from.Final(), from)
		require.False(t, from.CanBecome("refunded"))
	}
	require.False(t, payment.Status("unheard of").CanBecome(payment.Succeeded))
}

// changes are the ways into each status.
func (d *till) become(p payment.Payment, to payment.Status) error {
	return d.do(func(ctx context.Context, tx pgx.Tx) error {
		switch to {
		case payment.AwaitingPayer:
			return payment.Prepared(ctx, tx, d.tenant, &p, channel.Action{Type: channel.ActionQRCode, QRCode: "https://qr.example.com/1"})
		case payment.Succeeded:
			return payment.PaidNow(ctx, tx, d.tenant, &p, payment.Receipt{ChannelTradeNo: "T1", PaidAt: time.Now(), Fee: money.Fen(6)})
		case payment.Closed:
			return payment.ClosedNow(ctx, tx, d.tenant, &p)
		case payment.Failed:
			return payment.RefusedNow(ctx, tx, d.tenant, &p, payment.Failure{Code: "channel_refused", ChannelCode: "NO", Message: "no"})
		}
		return fmt.Errorf("nothing leads to %s", to)
	})
}

// The database repeats the table: a change is made from its own status only,
// whatever the caller believes the payment to be.
func TestEveryPairOfStatusesInTheDatabase(t *testing.T) {
	d := open(t)
	for _, from := range statuses() {
		for _, to := range statuses()[1:] {
			n := d.request()
			require.NoError(t, d.create(n))
			if from != payment.Processing {
				require.NoError(t, d.become(d.get(n.ID), from))
			}
			pair, before := fmt.Sprintf("%s %s", from, to), d.get(n.ID)
			err := d.become(before, to)
			if allowed()[pair] {
				require.NoError(t, err, pair)
				require.Equal(t, to, d.get(n.ID).Status)
				require.ErrorContains(t, d.become(before, to), "was changed meanwhile", pair)
				continue
			}
			require.Error(t, err, pair)
			require.Equal(t, before, d.get(n.ID), pair)
			stale := before
			stale.Status, stale.Attempt.Status = payment.Processing, payment.Preparing
			if from != payment.Processing {
				require.ErrorContains(t, d.become(stale, to), "was changed meanwhile", pair)
				require.Equal(t, before, d.get(n.ID), pair)
			}
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	d := open(t)
	used := d.request()
	require.NoError(t, d.create(used))
	for name, c := range map[string]struct {
		change      func(*payment.New)
		kind        fault.Kind
		field, code string
	}{
		"merchant":         {func(n *payment.New) { n.MerchantID = id.New(id.Merchant) }, fault.KindRefused, "merchant_id", "merchant_unknown"},
		"reference used":   {func(n *payment.New) { n.Reference = used.Reference }, fault.KindConflict, "reference", "reference_used"},
		"no reference":     {func(n *payment.New) { n.Reference = "" }, fault.KindInvalid, "reference", "reference_length"},
		"no subject":       {func(n *payment.New) { n.Subject = "" }, fault.KindInvalid, "subject", "subject_length"},
		"nothing":          {func(n *payment.New) { n.Amount = money.Fen(0) }, fault.KindInvalid, "amount", "amount_out_of_range"},
		"less":             {func(n *payment.New) { n.Amount = money.Fen(-1) }, fault.KindInvalid, "amount", "amount_out_of_range"},
		"back to a script": {func(n *payment.New) { n.ReturnURL = "javascript:alert(1)" }, fault.KindInvalid, "return_url", "return_url_malformed"},
		"back to a script with a host": {func(n *payment.New) { n.ReturnURL = "javascript://shop.example/%0aalert(1)" },
			fault.KindInvalid, "return_url", "return_url_malformed"},
		"back to a name": {func(n *payment.New) { n.ReturnURL = "https://shop.example@evil.example/" },
			fault.KindInvalid, "return_url", "return_url_malformed"},
		"back to nowhere": {func(n *payment.New) { n.ReturnURL = "/paid" }, fault.KindInvalid, "return_url", "return_url_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			n := d.request()
			c.change(&n)
			var refusal *fault.Error
			require.ErrorAs(t, d.create(n), &refusal)
			require.Equal(t, []string{c.field, c.code}, []string{refusal.Field, refusal.Code})
			require.Equal(t, c.kind, refusal.Kind)
		})
	}
	noAccount := d.request()
	noAccount.Method.Channel = "wechatpay"
	require.Error(t, d.create(noAccount))
	var n int
	require.NoError(t, d.Pool.QueryRow(t.Context(), `select count(*) from payments`).Scan(&n))
	require.Equal(t, 1, n)
}

func TestWhatIsSentUnderANumberIsFrozen(t *testing.T) {
	d := open(t)
	n := d.request()
	require.NoError(t, d.create(n))
	p := d.get(n.ID)
	require.NoError(t, p.CheckFrozen())
	for _, change := range []func(*payment.Payment){
		func(p *payment.Payment) { p.Amount.Minor++ },
		func(p *payment.Payment) { p.Subject += " " },
		func(p *payment.Payment) { p.ExpiresAt = p.ExpiresAt.Add(time.Second) },
		func(p *payment.Payment) { p.Attempt.Number = id.Number() },
		func(p *payment.Payment) { p.Attempt.Product = channel.ProductPage },
		func(p *payment.Payment) { p.Attempt.Payer.Plain.ID = "somebody" },
		func(p *payment.Payment) { p.Attempt.Payer.Person, p.Attempt.Payer.IP = "per_1", []byte("sealed") },
		func(p *payment.Payment) { p.Attempt.ReturnURL = "https://shop.example.com" },
		func(p *payment.Payment) { p.Attempt.CodeHash = make([]byte, 32) },
	} {
		changed := p
		change(&changed)
		require.ErrorIs(t, changed.CheckFrozen(), payment.ErrRequestChanged)
	}
}

// A payment is told once a minute that its time is over, by one instance.
func TestOverduePaymentsAreClaimedOnce(t *testing.T) {
	d := open(t)
	for range 3 {
		require.NoError(t, d.create(d.request()))
	}
	claim := func(tx pgx.Tx, want int) {
		overdue, err := payment.ClaimOverdue(t.Context(), tx, 30*time.Second, 2)
		require.NoError(t, err)
		require.Len(t, overdue, want)
	}
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error { claim(tx, 0); return nil }))
	_, err := d.Pool.Exec(t.Context(), `update business_clock set ahead = interval '61 minutes'`)
	require.NoError(t, err)
	require.NoError(t, d.DB.AsSystem(t.Context(), func(outer pgx.Tx) error {
		claim(outer, 2)
		return d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error { claim(tx, 1); return nil })
	}))
	require.NoError(t, d.DB.AsSystem(t.Context(), func(tx pgx.Tx) error { claim(tx, 0); return nil }))
}
