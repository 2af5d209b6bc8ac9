package api

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
)

// The bounds of what is known about keys without a look into the database.
const (
	// keyMemory is how long a key is believed, or refused, without a look; so long a
	// revocation may take to be felt, below the five seconds that are promised.
	keyMemory = 2 * time.Second
	// keysRemembered is how many keys of one generation are known; there are two.
	keysRemembered = 4096
	// keysSought bounds the looks at once, so that a flood of invented keys leaves
	// connections for everybody else.
	keysSought = 6
)

// keyring finds out whom secrets and signing keys stand for. It is safe for
// concurrent use and holds nothing that it may not forget, and no secret.
type keyring struct {
	mode         tenant.Mode
	authenticate Authenticate
	verifier     func(ctx context.Context, tenantID, keyID, signingKeyID string) (ed25519.PublicKey, error)
	seeking      gate

	callers memory[[sha256.Size]byte, tenant.Principal]
	signers memory[string, ed25519.PublicKey]
}

func newKeyring(opts Options) *keyring {
	k := &keyring{mode: opts.Mode, authenticate: opts.Authenticate, seeking: make(gate, keysSought)}
	if k.authenticate == nil {
		k.authenticate = func(ctx context.Context, secret string) (tenant.Principal, error) {
			return tenant.Authenticate(ctx, opts.DB, secret)
		}
	}
	k.verifier = func(ctx context.Context, tenantID, keyID, signingKeyID string) (ed25519.PublicKey, error) {
		return tenant.Verifier(ctx, opts.DB, tenantID, keyID, signingKeyID)
	}
	return k
}

// principal is the caller whose secret it is. An installation knows no tenants of the
// mode that it does not serve.
func (k *keyring) principal(ctx context.Context, secret string) (tenant.Principal, error) {
	p, err := remembered(ctx, k.seeking, &k.callers, sha256.Sum256([]byte(secret)), func() (tenant.Principal, error) {
		return k.authenticate(ctx, secret)
	})
	if err == nil && !p.Operator() && p.Mode != k.mode {
		return tenant.Principal{}, tenant.Unauthenticated()
	}
	return p, err
}

// signer is the public key of a signing key that is good now, or nil.
func (k *keyring) signer(ctx context.Context, p tenant.Principal, signingKeyID string) (ed25519.PublicKey, error) {
	return remembered(ctx, k.seeking, &k.signers, p.KeyID+"/"+signingKeyID, func() (ed25519.PublicKey, error) {
		return k.verifier(ctx, p.TenantID, p.KeyID, signingKeyID)
	})
}

// memory holds what was found lately, refusals included, in two generations.
type memory[K comparable, V any] struct {
	mu            sync.Mutex
	young, former map[K]found[V]
}

type found[V any] struct {
	value   V
	refusal error
	at      time.Time
}

func (m *memory[K, V]) get(key K) (found[V], bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.young[key]
	if !ok {
		f, ok = m.former[key]
	}
	return f, ok && time.Since(f.at) < keyMemory
}

func (m *memory[K, V]) put(key K, f found[V]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.young == nil || len(m.young) >= keysRemembered {
		m.young, m.former = make(map[K]found[V], keysRemembered/8), m.young
	}
	m.young[key] = f
}

// forget makes everybody be looked up again.
func (k *keyring) forget() {
	k.callers.clear()
	k.signers.clear()
}

func (m *memory[K, V]) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.young, m.former = nil, nil
}

// remembered is what seek finds, or found a moment ago. The age counts from before
// the look, so that nothing is believed for longer than keyMemory. That there is no
// answer is not remembered.
func remembered[K comparable, V any](ctx context.Context, g gate, m *memory[K, V], key K, seek func() (V, error)) (V, error) {
	if f, ok := m.get(key); ok {
		return f.value, f.refusal
	}
	leave, err := g.enter(ctx)
	if err != nil {
		var none V
		return none, err
	}
	defer leave()
	if f, ok := m.get(key); ok { // somebody else looked meanwhile
		return f.value, f.refusal
	}
	f := found[V]{at: time.Now()}
	f.value, f.refusal = seek()
	if refusal, ok := fault.As(f.refusal); f.refusal == nil || ok && refusal.Kind == fault.KindUnauthenticated {
		m.put(key, f)
	}
	return f.value, f.refusal
}
