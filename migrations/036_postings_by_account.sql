-- An account's postings are read in the order of entry and leg. With an index that
-- orders by the entry alone, the planner reads and sorts all of them, or walks the
-- primary key, in books of a middle size.
create index postings_account_leg on postings (account_id, entry_seq, leg);
drop index postings_account;
alter index postings_account_leg rename to postings_account;
