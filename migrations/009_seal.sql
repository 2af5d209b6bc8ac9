-- Seals: per tenant a chain of blocks, made in the background, never on the
-- write path. A seal covers the entries with from_seq < seq <= to_seq and holds
-- a digest of each; its hash covers those digests and the hash of the seal
-- before. Nobody may update or delete one. What package ledger hashes, and what
-- that proves, is in docs/ledger.md.

create table seals (
  tenant_id   text not null references tenants,
  number      bigint not null check (number >= 1),
  before      bigint generated always as (nullif(number - 1, 0)) stored,
  from_seq    bigint not null check (from_seq >= 0),
  to_seq      bigint not null,
  entries     int not null check (entries >= 1),
  prev_hash   bytea not null check (length(prev_hash) = 32),
  hash        bytea not null check (length(hash) = 32),
  digests     bytea not null,
  -- The earliest booked_at covered by this seal, the latest by all up to this one.
  booked_from timestamptz not null,
  booked_to   timestamptz not null,
  sealed_at   timestamptz not null,
  primary key (tenant_id, number),
  constraint seals_chain unique (tenant_id, number, to_seq, hash),
  -- Each seal begins where the one before ends, and names its hash.
  foreign key (tenant_id, before, from_seq, prev_hash) references seals (tenant_id, number, to_seq, hash),
  constraint seals_range check (to_seq > from_seq),
  constraint seals_first check (number > 1 or (from_seq = 0 and prev_hash = decode(repeat('00', 32), 'hex')))
);
alter table seals alter column digests set storage external; -- digests do not compress
create unique index seals_to_seq on seals (tenant_id, to_seq);
create index seals_sealed_at on seals (tenant_id, sealed_at);
create index seals_booked_from on seals (tenant_id, booked_from);
create index seals_booked_to on seals (tenant_id, booked_to);
select guard_tenant_table('seals');
grant select on seals to suanpan_app, suanpan_system;
grant insert on seals to suanpan_system;

-- The balance of an internal account, on its normal side, at each seal that has
-- postings of it. Accounts with a floor need none: each of their postings
-- carries the balance after it.
create table seal_balances (
  tenant_id  text not null,
  account_id text not null,
  seal       bigint not null,
  posted     bigint not null,
  primary key (tenant_id, account_id, seal),
  foreign key (tenant_id, seal) references seals (tenant_id, number),
  foreign key (tenant_id, account_id) references ledger_accounts (tenant_id, id)
);
create index seal_balances_seal on seal_balances (tenant_id, seal);
select guard_tenant_table('seal_balances');
grant select on seal_balances to suanpan_app, suanpan_system;
grant insert on seal_balances to suanpan_system;
