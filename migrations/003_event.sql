-- What happened (events), whom we tell (webhook endpoints and their secrets) and
-- how the telling goes (deliveries). An event and its deliveries are written in
-- the transaction of the status change they report; a dispatcher on every
-- instance claims due deliveries and posts them outside any transaction.

create table events (
  tenant_id  text not null references tenants,
  id         text not null,
  type       text not null check (type ~ '^[a-z_]{1,32}\.[a-z_]{1,32}$'),
  -- The object the event is about, and the event's place among that object's events.
  object_id  text not null,
  sequence   int not null check (sequence > 0),
  -- Thin on purpose: ids and a status, never amounts of people, names or accounts.
  data       jsonb not null check (jsonb_typeof(data) = 'object' and length(data::text) <= 4096),
  created_at timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  unique (tenant_id, object_id, sequence)
);
create index events_by_type on events (tenant_id, type, id desc);
select guard_tenant_table('events');
grant select, insert on events to suanpan_app, suanpan_system;

create table webhook_endpoints (
  tenant_id       text not null references tenants,
  id              text not null,
  url             text not null check (length(url) between 8 and 2048),
  -- Empty means every type.
  event_types     text[] not null,
  description     text not null check (length(description) <= 256),
  enabled         boolean not null default true,
  disabled_reason text check (disabled_reason in ('gone', 'deleted')),
  created_at      timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  check (enabled = (disabled_reason is null))
);
create index webhook_endpoints_enabled on webhook_endpoints (tenant_id, id) where enabled;
select guard_tenant_table('webhook_endpoints');
grant select, insert, update on webhook_endpoints to suanpan_app, suanpan_system;

-- Signing secrets. Two are live while a tenant rotates; the application role can
-- write them and never read them back.
create table webhook_secrets (
  tenant_id   text not null references tenants,
  endpoint_id text not null,
  id          bigint generated always as identity,
  secret      text not null check (secret ~ '^whsec_[A-Za-z0-9+/=]{32,88}$'),
  created_at  timestamptz not null default clock_timestamp(),
  expires_at  timestamptz,
  primary key (tenant_id, endpoint_id, id),
  foreign key (tenant_id, endpoint_id) references webhook_endpoints (tenant_id, id)
);
select guard_tenant_table('webhook_secrets');
grant insert, update (expires_at), select (tenant_id, endpoint_id, id, created_at, expires_at) on webhook_secrets to suanpan_app;
grant select on webhook_secrets to suanpan_system;

create table webhook_deliveries (
  tenant_id       text not null references tenants,
  event_id        text not null,
  endpoint_id     text not null,
  -- pending (we send, or wait for next_at) → delivered | failed.
  status          text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
  attempts        int not null default 0,
  -- Real time, not business time: when the next try is due, and until when the
  -- try under way belongs to the process that claimed it.
  next_at         timestamptz not null default clock_timestamp(),
  leased_until    timestamptz,
  last_attempt_at timestamptz,
  -- The receiver's HTTP status, and our words or the start of its answer.
  last_status     int,
  last_answer     text check (length(last_answer) <= 512),
  delivered_at    timestamptz,
  created_at      timestamptz not null default clock_timestamp(),
  primary key (tenant_id, event_id, endpoint_id),
  foreign key (tenant_id, event_id) references events (tenant_id, id),
  foreign key (tenant_id, endpoint_id) references webhook_endpoints (tenant_id, id),
  check ((delivered_at is not null) = (status = 'delivered'))
);
create index webhook_deliveries_due on webhook_deliveries (tenant_id, endpoint_id, next_at) where status = 'pending';
create index webhook_deliveries_leased on webhook_deliveries (tenant_id, endpoint_id, leased_until) where leased_until is not null;
create index webhook_deliveries_of_endpoint on webhook_deliveries (tenant_id, endpoint_id, event_id desc);
select guard_tenant_table('webhook_deliveries');
grant select, insert, update on webhook_deliveries to suanpan_app, suanpan_system;
