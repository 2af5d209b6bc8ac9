package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/notice"
)

// storeTimeout bounds the database's part of a notification, below the three
// seconds that providers wait for an answer.
const storeTimeout = 2500 * time.Millisecond

// notify takes in a provider's notification: verify, compare with what was
// asked, store, acknowledge. It decides nothing; a sweeper wakes the workflow,
// which asks the provider itself. What does not verify leaves a line in the log
// and never comes to the database; what verifies and contradicts us leaves an
// audit row and an alarm as well. Every refusal is the provider's "send again".
func (s *server) notify(c *gin.Context) {
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	if err != nil {
		s.refuse(c, fault.Invalid("", "body_incomplete", "The body is too large or did not arrive completely."))
		return
	}
	account, n, err := s.verifyNotice(c, body)
	switch {
	case account == nil:
		s.refuse(c, err)
		return
	case err != nil:
		s.log(c).Warn("notification refused", "tenant", account.owner, "channel_account", account.ID, "error", err.Error())
		account.notifier.Acknowledge(c.Writer, false)
		return
	}
	stored := channel.StoredNotification{Tenant: account.owner, ChannelAccountID: account.ID, Notification: n}
	if s.intake.taken.has(stored) {
		account.notifier.Acknowledge(c.Writer, true)
		return
	}
	account.notifier.Acknowledge(c.Writer, s.take(c, stored))
}

// verifyNotice finds the account of the address and lets its adapter verify the
// request, both without the database unless the account was not seen lately, or
// its keys of a moment ago do not fit. A nil account means that there is none to answer in the words of its provider.
func (s *server) verifyNotice(c *gin.Context, body []byte) (*knownAccount, channel.Notification, error) {
	ctx := c.Request.Context()
	leave, err := s.intake.verifying.enter(ctx)
	if err != nil {
		return nil, channel.Notification{}, err
	}
	defer leave()
	account, err := s.intake.account(ctx, c.Param("channel"), c.Param("channel_account_id"))
	if err != nil {
		return nil, channel.Notification{}, err
	}
	n, err := account.read(c.Request, body)
	if err == nil {
		return account, n, nil
	}
	if renewed, lookErr := s.intake.noOlder(ctx, account.ID, accountDoubt); lookErr == nil && renewed != account {
		account = renewed
		n, err = account.read(c.Request, body)
	}
	return account, n, err
}

func (k *knownAccount) read(r *http.Request, body []byte) (channel.Notification, error) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	n, err := k.notifier.ReadNotification(r.Context(), r, body)
	if err == nil {
		err = n.Check()
	}
	return n, err
}

// take lets a verified notification be judged and reports whether it may be
// acknowledged, which is so only after the commit.
func (s *server) take(c *gin.Context, n channel.StoredNotification) bool {
	ctx, cancel := context.WithTimeout(c.Request.Context(), storeTimeout)
	defer cancel()
	log := s.log(c).With("tenant", n.Tenant, "channel_account", n.ChannelAccountID, "number", n.Number, "notification", n.ID)
	leave, err := s.intake.storing.enter(ctx)
	if err != nil {
		log.Warn("too many notifications at once; the provider will send it again")
		return false
	}
	defer leave()
	var verdict notice.Verdict
	err = s.opts.DB.InTenant(ctx, n.Tenant, func(tx pgx.Tx) error {
		verdict, err = notice.Judge(ctx, tx, n)
		return err
	})
	if err != nil {
		log.Error("notification not stored; the provider will send it again", "error", err.Error())
		return false
	}
	if !verdict.Good() {
		log.Error("ALARM: a notification with a valid signature contradicts what was asked", "reason", string(verdict),
			"kind", string(n.Kind), "trade_number", n.TradeNumber, "amount", n.Amount.Text(), "currency", string(n.Amount.Currency))
		return false
	}
	s.intake.taken.add(n)
	return true
}
