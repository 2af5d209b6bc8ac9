-- The audit log: who changed what, from what to what. Triggers write it, in the
-- transaction of the change, so that no change goes without its entry whoever makes
-- it; nobody else can write it, and nobody can change or delete an entry. Who acts is
-- named by the transaction (suanpan.actor, which core/audit writes); a change that
-- names nobody is the system's, under its database role. docs/audit.md has the rest.

do $$ begin
  create role suanpan_audit nologin;
exception when duplicate_object or unique_violation then null; end $$;
do $$ begin
  execute format('grant suanpan_audit to %I', current_user);
exception when others then null; end $$;
grant usage on schema public to suanpan_audit;

create sequence audit_seq;
grant usage on sequence audit_seq to suanpan_audit;

create table audit_entries (
  -- Whose entry it is; 'platform' for what belongs to no tenant.
  tenant_id   text not null check (tenant_id = 'platform' or tenant_id ~ '^ten_[0-9A-HJKMNP-TV-Z]{26}$'),
  id          text not null check (id ~ '^aud_[0-9A-HJKMNP-TV-Z]{26}$'),
  seq         bigint not null unique check (seq > 0),
  -- Real time, not the business clock.
  recorded_at timestamptz not null,
  actor_kind  text not null check (actor_kind in ('api_key', 'principal', 'operator', 'command', 'system')),
  -- The key that was used, and whose key it is; empty where there is none.
  key_id       text not null,
  principal_id text not null,
  -- Who in words: the command line and its user, or the database role.
  actor       text not null,
  -- The contract's name of the operation, or the command.
  operation   text not null,
  request_id  text not null,
  action      text not null check (action in ('created', 'changed', 'deleted', 'done')),
  object_type text not null check (object_type ~ '^[a-z_]{1,64}$'),
  object_id   text not null,
  -- The columns that the log keeps, without secrets and personal data.
  before      jsonb check (jsonb_typeof(before) = 'object'),
  after       jsonb check (jsonb_typeof(after) = 'object'),
  primary key (tenant_id, id)
);
create index audit_entries_by_object on audit_entries (tenant_id, object_id, id);
create index audit_entries_by_seq on audit_entries (tenant_id, seq);
create index audit_entries_of_operators on audit_entries (id) where tenant_id = 'platform' or actor_kind in ('operator', 'command');
select guard_tenant_table('audit_entries');
create policy the_audit on audit_entries to suanpan_audit with check (true);
grant select on audit_entries to suanpan_app, suanpan_system;
grant insert on audit_entries to suanpan_audit;

create function audit_is_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger audit_is_append_only before update or delete or truncate on audit_entries
  for each statement execute function audit_is_append_only();

-- Seals of it, as migrations/009_seal.sql has them for the books.
create table audit_seals (
  tenant_id text not null,
  number    bigint not null check (number >= 1),
  before    bigint generated always as (nullif(number - 1, 0)) stored,
  from_seq  bigint not null check (from_seq >= 0),
  to_seq    bigint not null,
  entries   int not null check (entries >= 1),
  prev_hash bytea not null check (length(prev_hash) = 32),
  hash      bytea not null check (length(hash) = 32),
  digests   bytea not null,
  sealed_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, number),
  constraint audit_seals_chain unique (tenant_id, number, to_seq, hash),
  foreign key (tenant_id, before, from_seq, prev_hash) references audit_seals (tenant_id, number, to_seq, hash),
  constraint audit_seals_range check (to_seq > from_seq),
  constraint audit_seals_first check (number > 1 or (from_seq = 0 and prev_hash = decode(repeat('00', 32), 'hex')))
);
alter table audit_seals alter column digests set storage external;
select guard_tenant_table('audit_seals');
grant select on audit_seals to suanpan_app, suanpan_system;
grant insert on audit_seals to suanpan_system;

-- audit_id makes an id that sorts by time and, within a millisecond, by seq: 48 bits
-- of time, 40 of seq and 40 random ones, in the digits of a ULID.
create function audit_id(at timestamptz, seq bigint) returns text language plpgsql volatile set search_path = pg_catalog as $$
declare
  digits constant text := '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  ms     bigint := floor(extract(epoch from at) * 1000);
  random bytea := decode(left(replace(gen_random_uuid()::text, '-', ''), 12) || right(replace(gen_random_uuid()::text, '-', ''), 4), 'hex');
  text   text := 'aud_';
begin
  for i in reverse 9..0 loop
    text := text || substr(digits, ((ms >> (5 * i)) & 31)::int + 1, 1);
  end loop;
  for i in reverse 7..0 loop
    text := text || substr(digits, ((seq >> (5 * i)) & 31)::int + 1, 1);
  end loop;
  for i in 0..7 loop
    text := text || substr(digits, (get_byte(random, i) & 31) + 1, 1);
  end loop;
  return text;
end $$;

-- audit writes one entry.
create function audit(tenant text, action text, object_type text, object_id text, before jsonb, after jsonb) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  named jsonb := coalesce(nullif(current_setting('suanpan.actor', true), ''), '{}')::jsonb;
begin
  insert into audit_entries (tenant_id, id, seq, recorded_at, actor_kind, key_id, principal_id, actor, operation, request_id,
    action, object_type, object_id, before, after)
  select tenant, audit_id(n.at, n.seq), n.seq, n.at, coalesce(named->>'kind', 'system'), coalesce(named->>'key_id', ''),
    coalesce(named->>'principal_id', ''), coalesce(named->>'actor', nullif(current_setting('role', true), 'none'), session_user),
    coalesce(named->>'operation', ''), coalesce(named->>'request_id', ''), action, object_type, object_id, before, after
  from (select nextval('audit_seq') as seq, clock_timestamp() as at) n;
end $$;

-- audit_row keeps a row's change: of the columns that are listed, and only if one of
-- them changed. Its arguments are the type of object, the column of its id, and the
-- columns, separated by commas. Of an address it keeps the host: paths hold tokens.
create function audit_row() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare
  was   jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  is_   jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
  given jsonb := coalesce(is_, was);
  kept  text[] := string_to_array(tg_argv[2], ',');
  before jsonb;
  after  jsonb;
begin
  select jsonb_object_agg(c, was->c) filter (where was ? c), jsonb_object_agg(c, is_->c) filter (where is_ ? c)
  into before, after from unnest(kept) c;
  if tg_op = 'UPDATE' and before = after then
    return null;
  end if;
  if before ? 'url' then
    before := before || jsonb_build_object('url', substring(before->>'url' from '^[a-z]+://[^/?#]*'));
  end if;
  if after ? 'url' then
    after := after || jsonb_build_object('url', substring(after->>'url' from '^[a-z]+://[^/?#]*'));
  end if;
  perform audit(case when tg_table_name = 'tenants' then given->>'id' else coalesce(given->>'tenant_id', 'platform') end,
    case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'changed' else 'deleted' end, tg_argv[0],
    coalesce(given->>tg_argv[1], tg_argv[1]), before, after);
  return null;
end $$;

grant create on schema public to suanpan_audit;
alter function audit(text, text, text, text, jsonb, jsonb) owner to suanpan_audit;
alter function audit_row() owner to suanpan_audit;
revoke create on schema public from suanpan_audit;
-- Operators' commands note what changes no row of these tables; nobody else may.
revoke execute on function audit(text, text, text, text, jsonb, jsonb) from public;
grant execute on function audit(text, text, text, text, jsonb, jsonb) to suanpan_system, suanpan_audit;

-- audit_table puts a table under the log: always, or (asked) only for transactions
-- that name who acts, because machines change the table all day.
create function audit_table(t regclass, asked boolean, events text, type text, id text, columns text) returns void
language plpgsql as $$
begin
  execute format('create trigger audited after %s on %s for each row %s execute function audit_row(%L, %L, %L)',
    events, t, case when asked then 'when (current_setting(''suanpan.actor'', true) <> '''')' else '' end, type, id, columns);
end $$;

-- Who may do what.
select audit_table('tenants', false, 'insert', 'tenant', 'id', 'name,mode,custody_mode');
select audit_table('api_keys', false, 'insert or update or delete', 'api_key', 'id',
  'name,scopes,signature,expires_at,previous_until,revoked_at,principal_id');
select audit_table('signing_keys', false, 'insert or update or delete', 'signing_key', 'id', 'api_key_id,name,public_key,retires_at');
select audit_table('operator_keys', false, 'insert or update or delete', 'operator_key', 'id', 'name,scopes,expires_at,revoked_at');
select audit_table('principals', false, 'insert or update or delete', 'principal', 'id', 'kind,roles,merchant_id,status,changed_at');
select audit_table('approval_policies', false, 'insert or update or delete', 'approval_policy', 'kind',
  'version,required,from_amount,expires_in,reason');
select audit_table('approvals', false, 'insert or update or delete', 'approval', 'id',
  'kind,operation,route,content_hash,amount,currency,requested_by_key,requested_by_principal,expires_at,status,decided_by_key,'
  'decided_by_principal,decision_reason,object_id');
-- How the tenant is set up.
select audit_table('merchants', false, 'insert or update or delete', 'merchant', 'id', 'reference,parent_id,settlement');
select audit_table('merchant_payout_accounts', false, 'insert or update or delete', 'payout_account', 'merchant_id', 'channel,created_at');
select audit_table('split_rules', false, 'insert or update or delete', 'split_rule', 'id', 'merchant_id,version');
select audit_table('split_rule_legs', false, 'insert or update or delete', 'split_rule_leg', 'rule_id',
  'position,receiver,merchant_id,type,basis_points');
select audit_table('channel_accounts', false, 'insert or update or delete', 'channel_account', 'id',
  'channel,name,merchant_id,params,fee_basis_points,fee_returned,status,weight');
select audit_table('channel_credentials', false, 'insert or update or delete', 'channel_credentials', 'id',
  'channel_account_id,fingerprint,key_id,provider_key_id,status,retired_at');
select audit_table('channel_products', false, 'insert or update or delete', 'channel_product', 'channel_account_id',
  'merchant_id,product,status,since,ended_at');
select audit_table('webhook_endpoints', false, 'insert or update or delete', 'webhook_endpoint', 'id',
  'url,event_types,enabled,disabled_reason,paused_reason');
select audit_table('webhook_secrets', false, 'insert or update or delete', 'webhook_secret', 'endpoint_id', 'id,created_at,expires_at');
-- What is decided about accounts, and about the business clock.
select audit_table('ledger_accounts', true, 'insert', 'account', 'id', 'type,owner,currency,name');
create trigger audited_decision after update of status, floor, limits, reason on ledger_accounts
  for each row execute function audit_row('account', 'id', 'status,floor,limits,reason');
select audit_table('stake_advances', false, 'insert or update or delete', 'stake_advance', 'id', 'currency,amount');
select audit_table('business_clock', false, 'update', 'business_clock', 'clock', 'ahead');
-- Keys at rest: their versions and what wraps them.
select audit_table('data_keys', false, 'insert or update or delete', 'data_key', 'version', 'master_key');
select audit_table('platform_keys', false, 'insert or update or delete', 'platform_key', 'owner', 'version,master_key');
-- What people ask for and what stops it.
select audit_table('payments', true, 'insert or update', 'payment', 'id',
  'merchant_id,reference,currency,amount,status,cancel_requested_at,close_reason');
select audit_table('attempts', true, 'insert', 'attempt', 'id', 'payment_id,channel_account_id,channel,status');
select audit_table('payment_links', true, 'insert or update', 'payment_link', 'id', 'merchant_id,currency,amount,min_amount,max_amount,status');
select audit_table('refunds', true, 'insert or update', 'refund', 'id',
  'payment_id,reference,currency,amount,reason,status,redirect_to,redirect_status,redirect_requested_at');
select audit_table('withdrawals', true, 'insert', 'withdrawal', 'id', 'merchant_id,reference,currency,amount,channel,status');
select audit_table('transfers', true, 'insert', 'transfer', 'id',
  'reference,from_merchant_id,to_merchant_id,currency,amount,batch_id,from_account,to_account,hold_id');
select audit_table('transfer_batches', true, 'insert', 'transfer_batch', 'id', 'mode');
select audit_table('placed_holds', true, 'insert', 'hold', 'id', 'reference,merchant_id,account_name,reason');
select audit_table('hold_releases', true, 'insert', 'hold_release', 'hold_id', 'amount,reason');
select audit_table('daily_operations', true, 'insert', 'daily_operation', 'id', 'business_date');
select audit_table('reconciliations', true, 'insert', 'reconciliation', 'id', 'channel_account_id,bill_date,run');
select audit_table('webhook_redeliveries', true, 'insert', 'webhook_redelivery', 'id', 'endpoint_id,created_from,created_to,scope');
-- Deliveries come with every event; asked for by name they do in two ways.
create trigger audited after insert or update on webhook_deliveries for each row
  when (nullif(current_setting('suanpan.actor', true), '')::jsonb->>'operation' in ('redeliverEvent', 'pingWebhookEndpoint'))
  execute function audit_row('webhook_delivery', 'event_id', 'endpoint_id,status,series_from');
drop function audit_table(regclass, boolean, text, text, text, text);
