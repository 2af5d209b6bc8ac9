package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// books are one tenant's books, with merchants that have money.
type books struct {
	url       string
	db        *pg.DB
	super     *pgxpool.Pool
	tenant    string
	key       string // API key that may do everything
	merchants []string
	channels  []string
}

// Everybody begins with so much that no transfer is ever refused.
const (
	fundMinor     = 1_000_000_000
	transferMinor = 100
	fundLegs      = 900
	channelCount  = 1000
)

func openBooks(ctx context.Context, s *server, name string, o options) (*books, error) {
	at, err := s.migrated(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := connect(ctx, at, o)
	if err != nil {
		return nil, err
	}
	if err := b.fill(ctx, o.accounts); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func connect(ctx context.Context, at string, o options) (*books, error) {
	b := &books{url: at}
	var err error
	if b.db, err = pg.Open(ctx, at, pg.Options{MaxConns: int32(o.conns)}); err != nil {
		return nil, err
	}
	if b.super, err = pgxpool.New(ctx, at); err != nil {
		b.db.Close()
		return nil, err
	}
	return b, nil
}

func (b *books) close() {
	b.db.Close()
	b.super.Close()
}

func (b *books) makeTenant(ctx context.Context) error {
	return b.db.AsSystem(ctx, func(tx pgx.Tx) error {
		made, err := tenant.Create(ctx, tx, "Bench", tenant.LicensedReserve)
		if err != nil {
			return err
		}
		b.tenant = made.ID
		_, b.key, err = tenant.CreateKey(ctx, tx, b.tenant, tenant.NewKey{Name: "bench", Scopes: []string{tenant.AllScopes}})
		return err
	})
}

// fill makes a tenant with merchants and gives each of them money, through Post.
func (b *books) fill(ctx context.Context, merchants int) error {
	if err := b.makeTenant(ctx); err != nil {
		return err
	}
	for range merchants {
		b.merchants = append(b.merchants, id.New(id.Merchant))
	}
	for range channelCount {
		b.channels = append(b.channels, id.New(id.ChannelAccount))
	}
	if _, err := b.super.Exec(ctx, `
		insert into merchants (tenant_id, id, reference, name, settlement)
		select $1, m, m, 'Shop', 'T0' from unnest($2::text[]) m`, b.tenant, b.merchants); err != nil {
		return err
	}
	for start := 0; start < merchants; start += fundLegs {
		if err := b.fund(ctx, b.merchants[start:min(start+fundLegs, merchants)]); err != nil {
			return err
		}
	}
	for i, channel := range b.channels {
		if err := b.post(ctx, b.collect(channel, b.merchants[i%merchants])); err != nil {
			return err
		}
	}
	_, err := b.super.Exec(ctx, "vacuum analyze")
	return err
}

// fund gives each of merchants money in one entry.
func (b *books) fund(ctx context.Context, merchants []string) error {
	e := ledger.Entry{
		Reference: ledger.Reference{Kind: ledger.Collect, Number: id.Number(), Phase: "paid"}, Currency: money.CNY,
		Postings: []ledger.Posting{{
			Account: ledger.AccountKey{Type: ledger.ChannelUnsettled, Owner: b.channels[0], Currency: money.CNY},
			Amount:  fundMinor * int64(len(merchants)),
		}},
	}
	for _, merchant := range merchants {
		e.Postings = append(e.Postings, ledger.Posting{Account: available(merchant), Amount: -fundMinor})
	}
	if err := b.post(ctx, e); err != nil {
		return fmt.Errorf("fund merchants: %w", err)
	}
	return nil
}

func available(merchant string) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.MerchantAvailable, Owner: merchant, Currency: money.CNY}
}

// post books one entry in a transaction of its own.
func (b *books) post(ctx context.Context, e ledger.Entry) error {
	return b.db.InTenant(ctx, b.tenant, func(tx pgx.Tx) error {
		_, err := ledger.Post(ctx, tx, b.tenant, e)
		return err
	})
}

// together books one entry in a transaction that those who wait share.
func (b *books) together(ctx context.Context, e ledger.Entry) error {
	return b.db.Together(ctx, b.tenant, "", func(tx pgx.Tx) error {
		_, err := ledger.Post(ctx, tx, b.tenant, e)
		return err
	})
}

// drawn is an operation that books what draw draws.
func drawn(book func(context.Context, ledger.Entry) error, draw func(*rand.Rand) ledger.Entry) operation {
	return func(ctx context.Context, random *rand.Rand) error { return book(ctx, draw(random)) }
}

// transfer moves money between two merchants: both accounts have a floor.
func (b *books) transfer(from, to string) ledger.Entry {
	return ledger.Entry{
		Reference: ledger.Reference{Kind: ledger.Transfer, Number: id.Number(), Phase: "booked"}, Currency: money.CNY,
		Postings: []ledger.Posting{
			{Account: available(from), Amount: transferMinor}, {Account: available(to), Amount: -transferMinor},
		},
	}
}

// collect moves money from an internal account to a merchant.
func (b *books) collect(channel, merchant string) ledger.Entry {
	return ledger.Entry{
		Reference: ledger.Reference{Kind: ledger.Collect, Number: id.Number(), Phase: "paid"}, Currency: money.CNY,
		Postings: []ledger.Posting{
			{Account: ledger.AccountKey{Type: ledger.ChannelUnsettled, Owner: channel, Currency: money.CNY}, Amount: transferMinor},
			{Account: available(merchant), Amount: -transferMinor},
		},
	}
}

// pair draws two different merchants.
func (b *books) pair(random *rand.Rand) (from, to string) {
	i := random.IntN(len(b.merchants))
	j := (i + 1 + random.IntN(len(b.merchants)-1)) % len(b.merchants)
	return b.merchants[i], b.merchants[j]
}

// uniform draws a transfer between any two merchants.
func (b *books) uniform(random *rand.Rand) ledger.Entry { return b.transfer(b.pair(random)) }

// hotMerchant draws a transfer to the one merchant, whose row is locked.
func (b *books) hotMerchant(random *rand.Rand) ledger.Entry { return b.transfer(b.toOne(random)) }

// receipt draws a collection over any of the channel accounts.
func (b *books) receipt(random *rand.Rand) ledger.Entry {
	return b.collect(b.channels[random.IntN(len(b.channels))], b.merchants[random.IntN(len(b.merchants))])
}

// hotReceipt draws a collection over the one channel account.
func (b *books) hotReceipt(random *rand.Rand) ledger.Entry {
	return b.collect(b.channels[0], b.merchants[random.IntN(len(b.merchants))])
}

// toOne draws a payer; the receiver is always the same merchant.
func (b *books) toOne(random *rand.Rand) (from, to string) {
	return b.merchants[1+random.IntN(len(b.merchants)-1)], b.merchants[0]
}
