-- Sessions of people who signed in at a page of the platform (core/session); so far
-- operators at the codec. They belong to no tenant. Times are real.
create table sessions (
  token_hash bytea primary key check (length(token_hash) = 32),
  page       text not null check (page ~ '^[a-z_]{1,32}$'),
  subject    text not null check (length(subject) between 1 and 200),
  created_at timestamptz not null default clock_timestamp(),
  seen_at    timestamptz not null default clock_timestamp()
);
create index sessions_subject on sessions (page, subject);
grant select, insert, delete on sessions to suanpan_system;
grant update (seen_at) on sessions to suanpan_system;
