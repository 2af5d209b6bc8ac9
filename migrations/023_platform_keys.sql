-- Data keys of the platform itself, which belong to no tenant: what they seal leaves
-- the database. Wrapped under the master key as those of tenants are.
create table platform_keys (
  owner      text not null check (owner ~ '^platform/[a-z_]{1,32}$'), -- what they are for
  version    int not null check (version > 0), -- the highest one seals
  tag        bytea not null check (length(tag) = 8), -- random, as in data_keys
  master_key text not null check (length(master_key) between 1 and 256),
  wrapped    bytea not null check (length(wrapped) between 32 and 8192),
  created_at timestamptz not null default clock_timestamp(),
  primary key (owner, version)
);
grant select, insert on platform_keys to suanpan_system;
grant update (master_key, wrapped) on platform_keys to suanpan_system;
