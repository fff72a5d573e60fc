-- name: get_event
select id, body from events where org_id = $1 and id = $2;

-- name: find_place
select xact::text as xact, id from events where org_id = $1 and id = $2;

-- name: list_events
-- In the order of commits, as far as nothing can come in between any more (see migration 0008). $4 and $5: after the event in
-- this place. $7: an id that none since $3 is below, which the key finds. Samples have no sequence: they never happened, and
-- are shown to whoever asks for them ($9). Run in `db.snapshot`, which has it planned for its values.
select e.id, e.body
from events e
where e.org_id = $1 and e.xact < pg_snapshot_xmin(pg_current_snapshot()) and (e.sequence > 0 or $9::boolean)
  and ($2::text[] is null or e.type = any($2)) and ($6::uuid is null or e.booking_id = $6)
  and ($3::timestamptz is null or (e.at >= $3 and e.id >= $7::uuid))
  and (e.xact, e.id) > (coalesce($4::text, '0')::xid8, coalesce($5::uuid, '00000000-0000-0000-0000-000000000000'))
order by e.xact, e.id
limit $8;

-- name: insert_sample_event
-- An event that happened to nobody, owed to nobody: whoever listens to the log sees it.
insert into events (org_id, id, type, sequence, at, body) values ($1, $2, $3, 0, $4, $5);

-- name: find_unsettled
select exists (
    select from events where org_id = $1 and xact >= pg_snapshot_xmin(pg_current_snapshot())
);

-- name: reset_places
-- After a restore into another cluster, whose transactions count from the beginning: what claims to come from the future is
-- put at the end of the past, behind what the restore brought besides and before everything new.
update events
set xact = (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text::xid8
where xact >= pg_snapshot_xmax(pg_current_snapshot());
