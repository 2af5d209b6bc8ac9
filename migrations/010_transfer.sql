-- Transfers: money that changes its owner inside custody, final when accepted.

-- Merchants are looked up when a row is written and cannot be deleted, so that no
-- foreign key has to lock their rows, which every transfer of theirs would share.
create table transfers (
  tenant_id        text not null,
  id               text not null,
  reference        text not null check (length(reference) between 1 and 64),
  from_merchant_id text not null,
  to_merchant_id   text not null,
  currency         text not null,
  amount           bigint not null check (amount > 0),
  batch_id         text,
  created_at       timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  constraint transfers_reference unique (reference, tenant_id),
  check (from_merchant_id <> to_merchant_id)
);
create index transfers_of_batch on transfers (batch_id) where batch_id is not null;
select guard_tenant_table('transfers');
grant select, insert on transfers to suanpan_app, suanpan_system;

-- What became of each item of a batch, in its order: either transfer_id, or code,
-- field and detail of the refusal. An all-or-nothing batch that is refused leaves
-- no row.
create table transfer_batches (
  tenant_id  text not null,
  id         text not null,
  mode       text not null check (mode in ('all_or_nothing', 'per_item')),
  results    jsonb not null check (jsonb_typeof(results) = 'array'),
  created_at timestamptz not null default suanpan_now(),
  primary key (tenant_id, id)
);
select guard_tenant_table('transfer_batches');
grant select, insert on transfer_batches to suanpan_app, suanpan_system;
