-- The event log can be read to its end, again and again, without missing what commits late.

-- An event's place in the log is its transaction, then its id. Ids are made by web processes a moment before the commit,
-- so an event of a slow transaction may appear behind one that a reader has seen already. Transactions below the oldest
-- one that still runs are all settled: a reader is shown those, and what is behind it never changes. Events from before
-- this migration stand at the beginning, by their ids.
alter table events add column xact xid8 not null default '0';
alter table events alter column xact set default pg_current_xact_id();
create index events_in_order on events (org_id, xact, id);
