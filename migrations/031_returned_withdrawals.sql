-- Withdrawals that the payee's bank sends back after they were paid (退票): a later fact,
-- which leaves what was before as it is.

alter table withdrawals
  -- returned_at is when the platform learned it.
  add column returned_at    timestamptz,
  -- return_look_at is when the provider is asked next whether it came back; null: no more.
  add column return_look_at timestamptz,
  drop constraint withdrawals_status_check,
  drop constraint withdrawals_check,
  drop constraint withdrawals_check1,
  drop constraint withdrawals_check2,
  add constraint withdrawals_status_check check (status in ('processing', 'succeeded', 'failed', 'returned')),
  add constraint withdrawals_paid check ((paid_at is not null) = (status in ('succeeded', 'returned'))),
  add constraint withdrawals_accepted check (status not in ('succeeded', 'returned') or accepted_at is not null),
  add constraint withdrawals_failed check ((failure_code is not null) = (status in ('failed', 'returned'))),
  add constraint withdrawals_returned check ((returned_at is not null) = (status = 'returned')
    and (return_look_at is null or status = 'succeeded'));

create index withdrawals_to_look_at on withdrawals (return_look_at) where return_look_at is not null;
