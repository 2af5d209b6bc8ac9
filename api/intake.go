package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
)

// The bounds of what notifications may take of a process, so that a flood of
// forged ones is refused by arithmetic alone and the others get through.
const (
	// noticesVerified bounds the signatures under verification.
	noticesVerified = 32
	// noticesStored bounds the connections to the database in use.
	noticesStored = 8
	// accountsSought bounds the look-ups of accounts not seen lately.
	accountsSought = 4
	// gatePatience is how long a notification waits at a gate.
	gatePatience = time.Second
	// accountMemory is how long an account and its keys are used without a look.
	accountMemory = 5 * time.Second
	// accountDoubt is the same once a notification did not verify: its keys may have
	// changed a moment ago.
	accountDoubt = time.Second
	// noticesRemembered is how many notifications of one generation are known to
	// be stored without a look; there are two generations.
	noticesRemembered = 4096
)

// intake is what stands between the providers' notifications and the database.
type intake struct {
	db                          *pg.DB
	adapters                    Adapters
	verifying, storing, seeking gate
	taken                       *takenNotices

	mu    sync.Mutex
	known map[string]*knownAccount
}

func newIntake(db *pg.DB, adapters Adapters) *intake {
	return &intake{
		db: db, adapters: adapters, known: map[string]*knownAccount{}, taken: &takenNotices{},
		verifying: make(gate, noticesVerified), storing: make(gate, noticesStored), seeking: make(gate, accountsSought),
	}
}

// knownAccount is a channel account as it was at a moment. It is not changed.
type knownAccount struct {
	tenant.ChannelAccount
	owner    string
	notifier channel.Notifier
	at       time.Time
}

// account finds the account of an address; one of another channel than the
// address says does not exist. Only accounts that exist are remembered, so the
// memory is no larger than their number.
func (i *intake) account(ctx context.Context, channelName, accountID string) (*knownAccount, error) {
	if id.Check(id.ChannelAccount, accountID) != nil {
		return nil, fault.NotFound()
	}
	account, err := i.noOlder(ctx, accountID, accountMemory)
	if err != nil {
		return nil, err
	}
	if account.Channel != channelName {
		return nil, fault.NotFound()
	}
	return account, nil
}

// remembered is the account if it was looked up within the age, otherwise nil.
func (i *intake) remembered(accountID string, age time.Duration) *knownAccount {
	i.mu.Lock()
	defer i.mu.Unlock()
	account := i.known[accountID]
	if account == nil || time.Since(account.at) > age {
		return nil
	}
	return account
}

// noOlder is the account as it was at some moment within the age.
func (i *intake) noOlder(ctx context.Context, accountID string, age time.Duration) (*knownAccount, error) {
	if account := i.remembered(accountID, age); account != nil {
		return account, nil
	}
	leave, err := i.seeking.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if account := i.remembered(accountID, age); account != nil {
		return account, nil // somebody else looked meanwhile
	}
	found := &knownAccount{at: time.Now()}
	err = i.db.AsSystem(ctx, func(tx pgx.Tx) error {
		var err error
		found.owner, found.ChannelAccount, err = tenant.ChannelAccountOwner(ctx, tx, accountID)
		return err
	})
	if err == nil {
		found.notifier, err = i.adapters.Notifier(ctx, found.ChannelAccount)
	}
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	i.known[accountID] = found
	i.mu.Unlock()
	return found, nil
}

// gate lets as many in at once as its capacity.
type gate chan struct{}

// enter waits for a place, but not for long: providers and clients send again.
func (g gate) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { <-g }
	select {
	case g <- struct{}{}:
		return leave, nil
	default:
	}
	patience := time.NewTimer(gatePatience)
	defer patience.Stop()
	select {
	case g <- struct{}{}:
		return leave, nil
	case <-patience.C:
		return nil, fault.Unavailable(errors.New("too many at a gate at once"), gatePatience)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// takenNotices remembers the latest notifications that were stored, so that
// one sent a thousand times again costs its signature and no more. It compares
// whole notifications: another content under the same id is looked at.
type takenNotices struct {
	mu            sync.Mutex
	young, former map[channel.StoredNotification]struct{}
}

func (t *takenNotices) has(n channel.StoredNotification) bool {
	n.Nonce = "" // another one in each delivery
	t.mu.Lock()
	defer t.mu.Unlock()
	_, young := t.young[n]
	_, former := t.former[n]
	return young || former
}

func (t *takenNotices) add(n channel.StoredNotification) {
	n.Nonce = ""
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.young == nil || len(t.young) >= noticesRemembered {
		t.young, t.former = make(map[channel.StoredNotification]struct{}, noticesRemembered/8), t.young
	}
	t.young[n] = struct{}{}
}
