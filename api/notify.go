package api

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/core/channel"
	"github.com/suanpan/suanpan/core/fault"
	"github.com/suanpan/suanpan/core/tenant"
)

// notify takes in a provider's notification: verify, store, acknowledge. It
// decides nothing; a sweeper wakes the workflow, which asks the provider itself.
// What cannot be verified leaves a log line and nothing else.
func (s *server) notify(c *gin.Context) {
	ctx := c.Request.Context()
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	if err != nil {
		s.refuse(c, fault.Invalid("", "body_incomplete", "The body is too large or did not arrive completely."))
		return
	}
	owner, account, err := s.channelAccount(ctx, c.Param("channel"), c.Param("channel_account_id"))
	if err != nil {
		s.refuse(c, err)
		return
	}
	adapter, err := s.opts.Adapters.Adapter(ctx, account)
	if err != nil {
		s.refuse(c, err)
		return
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
	n, err := adapter.ReadNotification(ctx, c.Request, body)
	if err != nil {
		s.log(c).Warn("notification refused", "tenant", owner, "channel_account", account.ID, "error", err.Error())
		adapter.Acknowledge(c.Writer, false)
		return
	}
	err = s.opts.DB.InTenant(ctx, owner, func(tx pgx.Tx) error {
		_, err := channel.StoreNotification(ctx, tx, channel.StoredNotification{
			Tenant: owner, ChannelAccountID: account.ID, Notification: n,
		})
		return err
	})
	if err != nil {
		s.log(c).Error("notification not stored; the provider will send it again",
			"tenant", owner, "channel_account", account.ID, "error", err.Error())
	}
	adapter.Acknowledge(c.Writer, err == nil)
}

// channelAccount finds the account and its tenant; an account of another channel
// than the address says does not exist.
func (s *server) channelAccount(ctx context.Context, channelName, accountID string) (owner string, account tenant.ChannelAccount, err error) {
	err = s.opts.DB.AsSystem(ctx, func(tx pgx.Tx) error {
		owner, account, err = tenant.ChannelAccountOwner(ctx, tx, accountID)
		return err
	})
	if err == nil && account.Channel != channelName {
		err = fault.NotFound()
	}
	return owner, account, err
}
