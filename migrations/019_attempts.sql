-- A payment is collected by attempts: one after another or side by side, at one
-- provider or at several. One of them wins; what the others bring is given back.

-- channel and product are the method that was asked for at creation; without one
-- the payer chooses on the checkout page.
alter table payments alter column channel drop not null, alter column product drop not null;
alter table payments drop constraint payments_product_check;
alter table payments
  add check (product in ('qr', 'page', 'wap', 'app', 'jsapi', 'barcode')),
  add check ((channel is null) = (product is null)),
  -- whoever has it may see and pay the payment, and nothing else
  add column checkout_token text not null default replace(gen_random_uuid()::text, '-', ''),
  add column close_reason text check (close_reason in ('expired', 'cancelled', 'channel')),
  add column cancel_requested_at timestamptz,
  -- since when the workflow has not been told that something was asked for
  add column news_at timestamptz,
  -- the workflow has work to do: the payment is not final, or an attempt of it is not
  add column driven boolean not null default true;
update payments set driven = status in ('processing', 'awaiting_payer'),
  close_reason = case when status = 'closed' then 'expired' end;
alter table payments
  add check (close_reason is null or status = 'closed'),
  add check (driven or status in ('succeeded', 'closed', 'failed')),
  add check (length(checkout_token) >= 26);
create unique index payments_checkout_token on payments (checkout_token);
drop index payments_unfinished;
create index payments_driven on payments (expires_at) where driven;
create index payments_with_news on payments (news_at) where news_at is not null;

alter table attempts
  add column position int not null default 1 check (position > 0),
  add column product text not null default 'qr' check (product in ('qr', 'page', 'wap', 'app', 'jsapi', 'barcode')),
  -- what the payer's side has to do next
  add column action jsonb check (jsonb_typeof(action) = 'object'),
  -- payer_id is who the payer is to the provider: personal data
  add column payer_id text,
  add column payer_ip text,
  add column return_url text,
  -- of the code on the payer's phone; the code itself is in one_time_secrets
  add column code_hash bytea check (length(code_hash) = 32),
  -- how often the provider was asked to prepare the trade and may have heard it
  add column asked int not null default 0 check (asked >= 0),
  -- committed before the money is asked for by code, and before that is undone
  add column sent_at timestamptz,
  add column cancel_sent_at timestamptz,
  -- the provider, asked to close it, did not know it: a payer may still come
  add column unseen_at timestamptz,
  add column failure_code text,
  add column failure_channel_code text,
  add column failure_message text;
update attempts set action = jsonb_build_object('type', 'qr_code', 'qr_code', qr_code) where qr_code is not null;
update attempts a set failure_code = p.failure_code, failure_channel_code = p.failure_channel_code, failure_message = p.failure_message
from payments p where p.tenant_id = a.tenant_id and p.id = a.payment_id and a.status = 'failed';
alter table attempts drop column qr_code,
  add check (status <> 'awaiting_payer' or action is not null),
  add check (status <> 'failed' or failure_code is not null),
  add check ((product = 'barcode') = (code_hash is not null)),
  add check (sent_at is null or product = 'barcode'),
  add check (cancel_sent_at is null or sent_at is not null),
  add unique (tenant_id, payment_id, position);
drop index attempts_of_payment;
-- Whatever goes wrong elsewhere: one attempt's money is the payment's.
create unique index attempts_one_wins on attempts (tenant_id, payment_id) where status = 'paid';
create index attempts_live on attempts (tenant_id, payment_id) where status in ('preparing', 'awaiting_payer');
create index late_receipts_of_payment on late_receipts (tenant_id, payment_id);
