-- Refunds: money given back to the payer, asked for by the tenant or owed for a
-- late receipt.

create table refunds (
  tenant_id            text not null references tenants,
  id                   text not null,
  payment_id           text not null,
  attempt_id           text not null,
  origin               text not null check (origin in ('request', 'late_payment')),
  reference            text check (length(reference) between 1 and 64),
  reason               text not null,
  currency             text not null,
  amount               bigint not null check (amount > 0),
  number               text not null unique check (number ~ '^[0-9A-HJKMNP-TV-Z]{26}$'),
  request_hash         bytea not null check (length(request_hash) = 32),
  status               text not null check (status in ('processing', 'succeeded', 'failed')),
  -- sent_at is committed before the order is sent for the first time.
  sent_at              timestamptz,
  -- waiting_for says in words why a processing refund has not finished.
  waiting_for          text,
  channel_refund_no    text,
  fee_returned         bigint not null default 0 check (fee_returned >= 0),
  failure_code         text,
  failure_channel_code text,
  failure_message      text,
  created_at           timestamptz not null default suanpan_now(),
  refunded_at          timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, reference),
  foreign key (tenant_id, payment_id) references payments (tenant_id, id),
  foreign key (tenant_id, attempt_id) references attempts (tenant_id, id),
  check ((origin = 'request') = (reference is not null)),
  check ((refunded_at is not null) = (status = 'succeeded')),
  check ((failure_code is not null) = (status = 'failed'))
);
create index refunds_of_payment on refunds (tenant_id, payment_id);
create index refunds_unfinished on refunds (created_at) where status = 'processing';
select guard_tenant_table('refunds');
grant select, insert, update on refunds to suanpan_app, suanpan_system;

-- What each leg of the payment's split gives back. hold names the ledger hold on
-- the merchant's money; the platform's own leg is not held.
create table refund_legs (
  tenant_id   text not null references tenants,
  refund_id   text not null,
  position    int not null,
  split_id    text not null,
  receiver    text not null check (receiver in ('platform', 'merchant')),
  merchant_id text,
  amount      bigint not null check (amount >= 0),
  available   boolean not null,
  hold        text,
  primary key (tenant_id, refund_id, position),
  foreign key (tenant_id, refund_id) references refunds (tenant_id, id),
  foreign key (tenant_id, split_id, position) references split_legs (tenant_id, split_id, position)
);
select guard_tenant_table('refund_legs');
grant select, insert on refund_legs to suanpan_app, suanpan_system;
