-- The books believe nobody: what a posting says about its account's balance, and
-- what an entry says about its time and place, follows from the books or is refused,
-- also when the application's role says so by SQL of its own.
--
-- A third role owns the two trigger functions that write what no other role may:
-- cached balances, and the history of decisions about accounts. It has no login
-- and no member but who migrates.

do $$ begin
  create role suanpan_books nologin;
exception when duplicate_object or unique_violation then null; end $$;
do $$ begin
  execute format('grant suanpan_books to %I', current_user);
exception when others then null; end $$;
grant usage on schema public to suanpan_books;
grant select on tenants, entries, holds, account_types, class_matrix, custody_flows, business_clock to suanpan_books;
grant select, insert on account_changes to suanpan_books;
grant select, update on ledger_accounts to suanpan_books;
grant select on postings to suanpan_books;
create policy the_books on tenants to suanpan_books using (true);
create policy the_books on entries to suanpan_books using (true);
create policy the_books on postings to suanpan_books using (true);
create policy the_books on holds to suanpan_books using (true);
create policy the_books on account_changes to suanpan_books using (true) with check (true);
create policy the_books on ledger_accounts to suanpan_books using (true) with check (true);

-- seq and business_date are given, never chosen; balances move by postings alone.
revoke insert on entries from suanpan_app, suanpan_system;
grant insert (tenant_id, id, kind, number, phase, currency, legs, content_hash, booked_at, channel_date, reverses, metadata)
  on entries to suanpan_app, suanpan_system;
revoke update (posted, last_seq) on ledger_accounts from suanpan_app, suanpan_system;
revoke insert on account_changes from suanpan_app, suanpan_system;

-- Names a schema: a temporary table of the caller may not take the place of ours.
create or replace function suanpan_now() returns timestamptz language plpgsql volatile parallel safe
  as $$ begin return clock_timestamp() + (select ahead from public.business_clock); end $$;

create or replace function accounts_open_at_the_floor() returns trigger language plpgsql as $$
begin
  select t.floor into new.floor from public.account_types t where t.type = new.type;
  return new;
end $$;

alter function accounts_change_with_a_reason() security definer set search_path = public, pg_temp;

-- refuse_posting words the refusal of an entry. SQLSTATE SUP01 with the rule as
-- constraint name is how package ledger recognises it.
create or replace function refuse_posting(rule text, tenant text, entry bigint) returns void language plpgsql
  set search_path = public, pg_temp as $$
declare
  what text;
  modes text;
begin
  select format('%s %s/%s', e.kind, e.number, e.phase) into what from entries e where e.tenant_id = tenant and e.seq = entry;
  if rule = 'class_matrix' then
    -- Permitted by the matrix, so it is the tenant's custody mode that forbids it?
    select string_agg(mode, ', ' order by mode) into modes from (
      select f.custody_mode as mode
      from postings p
      join entries e on e.tenant_id = p.tenant_id and e.seq = p.entry_seq
      join ledger_accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
      join custody_flows f on f.kind = e.kind and f.class = a.class
      where p.tenant_id = tenant and p.entry_seq = entry
      group by f.custody_mode
      having count(*) = (select count(*) from postings q where q.tenant_id = tenant and q.entry_seq = entry)
    ) allowing;
    if modes is not null then
      raise exception 'entry % is not permitted in this tenant''s custody mode (%); modes that permit it: %',
        what, (select custody_mode from tenants where id = tenant), modes
        using errcode = 'SUP01', constraint = 'custody_mode', hint = modes;
    end if;
  end if;
  raise exception 'entry % refused: %', coalesce(what, entry::text), case rule
      when 'no_entry' then 'a posting names no entry of this tenant with this booked_at'
      when 'no_account' then 'a posting names no account of this tenant'
      when 'two_legs' then 'an entry has at least two postings'
      when 'all_legs' then 'all postings of an entry are inserted with it, in one statement'
      when 'one_currency' then 'an account of another currency than the entry''s'
      when 'balance' then 'debits and credits differ within a book'
      when 'class_matrix' then 'this kind may not touch one of these account classes'
      when 'hold' then 'a posting names no hold of its account'
      when 'account_status' then 'an account is frozen or closed'
      when 'cached_balance' then 'the account''s balance and sequence do not move with the posting'
      when 'booked_now' then 'an entry is booked now, not at another time'
      when 'reversal' then 'a reversal cannot be reversed'
      when 'exact_reversal' then 'a reversal undoes its entry exactly'
      else rule end
    using errcode = 'SUP01', constraint = rule;
end $$;

-- The rules of the books over all postings of one statement; it also moves the
-- cached balances, so that they cannot but follow. Each posting looks its entry
-- and account up by key: "limit 1" and the settings hold the planner to that, also
-- in a session that first planned on empty tables.
create or replace function postings_keep_the_rules() returns trigger language plpgsql security definer
  set search_path = public, pg_temp set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
declare
  judged record;
  moved bigint;
begin
  -- One row: of a broken rule, if one is, and how many postings there are of
  -- accounts with a floor.
  select *, sum(floored) over () as all_floored into judged from (
    select n.tenant_id, n.entry_seq, count(n.account_seq) as floored, case
        when bool_or(e.seq is null) then 'no_entry'
        when bool_or(a.id is null) then 'no_account'
        when count(*) < 2 then 'two_legs'
        when count(*) <> max(e.legs) or min(n.leg) <> 1 or max(n.leg) <> count(*) then 'all_legs'
        when bool_or(a.currency <> e.currency) then 'one_currency'
        when coalesce(sum(n.amount) filter (where a.book = 'trust'), 0) <> 0
          or coalesce(sum(n.amount) filter (where a.book = 'own'), 0) <> 0 then 'balance'
        when bool_or(f.kind is null) then 'class_matrix'
        when bool_or(n.hold_id is not null and not exists (select from holds h
            where h.tenant_id = n.tenant_id and h.id = n.hold_id and h.account_id = n.account_id)) then 'hold'
        when bool_or(a.status <> 'active' and case a.status
            when 'debit_frozen'  then n.hold_id is null and (n.amount < 0) = (a.normal_side = 'debit')
            when 'credit_frozen' then (n.amount > 0) = (a.normal_side = 'debit')
            when 'frozen'        then n.hold_id is null
            else true end) then 'account_status'
        when bool_or((a.floor is null) <> (n.account_seq is null)) then 'cached_balance'
      end as rule
    from inserted n
    left join lateral (
      select seq, kind, legs, currency from entries
      where tenant_id = n.tenant_id and seq = n.entry_seq and booked_at = n.booked_at limit 1
    ) e on true
    left join lateral (
      select id, class, book, currency, normal_side, status, floor from ledger_accounts
      where tenant_id = n.tenant_id and id = n.account_id limit 1
    ) a on true
    left join lateral (
      select f.kind from tenants t
      join custody_flows f on f.custody_mode = t.custody_mode and f.kind = e.kind and f.class = a.class
      where t.id = n.tenant_id limit 1
    ) f on true
    group by n.tenant_id, n.entry_seq
  ) entry order by rule limit 1; -- nulls come last
  if judged.rule is not null then
    perform refuse_posting(judged.rule, judged.tenant_id, judged.entry_seq);
  end if;
  if judged.all_floored > 0 then
    -- An account moves if its postings are numbered on from its last one, and each
    -- balance follows from the one before; otherwise some posting is left over.
    with movement as (
      update ledger_accounts a set posted = m.posted, last_seq = m.last_seq
      from (
        select tenant_id, account_id, count(*) as postings, min(account_seq) - 1 as before, max(account_seq) as last_seq,
          (array_agg(balance_after order by account_seq desc))[1] as posted,
          -- How far each balance is from the sum of what is debited up to it, and from
          -- that of what is credited: the same everywhere, on one of the two.
          min(balance_after - debits) as start_debit, max(balance_after - debits) as end_debit,
          min(balance_after + debits) as start_credit, max(balance_after + debits) as end_credit,
          count(distinct account_seq) as numbers
        from (
          select *, sum(amount) over (partition by tenant_id, account_id order by account_seq rows unbounded preceding) as debits
          from inserted where account_seq is not null
        ) p group by tenant_id, account_id
      ) m
      where a.tenant_id = m.tenant_id and a.id = m.account_id
        and a.last_seq = m.before and m.numbers = m.postings and m.last_seq = m.before + m.postings
        and case a.normal_side
          when 'debit' then a.posted = m.start_debit and a.posted = m.end_debit
          else a.posted = m.start_credit and a.posted = m.end_credit end
      returning m.postings
    )
    select coalesce(sum(postings), 0) into moved from movement;
    if moved <> judged.all_floored then
      perform refuse_posting('cached_balance', judged.tenant_id, judged.entry_seq);
    end if;
  end if;
  return null;
end $$;

-- No entry without its postings, none at another time than now, and no reversal
-- but the exact opposite of an entry that is none itself. The first posting
-- is looked up by variables, so that all partitions but one are out before the
-- lookup starts; joined to the inserted rows, every partition would be opened in
-- every posting. The plan is generic, for the same reason.
create or replace function entries_have_postings() returns trigger language plpgsql security definer
  set search_path = public, pg_temp set plan_cache_mode = force_generic_plan as $$
declare
  e record;
  clock interval;
begin
  for e in select tenant_id, seq, kind, reverses, booked_at from inserted loop
    perform from postings p
      where p.tenant_id = e.tenant_id and p.entry_seq = e.seq and p.leg = 1 and p.booked_at = e.booked_at;
    if not found then
      perform refuse_posting('all_legs', e.tenant_id, e.seq);
    end if;
    -- Within the statement by the wall clock, or else by the business clock, which may
    -- be set, and moved meanwhile, in development. A second more, for a wall clock
    -- that is put right.
    if e.booked_at < statement_timestamp() or e.booked_at > clock_timestamp() then
      clock := (select ahead from business_clock);
      if e.booked_at < statement_timestamp() + least(clock, interval '0') - interval '1 second'
        or e.booked_at > clock_timestamp() + clock + interval '1 second' then
        perform refuse_posting('booked_now', e.tenant_id, e.seq);
      end if;
    end if;
    if e.kind = 'reversal' then
      perform refuse_reversal(e.tenant_id, e.seq, e.booked_at, e.reverses);
    end if;
  end loop;
  return null;
end $$;

-- refuse_reversal refuses a reversal that does not undo, account by account, what it names.
create function refuse_reversal(tenant text, entry bigint, at timestamptz, target text) returns void language plpgsql
  set search_path = public, pg_temp as $$
declare
  undone entries;
begin
  select * into undone from entries where tenant_id = tenant and id = target;
  if undone.kind = 'reversal' then
    perform refuse_posting('reversal', tenant, entry);
  end if;
  perform from postings p
    where p.tenant_id = tenant and (p.entry_seq, p.booked_at) in ((entry, at), (undone.seq, undone.booked_at))
    group by p.account_id having sum(p.amount) <> 0;
  if found then
    perform refuse_posting('exact_reversal', tenant, entry);
  end if;
end $$;

-- Who owns a function lends it his rights, and needs this one to become its owner.
grant create on schema public to suanpan_books;
alter function accounts_change_with_a_reason() owner to suanpan_books;
alter function postings_keep_the_rules() owner to suanpan_books;
alter function entries_have_postings() owner to suanpan_books;
revoke create on schema public from suanpan_books;

-- Up to when each partitioned table has partitions; later rows go to its _rest, and
-- a month that has rows there can have no partition of its own.
create view partitions_until as
  select i.inhparent::regclass as parent,
    max(substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamptz) as until
  from pg_inherits i
  join pg_class c on c.oid = i.inhrelid and c.relkind = 'r' and c.relpartbound is not null
  join pg_class p on p.oid = i.inhparent and p.relkind = 'p' and p.relnamespace = 'public'::regnamespace
  group by i.inhparent;

-- make_partitions_ahead gives every table that is partitioned by month a partition
-- for each month up to and with the given number of months from now, and returns how
-- many it made. Only the owner of the tables may make them, so it lends his rights.
-- A new partition begins where the last one ends, whatever time zone that was made in.
create function make_partitions_ahead(months int) returns int language plpgsql security definer
  set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '2s' as $$
declare
  parent regclass;
  last timestamptz;
  made int := 0;
begin
  for parent, last in select s.parent, s.until from partitions_until s order by s.parent::text loop
    while last < suanpan_now() + make_interval(months => months) loop
      execute format('create table %s_%s partition of %s for values from (%L) to (%L)',
        parent, to_char(last + interval '15 days', 'YYYYMM'), parent, last, last + interval '1 month');
      last := last + interval '1 month';
      made := made + 1;
    end loop;
  end loop;
  return made;
end $$;
revoke execute on function make_partitions_ahead(int) from public;
grant select on partitions_until to suanpan_system;
grant execute on function make_partitions_ahead(int) to suanpan_system;
