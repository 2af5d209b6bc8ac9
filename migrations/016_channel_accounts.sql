-- Channel accounts that tenants open themselves: their keys, sealed; which
-- products the provider has opened; and how they are chosen among.

alter table channel_accounts
  -- whose own account it is; null: every merchant's of the tenant
  add column merchant_id text,
  -- its share of the trades among accounts of a kind; 0: only when no other can take it
  add column weight int not null default 100 check (weight between 0 and 1000),
  -- grows when its keys change, so that every process notices with the next look
  add column version int not null default 1 check (version > 0),
  add foreign key (tenant_id, merchant_id) references merchants (tenant_id, id);
grant insert on channel_accounts to suanpan_app;
grant update (name, fee_basis_points, fee_returned, status, weight, version) on channel_accounts to suanpan_app;

-- The keys of an account. The public columns can be shown; sealed is opened only to
-- make an adapter (core/secret), and gone once retired. The current ones sign and
-- verify, the previous ones still verify.
create table channel_credentials (
  tenant_id          text not null references tenants,
  id                 text not null,
  channel_account_id text not null,
  fingerprint        text not null, -- SHA-256 of our public key, in hex
  key_id             text not null, -- the serial of our certificate, where there is one
  provider_key_id    text not null, -- the provider's name of its key, where it has one
  sealed             bytea,
  status             text not null default 'current' check (status in ('current', 'previous', 'retired')),
  created_at         timestamptz not null default suanpan_now(),
  retired_at         timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, channel_account_id) references channel_accounts (tenant_id, id),
  check ((status = 'retired') = (sealed is null)),
  check ((status = 'retired') = (retired_at is not null))
);
create unique index channel_credentials_in_use on channel_credentials (tenant_id, channel_account_id, status)
  where status <> 'retired';
create index channel_credentials_of_account on channel_credentials (tenant_id, channel_account_id, id);
select guard_tenant_table('channel_credentials');
grant select, insert on channel_credentials to suanpan_app, suanpan_system;
grant update (sealed, status, retired_at) on channel_credentials to suanpan_app, suanpan_system;

-- What the provider lets an account sell, for every merchant ('') or for one. A
-- change is a new row; the rows that were in force before it are the history.
create table channel_products (
  tenant_id          text not null references tenants,
  channel_account_id text not null,
  merchant_id        text not null default '',
  product            text not null check (product in ('qr', 'page', 'wap', 'app', 'jsapi', 'barcode')),
  status             text not null check (status in ('not_opened', 'applying', 'opened', 'suspended')),
  note               text not null default '' check (length(note) <= 256),
  since              timestamptz not null default suanpan_now(),
  ended_at           timestamptz,
  seq                bigint generated always as identity,
  primary key (tenant_id, channel_account_id, seq),
  foreign key (tenant_id, channel_account_id) references channel_accounts (tenant_id, id)
);
create unique index channel_products_in_force on channel_products (tenant_id, channel_account_id, product, merchant_id)
  where ended_at is null;
select guard_tenant_table('channel_products');
grant select, insert on channel_products to suanpan_app, suanpan_system;
grant update (ended_at) on channel_products to suanpan_app, suanpan_system;
insert into channel_products (tenant_id, channel_account_id, product, status, note)
  select tenant_id, id, 'qr', 'opened', 'opened before there was a catalogue' from channel_accounts;

-- How an account's provider has been answering, by real time. An account whose
-- breaker is open until a later moment is passed over while another one can serve.
create table channel_health (
  tenant_id          text not null references tenants,
  channel_account_id text not null,
  state              text not null check (state in ('closed', 'open', 'half_open')),
  since              timestamptz not null default clock_timestamp(),
  until              timestamptz,
  reason             text not null default '' check (length(reason) <= 256),
  primary key (tenant_id, channel_account_id),
  foreign key (tenant_id, channel_account_id) references channel_accounts (tenant_id, id),
  check ((state = 'open') = (until is not null))
);
select guard_tenant_table('channel_health');
grant select, insert, update on channel_health to suanpan_app, suanpan_system;
