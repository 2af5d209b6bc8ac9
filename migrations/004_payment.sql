-- Payments (what a tenant asks for) and attempts (one try at one provider).

create table payments (
  tenant_id            text not null references tenants,
  id                   text not null,
  merchant_id          text not null,
  reference            text not null check (length(reference) between 1 and 64),
  subject              text not null,
  currency             text not null,
  amount               bigint not null check (amount > 0),
  -- refunded has reached the payer; refunding is promised to refunds in flight.
  refunded             bigint not null default 0 check (refunded >= 0),
  refunding            bigint not null default 0 check (refunding >= 0),
  channel              text not null,
  product              text not null check (product in ('qr')),
  status               text not null check (status in ('processing', 'awaiting_payer', 'succeeded', 'closed', 'failed')),
  failure_code         text,
  failure_channel_code text,
  failure_message      text,
  expires_at           timestamptz not null,
  created_at           timestamptz not null default suanpan_now(),
  paid_at              timestamptz,
  closed_at            timestamptz,
  -- when the expiry sweep last told the workflow that the payer's time is over
  expiry_told_at       timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, reference),
  foreign key (tenant_id, merchant_id) references merchants (tenant_id, id),
  check (refunded + refunding <= amount),
  check ((paid_at is not null) = (status = 'succeeded')),
  check ((closed_at is not null) = (status in ('closed', 'failed'))),
  check ((failure_code is not null) = (status = 'failed'))
);
create index payments_listed on payments (tenant_id, id desc);
create index payments_unfinished on payments (expires_at) where status in ('processing', 'awaiting_payer');
select guard_tenant_table('payments');
grant select, insert, update on payments to suanpan_app, suanpan_system;

create table attempts (
  tenant_id          text not null references tenants,
  id                 text not null,
  payment_id         text not null,
  channel_account_id text not null,
  channel            text not null,
  -- The number the provider knows, and the hash of what is sent under it.
  number             text not null unique check (number ~ '^[0-9A-HJKMNP-TV-Z]{26}$'),
  request_hash       bytea not null check (length(request_hash) = 32),
  status             text not null check (status in ('preparing', 'awaiting_payer', 'paid', 'closed', 'failed')),
  qr_code            text,
  channel_trade_no   text,
  fee                bigint check (fee >= 0),
  paid_at            timestamptz,
  created_at         timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, payment_id) references payments (tenant_id, id),
  foreign key (tenant_id, channel_account_id) references channel_accounts (tenant_id, id),
  check ((status = 'paid') = (paid_at is not null and channel_trade_no is not null and fee is not null)),
  check (status <> 'awaiting_payer' or qr_code is not null)
);
create index attempts_of_payment on attempts (tenant_id, payment_id);
create index attempts_paid on attempts (tenant_id, channel_account_id, paid_at) where status = 'paid';
select guard_tenant_table('attempts');
grant select, insert, update on attempts to suanpan_app, suanpan_system;

-- A payer's money that arrived after the payment was closed. The payment stays
-- closed; the receipt is booked by itself and given back by its own refund.
create table late_receipts (
  tenant_id        text not null references tenants,
  attempt_id       text not null,
  payment_id       text not null,
  currency         text not null,
  amount           bigint not null check (amount > 0),
  fee              bigint not null check (fee >= 0),
  channel_trade_no text not null,
  paid_at          timestamptz not null,
  refund_id        text not null,
  created_at       timestamptz not null default suanpan_now(),
  primary key (tenant_id, attempt_id),
  foreign key (tenant_id, attempt_id) references attempts (tenant_id, id),
  foreign key (tenant_id, payment_id) references payments (tenant_id, id)
);
select guard_tenant_table('late_receipts');
grant select, insert on late_receipts to suanpan_app, suanpan_system;

-- Verified notifications, stored before they are acknowledged. They only wake a
-- workflow; handled_at is set once it was told.
create table notifications (
  tenant_id          text not null references tenants,
  channel_account_id text not null,
  id                 text not null,
  kind               text not null check (kind in ('trade', 'refund')),
  number             text not null,
  trade_number       text not null,
  currency           text not null,
  amount             bigint not null,
  state              text not null,
  received_at        timestamptz not null default clock_timestamp(),
  handled_at         timestamptz,
  primary key (tenant_id, channel_account_id, id),
  foreign key (tenant_id, channel_account_id) references channel_accounts (tenant_id, id)
);
create index notifications_waiting on notifications (received_at) where handled_at is null;
select guard_tenant_table('notifications');
grant select, insert, update on notifications to suanpan_app, suanpan_system;
