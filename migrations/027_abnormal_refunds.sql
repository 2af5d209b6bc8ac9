-- Refunds that the provider took on and could not pay: the money has left the
-- balance and cannot go back the way it came, until the tenant says where it is to go.

alter table refunds
  -- abnormal_at is when the provider said so last.
  add column abnormal_at            timestamptz,
  -- What the tenant asked for then: the last time, if several were needed. Whose card
  -- it is, is kept in one_time_secrets alone, and only until it is sent.
  add column redirect_to            text check (redirect_to in ('payer_card', 'merchant')),
  add column redirect_status        text check (redirect_status in ('requested', 'sent', 'accepted', 'refused')),
  add column redirect_requested_at  timestamptz,
  -- redirect_sent_at is committed before it is sent.
  add column redirect_sent_at       timestamptz,
  add column redirect_failure_code  text,
  add column redirect_channel_code  text,
  add column redirect_message       text,
  add constraint refunds_redirect check (
    (redirect_to is null) = (redirect_status is null)
    and (redirect_to is null) = (redirect_requested_at is null)
    and (redirect_to is null or abnormal_at is not null)
    and (redirect_status is distinct from 'sent' or redirect_sent_at is not null)
    and (redirect_failure_code is not null) = (redirect_status is not distinct from 'refused'));
