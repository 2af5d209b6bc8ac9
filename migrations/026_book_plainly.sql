-- Entries that obviously may be booked are locked, judged and written by one
-- function, in one statement of the caller. What is not obvious (a hold, a limit, an
-- account that is frozen or not open, a reference that was used, money that may be
-- short) it does not touch: that goes the long way, where package ledger decides and
-- the triggers of the books judge.
--
-- The function judges as strictly as the triggers, and it computes what they compare.
-- So they look at what everybody else writes, and not at what it writes: it alone
-- acts as suanpan_books on these tables.

grant insert on entries, postings to suanpan_books;
create policy the_books_write on entries for insert to suanpan_books with check (true);
create policy the_books_write on postings for insert to suanpan_books with check (true);

drop trigger postings_keep_the_rules on postings;
create trigger postings_keep_the_rules after insert on postings
  referencing new table as inserted for each statement
  when (current_user <> 'suanpan_books') execute function postings_keep_the_rules();
drop trigger entries_have_postings on entries;
create trigger entries_have_postings after insert on entries
  referencing new table as inserted for each statement
  when (current_user <> 'suanpan_books') execute function entries_have_postings();

-- The server reads every CHECK of a table anew in each statement that writes it,
-- which cost more than the writing. So what cannot change after an account was
-- opened is checked when it is opened, what changes only with a reason is checked
-- there, and what other rules imply is left to them: an entry's currency is its
-- accounts', a leg is one of 1 to n, a number follows the last one.
alter table ledger_accounts
  drop constraint ledger_accounts_owner_check, drop constraint ledger_accounts_currency_check,
  drop constraint ledger_accounts_name_check, drop constraint ledger_accounts_status_check,
  drop constraint ledger_accounts_last_seq_check, drop constraint ledger_accounts_limits_check,
  drop constraint ledger_accounts_reason_check;
alter table entries drop constraint entries_currency_check;
alter table postings drop constraint postings_leg_check, drop constraint postings_account_seq_check;

create or replace function accounts_open_at_the_floor() returns trigger language plpgsql as $$
begin
  if (length(new.owner) <= 128 and length(new.name) <= 64 and new.currency ~ '^[A-Z]{3}$'
    and new.status = 'active' and new.last_seq = 0 and new.limits is null and new.reason is null) is not true then
    raise exception 'account % cannot be opened like this', new.id using errcode = 'check_violation', constraint = 'account_opened';
  end if;
  select t.floor into new.floor from public.account_types t where t.type = new.type;
  return new;
end $$;

create or replace function accounts_change_with_a_reason() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  if old.status = 'closed' then
    raise exception 'account % is closed: it can no longer change', old.id using errcode = 'SUP01', constraint = 'account_closed';
  end if;
  if (length(new.reason) between 1 and 256) is not true then
    raise exception 'account %: a change of status, floor or limits has a reason of 1 to 256 characters', old.id
      using errcode = 'SUP01', constraint = 'reason';
  end if;
  if (new.status in ('active', 'debit_frozen', 'credit_frozen', 'frozen', 'closed')
    and (new.limits is null or jsonb_typeof(new.limits) = 'object')) is not true then
    raise exception 'account %: no such status or limits', old.id using errcode = 'check_violation', constraint = 'account_changed';
  end if;
  insert into account_changes (tenant_id, account_id, account_seq, status_before, status_after,
    floor_before, floor_after, limits_before, limits_after, reason)
  values (old.tenant_id, old.id, old.last_seq, old.status, new.status, old.floor, new.floor, old.limits, new.limits, new.reason);
  return new;
end $$;

-- book_plainly books entries of the session's tenant, all or none, and reports
-- whether it did. The postings come in the order of the entries, legs[n] of entry n;
-- account_of names their accounts, first those with a floor from 1 on, then the
-- internal ones. A caller who has promised the booking insists: then the
-- transaction ends as after any lost race, and runs again.
--
-- Every condition is one that must hold, so that a null or a missing element of an
-- array refuses.
create function book_plainly(
  tenant text, insist boolean,
  ids text[], kinds text[], numbers text[], phases text[], currencies text[], legs int2[], hashes bytea[],
  channel_dates text[], metadatas text[],
  types text[], owners text[], account_currencies text[], names text[],
  internal_types text[], internal_owners text[], internal_currencies text[], internal_names text[],
  account_of int4[], amounts int8[]
) returns boolean language plpgsql security definer
  set search_path = public, pg_temp
  -- One plan by key, which is right however large the tables were when it was made.
  -- With other ways forbidden it looks dear to the server, which would compile it.
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set jit = off as $$
declare
  floored constant int := cardinality(types);
  places int8[];
  found_accounts ledger_accounts[];
  accounts ledger_accounts[];
  account ledger_accounts;
  floored_ids text[];
  balances int8[];
  last_seqs int8[];
  -- Of each posting:
  entry_of int4[];
  leg_of int2[];
  account_ids text[];
  account_seqs int8[];
  balances_after int8[];
  flow_kinds text[];
  flow_classes text[];

  entry_seqs int8[];
  entry_ids text[];
  clock timestamptz;
  forbidden boolean;
  trust int8;
  own int8;
  change int8;
  moved int;
  n int;
  i int := 0;
begin
  if tenant is distinct from current_setting('suanpan.tenant', true) then
    raise exception 'the books of % are not open to this session', tenant using errcode = 'insufficient_privilege';
  end if;
  -- A session that sees one merchant's rows goes the way on which it sees no others.
  if coalesce(current_setting('suanpan.merchant', true), '') <> '' then
    return not_plain(insist);
  end if;

  -- Locked in the order of their ids, as every other transaction locks them.
  select array_agg(l.n), array_agg(l.a) into places, found_accounts from (
    select k.n, a from unnest(types, owners, account_currencies, names) with ordinality k (type, owner, currency, name, n)
    join ledger_accounts a on a.tenant_id = tenant and a.type = k.type and a.owner = k.owner and a.currency = k.currency
      and a.name = k.name
    where a.floor is not null order by a.id for update of a
  ) l;
  if (coalesce(cardinality(places), 0) = floored) is not true then
    return not_plain(insist);
  end if;
  for j in 1..floored loop
    n := places[j];
    account := found_accounts[j];
    if account.status <> 'active' or account.limits is not null then
      return not_plain(insist);
    end if;
    accounts[n] := account;
    floored_ids[n] := account.id;
    balances[n] := account.posted;
    last_seqs[n] := account.last_seq;
  end loop;
  if cardinality(internal_types) > 0 then
    select array_agg(k.n), array_agg(a) into places, found_accounts
    from unnest(internal_types, internal_owners, internal_currencies, internal_names)
      with ordinality k (type, owner, currency, name, n)
    join ledger_accounts a on a.tenant_id = tenant and a.type = k.type and a.owner = k.owner and a.currency = k.currency
      and a.name = k.name
    where a.floor is null;
    if (cardinality(places) = cardinality(internal_types)) is not true then
      return not_plain(insist);
    end if;
    for j in 1..cardinality(places) loop
      accounts[floored + places[j]] := found_accounts[j];
    end loop;
  end if;

  for entry in 1..cardinality(ids) loop
    trust := 0;
    own := 0;
    for leg in 1..legs[entry] loop
      i := i + 1;
      n := account_of[i];
      account := accounts[n];
      entry_of[i] := entry;
      leg_of[i] := leg;
      account_ids[i] := account.id;
      flow_kinds[i] := kinds[entry];
      flow_classes[i] := account.class;
      case account.book when 'trust' then trust := trust + amounts[i]; else own := own + amounts[i]; end case;
      if n <= floored then
        change := case account.normal_side when 'debit' then amounts[i] else -amounts[i] end;
        balances[n] := balances[n] + change;
        last_seqs[n] := last_seqs[n] + 1;
        account_seqs[i] := last_seqs[n];
        balances_after[i] := balances[n];
        if (abs(balances[n]) <= 1000000000000000000 and (change > 0 or balances[n] - account.held >= account.floor)) is not true then
          return not_plain(insist);
        end if;
      else
        account_seqs[i] := null;
        balances_after[i] := null;
      end if;
      if (account.currency = currencies[entry]) is not true then
        return not_plain(insist);
      end if;
    end loop;
    if (trust = 0 and own = 0) is not true then
      return not_plain(insist);
    end if;
  end loop;
  if (i = cardinality(amounts)) is not true then
    return not_plain(insist);
  end if;
  -- Scalar subqueries, so that each flow is looked up by key.
  select clock_timestamp() + b.ahead, exists (
      select from (select distinct f.kind, f.class from unnest(flow_kinds, flow_classes) f (kind, class)) flow
      where (select m.kind from custody_flows m
        where m.custody_mode = (select t.custody_mode from tenants t where t.id = tenant)
          and m.kind = flow.kind and m.class = flow.class) is null)
    into clock, forbidden from business_clock b;
  if forbidden is not false then
    return not_plain(insist);
  end if;
  if not insist then
    perform from unnest(kinds, numbers, phases) r (kind, number, phase) cross join lateral (
      select from entries e
      where e.tenant_id = tenant and e.kind = r.kind and e.number = r.number and e.phase = r.phase limit 1) used;
    if found then
      return false;
    end if;
  end if;

  with booked as (
    insert into entries (tenant_id, id, kind, number, phase, currency, legs, content_hash, booked_at, channel_date, metadata)
    select tenant, e.id, e.kind, e.number, e.phase, e.currency, e.legs, e.hash, clock, e.channel_date::date, e.metadata::jsonb
    from unnest(ids, kinds, numbers, phases, currencies, legs, hashes, channel_dates, metadatas)
      e (id, kind, number, phase, currency, legs, hash, channel_date, metadata)
    on conflict on constraint entries_reference do nothing
    returning seq, id
  ) select array_agg(seq order by seq), array_agg(id order by seq) into entry_seqs, entry_ids from booked;
  if (entry_ids = ids) is not true then
    return not_plain(true); -- a reference was used by another transaction since we looked
  end if;
  insert into postings (tenant_id, entry_seq, leg, account_id, amount, account_seq, balance_after, booked_at)
  select tenant, entry_seqs[p.entry], p.leg, p.account, p.amount, p.seq, p.balance, clock
  from unnest(entry_of, leg_of, account_ids, amounts, account_seqs, balances_after) p (entry, leg, account, amount, seq, balance);
  update ledger_accounts a set posted = m.balance, last_seq = m.seq
  from unnest(floored_ids, balances, last_seqs) m (id, balance, seq)
  where a.tenant_id = tenant and a.id = m.id;
  get diagnostics moved = row_count;
  if moved <> floored then -- the caller named an account twice
    raise exception 'an account is named twice' using errcode = 'SUP01', constraint = 'cached_balance';
  end if;
  return true;
end $$;

create function not_plain(insist boolean) returns boolean language plpgsql as $$
begin
  if insist then
    raise exception 'these entries cannot be booked without a look at the books' using errcode = 'serialization_failure';
  end if;
  return false;
end $$;

grant create on schema public to suanpan_books;
alter function book_plainly owner to suanpan_books;
revoke create on schema public from suanpan_books;
revoke execute on function book_plainly from public;
grant execute on function book_plainly to suanpan_app;
