-- Who may do what: principals with roles, and the wall around what a merchant's
-- staff sees.

-- The people and services behind keys. Which role may do what is the table in core/access.
create table principals (
  tenant_id   text not null references tenants,
  id          text not null,
  kind        text not null check (kind in ('service', 'operator', 'merchant_staff')),
  name        text not null check (length(name) between 1 and 64),
  roles       text[] not null check (cardinality(roles) between 1 and 7
    and roles <@ array['admin', 'finance_maker', 'finance_checker', 'risk', 'support', 'merchant', 'viewer']),
  merchant_id text,
  status      text not null default 'active' check (status in ('active', 'suspended')),
  created_at  timestamptz not null default suanpan_now(),
  changed_at  timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, merchant_id) references merchants (tenant_id, id),
  -- A merchant's staff has that role and no other, and nobody else has it.
  constraint principals_of_merchants check (case when kind = 'merchant_staff'
    then merchant_id is not null and roles = array['merchant'] else merchant_id is null and not 'merchant' = any (roles) end)
);
select guard_tenant_table('principals');
grant select on principals to suanpan_app, suanpan_system;
grant insert (tenant_id, id, kind, name, roles, merchant_id) on principals to suanpan_app, suanpan_system;
grant update (name, roles, status, changed_at) on principals to suanpan_app, suanpan_system;

-- A key belongs to one principal for good: what a principal asked for through one
-- key, it may not approve through another.
alter table api_keys add column principal_id text;
alter table api_keys add constraint api_keys_principal foreign key (tenant_id, principal_id)
  references principals (tenant_id, id);
grant update (principal_id) on api_keys to suanpan_app;
create function keys_keep_their_principal() returns trigger language plpgsql as $$
begin
  if old.principal_id is not null and new.principal_id is distinct from old.principal_id then
    raise exception 'a key belongs to one principal for good; revoke it and make another' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger keys_keep_their_principal before update on api_keys
  for each row execute function keys_keep_their_principal();

-- own_merchant keeps a merchant's staff, whose transactions name the merchant, to
-- rows of that merchant; transactions that name none are not narrowed.
create function own_merchant(merchant text) returns boolean language sql stable parallel safe
  as $$ select coalesce(current_setting('suanpan.merchant', true), '') in ('', merchant) $$;
create policy own_merchant on merchants as restrictive to suanpan_app using (own_merchant(id));
create policy own_merchant on merchant_payout_accounts as restrictive to suanpan_app using (own_merchant(merchant_id));
create policy own_merchant on payments as restrictive to suanpan_app using (own_merchant(merchant_id));
create policy own_merchant on withdrawals as restrictive to suanpan_app using (own_merchant(merchant_id));
create policy own_merchant on refunds as restrictive to suanpan_app using (
  coalesce(current_setting('suanpan.merchant', true), '') = '' or exists (
    select from payments p where p.tenant_id = refunds.tenant_id and p.id = refunds.payment_id));
create policy own_merchant on ledger_accounts as restrictive to suanpan_app using (own_merchant(owner));
create policy own_merchant on split_legs as restrictive to suanpan_app using (own_merchant(merchant_id));
