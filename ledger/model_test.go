package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/suanpan/suanpan/ledger"
)

// model is the ledger as a child would write it: maps, one thing at a time.
// Merchants have money; everything else is where it came from or went to.
type model struct {
	money map[string]int64
	held  map[string]int64
	holds map[string]*modelHold
	done  map[string]string // reference → content
}

type modelHold struct {
	merchant string
	left     int64
	closed   bool
	released bool
}

func newModel() *model {
	return &model{map[string]int64{}, map[string]int64{}, map[string]*modelHold{}, map[string]string{}}
}

// once answers for a reference used before, or "" when it is new.
func (m *model) once(reference, content string) string {
	before, ok := m.done[reference]
	switch {
	case !ok:
		return ""
	case before == content:
		return "ok"
	}
	return string(ledger.Mismatch)
}

func (m *model) collect(number, merchant string, amount int64) string {
	content := fmt.Sprint("collect", merchant, amount)
	if verdict := m.once(number, content); verdict != "" {
		return verdict
	}
	m.done[number] = content
	m.money[merchant] += amount
	return "ok"
}

func (m *model) spend(number, merchant string, amount int64) string {
	content := fmt.Sprint("spend", merchant, amount)
	if verdict := m.once(number, content); verdict != "" {
		return verdict
	}
	if m.money[merchant]-m.held[merchant] < amount {
		return string(ledger.Insufficient)
	}
	m.done[number] = content
	m.money[merchant] -= amount
	return "ok"
}

func (m *model) hold(reference, merchant string, amount int64) string {
	content := fmt.Sprint(merchant, amount)
	if verdict := m.once("hold "+reference, content); verdict != "" {
		return verdict
	}
	if m.money[merchant]-m.held[merchant] < amount {
		return string(ledger.Insufficient)
	}
	m.done["hold "+reference] = content
	m.held[merchant] += amount
	m.holds[reference] = &modelHold{merchant: merchant, left: amount}
	return "ok"
}

func (m *model) capture(number, reference, merchant string, amount int64) string {
	content := fmt.Sprint("capture", reference, merchant, amount)
	if verdict := m.once(number, content); verdict != "" {
		return verdict
	}
	h := m.holds[reference]
	switch {
	case h == nil:
		return string(ledger.NotFound)
	case h.merchant != merchant:
		return string(ledger.HoldExceeded)
	case h.closed:
		return string(ledger.HoldClosed)
	case h.left < amount:
		return string(ledger.HoldExceeded)
	}
	m.done[number] = content
	h.left -= amount
	h.closed = h.left == 0
	m.held[merchant] -= amount
	m.money[merchant] -= amount
	return "ok"
}

func (m *model) release(reference string) string {
	h := m.holds[reference]
	switch {
	case h == nil:
		return string(ledger.NotFound)
	case h.released:
		return "ok"
	case h.closed:
		return string(ledger.HoldClosed)
	}
	m.held[h.merchant] -= h.left
	h.left, h.closed, h.released = 0, true, true
	return "ok"
}

// verdict is what the ledger said, in the model's words.
func verdict(t require.TestingT, err error) string {
	if err == nil {
		return "ok"
	}
	var refusal *ledger.Error
	require.ErrorAs(t, err, &refusal)
	return string(refusal.Kind)
}

func TestLedgerAgreesWithTheModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rapid.Check(t, func(rt *rapid.T) {
		b.tenant = b.newTenant("licensed_reserve")
		m := newModel()
		// Few names and small amounts, so that things meet.
		merchant := rapid.SampledFrom([]string{"mch_a", "mch_b", "mch_c"})
		number := rapid.Map(rapid.IntRange(1, 25), func(n int) string { return fmt.Sprintf("n%d", n) })
		amount := rapid.Int64Range(1, 50)
		rt.Repeat(map[string]func(*rapid.T){
			"collect": func(rt *rapid.T) {
				n, who, much := number.Draw(rt, "number"), merchant.Draw(rt, "merchant"), amount.Draw(rt, "amount")
				_, err := b.post(collect(n, who, much))
				require.Equal(rt, m.collect("collect "+n, who, much), verdict(rt, err))
			},
			"spend": func(rt *rapid.T) {
				n, who, much := number.Draw(rt, "number"), merchant.Draw(rt, "merchant"), amount.Draw(rt, "amount")
				_, err := b.post(spend(n, who, much, ""))
				require.Equal(rt, m.spend("refund "+n, who, much), verdict(rt, err))
			},
			"hold": func(rt *rapid.T) {
				n, who, much := number.Draw(rt, "reference"), merchant.Draw(rt, "merchant"), amount.Draw(rt, "amount")
				_, err := b.hold(ledger.HoldRequest{Account: key(ledger.MerchantAvailable, who), Amount: much, Reference: n})
				require.Equal(rt, m.hold(n, who, much), verdict(rt, err))
			},
			"capture": func(rt *rapid.T) {
				n, h, who, much := number.Draw(rt, "number"), number.Draw(rt, "reference"), merchant.Draw(rt, "merchant"), amount.Draw(rt, "amount")
				_, err := b.post(spend(n, who, much, h))
				require.Equal(rt, m.capture("refund "+n, h, who, much), verdict(rt, err))
			},
			"release": func(rt *rapid.T) {
				h := number.Draw(rt, "reference")
				require.Equal(rt, m.release(h), verdict(rt, b.release(h)))
			},
		})
		for _, who := range []string{"mch_a", "mch_b", "mch_c"} {
			account := b.balance(key(ledger.MerchantAvailable, who))
			require.Equal(rt, m.money[who], account.Posted, who)
			require.Equal(rt, m.held[who], account.Held, who)
		}
	})
	b.requireSound()
}

// Random operations from many goroutines. What was accepted is added up without
// the ledger's help and must be what the accounts say; Verify then looks at
// every moment in between.
func TestManyGoroutinesLeaveSoundBooks(t *testing.T) {
	t.Parallel()
	const workers, steps, merchants = 12, 60, 4
	b := setup(t).wide()
	var money, held [merchants]atomic.Int64
	var failures sync.Map
	var done sync.WaitGroup
	for w := range workers {
		done.Go(func() {
			r := rand.New(rand.NewPCG(20261123, uint64(w)))
			for step := range steps {
				i, much := r.IntN(merchants), r.Int64N(40)+1
				who, name := fmt.Sprintf("mch_%d", i), fmt.Sprintf("w%d-%d", w, step)
				var err error
				switch r.IntN(4) {
				case 0:
					if _, err = b.post(collect(name, who, 2*much)); err == nil {
						money[i].Add(2 * much)
					}
				case 1:
					if _, err = b.post(spend(name, who, much, "")); err == nil {
						money[i].Add(-much)
					}
				case 2:
					j := (i + 1) % merchants
					_, err = b.post(entry(ledger.Transfer, name, leg(ledger.MerchantAvailable, who, much),
						leg(ledger.MerchantAvailable, fmt.Sprintf("mch_%d", j), -much)))
					if err == nil {
						money[i].Add(-much)
						money[j].Add(much)
					}
				case 3:
					if _, err = b.hold(ledger.HoldRequest{Account: key(ledger.MerchantAvailable, who), Amount: much, Reference: name}); err != nil {
						break
					}
					held[i].Add(much)
					part := r.Int64N(much) + 1
					if _, err = b.post(spend(name, who, part, name)); err == nil {
						money[i].Add(-part)
						held[i].Add(-part)
					}
					if part < much && r.IntN(2) == 0 && err == nil {
						if err = b.release(name); err == nil {
							held[i].Add(part - much)
						}
					}
				}
				if err != nil && !ledger.IsKind(err, ledger.Insufficient) {
					failures.Store(name, err)
				}
			}
		})
	}
	done.Wait()
	failures.Range(func(name, err any) bool {
		require.NoError(t, err.(error), "%s", name)
		return true
	})
	for i := range merchants {
		account := b.balance(key(ledger.MerchantAvailable, fmt.Sprintf("mch_%d", i)))
		require.Equal(t, money[i].Load(), account.Posted)
		require.Equal(t, held[i].Load(), account.Held)
	}
	b.requireSound()
}
