-- name: create_booking
-- One statement: the claim, and what follows from it. ON CONFLICT DO NOTHING makes the exclusion constraint answer with
-- an empty result; sixty-four plain inserts for one slot deadlock instead. Busy time of calendars is asked here too,
-- because a sync may have written some a moment ago. Nothing is claimed unless all that the decision was made by still
-- holds: the key, the event type, the host, and the host's hours.
with known as (
    select t.id
    from event_types t
    join users u on u.org_id = t.org_id and u.id = $10 and u.disabled_at is null
    join schedules s on s.org_id = t.org_id and s.id = $35 and s.version = $36
        and s.id = coalesce(t.schedule_id, (select d.id from schedules d
                                            where d.org_id = u.org_id and d.user_id = u.id and d.is_default))
    where t.org_id = $1 and t.id = $9 and t.config_version = $34 and t.archived_at is null
      and ($37::uuid is null or exists (
          select from api_keys k
          join users o on o.org_id = k.org_id and o.id = k.user_id and o.disabled_at is null
          where k.org_id = t.org_id and k.id = $37 and k.revoked_at is null
            and (k.expires_at is null or k.expires_at > $28)
      ))
), claim as (
    insert into allocations (org_id, id, subject_no, during, booking_id)
    select $1::uuid, $3::uuid, $4::bigint, tstzrange($5, $6), $2::uuid
    from known
    where not exists (
        select from busy_blocks k
        join calendars c on c.org_id = k.org_id and c.id = k.calendar_id and c.generation = k.generation and c.read_busy
        where int8range(k.subject_no, k.subject_no, '[]') && int8range($4, $4, '[]') and k.during && tstzrange($5, $6)
    )
    on conflict do nothing
    returning booking_id
), booking as (
    insert into bookings (
        org_id, id, code, status, event_type_id, assigned_to_id, host_ids, created_by_user_id,
        starts_at, ends_at, timezone, local_start, attendee_name, attendee_email, attendee_phone,
        guests, custom_fields, metadata, answers, notes, location,
        requires_confirmation, auto_complete, ical_uid, event_sequence, created_at, updated_at
    )
    select $1, booking_id, $7, $8, $9, $10, array[$10::uuid], $11, $12, $13, $14, $15, $16, $17, $18,
           $19, $20, $21, $22, $23, $24, $25, $26, $27, 1, $28, $28
    from claim
    returning id
), step as (
    insert into booking_history (org_id, booking_id, no, from_status, to_status, at, by, by_id)
    select $1, id, 1, 'DRAFT', $8, $28, $29, $30 from booking
), event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select $1, $31, $32, id, $9, 1, $28, $33 from booking
    returning id
), owed as (
    insert into outbox (org_id, topic, ref_id, due_at)
    select $1, 'event', id, $28 from event
)
select case when exists (select from booking) then 'won' when exists (select from known) then 'taken' else 'stale' end;

-- name: get_booking
select b.org_id, b.id, b.code, b.status, b.event_type_id, t.code as event_type_code, b.resource_id, b.assigned_to_id,
       b.starts_at, b.ends_at, b.timezone, b.attendee_name, b.attendee_email, b.attendee_phone, b.guests,
       b.custom_fields, b.metadata, b.answers, b.notes, b.location, b.requires_confirmation, b.cancelled_at,
       b.cancelled_by, b.cancellation_reason, b.rescheduled_from_id, b.rescheduled_to_id, b.token_version,
       b.event_sequence, b.created_at, b.updated_at,
       (select jsonb_agg(jsonb_build_object('user_id', u.id, 'name', u.name) order by o.no)
        from unnest(b.host_ids) with ordinality as o (user_id, no)
        join users u on u.org_id = b.org_id and u.id = o.user_id) as hosts,
       (select array_agg((h.from_status, h.to_status, h.at, h.by, h.reason) order by h.no)
        from booking_history h where h.org_id = b.org_id and h.booking_id = b.id) as history
from bookings b
left join event_types t on t.org_id = b.org_id and t.id = b.event_type_id
where b.org_id = $1 and b.id = $2;

-- name: lock_booking
-- Taken before the booking is read, so that two actions at once see each other's outcome. NO KEY: history and events
-- point at bookings.
select id from bookings where org_id = $1 and id = $2 for no key update;

-- name: cancel_booking
-- Ends a booking and gives its time back, with its history and its event, in one statement.
with booking as (
    update bookings
    set status = 'CANCELLED', cancelled_at = $3, cancelled_by = $4, cancellation_reason = $5, event_sequence = $6,
        hold_expires_at = null, updated_at = $3
    where org_id = $1 and id = $2
    returning id, event_type_id
), freed as (
    delete from allocations a using booking b where a.org_id = $1 and a.booking_id = b.id
), step as (
    insert into booking_history (org_id, booking_id, no, from_status, to_status, at, by, by_id, reason)
    select $1, b.id, 1 + (select count(*) from booking_history h where h.org_id = $1 and h.booking_id = b.id),
           $7, 'CANCELLED', $3, $4, $8, $5
    from booking b
), event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select $1, $9, $10, id, event_type_id, $6, $3, $11 from booking
    returning id
)
insert into outbox (org_id, topic, ref_id, due_at)
select $1, 'event', id, $3 from event;
