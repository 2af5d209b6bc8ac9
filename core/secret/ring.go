package secret

import (
	"context"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// Payloads owns the keys of what Temporal keeps for us.
const Payloads = platform + "payloads"

// ringRefresh is for how long a Ring seals under a key without asking whether there
// is a newer one.
const ringRefresh = 30 * time.Second

// Ring seals and opens what leaves the database, under data keys of the platform.
// It keeps them in memory: once it has a key, it needs no database for it. It is
// safe for concurrent use.
type Ring struct {
	db    *pg.DB
	box   *Box
	owner string

	mu      sync.Mutex
	keys    map[keyName]cipher.AEAD
	newest  keyName
	checked time.Time
}

// NewRing returns the ring of an owner, such as Payloads. It makes no call.
func NewRing(db *pg.DB, box *Box, owner string) *Ring {
	return &Ring{db: db, box: box, owner: owner, keys: map[keyName]cipher.AEAD{}}
}

// Seal seals plain for a purpose under the newest key, making the first one when
// there is none, and names the key. A key that another process made less than half
// a minute ago may not be used yet.
func (r *Ring) Seal(ctx context.Context, purpose string, plain []byte) (sealed []byte, keyID string, err error) {
	name, key, err := r.current(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("key of %s: %w", r.owner, err)
	}
	head := name.head()
	return seal(key, head, plain, r.place(purpose).bound(head)), name.id(), nil
}

// Open opens what Seal sealed for the same purpose, under whichever key. It returns
// ErrNotOpened for anything else.
func (r *Ring) Open(ctx context.Context, purpose string, sealed []byte) ([]byte, error) {
	name, err := nameOf(r.owner, sealed)
	if err != nil {
		return nil, err
	}
	key, err := r.find(ctx, name)
	if err != nil {
		return nil, err
	}
	return open(key, sealed[headLength:], r.place(purpose).bound(sealed[:headLength]))
}

// Rotate makes a new key and seals under it from now on; other processes follow
// within half a minute. It returns the id of the key.
func (r *Ring) Rotate(ctx context.Context) (keyID string, err error) {
	err = r.db.AsSystem(ctx, func(tx pgx.Tx) error {
		_, err := r.box.RotateDataKey(ctx, tx, r.owner)
		return err
	})
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	r.checked = time.Time{}
	r.mu.Unlock()
	name, _, err := r.current(ctx)
	return name.id(), err
}

func (r *Ring) place(purpose string) Place { return Place{Tenant: r.owner, Field: purpose} }

// id is the name of a key for people and for metadata.
func (n keyName) id() string {
	return n.tenant + "/" + strconv.FormatUint(uint64(n.version), 10) + "/" + hex.EncodeToString(n.tag[:])
}

// find returns the key of that name.
func (r *Ring) find(ctx context.Context, name keyName) (cipher.AEAD, error) {
	r.mu.Lock()
	key, ok := r.keys[name]
	r.mu.Unlock()
	if ok {
		return key, nil
	}
	err := r.db.AsSystem(ctx, func(tx pgx.Tx) (err error) {
		key, err = r.box.key(ctx, tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.keys[name] = key
	r.mu.Unlock()
	return key, nil
}

// current returns the key that seals now. While the database does not answer, it is
// the one that was newest before.
func (r *Ring) current(ctx context.Context) (keyName, cipher.AEAD, error) {
	r.mu.Lock()
	name, fresh := r.newest, time.Since(r.checked) < ringRefresh
	r.mu.Unlock()
	if !fresh {
		latest, err := r.latest(ctx)
		if err != nil && name.version == 0 {
			return keyName{}, nil, err
		}
		if err == nil {
			name = latest
			r.mu.Lock()
			r.newest, r.checked = name, time.Now()
			r.mu.Unlock()
		}
	}
	key, err := r.find(ctx, name)
	return name, key, err
}

// latest names the newest key in the database, after making the first one when there is none.
func (r *Ring) latest(ctx context.Context) (name keyName, err error) {
	err = r.db.AsSystem(ctx, func(tx pgx.Tx) error {
		name, err = newest(ctx, tx, r.owner)
		if err == nil && name.version == 0 {
			name, err = r.box.addKey(ctx, tx, name)
		}
		return err
	})
	return name, err
}
