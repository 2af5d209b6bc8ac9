-- Roles, the business clock, tenants and their keys, merchants, channel
-- accounts, and what the API accepted.
--
-- Two roles run the platform. suanpan_app sees one tenant at a time (row-level
-- security, forced); suanpan_system serves the listed few jobs that cannot know
-- the tenant beforehand: key lookup, notification ingress, sweepers, the webhook
-- dispatcher, verify. Neither owns a table, so neither can change the guards.

do $$ begin
  create role suanpan_app nologin;
exception when duplicate_object or unique_violation then null; end $$;
do $$ begin
  create role suanpan_system nologin;
exception when duplicate_object or unique_violation then null; end $$;
do $$ begin
  execute format('grant suanpan_app, suanpan_system to %I', current_user);
exception when others then null; end $$;

grant usage on schema public to suanpan_app, suanpan_system;

-- The business clock is the database clock plus an offset that only a
-- development instance may set. Protocol time (signatures, timeouts) never uses it.
create table business_clock (
  one boolean primary key default true check (one),
  ahead interval not null default interval '0'
);
insert into business_clock default values;
grant select on business_clock to suanpan_app, suanpan_system;
grant update on business_clock to suanpan_system;

-- In PL/pgSQL, because a SQL function that is not inlined is planned in every
-- statement that calls it.
create function suanpan_now() returns timestamptz language plpgsql volatile parallel safe
  as $$ begin return clock_timestamp() + (select ahead from business_clock); end $$;
create function suanpan_date(at timestamptz) returns date language sql immutable parallel safe
  as $$ select (at at time zone 'Asia/Shanghai')::date $$;

-- guard_tenant_table puts the tenant wall around a table with a tenant_id.
create function guard_tenant_table(t regclass) returns void language plpgsql as $$
begin
  execute format('alter table %s enable row level security', t);
  execute format('alter table %s force row level security', t);
  execute format('create policy one_tenant on %s to suanpan_app
    using (tenant_id = current_setting(''suanpan.tenant'', true))
    with check (tenant_id = current_setting(''suanpan.tenant'', true))', t);
  execute format('create policy all_tenants on %s to suanpan_system using (true) with check (true)', t);
end $$;

-- ensure_month_partitions creates the partitions of parent for the months from
-- the one that contains first, count of them; existing ones are kept.
create function ensure_month_partitions(parent regclass, first date, count int) returns void language plpgsql as $$
declare
  m date := date_trunc('month', first)::date;
  n int;
begin
  for n in 1..count loop
    if to_regclass(format('%s_%s', parent, to_char(m, 'YYYYMM'))) is null then
      execute format('create table %s_%s partition of %s for values from (%L) to (%L)',
        parent, to_char(m, 'YYYYMM'), parent, m, (m + interval '1 month')::date);
    end if;
    m := (m + interval '1 month')::date;
  end loop;
end $$;

create table tenants (
  id           text primary key check (id ~ '^ten_[0-9A-HJKMNP-TV-Z]{26}$'),
  name         text not null check (length(name) between 1 and 128),
  custody_mode text not null check (custody_mode in ('own_funds', 'channel_split', 'bank_custody', 'licensed_reserve')),
  created_at   timestamptz not null default suanpan_now()
);
alter table tenants enable row level security;
alter table tenants force row level security;
create policy one_tenant on tenants to suanpan_app using (id = current_setting('suanpan.tenant', true));
create policy all_tenants on tenants to suanpan_system using (true) with check (true);
grant select on tenants to suanpan_app, suanpan_system;
grant insert on tenants to suanpan_system;

create table api_keys (
  tenant_id   text not null references tenants,
  id          text not null,
  secret_hash bytea not null unique check (length(secret_hash) = 32),
  name        text not null,
  scopes      text[] not null,
  created_at  timestamptz not null default suanpan_now(),
  revoked_at  timestamptz,
  primary key (tenant_id, id)
);
select guard_tenant_table('api_keys');
grant select on api_keys to suanpan_app, suanpan_system;
grant insert, update on api_keys to suanpan_system;

create table merchants (
  tenant_id  text not null references tenants,
  id         text not null,
  reference  text not null,
  name       text not null,
  parent_id  text,
  settlement text not null check (settlement in ('T0', 'T1')),
  created_at timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  unique (tenant_id, reference),
  foreign key (tenant_id, parent_id) references merchants (tenant_id, id),
  check (parent_id <> id)
);
select guard_tenant_table('merchants');
grant select, insert on merchants to suanpan_app, suanpan_system;

-- Where a merchant's withdrawals go. Personal data: read only to pay out, shown masked.
create table merchant_payout_accounts (
  tenant_id   text not null references tenants,
  merchant_id text not null,
  channel     text not null check (channel in ('alipay')),
  account     text not null,
  name        text not null,
  created_at  timestamptz not null default suanpan_now(),
  primary key (tenant_id, merchant_id),
  foreign key (tenant_id, merchant_id) references merchants (tenant_id, id)
);
select guard_tenant_table('merchant_payout_accounts');
grant select, insert on merchant_payout_accounts to suanpan_app, suanpan_system;

-- A tenant's account at a provider. params holds public identifiers only (app id,
-- merchant id, serials); the keys are files in the secrets directory.
create table channel_accounts (
  tenant_id        text not null references tenants,
  id               text not null,
  channel          text not null check (channel in ('alipay', 'wechatpay')),
  name             text not null,
  params           jsonb not null,
  fee_basis_points int not null check (fee_basis_points between 0 and 1000),
  fee_returned     boolean not null,
  status           text not null default 'active' check (status in ('active', 'suspended')),
  created_at       timestamptz not null default suanpan_now(),
  primary key (tenant_id, id)
);
select guard_tenant_table('channel_accounts');
create unique index channel_accounts_id on channel_accounts (id);
grant select on channel_accounts to suanpan_app, suanpan_system;
grant insert, update on channel_accounts to suanpan_system;

-- One row per accepted POST, for ever: the same key and body means the same object.
create table accepted_requests (
  tenant_id       text not null references tenants,
  idempotency_key text not null check (length(idempotency_key) between 8 and 255),
  route           text not null,
  body_hash       bytea not null check (length(body_hash) = 32),
  object_id       text not null,
  created_at      timestamptz not null default clock_timestamp(),
  primary key (tenant_id, idempotency_key)
);
select guard_tenant_table('accepted_requests');
grant select, insert on accepted_requests to suanpan_app, suanpan_system;

-- The bytes of the first answer. created_at repeats the request's, so that the
-- key stays unique although the table is partitioned.
create table accepted_responses (
  tenant_id       text not null references tenants,
  idempotency_key text not null,
  status          int not null,
  body            bytea not null,
  created_at      timestamptz not null,
  primary key (tenant_id, idempotency_key, created_at)
) partition by range (created_at);
create table accepted_responses_rest partition of accepted_responses default;
select ensure_month_partitions('accepted_responses', current_date, 13);
select guard_tenant_table('accepted_responses');
grant select, insert on accepted_responses to suanpan_app, suanpan_system;

-- Workflows that an accepted request must have. Committed with the object; the
-- sweeper starts whatever the accepting process did not.
create table workflow_starts (
  tenant_id     text not null references tenants,
  workflow_id   text not null,
  workflow_type text not null,
  input         jsonb not null,
  attributes    jsonb not null,
  created_at    timestamptz not null default clock_timestamp(),
  started_at    timestamptz,
  primary key (tenant_id, workflow_id)
);
create index workflow_starts_missing on workflow_starts (created_at) where started_at is null;
select guard_tenant_table('workflow_starts');
grant select, insert, update on workflow_starts to suanpan_app, suanpan_system;
