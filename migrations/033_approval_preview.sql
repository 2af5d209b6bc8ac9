-- What a checker sees of a request whose content is sealed, or says too little by itself:
-- masked, written when it was asked for, and never changed.
alter table approvals add column preview jsonb check (jsonb_typeof(preview) = 'object');
grant insert (preview) on approvals to suanpan_app;
