package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/pg"
	"github.com/suanpan/suanpan/money"
)

// notifierStub believes every body that is a notification.
type notifierStub struct{ channel.Adapter }

func (notifierStub) ReadNotification(_ context.Context, _ *http.Request, body []byte) (n channel.Notification, err error) {
	if json.Unmarshal(body, &n) != nil {
		err = errors.New("the signature is wrong")
	}
	return n, err
}

func (notifierStub) Acknowledge(w http.ResponseWriter, ok bool) {
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// notices is an API that was asked for one payment, of 88.88 yuan.
type notices struct {
	*fixture
	number string
	target string
}

func newNotices(t *testing.T) *notices {
	t.Helper()
	f := newFixture(t)
	f.adapters[f.channel.ID] = notifierStub{}
	require.Equal(t, http.StatusCreated, f.post("/v1/payments", f.payment("order-1")).Code)
	n := &notices{fixture: f, target: "/notify/alipay/" + f.channel.ID}
	require.NoError(t, f.db.Pool.QueryRow(t.Context(), `select number from attempts`).Scan(&n.number))
	return n
}

// notice is the payment's own notification with some changes.
func (n *notices) notice(change func(*channel.Notification)) string {
	n.t.Helper()
	var fen int64
	require.NoError(n.t, n.db.Pool.QueryRow(n.t.Context(), `select amount from payments`).Scan(&fen))
	said := channel.Notification{ID: "n-1", Kind: channel.NotifyTrade, Number: n.number, TradeNumber: n.number,
		Amount: money.Fen(fen), State: "SUCCESS"}
	if change != nil {
		change(&said)
	}
	text, err := json.Marshal(said)
	require.NoError(n.t, err)
	return string(text)
}

func (n *notices) deliver(target, body string) response {
	n.t.Helper()
	return n.post(target, body, "Authorization", "", "Idempotency-Key", "")
}

func TestNotificationsAreStoredBeforeTheyAreAcknowledged(t *testing.T) {
	t.Parallel()
	n := newNotices(t)
	good := n.notice(nil)
	require.Equal(t, http.StatusUnauthorized, n.deliver(n.target, "forged").Code)
	require.Zero(t, n.count("notifications"))
	for range 2 {
		require.Equal(t, http.StatusOK, n.deliver(n.target, good).Code)
	}
	require.Equal(t, 1, n.count("notifications"))
	// Another process, which remembers nothing, finds it in the database.
	n.handler = n.serve(Options{})
	require.Equal(t, http.StatusOK, n.deliver(n.target, good).Code)
	require.Equal(t, 1, n.count("notifications"))
	n.deliver("/notify/wechatpay/"+n.channel.ID, good).refused(404, "not_found", "")
	n.deliver("/notify/alipay/"+id.New(id.ChannelAccount), good).refused(404, "not_found", "")
	n.deliver("/notify/alipay/%27%3B%20drop%20table%20notifications", good).refused(404, "not_found", "")
	require.Equal(t, http.StatusBadRequest, n.deliver(n.target, strings.Repeat("x", maxBody+1)).Code)
	require.Equal(t, 1, n.count("notifications"))
	require.Zero(t, n.count("refused_notifications"))
}

// TestNotificationsThatContradictUs carry a valid signature: they are refused
// with an alarm and an audit row, and wake nobody.
func TestNotificationsThatContradictUs(t *testing.T) {
	t.Parallel()
	n := newNotices(t)
	reasons := map[string]func(*channel.Notification){
		"amount_differs":   func(n *channel.Notification) { n.Amount = money.Fen(1) },
		"currency_differs": func(n *channel.Notification) { n.Amount.Currency = "USD" },
		"unknown_number":   func(n *channel.Notification) { n.TradeNumber = id.Number() },
	}
	for reason, change := range reasons {
		body := n.notice(change)
		for range 2 {
			require.Equal(t, http.StatusUnauthorized, n.deliver(n.target, body).Code, reason)
		}
		require.Equal(t, 1, n.count(`refused_notifications where times = 2 and reason = '`+reason+`'`))
		require.Contains(t, n.log.String(), "reason="+reason)
	}
	require.Equal(t, 2*len(reasons), strings.Count(n.log.String(), "ALARM"))
	require.Zero(t, n.count("notifications"))
	require.Equal(t, len(reasons), n.count("refused_notifications"))
	require.Equal(t, http.StatusOK, n.deliver(n.target, n.notice(nil)).Code, "the true one is still welcome")

	nonce := func(notification, nonce string) string {
		return n.notice(func(n *channel.Notification) { n.ID, n.Nonce = notification, nonce })
	}
	require.Equal(t, http.StatusOK, n.deliver(n.target, nonce("n-2", "1/a")).Code)
	require.Equal(t, http.StatusOK, n.deliver(n.target, nonce("n-2", "2/b")).Code, "a retry has a nonce of its own")
	require.Equal(t, http.StatusUnauthorized, n.deliver(n.target, nonce("n-3", "1/a")).Code)
	require.Equal(t, 1, n.count(`refused_notifications where reason = 'nonce_used'`))
	require.Equal(t, 2, n.count("notifications"))
}

// TestNotificationsThatCannotBeKept are refused before the database sees them.
func TestNotificationsThatCannotBeKept(t *testing.T) {
	t.Parallel()
	n := newNotices(t)
	for name, change := range map[string]func(*channel.Notification){
		"no id":         func(n *channel.Notification) { n.ID = "" },
		"no state":      func(n *channel.Notification) { n.State = "" },
		"a blank":       func(n *channel.Notification) { n.ID = "n 1" },
		"a zero byte":   func(n *channel.Notification) { n.State = "x\x00" },
		"an endless id": func(n *channel.Notification) { n.ID = strings.Repeat("x", 129) },
		"not ASCII":     func(n *channel.Notification) { n.Number = "号" },
	} {
		require.Equal(t, http.StatusUnauthorized, n.deliver(n.target, n.notice(change)).Code, name)
	}
	require.Zero(t, n.count("notifications"))
	require.Zero(t, n.count("refused_notifications"))
}

// TestForgeriesNeverReachTheDatabase, which is shown by taking it away: forged
// ones are refused as before, true ones must come again and then count once.
func TestForgeriesNeverReachTheDatabase(t *testing.T) {
	t.Parallel()
	n := newNotices(t)
	db, err := pg.Open(t.Context(), n.db.URL, pg.Options{MaxConns: 2})
	require.NoError(t, err)
	here, down := n.db.DB, db
	n.db.DB = down
	n.handler = n.serve(Options{})
	require.Equal(t, http.StatusUnauthorized, n.deliver(n.target, "forged").Code)
	down.Close()
	began := time.Now()
	for range 1000 {
		require.Equal(t, http.StatusUnauthorized, n.deliver(n.target, "forged").Code)
	}
	require.Less(t, time.Since(began), accountMemory, "the account is remembered")
	require.Equal(t, http.StatusUnauthorized, n.deliver(n.target, n.notice(nil)).Code)
	require.NotContains(t, n.log.String(), "panic")
	n.db.DB = here
	n.handler = n.serve(Options{})
	for range 2 {
		require.Equal(t, http.StatusOK, n.deliver(n.target, n.notice(nil)).Code)
	}
	require.Equal(t, 1, n.count("notifications"))
}

// TestGatesLetInSoMany and turn others away after a moment.
func TestGatesLetInSoMany(t *testing.T) {
	t.Parallel()
	g := make(gate, 2)
	first, err := g.enter(t.Context())
	require.NoError(t, err)
	_, err = g.enter(t.Context())
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = g.enter(gone)
	require.ErrorIs(t, err, context.Canceled)
	_, err = g.enter(t.Context())
	require.ErrorContains(t, err, "again")
	var waiting sync.WaitGroup
	waiting.Go(func() {
		leave, err := g.enter(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		leave()
	})
	first()
	waiting.Wait()
}

// TestTakenNoticesForgetTheOldest and never more than two generations.
func TestTakenNoticesForgetTheOldest(t *testing.T) {
	t.Parallel()
	notice := func(i int) channel.StoredNotification {
		return channel.StoredNotification{Notification: channel.Notification{Amount: money.Fen(int64(i)), Nonce: id.Number()}}
	}
	var taken takenNotices
	require.False(t, taken.has(notice(0)))
	for i := range 3 * noticesRemembered {
		taken.add(notice(i))
		require.LessOrEqual(t, len(taken.young)+len(taken.former), 2*noticesRemembered)
	}
	require.True(t, taken.has(notice(3*noticesRemembered-1)))
	require.True(t, taken.has(notice(noticesRemembered+1)))
	require.False(t, taken.has(notice(0)))
}
