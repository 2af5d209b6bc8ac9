-- Notifications that carry the provider's signature and contradict what was asked
-- of it. They wake nobody; each leaves one row here and an alarm in the log. What
-- carries no valid signature leaves a line in the log and never comes this far.
create table refused_notifications (
  tenant_id          text not null references tenants,
  channel_account_id text not null,
  id                 text not null,
  reason             text not null check (reason in
    ('unknown_number', 'other_account', 'amount_differs', 'currency_differs', 'nonce_used')),
  kind               text not null check (kind in ('trade', 'refund')),
  number             text not null,
  trade_number       text not null,
  currency           text not null,
  amount             bigint not null,
  state              text not null,
  times              int not null default 1 check (times > 0), -- how often the provider sent it
  first_at           timestamptz not null default clock_timestamp(),
  last_at            timestamptz not null default clock_timestamp(),
  primary key (tenant_id, channel_account_id, id, reason),
  foreign key (tenant_id, channel_account_id) references channel_accounts (tenant_id, id)
);
select guard_tenant_table('refused_notifications');
grant select, insert, update on refused_notifications to suanpan_app, suanpan_system;

-- What the provider signs once. Two notifications with one nonce are one of them too many.
alter table notifications add column nonce text;
create unique index notifications_nonce on notifications (tenant_id, channel_account_id, nonce) where nonce is not null;
