package secret

import (
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/pg"
)

// ErrNotOpened says that a sealed value was changed, or belongs to another place.
var ErrNotOpened = errors.New("the sealed value does not open: it was changed, or it belongs to another place")

// Place is where a sealed value is kept. It is authenticated with the value.
type Place struct {
	// Tenant owns the data key; a Ring puts the platform's name here.
	Tenant string
	// Field names table and column, such as "channel_credentials.sealed".
	Field string
	// Row identifies the row in the table, within the tenant.
	Row string
}

// A sealed value is the format, the version and the tag of the data key, the nonce
// and the sealed text.
const (
	format     byte = 1
	tagLength       = 8
	headLength      = 1 + 4 + tagLength
)

// maxCached bounds the data keys a Box keeps unwrapped.
const maxCached = 4096

// Box seals and opens values. It is safe for concurrent use; a process needs one.
type Box struct {
	masters Masters
	mu      sync.Mutex
	// keys never change: a version is one key for ever.
	keys map[keyName]cipher.AEAD
}

// keyName names a data key for ever. The tag is random: a version whose transaction
// rolled back is another key than the one that takes its number later.
type keyName struct {
	tenant  string
	version uint32
	tag     [tagLength]byte
}

// NewBox returns a Box under masters; there must be one.
func NewBox(masters Masters) (*Box, error) {
	if len(masters) == 0 {
		return nil, errors.New("secrets need a master key")
	}
	return &Box{masters: masters, keys: map[keyName]cipher.AEAD{}}, nil
}

// Seal seals plain for at under the tenant's newest data key, making the first one
// when there is none. tx is a transaction of the tenant or of the system.
func (b *Box) Seal(ctx context.Context, q pg.Querier, at Place, plain []byte) ([]byte, error) {
	name, err := newest(ctx, q, at.Tenant)
	if err == nil && name.version == 0 {
		name, err = b.addKey(ctx, q, name)
	}
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", at.Field, err)
	}
	key, err := b.key(ctx, q, name)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", at.Field, err)
	}
	head := name.head()
	return seal(key, head, plain, at.bound(head)), nil
}

// Open opens what Seal sealed for the same place, under whichever data key. It
// returns ErrNotOpened for anything else.
func (b *Box) Open(ctx context.Context, q pg.Querier, at Place, sealed []byte) (Value, error) {
	name, err := nameOf(at.Tenant, sealed)
	if err != nil {
		return Value{}, fmt.Errorf("open %s: %w", at.Field, err)
	}
	key, err := b.key(ctx, q, name)
	if err != nil {
		return Value{}, fmt.Errorf("open %s: %w", at.Field, err)
	}
	plain, err := open(key, sealed[headLength:], at.bound(sealed[:headLength]))
	if err != nil {
		return Value{}, fmt.Errorf("open %s: %w", at.Field, err)
	}
	return NewValue(plain), nil
}

// VersionOf tells which version of its tenant's data key sealed a value.
func VersionOf(sealed []byte) (uint32, error) {
	name, err := nameOf("", sealed)
	return name.version, err
}

// nameOf reads the head of a sealed value of tenant.
func nameOf(tenant string, sealed []byte) (keyName, error) {
	if len(sealed) < headLength || sealed[0] != format {
		return keyName{}, ErrNotOpened
	}
	return keyName{tenant, binary.BigEndian.Uint32(sealed[1:5]), [tagLength]byte(sealed[5:headLength])}, nil
}

func (n keyName) head() []byte {
	return append(binary.BigEndian.AppendUint32([]byte{format}, n.version), n.tag[:]...)
}

// bound is what is authenticated beside the text; every part's length goes first,
// so that no two places read alike.
func (p Place) bound(head []byte) []byte {
	out := append([]byte{}, head...)
	for _, part := range []string{p.Tenant, p.Field, p.Row} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return out
}

// platform begins the name of an owner of data keys that is no tenant.
const platform = "platform/"

// shelf is the table that has the data keys of a tenant or of the platform, and its
// column for whose they are.
func shelf(owner string) (table, column string) {
	if strings.HasPrefix(owner, platform) {
		return "platform_keys", "owner"
	}
	return "data_keys", "tenant_id"
}

// keysOf is the from and where of an owner's data keys.
func keysOf(owner string) string {
	table, column := shelf(owner)
	return table + " where " + column + " = $1"
}

// context is what a wrapped data key is bound to.
func (n keyName) context() []byte {
	return Place{Tenant: n.tenant, Field: "data_keys.wrapped"}.bound(n.head())
}

// newest names the data key that seals now; its version is 0 when there is none.
func newest(ctx context.Context, q pg.Querier, tenant string) (keyName, error) {
	name := keyName{tenant: tenant}
	var tag []byte
	err := q.QueryRow(ctx, `
		select version, tag from `+keysOf(tenant)+` order by version desc limit 1`,
		tenant).Scan(&name.version, &tag)
	if errors.Is(err, pgx.ErrNoRows) {
		return name, nil
	}
	if err != nil {
		return keyName{}, fmt.Errorf("newest data key: %w", err)
	}
	name.tag = [tagLength]byte(tag)
	return name, nil
}

// addKey adds the data key after last and returns the newest, which is somebody
// else's when there were two at the same time.
func (b *Box) addKey(ctx context.Context, q pg.Querier, last keyName) (keyName, error) {
	next := keyName{last.tenant, last.version + 1, [tagLength]byte(randomBytes(tagLength))}
	wrapped, err := b.masters[0].Wrap(ctx, randomBytes(keySize), next.context())
	if err != nil {
		return keyName{}, fmt.Errorf("wrap data key: %w", err)
	}
	table, owner := shelf(next.tenant)
	_, err = q.Exec(ctx, `
		insert into `+table+` (`+owner+`, version, tag, master_key, wrapped) values ($1, $2, $3, $4, $5)
		on conflict (`+owner+`, version) do nothing`,
		next.tenant, next.version, next.tag[:], b.masters[0].ID(), wrapped)
	if err != nil {
		return keyName{}, fmt.Errorf("add data key: %w", err)
	}
	return newest(ctx, q, next.tenant)
}

// key returns one data key, unwrapped.
func (b *Box) key(ctx context.Context, q pg.Querier, name keyName) (cipher.AEAD, error) {
	b.mu.Lock()
	key, ok := b.keys[name]
	b.mu.Unlock()
	if ok {
		return key, nil
	}
	var masterID string
	var wrapped []byte
	err := q.QueryRow(ctx, `
		select master_key, wrapped from `+keysOf(name.tenant)+` and version = $2 and tag = $3`,
		name.tenant, name.version, name.tag[:]).Scan(&masterID, &wrapped)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotOpened
	}
	if err != nil {
		return nil, fmt.Errorf("read data key: %w", err)
	}
	plain, err := b.unwrap(ctx, name, masterID, wrapped)
	if err != nil {
		return nil, err
	}
	if key, err = newAEAD(plain); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.keys) >= maxCached {
		clear(b.keys)
	}
	b.keys[name] = key
	return key, nil
}

func (b *Box) unwrap(ctx context.Context, name keyName, masterID string, wrapped []byte) ([]byte, error) {
	master, err := b.masters.find(masterID)
	if err != nil {
		return nil, err
	}
	plain, err := master.Unwrap(ctx, wrapped, name.context())
	if err != nil {
		return nil, fmt.Errorf("unwrap data key %d under %s: %w", name.version, masterID, err)
	}
	return plain, nil
}
