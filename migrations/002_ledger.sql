-- The books: chart of accounts, accounts, immutable entries with their
-- postings, and holds.
--
-- An entry and all its postings arrive in one INSERT statement. Two statement
-- triggers look at what that statement brought and refuse it as a whole when a
-- rule of the books is broken, whoever wrote it. Nobody may update or delete
-- entries and postings. Balances are signed by the account's normal side: a
-- merchant to whom 5.00 is owed has posted = 500.

create table account_types (
  type        text primary key,
  class       text not null check (class in ('custody_asset', 'merchant_liability', 'user_liability', 'transit_liability',
                'suspense_liability', 'own_stake', 'own_asset', 'own_income', 'own_expense', 'promotional_liability')),
  book        text not null check (book in ('trust', 'own')),
  normal_side text not null check (normal_side in ('debit', 'credit')),
  gl_code     text not null unique,
  owned       boolean not null, -- whether accounts of the type name an owner
  floor       bigint,           -- the floor of new accounts; null: internal, no row lock, derived balance
  unique (type, class, book, normal_side)
);
insert into account_types (type, class, book, normal_side, gl_code, owned, floor) values
  ('channel_unsettled',     'custody_asset',         'trust', 'debit',  '1012.01', true,  null),
  ('channel_balance',       'custody_asset',         'trust', 'debit',  '1012.02', true,  null),
  ('bank',                  'custody_asset',         'trust', 'debit',  '1002.01', true,  null),
  ('custody_bank',          'custody_asset',         'trust', 'debit',  '1012.03', true,  null),
  ('merchant_pending',      'merchant_liability',    'trust', 'credit', '2241.01', true,  0),
  ('merchant_available',    'merchant_liability',    'trust', 'credit', '2241.02', true,  0),
  ('merchant_deposit',      'merchant_liability',    'trust', 'credit', '2241.03', true,  0),
  ('user_cash',             'user_liability',        'trust', 'credit', '2241.04', true,  0),
  ('payout_in_transit',     'transit_liability',     'trust', 'credit', '2241.05', true,  0),
  ('unidentified_receipts', 'suspense_liability',    'trust', 'credit', '2241.06', true,  null),
  ('own_stake_in_custody',  'own_stake',             'trust', 'credit', '2241.90', false, null),
  ('custody_claim',         'own_asset',             'own',   'debit',  '1221.90', false, null),
  ('own_bank',              'own_asset',             'own',   'debit',  '1002.90', false, null),
  ('merchant_receivable',   'own_asset',             'own',   'debit',  '1221.01', true,  null),
  ('fee_income',            'own_income',            'own',   'credit', '6001.01', false, null),
  ('channel_fee_expense',   'own_expense',           'own',   'debit',  '6603.01', false, null),
  ('marketing_expense',     'own_expense',           'own',   'debit',  '6601.01', false, null),
  ('loss',                  'own_expense',           'own',   'debit',  '6711.01', false, null),
  ('user_bonus',            'promotional_liability', 'own',   'credit', '2801.01', true,  0);

-- Which classes an entry of a kind may touch.
create table entry_kinds (
  kind text primary key
);
create table class_matrix (
  kind  text not null references entry_kinds,
  class text not null,
  primary key (kind, class)
);
with matrix (kind, classes) as (values
  ('collect',           array['custody_asset', 'merchant_liability', 'user_liability', 'suspense_liability']),
  ('fee',               array['custody_asset', 'merchant_liability', 'user_liability', 'own_stake', 'own_asset', 'own_income', 'own_expense']),
  ('fee_refund',        array['custody_asset', 'merchant_liability', 'user_liability', 'own_stake', 'own_asset', 'own_income', 'own_expense']),
  ('split',             array['merchant_liability']),
  ('settle',            array['merchant_liability']),
  ('refund',            array['custody_asset', 'merchant_liability', 'user_liability', 'suspense_liability', 'own_stake', 'own_asset', 'own_income']),
  ('payout',            array['custody_asset', 'merchant_liability', 'user_liability', 'transit_liability']),
  ('payout_return',     array['custody_asset', 'merchant_liability', 'user_liability', 'transit_liability']),
  ('transfer',          array['merchant_liability', 'user_liability']),
  ('marketing_funding', array['merchant_liability', 'user_liability', 'own_stake', 'own_asset', 'own_expense', 'promotional_liability']),
  ('advance',           array['merchant_liability', 'own_stake', 'own_asset']),
  ('advance_recovery',  array['merchant_liability', 'own_stake', 'own_asset']),
  ('loss_cover',        array['custody_asset', 'merchant_liability', 'user_liability', 'own_stake', 'own_asset', 'own_expense']),
  ('own_topup',         array['custody_asset', 'own_stake', 'own_asset']),
  ('own_sweep',         array['custody_asset', 'own_stake', 'own_asset']),
  ('custody_transfer',  array['custody_asset']),
  ('adjustment',        array['custody_asset', 'merchant_liability', 'suspense_liability', 'own_stake', 'own_asset', 'own_income', 'own_expense']),
  ('reversal',          array['custody_asset', 'merchant_liability', 'user_liability', 'transit_liability', 'suspense_liability',
                              'own_stake', 'own_asset', 'own_income', 'own_expense', 'promotional_liability'])
), kinds as (
  insert into entry_kinds (kind) select kind from matrix returning kind
)
insert into class_matrix (kind, class)
  select m.kind, unnest(m.classes) from matrix m join kinds k on k.kind = m.kind;

-- What of the matrix a custody mode permits. A custodian bank or a licence
-- permits all of it. Where the licensed channel holds the money, the book is a
-- memo: no user balances and no payout or transfer of other people's money. A
-- tenant that sells its own goods owes no client anything.
create table custody_flows (
  custody_mode text not null check (custody_mode in ('own_funds', 'channel_split', 'bank_custody', 'licensed_reserve')),
  kind         text not null,
  class        text not null,
  primary key (custody_mode, kind, class),
  foreign key (kind, class) references class_matrix (kind, class)
);
insert into custody_flows (custody_mode, kind, class)
  select m.mode, c.kind, c.class
  from class_matrix c, (values ('bank_custody'), ('licensed_reserve'), ('channel_split'), ('own_funds')) m (mode)
  where case m.mode
    when 'channel_split' then c.kind not in ('payout', 'payout_return', 'transfer')
                              and c.class not in ('user_liability', 'transit_liability')
    when 'own_funds' then c.class not in ('merchant_liability', 'user_liability', 'transit_liability')
    else true
  end;
grant select on account_types, entry_kinds, class_matrix, custody_flows to suanpan_app, suanpan_system;

-- posted and held of accounts with a floor change only under the row's lock;
-- those of internal accounts stay zero, their balance is the sum of their postings.
-- Status, floor and limits change only with a reason, which account_changes keeps.
create table ledger_accounts (
  tenant_id   text not null references tenants,
  id          text not null,
  type        text not null,
  class       text not null,
  book        text not null,
  normal_side text not null,
  gl_code     text not null,
  owner       text not null check (length(owner) <= 128),
  currency    text not null check (currency ~ '^[A-Z]{3}$'),
  name        text not null default '' check (length(name) <= 64), -- tells several accounts of one owner apart
  status      text not null default 'active' check (status in ('active', 'debit_frozen', 'credit_frozen', 'frozen', 'closed')),
  floor       bigint,
  posted      bigint not null default 0,
  held        bigint not null default 0 check (held >= 0),
  last_seq    bigint not null default 0 check (last_seq >= 0),
  -- What may pass per posting, day and month, and what has passed in the day and
  -- month of the last counted posting: in the row, so that one lock guards all.
  limits      jsonb check (jsonb_typeof(limits) = 'object'),
  limit_usage jsonb check (jsonb_typeof(limit_usage) = 'object'),
  reason      text check (length(reason) between 1 and 256),
  created_at  timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  constraint ledger_accounts_key unique (owner, type, currency, name, tenant_id),
  foreign key (type, class, book, normal_side) references account_types (type, class, book, normal_side),
  constraint ledger_accounts_floor check (floor is null or posted - held >= floor),
  constraint ledger_accounts_internal check (floor is not null or (posted = 0 and held = 0 and last_seq = 0)),
  constraint ledger_accounts_limits check ((limits is null) = (limit_usage is null) and (limits is null or floor is not null)),
  constraint ledger_accounts_status check (status = 'active' or floor is not null),
  constraint ledger_accounts_closed check (status <> 'closed' or (posted = 0 and held = 0))
) with (fillfactor = 80);
select guard_tenant_table('ledger_accounts');
grant select on ledger_accounts to suanpan_app, suanpan_system;
grant insert (tenant_id, id, type, class, book, normal_side, gl_code, owner, currency, name)
  on ledger_accounts to suanpan_app, suanpan_system;
grant update (posted, held, last_seq, limit_usage, status, limits, reason) on ledger_accounts to suanpan_app, suanpan_system;
grant update (floor) on ledger_accounts to suanpan_system;

-- The history of what was decided about an account, and why. account_seq is its
-- last posting then, so that every floor has the postings it applied to.
create table account_changes (
  tenant_id     text not null,
  id            bigint not null generated always as identity,
  account_id    text not null,
  account_seq   bigint not null,
  status_before text not null,
  status_after  text not null,
  floor_before  bigint,
  floor_after   bigint,
  limits_before jsonb,
  limits_after  jsonb,
  reason        text not null,
  changed_at    timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, account_id) references ledger_accounts (tenant_id, id)
);
create index account_changes_account on account_changes (account_id, id);
select guard_tenant_table('account_changes');
grant select, insert on account_changes to suanpan_app, suanpan_system;

-- A new account has its type's floor, whoever opens it.
create function accounts_open_at_the_floor() returns trigger language plpgsql as $$
begin
  select t.floor into new.floor from account_types t where t.type = new.type;
  return new;
end $$;
create trigger accounts_open_at_the_floor before insert on ledger_accounts
  for each row execute function accounts_open_at_the_floor();

-- Posting names none of these columns, so it does not pay for this.
create function accounts_change_with_a_reason() returns trigger language plpgsql as $$
begin
  if old.status = 'closed' then
    raise exception 'account % is closed: it can no longer change', old.id using errcode = 'SUP01', constraint = 'account_closed';
  end if;
  if new.reason is null then
    raise exception 'account %: a change of status, floor or limits has a reason', old.id
      using errcode = 'SUP01', constraint = 'reason';
  end if;
  insert into account_changes (tenant_id, account_id, account_seq, status_before, status_after,
    floor_before, floor_after, limits_before, limits_after, reason)
  values (old.tenant_id, old.id, old.last_seq, old.status, new.status, old.floor, new.floor, old.limits, new.limits, new.reason);
  return new;
end $$;
create trigger accounts_change_with_a_reason before update of status, floor, limits, reason on ledger_accounts
  for each row execute function accounts_change_with_a_reason();

-- How far below zero a tenant's own stake in custody may go: the advance in force
-- is the last one approved per currency. What a provider takes is a fact that no
-- rule can refuse, so verify tells when no advance covers it.
create table stake_advances (
  tenant_id   text not null references tenants,
  id          bigint not null generated always as identity,
  currency    text not null check (currency ~ '^[A-Z]{3}$'),
  amount      bigint not null check (amount between 0 and 1000000000000000),
  reason      text not null check (length(reason) between 1 and 256),
  approved_at timestamptz not null default suanpan_now(),
  primary key (tenant_id, id)
);
select guard_tenant_table('stake_advances');
grant select on stake_advances to suanpan_app, suanpan_system;
grant insert on stake_advances to suanpan_system;

-- A reference is used once, for ever: the table is not partitioned. The tenant is
-- checked by the trigger and not by a foreign key, which would lock the tenant's
-- row in every posting transaction.
--
-- A plan made, and kept by its session, while the tables were empty takes any
-- index that begins with a known column for as good as the right one, and the
-- newest of equals. Hence few indexes begin with tenant_id, and entries_reference
-- comes after entries_seq. The first analyze ends this.
create table entries (
  tenant_id     text not null,
  id            text not null,
  seq           bigint not null generated always as identity,
  kind          text not null,
  number        text not null check (length(number) between 1 and 128),
  phase         text not null check (length(phase) between 1 and 64),
  currency      text not null check (currency ~ '^[A-Z]{3}$'),
  legs          smallint not null check (legs >= 2),
  content_hash  bytea not null check (length(content_hash) = 32),
  booked_at     timestamptz not null default suanpan_now(),
  business_date date not null generated always as (suanpan_date(booked_at)) stored,
  channel_date  date,
  reverses      text,
  metadata      jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  primary key (tenant_id, id),
  constraint entries_seq unique (tenant_id, seq, booked_at),
  constraint entries_reference unique (number, kind, phase, tenant_id),
  foreign key (tenant_id, reverses) references entries (tenant_id, id),
  constraint entries_reversal check (kind <> 'reversal' or reverses is not null)
);
create unique index entries_reversed_once on entries (reverses, tenant_id) where kind = 'reversal';
select guard_tenant_table('entries');
grant select, insert on entries to suanpan_app, suanpan_system;

-- amount: + debit, − credit, minor units. account_seq and balance_after (on the
-- account's normal side) are kept for accounts with a floor. The account has no
-- foreign key, because its check would lock the row of an internal account in
-- every posting; the trigger looks it up, and accounts cannot be deleted.
create table postings (
  tenant_id     text not null,
  entry_seq     bigint not null,
  leg           smallint not null check (leg >= 1),
  account_id    text not null,
  amount        bigint not null check (amount <> 0 and amount between -1000000000000000 and 1000000000000000),
  account_seq   bigint check (account_seq >= 1),
  balance_after bigint,
  hold_id       text,
  booked_at     timestamptz not null,
  primary key (tenant_id, entry_seq, leg, booked_at),
  foreign key (tenant_id, entry_seq, booked_at) references entries (tenant_id, seq, booked_at),
  check ((account_seq is null) = (balance_after is null))
) partition by range (booked_at);
create table postings_rest partition of postings default;
select ensure_month_partitions('postings', (current_date - interval '1 month')::date, 14);
create index postings_account on postings (account_id, entry_seq);
create index postings_hold on postings (hold_id) where hold_id is not null;
select guard_tenant_table('postings');
grant select, insert on postings to suanpan_app, suanpan_system;

-- Money of an account set aside. Protected by the account's row lock.
create table holds (
  tenant_id  text not null,
  id         text not null,
  reference  text not null check (length(reference) between 1 and 128),
  account_id text not null,
  amount     bigint not null check (amount between 1 and 1000000000000000),
  captured   bigint not null default 0 check (captured >= 0),
  released   bigint not null default 0 check (released >= 0),
  -- open: the holder acts next (captures or releases), or the sweep when its time is over
  -- captured, released, expired: nobody, final
  status     text not null default 'open' check (status in ('open', 'captured', 'released', 'expired')),
  expires_at timestamptz,
  limited_on date, -- the day on which it was counted against the account's limits
  created_at timestamptz not null default suanpan_now(),
  closed_at  timestamptz,
  primary key (tenant_id, id),
  constraint holds_reference unique (reference, tenant_id),
  foreign key (tenant_id, account_id) references ledger_accounts (tenant_id, id),
  constraint holds_outcome check (case status
    when 'open'     then captured + released < amount and closed_at is null
    when 'captured' then captured + released = amount and captured > 0 and closed_at is not null
    else                 captured + released = amount and released > 0 and closed_at is not null
  end)
) with (fillfactor = 80);
create index holds_account on holds (account_id) where status = 'open';
create index holds_expiring on holds (expires_at) where status = 'open' and expires_at is not null;
select guard_tenant_table('holds');
grant select on holds to suanpan_app, suanpan_system;
grant insert (tenant_id, id, reference, account_id, amount, expires_at, limited_on) on holds to suanpan_app, suanpan_system;
grant update (captured, released, status, closed_at) on holds to suanpan_app, suanpan_system;

-- A closed hold stays as it is; an open one only moves towards its end.
create function holds_move_forward() returns trigger language plpgsql as $$
begin
  if old.status <> 'open' or new.captured < old.captured or new.released < old.released then
    raise exception 'hold % is %: it can no longer change', old.reference, old.status
      using errcode = 'SUP01', constraint = 'hold_closed';
  end if;
  return new;
end $$;
create trigger holds_move_forward before update on holds
  for each row execute function holds_move_forward();

-- refuse_posting words the refusal of an entry. SQLSTATE SUP01 with the rule as
-- constraint name is how package ledger recognises it.
create function refuse_posting(rule text, tenant text, entry bigint) returns void language plpgsql as $$
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
      when 'account_status' then 'an account is frozen or closed'
      when 'cached_balance' then 'the account''s balance and sequence do not move with the posting'
      when 'reversal' then 'a reversal cannot be reversed'
      else rule end
    using errcode = 'SUP01', constraint = rule;
end $$;

-- The rules of the books over all postings of one statement. Each posting looks
-- its entry and account up by key: "limit 1" holds the planner to that, also in a
-- session that first planned on empty tables.
create function postings_keep_the_rules() returns trigger language plpgsql as $$
declare
  wrong record;
begin
  select * into wrong from (
    select n.tenant_id, n.entry_seq, case
        when bool_or(e.seq is null) then 'no_entry'
        when bool_or(a.id is null) then 'no_account'
        when count(*) < 2 then 'two_legs'
        when count(*) <> max(e.legs) or min(n.leg) <> 1 or max(n.leg) <> count(*) then 'all_legs'
        when bool_or(a.currency <> e.currency) then 'one_currency'
        when coalesce(sum(n.amount) filter (where a.book = 'trust'), 0) <> 0
          or coalesce(sum(n.amount) filter (where a.book = 'own'), 0) <> 0 then 'balance'
        when bool_or(f.kind is null) then 'class_matrix'
        when bool_or(a.status <> 'active' and case a.status
            when 'debit_frozen'  then n.hold_id is null and (n.amount < 0) = (a.normal_side = 'debit')
            when 'credit_frozen' then (n.amount > 0) = (a.normal_side = 'debit')
            when 'frozen'        then n.hold_id is null
            else true end) then 'account_status'
        when bool_or((a.floor is null) <> (n.account_seq is null))
          or bool_or(n.account_seq > a.last_seq)
          or bool_or(n.account_seq = a.last_seq and n.balance_after <> a.posted) then 'cached_balance'
      end as rule
    from inserted n
    left join lateral (
      select seq, kind, legs, currency from entries
      where tenant_id = n.tenant_id and seq = n.entry_seq and booked_at = n.booked_at limit 1
    ) e on true
    left join lateral (
      select id, class, book, currency, normal_side, status, floor, last_seq, posted from ledger_accounts
      where tenant_id = n.tenant_id and id = n.account_id limit 1
    ) a on true
    left join lateral (
      select f.kind from tenants t
      join custody_flows f on f.custody_mode = t.custody_mode and f.kind = e.kind and f.class = a.class
      where t.id = n.tenant_id limit 1
    ) f on true
    group by n.tenant_id, n.entry_seq
  ) judged where rule is not null limit 1;
  if found then
    perform refuse_posting(wrong.rule, wrong.tenant_id, wrong.entry_seq);
  end if;
  return null;
end $$;
create trigger postings_keep_the_rules after insert on postings
  referencing new table as inserted for each statement execute function postings_keep_the_rules();

-- No entry without its postings, and no reversal of a reversal. The first posting
-- is looked up by variables, so that all partitions but one are out before the
-- lookup starts; joined to the inserted rows, every partition would be opened in
-- every posting. The plan is generic, for the same reason.
create function entries_have_postings() returns trigger language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
  e record;
begin
  for e in select tenant_id, seq, kind, reverses, booked_at from inserted loop
    perform from postings p
      where p.tenant_id = e.tenant_id and p.entry_seq = e.seq and p.leg = 1 and p.booked_at = e.booked_at;
    if not found then
      perform refuse_posting('all_legs', e.tenant_id, e.seq);
    end if;
    if e.kind = 'reversal' then
      perform from entries r where r.tenant_id = e.tenant_id and r.id = e.reverses and r.kind = 'reversal';
      if found then
        perform refuse_posting('reversal', e.tenant_id, e.seq);
      end if;
    end if;
  end loop;
  return null;
end $$;
create trigger entries_have_postings after insert on entries
  referencing new table as inserted for each statement execute function entries_have_postings();

-- lost_reference_race ends a transaction of which another one used some, not
-- all, of the references meanwhile: run again, it finds them.
create function lost_reference_race(written bigint, wanted bigint) returns bigint language plpgsql as $$
begin
  if written not in (0, wanted) then
    raise exception 'another transaction used % of these % references', wanted - written, wanted
      using errcode = 'serialization_failure';
  end if;
  return written;
end $$;
