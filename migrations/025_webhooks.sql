-- Webhook endpoints that are changed, paused and resumed; how each of them does;
-- every try of a delivery; and redeliveries of a range of time.

-- A ping is about an endpoint alone and has no noun.
alter table events drop constraint events_type_check;
alter table events add constraint events_type_check check (type = 'ping' or type ~ '^[a-z_]{1,32}\.[a-z_]{1,32}$');
-- Redeliveries go through a tenant's events by time.
create index events_by_time on events (tenant_id, created_at, id);

alter table webhook_endpoints
  -- A paused endpoint keeps what it is to hear until it is resumed.
  add column paused_reason text check (paused_reason in ('requested', 'failing')),
  -- Failed tries since the last 2xx, when they began, and whether the tenant was told.
  add column failures int not null default 0 check (failures >= 0),
  add column failing_since timestamptz,
  add column told_failing boolean not null default false,
  -- Nothing is sent before this moment: it fails again and again, or asked for a rest.
  add column rests_until timestamptz,
  -- Its last answer took long; it gets its turns from a part of the senders only.
  add column slow boolean not null default false,
  add check ((failures = 0) = (failing_since is null));

alter table webhook_deliveries
  -- The schedule counts the attempts after this one: a redelivery begins it anew.
  add column series_from int not null default 0 check (series_from >= 0),
  -- How long the last try took.
  add column last_ms int check (last_ms >= 0);

-- One row per try that came to an end. A number that is missing was begun by a
-- process that died. Real time.
create table webhook_attempts (
  tenant_id   text not null references tenants,
  event_id    text not null,
  endpoint_id text not null,
  attempt     int not null check (attempt > 0),
  started_at  timestamptz not null,
  took_ms     int not null check (took_ms >= 0),
  status      int,
  answer      text not null check (length(answer) <= 512),
  primary key (tenant_id, endpoint_id, event_id, attempt, started_at)
) partition by range (started_at);
create table webhook_attempts_rest partition of webhook_attempts default;
select ensure_month_partitions('webhook_attempts', (current_date - interval '1 month')::date, 14);
select guard_tenant_table('webhook_attempts');
grant select on webhook_attempts to suanpan_app, suanpan_system;
grant insert on webhook_attempts to suanpan_system;

-- forget_months drops the partitions of parent whose rows all started more than
-- months whole months ago, and returns how many; its catch-all partition is emptied
-- of such rows. The two functions after it lend the owner's rights to do so.
create function forget_months(parent regclass, months int) returns int language plpgsql
  set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '2s' as $$
declare
  before timestamptz := date_trunc('month', suanpan_now()) - make_interval(months => months);
  old regclass;
  dropped int := 0;
begin
  if months < 1 then
    raise exception 'at least the last whole month is kept';
  end if;
  for old in
    select c.oid::regclass from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = parent
      and substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamptz <= before
  loop
    execute format('drop table %s', old);
    dropped := dropped + 1;
  end loop;
  execute format('delete from %s where started_at < $1', parent::text || '_rest') using before;
  return dropped;
end $$;
create or replace function forget_channel_calls(months int) returns int language sql security definer
  set search_path = public, pg_temp as $$ select forget_months('channel_calls', months) $$;
create function forget_webhook_attempts(months int) returns int language sql security definer
  set search_path = public, pg_temp as $$ select forget_months('webhook_attempts', months) $$;
revoke execute on function forget_months(regclass, int), forget_webhook_attempts(int) from public;
grant execute on function forget_webhook_attempts(int) to suanpan_system;

-- A range of a tenant's events that is queued for one endpoint once more, a batch
-- at a time. (position_at, position_id) is the last event looked at.
create table webhook_redeliveries (
  tenant_id    text not null references tenants,
  id           text not null,
  endpoint_id  text not null,
  created_from timestamptz not null,
  created_to   timestamptz not null,
  -- missed: what was given up or never queued; all: also what was delivered.
  scope        text not null check (scope in ('missed', 'all')),
  -- running (a sweep queues the next batch) → done | cancelled (the endpoint went away).
  status       text not null default 'running' check (status in ('running', 'done', 'cancelled')),
  position_at  timestamptz,
  position_id  text not null default '',
  examined     bigint not null default 0,
  queued       bigint not null default 0,
  created_at   timestamptz not null default clock_timestamp(),
  finished_at  timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, endpoint_id) references webhook_endpoints (tenant_id, id),
  check (created_from < created_to),
  check ((status = 'running') = (finished_at is null))
);
create unique index webhook_redeliveries_running on webhook_redeliveries (tenant_id, endpoint_id) where status = 'running';
select guard_tenant_table('webhook_redeliveries');
grant select, insert, update on webhook_redeliveries to suanpan_app, suanpan_system;
