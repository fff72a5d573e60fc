-- name: insert_link
insert into event_links (org_id, id, event_type_id, code_hash, code_sealed, max_uses, expires_at, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: list_links
-- A use is a booking that came through the link, whatever became of it, from the moment that it was told of: one that was
-- moved stays the use that it was, the new one does not name the link. A hold is a use as long as it keeps its slot.
select l.id, l.event_type_id, t.code as event_type_code, l.code_sealed, l.max_uses, l.expires_at, l.revoked_at, l.created_at,
       (select count(*) from bookings b
        where b.org_id = l.org_id and b.event_link_id = l.id
          and (b.event_sequence > 0 or (b.status = 'DRAFT' and b.hold_expires_at > $5))) as uses
from event_links l
join event_types t on t.org_id = l.org_id and t.id = l.event_type_id
where l.org_id = $1 and l.event_type_id = $2 and l.id > coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
order by l.id
limit $4;

-- name: find_link
-- The door: whoever comes with a link names no organization. Uses are counted as in `list_links`.
select l.org_id, l.id, l.event_type_id, t.code as event_type_code, l.max_uses, l.expires_at, l.revoked_at, l.created_at,
       t.active and t.archived_at is null as active, o.name as org_name, o.secret_sealed,
       (select count(*) from bookings b
        where b.org_id = l.org_id and b.event_link_id = l.id
          and (b.event_sequence > 0 or (b.status = 'DRAFT' and b.hold_expires_at > $2))) as uses
from event_links l
join event_types t on t.org_id = l.org_id and t.id = l.event_type_id
join organizations o on o.id = l.org_id
where l.code_hash = $1;

-- name: lock_link
-- Before every other lock of a create (event type, old booking, and on): whoever else books through the link waits here, and
-- then counts again, in a statement of its own that sees what this one committed. NO KEY: bookings point at links. Holds of the link that are over are
-- ended under it, which locks them before the event type: a move of one of them at that moment is the deadlock that `db.run`
-- tries once more, and nobody moves a hold.
select id from event_links where org_id = $1 and code_hash = $2 for no key update;

-- name: list_ended_holds_of_link
-- Holds that are over: whoever wants their use ends them first.
select id from bookings
where org_id = $1 and event_link_id = $2 and status = 'DRAFT' and hold_expires_at <= $3
order by id;

-- name: revoke_link
update event_links set revoked_at = coalesce(revoked_at, $3) where org_id = $1 and code_hash = $2 returning id;
