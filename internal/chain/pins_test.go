package chain_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/internal/chain"
)

// folder is a chain of anchors with the key that signs them.
type folder struct {
	*testing.T
	public  ed25519.PublicKey
	private ed25519.PrivateKey
	newest  []byte
}

func newFolder(t *testing.T) *folder {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return &folder{T: t, public: public, private: private}
}

// seals are the first n of a chain.
func seals(n int) (all []chain.Seal) {
	last := chain.Nothing()
	for range n {
		hash := sha256.Sum256(append([]byte{byte(last.Number)}, last.Hash...))
		last = chain.Seal{Number: last.Number + 1, From: last.To, To: last.To + 10, Entries: 10, Prev: last.Hash, Hash: hash[:]}
		all = append(all, last)
	}
	return all
}

// chains are n seals of one owner.
func chains(kind chain.Kind, n int) chain.Chains {
	return chain.Chains{Kind: kind, Owners: []string{"ten_1"}, Seals: func(_ string, after int64) ([]chain.Seal, error) {
		return seals(n)[max(after, 0):], nil
	}}
}

// anchor is the next one of the second form, with so many seals in the books and in the log.
func (f *folder) anchor(pins *chain.Pins, books, logs int) chain.Anchor {
	f.Helper()
	made, err := chain.MakeAnchor(time.Now(), pins, f.newest, chains(chain.Books, books), chains(chain.AuditLog, logs))
	require.NoError(f, err)
	return made
}

// first is an anchor as the version before audit logs wrote it.
func first(a chain.Anchor) map[string]any {
	return map[string]any{"format": "suanpan anchor 1", "made_at": a.MadeAt, "previous_sha256": a.Previous, "tenants": a.Tenants}
}

func (f *folder) add(pins *chain.Pins, anchor any) error {
	f.Helper()
	text, err := json.Marshal(anchor)
	require.NoError(f, err)
	err = pins.Add(f.public, text, ed25519.Sign(f.private, text))
	if err == nil {
		f.newest = text
	}
	return err
}

// A folder that an earlier version began goes on: what its anchors say of the books binds,
// of the audit log they say nothing, and the next one has the log from its first seal on.
func TestAnchorsOfTheFirstFormAreContinued(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	pins := &chain.Pins{}
	require.NoError(t, f.add(pins, first(f.anchor(pins, 2, 3))))
	require.NoError(t, f.add(pins, first(f.anchor(pins, 3, 4))))
	require.Equal(t, []chain.Kind{chain.AuditLog}, pins.Silent())
	require.EqualValues(t, 3, pins.Last(chain.Books, "ten_1"))
	require.Zero(t, pins.Last(chain.AuditLog, "ten_1"))
	require.Empty(t, pins.Owners(chain.AuditLog))

	second := f.anchor(pins, 5, 4)
	require.Equal(t, 2+4, second.Seals(), "the books from seal 4 on, the log from seal 1")
	sum := sha256.Sum256(f.newest)
	require.Equal(t, hex.EncodeToString(sum[:]), second.Previous)
	require.NoError(t, f.add(pins, second))
	require.Empty(t, pins.Silent())
	require.Equal(t, 3, pins.Count())
	for kind, n := range map[chain.Kind]int{chain.Books: 5, chain.AuditLog: 4} {
		for i, want := range seals(n) {
			got, ok := pins.Seal(kind, "ten_1", int64(i+1))
			require.True(t, ok)
			require.True(t, got.Is(want), "%s %d", kind, i+1)
		}
	}
	_, err := chain.MakeAnchor(time.Now(), pins, f.newest, chains(chain.Books, 4))
	require.ErrorContains(t, err, "no longer continues from seal 5", "what an anchor of either form has is held")
}

func TestFormsThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	pins := &chain.Pins{}
	withLogs := first(f.anchor(pins, 1, 1))
	withLogs["audit_logs"] = []any{}
	require.ErrorContains(t, f.add(pins, withLogs), "speaks of no audit logs")
	unknown := first(f.anchor(pins, 1, 1))
	unknown["format"] = "suanpan anchor 3"
	require.ErrorContains(t, f.add(pins, unknown), `but "suanpan anchor 3"`)
	require.NoError(t, f.add(pins, f.anchor(pins, 1, 1)))
	require.ErrorContains(t, f.add(pins, first(f.anchor(pins, 2, 2))), "one before it of the form")
	stranger := newFolder(t)
	text, err := json.Marshal(first(f.anchor(pins, 2, 2)))
	require.NoError(t, err)
	require.ErrorContains(t, (&chain.Pins{}).Add(f.public, text, ed25519.Sign(stranger.private, text)), "signature")
	require.Empty(t, (*chain.Pins)(nil).Silent(), "without anchors nothing is claimed")
}
