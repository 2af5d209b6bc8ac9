-- Secrets at rest: one data key per tenant and version, kept wrapped under a
-- master key that the database never sees; and secrets that live for minutes.
-- What a sealed value looks like and what it is bound to is in core/secret.

create table data_keys (
  tenant_id  text not null references tenants,
  version    int not null check (version > 0), -- the highest one seals
  tag        bytea not null check (length(tag) = 8), -- random: tells the key apart from one that was never committed
  master_key text not null check (length(master_key) between 1 and 256), -- the id of the key it is wrapped under
  wrapped    bytea not null check (length(wrapped) between 32 and 8192),
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, version)
);
select guard_tenant_table('data_keys');
grant select, insert on data_keys to suanpan_app, suanpan_system;
grant update (master_key, wrapped) on data_keys to suanpan_system;

-- Codes that a payer hands over once, such as the one on a phone: sealed, taken
-- out by whoever spends them, and swept when their time is over. Their time is
-- protocol time, not the business clock's.
create table one_time_secrets (
  tenant_id  text not null references tenants,
  id         text not null check (length(id) between 1 and 64), -- of what they are for: an attempt
  sealed     bytea not null check (length(sealed) between 32 and 4096),
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null check (expires_at <= created_at + interval '10 minutes'),
  primary key (tenant_id, id)
);
create index one_time_secrets_expired on one_time_secrets (expires_at);
select guard_tenant_table('one_time_secrets');
grant select, insert, delete on one_time_secrets to suanpan_app, suanpan_system;
