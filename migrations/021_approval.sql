-- Requests that wait for a second person, and the policies that say which do.

-- What needs a second person. The last version of a kind counts; all are kept.
create table approval_policies (
  tenant_id   text not null references tenants,
  kind        text not null check (kind ~ '^[a-z_]{1,32}$'),
  version     int not null check (version >= 1),
  required    boolean not null,
  -- In minor units; null: every amount.
  from_amount bigint check (from_amount >= 1),
  -- How long a request waits, in seconds.
  expires_in  int not null check (expires_in between 60 and 2592000),
  reason      text not null check (length(reason) between 1 and 200),
  created_at  timestamptz not null default suanpan_now(),
  primary key (tenant_id, kind, version)
);
select guard_tenant_table('approval_policies');
grant select, insert on approval_policies to suanpan_app, suanpan_system;

-- A request that waits, or waited, for a second person. Its content is what is
-- carried out, to the byte; nobody may change it, and nobody approves his own.
create table approvals (
  tenant_id              text not null references tenants,
  id                     text not null,
  kind                   text not null check (kind ~ '^[a-z_]{1,32}$'),
  -- The contract's name of the operation, and the method and path it was asked by.
  operation              text not null,
  route                  text not null,
  -- The body as it was sent; sealed (core/secret) when it holds keys.
  content                bytea not null,
  sealed                 boolean not null,
  content_hash           bytea not null check (length(content_hash) = 32),
  amount                 bigint check (amount >= 0),
  currency               text,
  requested_by_key       text not null,
  requested_by_principal text,
  created_at             timestamptz not null default suanpan_now(),
  expires_at             timestamptz not null,
  status                 text not null default 'pending' check (status in ('pending', 'approved', 'rejected', 'expired')),
  decided_by_key         text,
  decided_by_principal   text,
  decided_at             timestamptz,
  decision_reason        text check (length(decision_reason) between 1 and 200),
  -- What carrying it out made or changed.
  object_id              text,
  primary key (tenant_id, id),
  foreign key (tenant_id, requested_by_key) references api_keys (tenant_id, id),
  foreign key (tenant_id, requested_by_principal) references principals (tenant_id, id),
  foreign key (tenant_id, decided_by_key) references api_keys (tenant_id, id),
  foreign key (tenant_id, decided_by_principal) references principals (tenant_id, id),
  constraint approvals_amount check ((amount is null) = (currency is null)),
  constraint approvals_decided check ((status = 'pending') = (decided_at is null) and (status = 'approved') = (object_id is not null)),
  -- Two persons, each known by name: a key without a principal cannot approve.
  constraint approvals_by_another check (status <> 'approved'
    or decided_by_principal is not null and decided_by_principal is distinct from requested_by_principal
      and decided_by_key is not null and decided_by_key <> requested_by_key)
);
create index approvals_waiting on approvals (expires_at) where status = 'pending';
select guard_tenant_table('approvals');
grant select on approvals to suanpan_app, suanpan_system;
grant insert (tenant_id, id, kind, operation, route, content, sealed, content_hash, amount, currency, requested_by_key,
  requested_by_principal, expires_at) on approvals to suanpan_app;
grant update (status, decided_by_key, decided_by_principal, decided_at, decision_reason, object_id) on approvals to suanpan_app;
grant update (status, decided_at) on approvals to suanpan_system;

create function approvals_are_decided_once() returns trigger language plpgsql as $$
begin
  if old.status <> 'pending' then
    raise exception 'the approval is % already', old.status using errcode = 'check_violation';
  end if;
  if new.status = 'approved' and old.expires_at <= public.suanpan_now() then
    raise exception 'the approval has expired' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger approvals_are_decided_once before update on approvals
  for each row execute function approvals_are_decided_once();

