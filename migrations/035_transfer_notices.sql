-- Alipay tells the address of an application when a transfer of its changes.
alter table notifications
  drop constraint notifications_kind_check,
  add constraint notifications_kind_check check (kind in ('trade', 'refund', 'transfer'));
alter table refused_notifications
  drop constraint refused_notifications_kind_check,
  add constraint refused_notifications_kind_check check (kind in ('trade', 'refund', 'transfer'));
