-- Keys: tenants are for tests or live, keys expire, are rotated with an overlap and
-- may demand signatures; operators have keys that belong to no tenant; how many
-- requests a tenant and a key may make.

-- What a tenant is for is fixed when it is made, like its custody mode: nobody may
-- update tenants.
alter table tenants add column mode text not null default 'test' check (mode in ('test', 'live'));

-- A key's times are real time: the business clock can be moved, a key's end cannot.
alter table api_keys
  add column previous_hash  bytea unique check (length(previous_hash) = 32),
  add column previous_until timestamptz,
  add column expires_at     timestamptz,
  add column last_used_at   timestamptz,
  add column signature      text not null default 'never' check (signature in ('never', 'money', 'always')),
  add check ((previous_hash is null) = (previous_until is null));
grant insert on api_keys to suanpan_app;
grant update (secret_hash, previous_hash, previous_until, revoked_at) on api_keys to suanpan_app;

-- Public halves of the keys that requests are signed with.
create table signing_keys (
  tenant_id  text not null references tenants,
  id         text not null check (id ~ '^sgk_[0-9A-HJKMNP-TV-Z]{26}$'),
  api_key_id text not null,
  name       text not null,
  public_key bytea not null check (length(public_key) = 32),
  created_at timestamptz not null default suanpan_now(),
  retires_at timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, api_key_id, public_key),
  foreign key (tenant_id, api_key_id) references api_keys (tenant_id, id)
);
select guard_tenant_table('signing_keys');
grant select, insert on signing_keys to suanpan_app, suanpan_system;
grant update (retires_at) on signing_keys to suanpan_app;

-- Each signature is good once. A row outlives every clock that could still believe
-- its signature.
create table signature_nonces (
  tenant_id      text not null references tenants,
  signing_key_id text not null,
  nonce          text not null check (length(nonce) between 16 and 64),
  forget_after   timestamptz not null,
  primary key (tenant_id, signing_key_id, nonce),
  foreign key (tenant_id, signing_key_id) references signing_keys (tenant_id, id)
);
create index signature_nonces_old on signature_nonces (forget_after);
select guard_tenant_table('signature_nonces');
grant select, insert on signature_nonces to suanpan_app, suanpan_system;
grant delete on signature_nonces to suanpan_system;

-- Those who run the platform. Their keys see no tenant's business, and only the
-- system role sees their keys.
create table operator_keys (
  id           text primary key check (id ~ '^opk_[0-9A-HJKMNP-TV-Z]{26}$'),
  secret_hash  bytea not null unique check (length(secret_hash) = 32),
  name         text not null,
  scopes       text[] not null,
  created_at   timestamptz not null default suanpan_now(),
  expires_at   timestamptz,
  last_used_at timestamptz,
  revoked_at   timestamptz
);
grant select, insert, update on operator_keys to suanpan_system;

-- What accepted_requests is for tenants, for operators: one row per accepted POST.
create table operator_requests (
  operator_key_id text not null references operator_keys,
  idempotency_key text not null check (length(idempotency_key) between 8 and 255),
  route           text not null,
  body_hash       bytea not null check (length(body_hash) = 32),
  object_id       text not null,
  status          int not null,
  body            bytea not null,
  created_at      timestamptz not null default clock_timestamp(),
  primary key (operator_key_id, idempotency_key)
);
grant select, insert on operator_requests to suanpan_system;

-- How far a tenant, or one of its keys, has used its rate up. What is lost in a crash
-- is a second's worth of counting, so nothing is logged.
create unlogged table request_rates (
  tenant_id  text not null,
  subject    text not null,
  used_until timestamptz not null,
  primary key (tenant_id, subject)
);
select guard_tenant_table('request_rates');
grant select, insert, update on request_rates to suanpan_system;

-- lease_requests takes up to wanted requests out of a rate of per_second, of which at
-- most burst can be saved up, and says how many it got and when there are more. The
-- moment up to which the rate is used up is all there is to keep.
create function lease_requests(tenant text, who text, per_second int, burst int, wanted int, out granted int, out wait interval)
language plpgsql as $$
declare
  at    timestamptz := clock_timestamp();
  used  timestamptz;
  each  interval := interval '1 second' / per_second;
begin
  insert into request_rates (tenant_id, subject, used_until) values (tenant, who, at) on conflict do nothing;
  select greatest(r.used_until, at) into used from request_rates r where r.tenant_id = tenant and r.subject = who for update;
  granted := least(wanted, floor(extract(epoch from (at + burst * each - used)) * per_second + 0.001)::int);
  granted := greatest(granted, 0);
  wait := greatest(used + each * (granted + 1) - (at + burst * each), interval '0');
  if granted > 0 then
    update request_rates r set used_until = used + granted * each where r.tenant_id = tenant and r.subject = who;
  end if;
end $$;
