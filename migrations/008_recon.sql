-- Daily operations, and the reconciliation of one channel account's provider
-- day: the bill kept as evidence, what differs, and what was booked because of it.

-- One run of a business date's daily work. A date may be run again, not twice
-- at the same time.
create table daily_operations (
  tenant_id     text not null references tenants,
  id            text not null,
  business_date date not null,
  status        text not null check (status in ('processing', 'done', 'failed')),
  -- waiting_for says in words why a processing run has not finished.
  waiting_for   text,
  failure       text,
  created_at    timestamptz not null default suanpan_now(),
  finished_at   timestamptz,
  primary key (tenant_id, id),
  check ((finished_at is null) = (status = 'processing')),
  check ((failure is not null) = (status = 'failed'))
);
create unique index daily_operations_open on daily_operations (tenant_id, business_date) where status = 'processing';
select guard_tenant_table('daily_operations');
grant select, insert, update on daily_operations to suanpan_app, suanpan_system;

-- A provider's daily bill exactly as downloaded. When a later download of the
-- same day differs it becomes the next version and both are kept: rows are
-- never changed.
create table bill_files (
  tenant_id          text not null references tenants,
  channel_account_id text not null,
  bill_date          date not null,
  version            int not null check (version > 0),
  sha256             text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  raw                bytea not null,
  line_count         int not null check (line_count >= 0),
  received_at        timestamptz not null default suanpan_now(),
  primary key (tenant_id, channel_account_id, bill_date, version),
  unique (tenant_id, channel_account_id, bill_date, sha256),
  foreign key (tenant_id, channel_account_id) references channel_accounts (tenant_id, id)
);
select guard_tenant_table('bill_files');
grant select, insert on bill_files to suanpan_app, suanpan_system;

-- The lines of every bill version. Partitioned by month of the bill: this is the
-- largest table of a busy tenant, its uniqueness lies within one bill, and a
-- month of old lines can be detached in one step while bill_files keeps the bytes.
create table bill_lines (
  tenant_id          text not null,
  channel_account_id text not null,
  bill_date          date not null,
  version            int not null,
  row                int not null check (row > 0),
  kind               text not null check (kind in ('payment', 'refund')),
  number             text not null,
  trade_number       text not null,
  channel_trade_no   text not null,
  channel_refund_no  text not null,
  currency           text not null,
  amount             bigint not null,
  -- The fee exactly as printed, in yuan.
  fee_text           text not null,
  status             text not null,
  at                 timestamptz not null,
  primary key (tenant_id, channel_account_id, bill_date, version, row),
  foreign key (tenant_id, channel_account_id, bill_date, version)
    references bill_files (tenant_id, channel_account_id, bill_date, version)
) partition by range (bill_date);
create table bill_lines_rest partition of bill_lines default;
select ensure_month_partitions('bill_lines', (current_date - interval '1 month')::date, 14);
create index bill_lines_number on bill_lines (tenant_id, channel_account_id, bill_date, number);
select guard_tenant_table('bill_lines');
grant select, insert on bill_lines to suanpan_app, suanpan_system;

create table reconciliations (
  tenant_id            text not null references tenants,
  id                   text not null,
  channel_account_id   text not null,
  bill_date            date not null,
  -- 1 for the first time this day is reconciled, then 2, 3 …
  run                  int not null check (run > 0),
  daily_operation_id   text,
  status               text not null check (status in ('processing', 'balanced', 'discrepant', 'failed')),
  waiting_for          text,
  failure              text,
  bill_version         int,
  bill_sha256          text,
  currency             text not null default 'CNY',
  -- Our side of the day: fees are what the books accrued, less what was returned.
  our_payment_count    bigint, our_payment_amount bigint,
  our_refund_count     bigint, our_refund_amount  bigint,
  our_fee              bigint,
  -- The bill's side; its fee is in yuan because WeChat prints five decimals.
  bill_payment_count   bigint, bill_payment_amount bigint,
  bill_refund_count    bigint, bill_refund_amount  bigint,
  bill_fee             numeric(24, 5),
  matched_count        bigint,
  discrepancy_count    bigint,
  open_count           bigint,
  -- What the provider settled by this bill and both sides agree on, net of
  -- refunds and fees; it may be negative.
  settled_amount       bigint,
  created_at           timestamptz not null default suanpan_now(),
  finished_at          timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, channel_account_id, bill_date, run),
  foreign key (tenant_id, channel_account_id) references channel_accounts (tenant_id, id),
  foreign key (tenant_id, daily_operation_id) references daily_operations (tenant_id, id),
  foreign key (tenant_id, channel_account_id, bill_date, bill_version)
    references bill_files (tenant_id, channel_account_id, bill_date, version),
  check ((finished_at is null) = (status = 'processing')),
  check ((failure is not null) = (status = 'failed')),
  check ((bill_version is null) = (bill_sha256 is null)),
  check (status not in ('balanced', 'discrepant') or (bill_version is not null
    and our_payment_count is not null and our_payment_amount is not null
    and our_refund_count is not null and our_refund_amount is not null and our_fee is not null
    and bill_payment_count is not null and bill_payment_amount is not null
    and bill_refund_count is not null and bill_refund_amount is not null and bill_fee is not null
    and matched_count is not null and discrepancy_count is not null and settled_amount is not null)),
  check (status <> 'balanced' or open_count = 0),
  check (status <> 'discrepant' or open_count > 0)
);
create unique index reconciliations_open on reconciliations (tenant_id, channel_account_id, bill_date)
  where status = 'processing';
create unique index reconciliations_of_daily on reconciliations (tenant_id, daily_operation_id, channel_account_id, bill_date)
  where daily_operation_id is not null;
select guard_tenant_table('reconciliations');
grant select, insert, update on reconciliations to suanpan_app, suanpan_system;

-- One row per difference of one run. Its natural key (account, date, kind,
-- number) is the same in every run of the day.
create table discrepancies (
  tenant_id           text not null references tenants,
  id                  text not null,
  reconciliation_id   text not null,
  channel_account_id  text not null,
  bill_date           date not null,
  kind                text not null check (kind in (
    'missing_in_bill', 'missing_in_books', 'foreign_line', 'duplicate_line', 'currency_mismatch', 'kind_mismatch',
    'amount_mismatch', 'status_mismatch', 'other_day', 'fee_mismatch', 'fee_rounding', 'next_day')),
  status              text not null check (status in ('open', 'adjusted', 'explained')),
  number              text not null,
  -- The line in the bill's file; null when the bill has none.
  row                 int check (row > 0),
  our_amount          bigint,
  their_amount        bigint,
  their_currency      text,
  our_fee             bigint,
  their_fee           text,
  payment_id          text,
  refund_id           text,
  explanation         text not null check (explanation <> ''),
  adjustment_entry_id text,
  created_at          timestamptz not null default suanpan_now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, reconciliation_id) references reconciliations (tenant_id, id),
  foreign key (tenant_id, payment_id) references payments (tenant_id, id),
  foreign key (tenant_id, refund_id) references refunds (tenant_id, id),
  check ((status = 'adjusted') = (adjustment_entry_id is not null))
);
create unique index discrepancies_natural on discrepancies
  (tenant_id, reconciliation_id, kind, number, coalesce(row, 0));
create index discrepancies_open on discrepancies (tenant_id, id) where status = 'open';
select guard_tenant_table('discrepancies');
grant select, insert, update on discrepancies to suanpan_app, suanpan_system;

-- What reconciliation booked for an account's day, by natural key and not by
-- run: the sum over a key is what the books hold for it, so that a rerun books
-- only what changed. number is empty for the day's custody transfer.
create table reconciliation_bookings (
  tenant_id          text not null references tenants,
  channel_account_id text not null,
  bill_date          date not null,
  kind               text not null check (kind in ('fee_mismatch', 'custody_transfer')),
  number             text not null,
  phase              int not null check (phase > 0),
  reconciliation_id  text not null,
  amount             bigint not null check (amount <> 0),
  entry_id           text not null,
  created_at         timestamptz not null default suanpan_now(),
  primary key (tenant_id, channel_account_id, bill_date, kind, number, phase),
  foreign key (tenant_id, reconciliation_id) references reconciliations (tenant_id, id)
);
select guard_tenant_table('reconciliation_bookings');
grant select, insert on reconciliation_bookings to suanpan_app, suanpan_system;

-- Reconciliation reads a day's finished refunds and late receipts.
create index refunds_done on refunds (tenant_id, refunded_at) where status = 'succeeded';
create index late_receipts_paid on late_receipts (tenant_id, paid_at);
