-- What the hosted cashier keeps: links that make payments, clicks that are good
-- once, and payers who are under way to a provider's OAuth.

create table payment_links (
  tenant_id   text not null references tenants,
  id          text not null,
  merchant_id text not null,
  token       text not null unique check (length(token) >= 26), -- in the address; 130 random bits
  subject     text not null,
  currency    text not null,
  -- fixed, or entered by the payer between min_amount and max_amount
  amount      bigint check (amount > 0),
  min_amount  bigint check (min_amount > 0),
  max_amount  bigint check (max_amount >= min_amount),
  return_url  text,
  expires_at  timestamptz,
  max_uses    int check (max_uses > 0),
  -- how many payments it ever made: the next one's number
  opened      int not null default 0 check (opened >= 0),
  status      text not null default 'active' check (status in ('active', 'closed')),
  created_at  timestamptz not null default suanpan_now(),
  closed_at   timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, merchant_id) references merchants (tenant_id, id),
  check ((amount is null) = (min_amount is not null and max_amount is not null)),
  check ((min_amount is null) = (max_amount is null)),
  check ((status = 'closed') = (closed_at is not null))
);
create index payment_links_listed on payment_links (tenant_id, id desc);
select guard_tenant_table('payment_links');
create policy own_merchant on payment_links as restrictive to suanpan_app using (own_merchant(merchant_id));
grant select, insert on payment_links to suanpan_app;
grant select on payment_links to suanpan_system;
grant update (opened, status, closed_at) on payment_links to suanpan_app;

alter table payments
  -- where the payer goes from the checkout page afterwards
  add column return_url text,
  -- the link that made it, and the payer's click there, which makes one payment
  add column payment_link_id text,
  add column link_click text check (link_click is null or payment_link_id is not null),
  add foreign key (tenant_id, payment_link_id) references payment_links (tenant_id, id);
-- A link's uses are counted by status: a payment that ended unpaid gives its use back.
create index payments_of_link on payments (tenant_id, payment_link_id, status) where payment_link_id is not null;
create unique index payments_link_click on payments (tenant_id, payment_link_id, link_click) where link_click is not null;

-- The payer's click on the checkout page that made the attempt: it makes one.
alter table attempts add column click text;
create unique index attempts_click on attempts (tenant_id, payment_id, click) where click is not null;

-- A payer on the way to a provider's OAuth. Only a hash of the state is kept, so
-- that the database gives nobody a state to come back with; real time.
create table oauth_trips (
  tenant_id          text not null references tenants,
  state_hash         bytea not null unique check (length(state_hash) = 32),
  payment_id         text not null,
  channel_account_id text not null,
  expires_at         timestamptz not null default clock_timestamp() + interval '10 minutes',
  used_at            timestamptz,
  primary key (tenant_id, state_hash),
  foreign key (tenant_id, payment_id) references payments (tenant_id, id),
  foreign key (tenant_id, channel_account_id) references channel_accounts (tenant_id, id)
);
create index oauth_trips_over on oauth_trips (expires_at);
select guard_tenant_table('oauth_trips');
grant select, insert on oauth_trips to suanpan_app, suanpan_system;
grant update (used_at), delete on oauth_trips to suanpan_system;
