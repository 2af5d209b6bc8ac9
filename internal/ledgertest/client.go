package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
	"github.com/suanpan/suanpan/money"
)

// The accounts are few, so that transactions meet.
const merchants = 4

func available(i int) ledger.AccountKey {
	return ledger.AccountKey{Type: ledger.MerchantAvailable, Owner: fmt.Sprintf("mch_%d", i), Currency: money.CNY}
}

// business is what one number stands for: money comes in, a part of it goes on to
// another merchant, and a part is set aside, in one transaction.
func business(number string) (entries []ledger.Entry, hold ledger.HoldRequest) {
	from := len(number) % merchants
	provider := ledger.AccountKey{Type: ledger.ChannelUnsettled, Owner: "chn", Currency: money.CNY}
	entry := func(kind ledger.Kind, postings ...ledger.Posting) ledger.Entry {
		return ledger.Entry{Reference: ledger.Reference{Kind: kind, Number: number, Phase: "booked"}, Currency: money.CNY, Postings: postings}
	}
	return []ledger.Entry{
			entry(ledger.Collect, ledger.Posting{Account: provider, Amount: 100}, ledger.Posting{Account: available(from), Amount: -100}),
			entry(ledger.Transfer, ledger.Posting{Account: available(from), Amount: 30},
				ledger.Posting{Account: available((from + 1) % merchants), Amount: -30}),
		},
		ledger.HoldRequest{Account: available(from), Amount: 7, Reference: number}
}

// post is the process that gets killed: it posts until then, and writes down
// every number that PostgreSQL acknowledged. A failure is tried again with the
// same number until it is acknowledged.
func post(ctx context.Context, o options) error {
	db, err := pg.Open(ctx, o.url, pg.Options{MaxConns: int32(o.workers)})
	if err != nil {
		return err
	}
	journal, err := os.OpenFile(journalOf(o.data), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	var done sync.WaitGroup
	for w := range o.workers {
		done.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				// Numbers of different lengths begin at different merchants.
				number := fmt.Sprintf("%s-w%d-%d%s", o.round, w, i, "xxx"[:rand.IntN(merchants)])
				for bookOnce(ctx, db, o.tenant, number) != nil {
					select {
					case <-ctx.Done():
						return
					case <-time.After(20 * time.Millisecond): // the server may be coming back
					}
				}
				if _, err := fmt.Fprintln(journal, number); err != nil { // one write, appended whole
					fmt.Fprintln(os.Stderr, "journal:", err)
					return
				}
			}
		})
	}
	done.Wait()
	return nil
}

func journalOf(data string) string { return filepath.Join(data, "acknowledged") }

func bookOnce(ctx context.Context, db *pg.DB, tenant, number string) error {
	entries, hold := business(number)
	return db.InTenant(ctx, tenant, func(tx pgx.Tx) error {
		if _, err := ledger.Post(ctx, tx, tenant, entries...); err != nil {
			return err
		}
		_, err := ledger.PlaceHold(ctx, tx, tenant, hold)
		return err
	})
}
