-- What a tenant decides about its merchants' accounts: holds of its own, and
-- transfers between named accounts or out of such a hold. Status and limits are
-- kept where they are judged, in ledger_accounts.

-- The ledger's hold says how much is held; this says for whom and why.
create table placed_holds (
  tenant_id    text not null,
  id           text not null, -- of the hold
  reference    text not null check (length(reference) between 1 and 64),
  merchant_id  text not null,
  account_name text not null,
  reason       text not null check (length(reason) between 1 and 256),
  primary key (tenant_id, id),
  constraint placed_holds_reference unique (reference, tenant_id),
  foreign key (tenant_id, id) references holds (tenant_id, id)
);
select guard_tenant_table('placed_holds');
grant select, insert on placed_holds to suanpan_app, suanpan_system;

create table hold_releases (
  tenant_id   text not null,
  id          bigint not null generated always as identity,
  hold_id     text not null,
  amount      bigint not null check (amount > 0),
  reason      text not null check (length(reason) between 1 and 256),
  released_at timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, hold_id) references placed_holds (tenant_id, id)
);
create index hold_releases_of_hold on hold_releases (hold_id);
select guard_tenant_table('hold_releases');
grant select, insert on hold_releases to suanpan_app, suanpan_system;

-- The names of the accounts, empty for the usual ones, and the hold that was captured.
alter table transfers
  add column from_account text not null default '',
  add column to_account text not null default '',
  add column hold_id text,
  drop constraint transfers_check,
  add constraint transfers_two_accounts check ((from_merchant_id, from_account) <> (to_merchant_id, to_account));
