-- What the guard around the providers' adapters keeps: what was called (for the
-- timeline of a payment), and up to when each account's calls per second are given away.
-- How each account does is in channel_health.

-- One row per call, also of those that our own guard did not let go. Written after
-- the call and outside its transaction, so a row can be missing; nothing is decided
-- by it. request and answer hold the fields of a fixed list: never who the payer is,
-- codes, names, keys or free text.
create table channel_calls (
  tenant_id          text not null references tenants,
  id                 text not null,
  channel_account_id text not null,
  -- Our number of the attempt, refund or transfer; empty for bills and payers.
  number             text not null check (length(number) <= 26),
  operation          text not null check (operation ~ '^[a-z_]{1,32}$'),
  -- On the business clock, as the events beside which it is shown.
  started_at         timestamptz not null,
  took_ms            bigint not null check (took_ms >= 0),
  outcome            text not null check (outcome in ('succeeded', 'pending', 'failed', 'unknown', 'error')),
  code               text not null check (code ~ '^[A-Za-z0-9_.-]{0,64}$'),
  -- The provider's number of the call, for its support.
  request_id         text not null check (request_id ~ '^[A-Za-z0-9_.-]{0,64}$'),
  request            jsonb not null check (length(request::text) <= 2048),
  answer             jsonb not null check (length(answer::text) <= 2048),
  primary key (tenant_id, id, started_at),
  foreign key (tenant_id, channel_account_id) references channel_accounts (tenant_id, id)
) partition by range (started_at);
create table channel_calls_rest partition of channel_calls default;
select ensure_month_partitions('channel_calls', (current_date - interval '1 month')::date, 14);
create index channel_calls_of_number on channel_calls (tenant_id, number, started_at) where number <> '';
select guard_tenant_table('channel_calls');
grant select on channel_calls to suanpan_app, suanpan_system;
grant insert on channel_calls to suanpan_system;

-- forget_channel_calls drops the partitions whose rows are all older than months
-- whole months, and returns how many. Only the owner of the table may, so it lends
-- his rights. The catch-all partition is emptied of old rows instead.
create function forget_channel_calls(months int) returns int language plpgsql security definer
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
    where i.inhparent = 'channel_calls'::regclass
      and substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamptz <= before
  loop
    execute format('drop table %s', old);
    dropped := dropped + 1;
  end loop;
  delete from channel_calls_rest where started_at < before;
  return dropped;
end $$;
revoke execute on function forget_channel_calls(int) from public;
grant execute on function forget_channel_calls(int) to suanpan_system;

-- Up to when the calls of one identity at a provider are given away: its calls per
-- second are shared by all instances, and by all tenants that use the identity, so
-- this row belongs to no tenant. Real time.
create table channel_rates (
  identity text primary key check (length(identity) between 1 and 200),
  next_at  timestamptz not null
) with (fillfactor = 50);
grant select, insert, update on channel_rates to suanpan_system;

-- take_channel_slots gives the caller up to wanted slots, one every gap, none of
-- which begins later than max_wait from now; whoever asks next gets those after them.
-- first_in is how long the first is away.
create function take_channel_slots(of_identity text, gap interval, wanted int, max_wait interval,
  out granted int, out first_in interval) language plpgsql as $$
declare
  now timestamptz := clock_timestamp();
  first timestamptz;
begin
  insert into channel_rates (identity, next_at) values (of_identity, now) on conflict do nothing;
  select next_at into first from channel_rates where identity = of_identity for update;
  now := clock_timestamp();
  first := greatest(first, now);
  granted := least(wanted, 1 + floor(extract(epoch from now + max_wait - first) / extract(epoch from gap))::int);
  granted := greatest(granted, 0);
  first_in := first - now;
  if granted > 0 then
    update channel_rates set next_at = first + granted * gap where identity = of_identity;
  end if;
end $$;
revoke execute on function take_channel_slots(text, interval, int, interval) from public;
grant execute on function take_channel_slots(text, interval, int, interval) to suanpan_system;
