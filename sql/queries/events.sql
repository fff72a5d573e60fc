-- name: get_event
select id, body from events where org_id = $1 and id = $2;

-- name: find_place
select id from events where org_id = $1 and id = $2;

-- name: list_events
-- In the order of commits, as far as nothing can come in between any more (see migration 0008). $6: after this event. Samples have
-- no sequence: they never happened.
select e.id, e.body
from events e
where e.org_id = $1 and e.xact < pg_snapshot_xmin(pg_current_snapshot()) and e.sequence > 0
  and ($2::text[] is null or e.type = any($2)) and ($3::uuid is null or e.booking_id = $3)
  and ($4::timestamptz is null or e.at >= $4)
  and ($6::uuid is null or (e.xact, e.id) > (select p.xact, p.id from events p where p.org_id = $1 and p.id = $6))
order by e.xact, e.id
limit $5;

-- name: find_unsettled
select exists (
    select from events where org_id = $1 and xact >= pg_snapshot_xmin(pg_current_snapshot())
);

-- name: reset_places
-- After a restore into another cluster, whose transactions count from the beginning: what claims to come from the future is
-- from the past, and stands before everything new.
update events set xact = '0' where xact >= pg_snapshot_xmax(pg_current_snapshot());
