-- Whoever closes a payment looks for what its provider has already told us about
-- it: a payer may have been faster than the answer to our closing.
create index notifications_of_trade on notifications (tenant_id, trade_number) where kind = 'trade';
