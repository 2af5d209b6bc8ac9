package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/ledger"
)

// settle makes the tenant and prints the settings that decide what a commit is worth.
func (w *world) settle(ctx context.Context) error {
	db, err := pg.Open(ctx, w.url, pg.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.AsSystem(ctx, func(tx pgx.Tx) error {
		created, err := tenant.Create(ctx, tx, "Crash", tenant.LicensedReserve)
		if err != nil {
			return err
		}
		w.tenant = created.ID
		for _, name := range []string{"server_version", "role", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method"} {
			var value string
			if err := tx.QueryRow(ctx, "show "+name).Scan(&value); err != nil {
				return err
			}
			fmt.Printf("  %s = %s\n", name, value)
		}
		return nil
	})
}

// judge reads all books and holds them against the journal: every number that
// was acknowledged is there, and every number that is there is there once and
// whole. Then it checks the ledger's invariants.
func (w *world) judge(ctx context.Context) (string, error) {
	acknowledged, err := w.acknowledged()
	if err != nil {
		return "", err
	}
	db, err := pg.Open(ctx, w.url, pg.Options{MaxConns: 2})
	if err != nil {
		return "", err
	}
	defer db.Close()
	var found map[string][]ledger.BookedEntry
	var held int64
	err = db.Snapshot(ctx, func(tx pgx.Tx) error {
		if found, err = w.entries(ctx, tx); err != nil {
			return err
		}
		for number, entries := range found {
			if err := whole(ctx, tx, w.tenant, number, entries); err != nil {
				return err
			}
		}
		if held, err = heldNow(ctx, tx, w.tenant); err != nil {
			return err
		}
		report, err := ledger.Verify(ctx, tx, ledger.VerifyOptions{})
		if err == nil && !report.Sound {
			err = fmt.Errorf("the books are not sound: %+v", report.Results)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	for number := range acknowledged {
		if found[number] == nil {
			return "", fmt.Errorf("%s was acknowledged and is lost", number)
		}
	}
	if want := 7 * int64(len(found)); held != want {
		return "", fmt.Errorf("%d is held for %d numbers, not %d", held, len(found), want)
	}
	return fmt.Sprintf("%d transactions acknowledged, every one in the books once; "+
		"%d more committed and could not be acknowledged; none by half", len(acknowledged), len(found)-len(acknowledged)), nil
}

// acknowledged reads the journal; a number in it twice would be a mistake here.
func (w *world) acknowledged() (map[string]bool, error) {
	file, err := os.Open(journalOf(w.data))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	numbers := map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.TrimSpace(lines.Text()) != "" {
			numbers[lines.Text()] = true
		}
	}
	return numbers, nil
}

func (w *world) entries(ctx context.Context, tx pgx.Tx) (map[string][]ledger.BookedEntry, error) {
	found := map[string][]ledger.BookedEntry{}
	filter := ledger.EntryFilter{Limit: 200}
	for {
		page, next, err := ledger.Entries(ctx, tx, w.tenant, filter)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			found[e.Number] = append(found[e.Number], e)
		}
		if next == 0 {
			return found, nil
		}
		filter.After = next
	}
}

// whole says whether a number's transaction is there once and with all its parts.
func whole(ctx context.Context, tx pgx.Tx, tenantID, number string, entries []ledger.BookedEntry) error {
	want, hold := business(number)
	if len(entries) != len(want) {
		return fmt.Errorf("%s has %d of %d entries", number, len(entries), len(want))
	}
	for _, e := range entries {
		if len(e.Postings) != 2 {
			return fmt.Errorf("%s: %s has %d of 2 postings", number, e.Kind, len(e.Postings))
		}
	}
	placed, err := ledger.GetHold(ctx, tx, tenantID, number)
	if err != nil {
		return fmt.Errorf("%s: %w", number, err)
	}
	if placed.Amount != hold.Amount || placed.Status != ledger.HoldOpen {
		return fmt.Errorf("%s: its hold is %+v", number, placed)
	}
	return nil
}

func heldNow(ctx context.Context, tx pgx.Tx, tenantID string) (held int64, err error) {
	for i := range merchants {
		accounts, err := ledger.Balances(ctx, tx, tenantID, available(i))
		if err != nil {
			return 0, err
		}
		held += accounts[0].Held
	}
	return held, nil
}
