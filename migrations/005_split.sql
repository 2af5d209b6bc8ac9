-- Split rules, and how each payment was divided.

-- How money that arrives at a merchant is divided. A new rule is a new version;
-- the highest version is in force from its creation.
create table split_rules (
  tenant_id   text not null references tenants,
  id          text not null,
  merchant_id text not null,
  version     int not null check (version > 0),
  created_at  timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  unique (tenant_id, merchant_id, version),
  foreign key (tenant_id, merchant_id) references merchants (tenant_id, id)
);
select guard_tenant_table('split_rules');
grant select, insert on split_rules to suanpan_app, suanpan_system;

create table split_rule_legs (
  tenant_id    text not null references tenants,
  rule_id      text not null,
  position     int not null check (position >= 0),
  receiver     text not null check (receiver in ('platform', 'merchant')),
  merchant_id  text,
  type         text not null check (type in ('percent', 'remainder')),
  basis_points int,
  primary key (tenant_id, rule_id, position),
  foreign key (tenant_id, rule_id) references split_rules (tenant_id, id),
  foreign key (tenant_id, merchant_id) references merchants (tenant_id, id),
  check ((receiver = 'merchant') = (merchant_id is not null)),
  check ((type = 'percent') = (basis_points is not null)),
  check (basis_points between 1 and 10000)
);
create unique index split_rule_one_remainder on split_rule_legs (tenant_id, rule_id) where type = 'remainder';
-- Who receives from whom: a new rule looks upwards for circles.
create index split_rule_legs_receiver on split_rule_legs (tenant_id, merchant_id) where type = 'percent';
select guard_tenant_table('split_rule_legs');
grant select, insert on split_rule_legs to suanpan_app, suanpan_system;

-- Pending money made available: one entry per merchant and payment day.
create table settlements (
  tenant_id     text not null references tenants,
  id            text not null,
  merchant_id   text not null,
  business_date date not null,
  currency      text not null,
  amount        bigint not null check (amount > 0),
  created_at    timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, merchant_id) references merchants (tenant_id, id)
);
select guard_tenant_table('settlements');
grant select, insert on settlements to suanpan_app, suanpan_system;

create table splits (
  tenant_id  text not null references tenants,
  id         text not null,
  payment_id text not null,
  currency   text not null,
  amount     bigint not null check (amount > 0),
  paid_on    date not null,
  created_at timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  unique (tenant_id, payment_id),
  foreign key (tenant_id, payment_id) references payments (tenant_id, id)
);
select guard_tenant_table('splits');
grant select, insert on splits to suanpan_app, suanpan_system;

-- What each receiver finally keeps of a payment; the legs of a split add up to
-- it. level is how many rules the money passed through: 0 for the payment's own
-- merchant, 1 for receivers of its rule, 2 for receivers of theirs.
create table split_legs (
  tenant_id     text not null references tenants,
  split_id      text not null,
  position      int not null check (position >= 0),
  level         int not null check (level >= 0),
  receiver      text not null check (receiver in ('platform', 'merchant')),
  merchant_id   text,
  rule_id       text,
  amount        bigint not null check (amount >= 0),
  refunded      bigint not null default 0 check (refunded >= 0),
  -- available: the money is withdrawable (T0, or settled); else still pending.
  available     boolean not null,
  settlement_id text,
  primary key (tenant_id, split_id, position),
  foreign key (tenant_id, split_id) references splits (tenant_id, id),
  foreign key (tenant_id, merchant_id) references merchants (tenant_id, id),
  foreign key (tenant_id, rule_id) references split_rules (tenant_id, id),
  foreign key (tenant_id, settlement_id) references settlements (tenant_id, id),
  check ((receiver = 'merchant') = (merchant_id is not null)),
  check (refunded <= amount)
);
create index split_legs_pending on split_legs (tenant_id, merchant_id) where not available;
select guard_tenant_table('split_legs');
grant select, insert, update on split_legs to suanpan_app, suanpan_system;
