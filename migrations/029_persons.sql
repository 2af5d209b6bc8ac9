-- Personal data under a key per person, signing secrets of webhooks and bills under the
-- tenant's data key. What a sealed value looks like and what it is bound to is in
-- core/secret. Rows from before are sealed by `starter secrets seal`, which needs the
-- master key that the database never sees; until then the columns in plain hold them.

-- Somebody whose data are kept: a merchant's payee, for as long as the merchant, or an
-- attempt's payer, for as long as the attempt is under way. Without the key nothing of
-- the person opens anywhere, so destroying it is how a person is forgotten.
create table persons (
  tenant_id        text not null references tenants,
  id               text not null check (id ~ '^per_[0-9A-HJKMNP-TV-Z]{26}$'),
  -- whose payee it is; null: a payer
  merchant_id      text,
  sealed_key       bytea check (length(sealed_key) between 32 and 256), -- under the tenant's data key
  created_at       timestamptz not null default suanpan_now(),
  forgotten_at     timestamptz,
  forgotten_reason text check (length(forgotten_reason) between 1 and 200),
  primary key (tenant_id, id),
  unique (tenant_id, merchant_id),
  foreign key (tenant_id, merchant_id) references merchants (tenant_id, id),
  check ((sealed_key is null) = (forgotten_at is not null)),
  check ((forgotten_at is null) = (forgotten_reason is null))
);
select guard_tenant_table('persons');
create policy own_merchant on persons as restrictive to suanpan_app using (own_merchant(coalesce(merchant_id, '')));
grant select, insert, delete on persons to suanpan_app, suanpan_system;
grant update (sealed_key, forgotten_at, forgotten_reason) on persons to suanpan_app, suanpan_system;
create trigger audited after update on persons for each row
  execute function audit_row('person', 'id', 'merchant_id,forgotten_at,forgotten_reason');

-- Who is forgotten stays so: no key comes back, and no date or reason changes.
create function persons_stay_forgotten() returns trigger language plpgsql as $$
begin
  if old.forgotten_at is not null then
    raise exception 'the person was forgotten' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger persons_stay_forgotten before update on persons for each row execute function persons_stay_forgotten();

alter table merchant_payout_accounts
  add column person_id text,
  add column sealed_account bytea,
  add column sealed_name bytea,
  alter column account drop not null,
  alter column name drop not null,
  add foreign key (tenant_id, person_id) references persons (tenant_id, id),
  add constraint merchant_payout_accounts_sealed check (case when person_id is null
    then num_nulls(account, name) = 0 and num_nonnulls(sealed_account, sealed_name) = 0
    else num_nonnulls(account, name) = 0 and num_nulls(sealed_account, sealed_name) = 0 end);
grant update (person_id, sealed_account, sealed_name, account, name) on merchant_payout_accounts to suanpan_system;

-- payer_id and payer_ip are of attempts from before.
alter table attempts
  add column payer_person text,
  add column sealed_payer_id bytea,
  add column sealed_payer_ip bytea,
  add foreign key (tenant_id, payer_person) references persons (tenant_id, id),
  add constraint attempts_payer check (case when payer_person is null
    then num_nonnulls(sealed_payer_id, sealed_payer_ip) = 0
    else num_nonnulls(sealed_payer_id, sealed_payer_ip) > 0 and num_nonnulls(payer_id, payer_ip) = 0 end);
create unique index attempts_payer_person on attempts (tenant_id, payer_person) where payer_person is not null;

-- The application's role may write a signing secret and never read it, sealed or not.
alter table webhook_secrets
  add column sealed bytea,
  alter column secret drop not null,
  add constraint webhook_secrets_sealed check (num_nonnulls(secret, sealed) = 1);
grant update (secret, sealed) on webhook_secrets to suanpan_system;

-- Bills name payers; raw is the file, sealed where sealed says so.
alter table bill_files add column sealed boolean not null default false;
grant update (raw, sealed) on bill_files to suanpan_system;

-- Who was shown what is masked otherwise, and why. Kept before it is shown.
create table unmaskings (
  tenant_id    text not null references tenants,
  id           text not null check (id ~ '^unm_[0-9A-HJKMNP-TV-Z]{26}$'),
  merchant_id  text not null,
  reason       text not null check (length(reason) between 1 and 200),
  key_id       text not null,
  principal_id text not null,
  created_at   timestamptz not null default clock_timestamp(),
  primary key (tenant_id, id),
  foreign key (tenant_id, merchant_id) references merchants (tenant_id, id),
  foreign key (tenant_id, key_id) references api_keys (tenant_id, id),
  foreign key (tenant_id, principal_id) references principals (tenant_id, id)
);
select guard_tenant_table('unmaskings');
create policy own_merchant on unmaskings as restrictive to suanpan_app using (own_merchant(merchant_id));
grant select, insert on unmaskings to suanpan_app, suanpan_system;
create trigger audited after insert on unmaskings for each row
  execute function audit_row('unmasking', 'id', 'merchant_id,reason');
