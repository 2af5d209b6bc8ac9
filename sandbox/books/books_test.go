package books_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/sandbox/books"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) *books.Books {
	t.Helper()
	b, err := books.Open(dir, func() time.Time { return start })
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() }) // closed before by tests that reopen
	return b
}

func merchant() books.Merchant {
	return books.Merchant{Provider: books.Alipay, ID: "app", Account: "seller", FeeBasisPoints: 60, RefundFeeReturned: true}
}

func order(number string, amount int64) books.Order {
	return books.Order{Provider: books.Alipay, Merchant: "app", Account: "seller", Number: number, ProviderNo: "P" + number,
		Token: "token" + number, Amount: amount, State: books.OrderPrepared, CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
}

func pay(t *testing.T, b *books.Books, number string, amount int64) {
	t.Helper()
	require.NoError(t, b.Update("paid", func(tx *books.Tx) error {
		_, err := tx.Pay(order(number, amount), merchant(), "ALIPAYACCOUNT")
		return err
	}))
}

func balance(t *testing.T, b *books.Books) (fen int64) {
	t.Helper()
	require.NoError(t, b.View(func(r books.Reader) error { fen = r.Balance(books.Alipay, "seller"); return nil }))
	return fen
}

func TestATornLastRecordIsAsIfItWasNeverWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	pay(t, b, "1", 100_00)
	path := filepath.Join(dir, "journal.jsonl")
	first, err := os.ReadFile(path)
	require.NoError(t, err)
	pay(t, b, "2", 50_00)
	require.NoError(t, b.Close())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, first, whole[:len(first)], "the journal only grows")

	for length := len(first); length <= len(whole); length++ {
		torn := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(torn, "journal.jsonl"), whole[:length], 0o600))
		again, err := books.Open(torn, func() time.Time { return start })
		require.NoError(t, err, "cut at byte %d", length)
		want := int64(100_00 - 60)
		if length == len(whole) {
			want += 50_00 - 30
		}
		require.Equal(t, want, balance(t, again), "cut at byte %d", length)
		pay(t, again, "3", 1_00)
		require.NoError(t, again.Close())
		reopened, err := books.Open(torn, func() time.Time { return start })
		require.NoError(t, err, "the journal goes on after a cut at byte %d", length)
		require.Equal(t, want+1_00-1, balance(t, reopened))
		require.NoError(t, reopened.Close())
	}
}

func TestADamagedMiddleIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	for i := range 3 {
		pay(t, b, fmt.Sprint(i), 1_00)
	}
	require.NoError(t, b.Close())
	path := filepath.Join(dir, "journal.jsonl")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := bytes.SplitAfter(text, []byte("\n"))

	broken := append(append([]byte(nil), lines[0]...), append([]byte("garbage\n"), lines[2]...)...)
	require.NoError(t, os.WriteFile(path, broken, 0o600))
	_, err = books.Open(dir, time.Now)
	require.ErrorContains(t, err, "line 2 is damaged")

	require.NoError(t, os.WriteFile(path, append(append([]byte(nil), lines[0]...), lines[2]...), 0o600))
	_, err = books.Open(dir, time.Now)
	require.ErrorContains(t, err, "lines are missing")
}

func TestOneDirectoryHasOneSandbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	_, err := books.Open(dir, time.Now)
	require.ErrorContains(t, err, "in use by another sandbox")
}

func TestAFailedUpdateLeavesNothing(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	refused := errors.New("refused")
	require.ErrorIs(t, b.Update("paid", func(tx *books.Tx) error {
		if _, err := tx.Pay(order("1", 100), merchant(), ""); err != nil {
			return err
		}
		return refused
	}), refused)
	require.Zero(t, balance(t, b))
	var journal bytes.Buffer
	require.NoError(t, b.WriteJournal(&journal))
	require.Empty(t, journal.String())
}

func TestManyWritersLoseNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	var writers sync.WaitGroup
	for i := range 40 {
		writers.Go(func() {
			for j := range 5 {
				pay(t, b, fmt.Sprintf("%d-%d", i, j), 100_00)
			}
		})
	}
	writers.Wait()
	require.Equal(t, int64(200*(100_00-60)), balance(t, b))
	require.NoError(t, b.Close())
	again := open(t, dir)
	require.NoError(t, again.View(func(r books.Reader) error {
		running, seen := int64(0), map[int64]bool{}
		for _, m := range r.Movements(func(books.Movement) bool { return true }) {
			running += m.Amount
			require.Equal(t, running, m.Balance)
			require.False(t, seen[m.ID])
			seen[m.ID] = true
		}
		require.Len(t, seen, 400)
		return nil
	}))
}

func TestFeesAreRoundedHalfUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ amount, basisPoints, fee int64 }{
		{1, 60, 0}, {83, 60, 0}, {84, 60, 1}, {100, 50, 1}, {99, 50, 0}, {199_00, 60, 1_19}, {0, 60, 0},
		{100_000_000_00, 10_000, 100_000_000_00}, {1 << 53, 9_999, 9006298534815518},
	} {
		require.Equal(t, c.fee, books.Fee(c.amount, c.basisPoints), "%+v", c)
	}
}

func TestPartialRefundsReturnTheWholeFee(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	require.NoError(t, b.Update("top_up", func(tx *books.Tx) error {
		_, err := tx.Move(books.Movement{Provider: books.Alipay, Merchant: "app", Account: "seller", Kind: books.MovementTopUp, Amount: 7_00})
		return err
	}))
	pay(t, b, "1", 1_00)
	for i := range 100 {
		require.NoError(t, b.Update("refund", func(tx *books.Tx) error {
			o, ok := tx.Order(books.Alipay, "app", "1")
			require.True(t, ok)
			_, _, err := tx.GiveBack(o, merchant(), books.Refund{Provider: books.Alipay, Merchant: "app", OrderNumber: "1",
				Number: fmt.Sprint("R", i), Amount: 1, State: books.RefundSuccess})
			return err
		}), "refund %d", i)
	}
	require.NoError(t, b.View(func(r books.Reader) error {
		o, _ := r.Order(books.Alipay, "app", "1")
		require.Equal(t, o.Fee, o.FeeReturned)
		require.Equal(t, o.Amount, o.Refunded)
		require.Len(t, r.RefundsOf(o), 100)
		return nil
	}))
	require.Equal(t, int64(7_00), balance(t, b))
}

func TestARefundBeyondTheBalanceIsRefused(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	pay(t, b, "1", 1_00)
	poor := merchant()
	poor.RefundFeeReturned = false
	require.ErrorIs(t, b.Update("refund", func(tx *books.Tx) error {
		o, _ := tx.Order(books.Alipay, "app", "1")
		_, _, err := tx.GiveBack(o, poor, books.Refund{Provider: books.Alipay, Merchant: "app", OrderNumber: "1", Number: "R", Amount: 1_00})
		return err
	}), books.ErrNotEnough)
	require.Equal(t, int64(99), balance(t, b))
}

func TestTheBusinessClockSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, b.Update("clock", func(tx *books.Tx) error { tx.SetClockOffset(48 * time.Hour); return nil }))
	require.NoError(t, b.Close())
	again := open(t, dir)
	require.Equal(t, start.Add(48*time.Hour), again.Now())
	require.Equal(t, start, again.RealNow())
}
