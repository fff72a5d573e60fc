-- outside a transaction
-- A host's feed: the bookings that somebody hosts with others, of whom only the first one is in `bookings_by_host`. Most bookings
-- have one host, and are not in it. Built while bookings go on; what an interrupted start left of it goes first.
drop index concurrently if exists bookings_with_cohosts;
create index concurrently bookings_with_cohosts on bookings (org_id, starts_at) where cardinality(host_ids) > 1;
