-- Refunds that the payer's bank sends back after the provider had paid them: the money
-- lies at the provider again and is nobody's yet.

insert into account_types (type, class, book, normal_side, gl_code, owned, floor) values
  ('channel_suspense', 'custody_asset', 'trust', 'debit', '1012.04', true, null);

alter table refunds
  -- returned_at is when the platform learned it last, returns how often that was.
  add column returned_at    timestamptz,
  add column returns        int not null default 0 check (returns >= 0),
  -- repaid_at is when the provider had paid it elsewhere; refunded_at stays.
  add column repaid_at      timestamptz,
  -- return_look_at is when the provider is asked next whether it came back; null: no more.
  add column return_look_at timestamptz,
  drop constraint refunds_status_check,
  drop constraint refunds_check1,
  add constraint refunds_status_check check (status in ('processing', 'succeeded', 'failed', 'returned')),
  add constraint refunds_refunded check ((refunded_at is not null) = (status in ('succeeded', 'returned'))),
  add constraint refunds_returned check ((returned_at is not null) = (returns > 0)
    and (status <> 'returned' or returns > 0 and abnormal_at is not null)
    and (repaid_at is null or returns > 0)
    and (return_look_at is null or status = 'succeeded'));

create index refunds_to_look_at on refunds (return_look_at) where return_look_at is not null;
create index refunds_returned on refunds (returned_at) where status = 'returned';
