-- Withdrawals: a merchant's available money paid out to its registered account.

create table withdrawals (
  tenant_id            text not null references tenants,
  id                   text not null,
  merchant_id          text not null,
  reference            text not null check (length(reference) between 1 and 64),
  currency             text not null,
  amount               bigint not null check (amount > 0),
  channel              text not null,
  channel_account_id   text not null,
  number               text not null unique check (number ~ '^[0-9A-HJKMNP-TV-Z]{26}$'),
  request_hash         bytea not null check (length(request_hash) = 32),
  status               text not null check (status in ('processing', 'succeeded', 'failed')),
  -- accepted_at: the provider has taken the order; the hold became money in transit.
  accepted_at          timestamptz,
  -- sent_at is committed before the order is sent for the first time.
  sent_at              timestamptz,
  waiting_for          text,
  channel_transfer_no  text,
  failure_code         text,
  failure_channel_code text,
  failure_message      text,
  created_at           timestamptz not null default suanpan_now(),
  paid_at              timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, reference),
  foreign key (tenant_id, merchant_id) references merchants (tenant_id, id),
  foreign key (tenant_id, channel_account_id) references channel_accounts (tenant_id, id),
  check ((paid_at is not null) = (status = 'succeeded')),
  check (status <> 'succeeded' or accepted_at is not null),
  check ((failure_code is not null) = (status = 'failed'))
);
create index withdrawals_unfinished on withdrawals (created_at) where status = 'processing';
select guard_tenant_table('withdrawals');
grant select, insert, update on withdrawals to suanpan_app, suanpan_system;
