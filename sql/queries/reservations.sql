-- Reservations of a resource by itself, without an event type.

-- name: load_resource
-- A resource that can be reserved, one row per unit: its hours, and what holds the unit around [$3, $4), in epoch seconds. Holds
-- that are over do not count; `over` names them, since whoever wants their time ends them first.
select r.id, r.name, r.kind, r.capacity, r.location_id, r.active, r.schedule_id, l.timezone as location_zone,
       s.weekly::text as weekly, s.overrides::text as overrides, s.timezone, s.valid_from, s.valid_until,
       s.version as schedule_version, x.unit_no as no, x.subject_no, held.starts as held_starts,
       held.ends as held_ends, held.over
from resources r
join locations l on l.org_id = r.org_id and l.id = r.location_id
left join schedules s on s.org_id = r.org_id and s.id = r.schedule_id
left join resource_units x on x.org_id = r.org_id and x.resource_id = r.id and x.retired_at is null
left join lateral (
    select array_agg(floor(date_part('epoch', lower(a.during)))::bigint) filter (where not o.over) as starts,
           array_agg(ceil(date_part('epoch', upper(a.during)))::bigint) filter (where not o.over) as ends,
           array_agg(a.id) filter (where o.over) as over
    from allocations a
    cross join lateral (
        select coalesce(a.expires_at <= $5, false)
            -- a session holds as long as anybody but holds that are over sits in it
            or (a.sitting_id is not null and not exists (
                select from bookings b
                where b.org_id = a.org_id and b.sitting_id = a.sitting_id
                  and b.status in ('DRAFT', 'PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED')
                  and (b.hold_expires_at is null or b.hold_expires_at > $5))) as over
    ) o
    where int8range(a.subject_no, a.subject_no, '[]') && int8range(x.subject_no, x.subject_no, '[]')
      and a.during && tstzrange($3, $4)
) held on true
where r.org_id = $1 and r.id = $2 and r.archived_at is null
order by x.unit_no;

-- name: lock_resource_of
-- A move gives back before it claims; nobody else claims of this resource meanwhile, or the two would deadlock.
select r.id
from resources r
where r.org_id = $1 and r.id = (select b.resource_id from bookings b where b.org_id = $1 and b.id = $2)
for update;

-- name: reserve
-- One statement: the claim of one unit, and what follows from it (see `create_booking`, whose order of locks it keeps: the
-- resource in the place of the event type, the unit, the allocation). Nothing is claimed unless the hours that the decision was
-- made by still hold.
with resource as (
    select r.id, r.org_id
    from resources r
    where r.org_id = $1 and r.id = $3 and r.active and r.archived_at is null
      and r.schedule_id is not distinct from $4::uuid
      and (select s.version from schedules s where s.org_id = r.org_id and s.id = r.schedule_id) is not distinct from $5::bigint
    for key share of r
), unit as (
    select x.subject_no
    from resource r
    join resource_units x on x.org_id = r.org_id and x.resource_id = r.id and x.subject_no = $6 and x.retired_at is null
    for share of x
), claim as (
    insert into allocations (org_id, id, subject_no, during, booking_id)
    select $1::uuid, $7::uuid, subject_no, tstzrange($8, $9), $2::uuid from unit
    on conflict do nothing
    returning id
), booking as (
    insert into bookings (
        org_id, id, code, status, resource_id, created_by_user_id, starts_at, ends_at, timezone, local_start, attendee_name,
        attendee_email, notes, metadata, ical_uid, ical_sequence, event_sequence, units, rescheduled_from_id, created_at, updated_at,
        requires_confirmation
    )
    -- what is moved stays whose it was
    select $1, $2, $10, $11, $3,
           coalesce($12, (select o.created_by_user_id from bookings o where o.org_id = $1 and o.id = $22)), $8, $9, $13, $14, $15, $16, $17, $18, $19, $20,
           case when $24::uuid is null then 0 else 1 end, $21, $22, $23, $23, $30
    from claim
    returning id
), step as (
    insert into booking_history (org_id, booking_id, no, from_status, to_status, at, by, by_id)
    select $1, id, 1, 'DRAFT', $11, $23, $27, $28 from booking
), event as (
    insert into events (org_id, id, type, booking_id, sequence, at, body)
    select $1, $24, $25, id, 1, $23, $26 from booking where $24::uuid is not null
    returning id
), owed as (
    insert into outbox (org_id, topic, ref_id, due_at)
    select $1, topic, id, $23 from event, unnest($29::text[]) as topic
    where topic <> 'calendar' or exists (select from calendars c where c.org_id = $1 and (c.is_write_target or c.next_poll_at is not null))
)
select case when exists (select from booking) then 'won' when exists (select from unit) then 'taken' else 'stale' end;

-- name: find_holds_over
-- The holds that are over, behind these allocations.
select distinct b.id
from allocations a
join bookings b on b.org_id = a.org_id and (b.id = a.booking_id or b.sitting_id = a.sitting_id)
where a.org_id = $1 and a.id = any($2::uuid[]) and b.status = 'DRAFT' and b.hold_expires_at <= $3
order by b.id;
