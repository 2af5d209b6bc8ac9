-- Refunds and withdrawals whose number may not be sent again while nobody knows what
-- became of it: asked on, until it is known or two persons have decided.

create table unresolved (
  tenant_id     text not null references tenants,
  object_id     text not null,
  -- number is the one at the provider that may not be sent again.
  number        text not null,
  -- code is why: the provider's, or a word of ours.
  code          text not null,
  since         timestamptz not null default suanpan_now(),
  -- What the provider answered last when it was asked.
  answer_code   text,
  answered_at   timestamptz,
  -- What was decided, once. failed: it is over when the provider says once more that it
  -- does not know the number. new_number: then it is sent under another.
  decision      text check (decision in ('failed', 'new_number')),
  reason        text check (length(reason) between 1 and 200),
  decided_at    timestamptz,
  primary key (tenant_id, object_id, number),
  constraint unresolved_answer check ((answer_code is null) = (answered_at is null)),
  constraint unresolved_decision check ((decision is null) = (decided_at is null) and (decision is null) = (reason is null))
);
select guard_tenant_table('unresolved');
grant select on unresolved to suanpan_app, suanpan_system;
grant insert (tenant_id, object_id, number, code) on unresolved to suanpan_app;
grant update (answer_code, answered_at, decision, reason, decided_at) on unresolved to suanpan_app;

create function decided_once() returns trigger language plpgsql as $$
begin
  if old.decision is not null and (new.decision, new.reason, new.decided_at) is distinct from (old.decision, old.reason, old.decided_at) then
    raise exception 'it was decided already' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger decided_once before update on unresolved for each row execute function decided_once();
-- What a person decides is in the audit log.
create trigger audited after insert or update on unresolved for each row
  when (current_setting('suanpan.actor', true) <> '')
  execute function audit_row('unresolved', 'object_id', 'number,code,answer_code,decision,reason');
