-- name: create_booking
-- One statement: the claim, and what follows from it. ON CONFLICT DO NOTHING makes the exclusion constraint answer with
-- an empty result; sixty-four plain inserts for one slot deadlock instead. Busy time of calendars is asked here too,
-- because a sync may have written some a moment ago. Nothing is claimed unless all that the decision was made by still
-- holds: the key, the event type, the hosts and their hours, the units and theirs.
--
-- Order of locks, here and wherever they are taken: link (see `lock_link`), event type (KEY SHARE, which the foreign key
-- would take anyway; an edit and a move take UPDATE), old booking, units (share), sitting, allocations by subject, counters,
-- the turn of a host.
-- Each CTE reads the one before it, which makes them run in this order. A claim that fails halfway ends itself by an error
-- (refuse_claim).
with type as (
    select t.id, t.org_id, t.schedule_id
    from event_types t
    where t.org_id = $1 and t.id = $9 and t.config_version = $34 and t.archived_at is null
    for key share
), unit as (
    -- nobody retires a unit between this look and the claim
    select x.subject_no, x.resource_id
    from type t
    join resource_units x on x.org_id = t.org_id and x.subject_no = any($38::bigint[]) and x.retired_at is null
    order by x.subject_no
    for share of x
), known as (
    select t.id
    from type t
    where cardinality($10::uuid[]) = (
          select count(*)
          from (select unnest($10::uuid[]) as user_id, unnest($35::uuid[]) as schedule_id, unnest($36::bigint[]) as version) w
          -- looked up for these hosts; as a join it was worked out for everybody in the organization
          where w.schedule_id = coalesce(t.schedule_id, (select d.id from schedules d
                                                         where d.org_id = t.org_id and d.user_id = w.user_id and d.is_default))
            and exists (select from users u where u.org_id = t.org_id and u.id = w.user_id and u.disabled_at is null)
            and exists (select from schedules s
                        where s.org_id = t.org_id and s.id = w.schedule_id and s.version = w.version))
      and (cardinality($38::bigint[]) = 0 or cardinality($38::bigint[]) = (
          select count(*)
          from (select unnest($38::bigint[]) as subject_no, unnest($39::uuid[]) as schedule_id, unnest($40::bigint[]) as version) w
          join unit x on x.subject_no = w.subject_no
          join resources r on r.org_id = t.org_id and r.id = x.resource_id and r.active
              and r.schedule_id is not distinct from w.schedule_id
          left join schedules s on s.org_id = t.org_id and s.id = r.schedule_id
          where s.version is not distinct from w.version))
      and ($37::uuid is null or exists (
          select from api_keys k
          join users o on o.org_id = k.org_id and o.id = k.user_id and o.disabled_at is null
          where k.org_id = t.org_id and k.id = $37 and k.revoked_at is null
            and (k.expires_at is null or k.expires_at > $28)
      ))
), sitting as (
    insert into sittings as g (org_id, id, event_type_id, starts_at, ends_at, host_ids, units, counters, seats, taken)
    select $1::uuid, $41::uuid, id, $12::timestamptz, $13::timestamptz, $10::uuid[], $42::jsonb, $43::jsonb, $44::int, 1
    from known where $44::int > 1
    on conflict (org_id, event_type_id, starts_at) do update
    set taken = g.taken + 1, seats = excluded.seats, ends_at = excluded.ends_at, host_ids = excluded.host_ids,
        units = excluded.units, counters = case when g.taken = 0 then excluded.counters else g.counters end
    where g.taken < excluded.seats
      and (g.taken = 0 or (g.ends_at = excluded.ends_at and g.host_ids = excluded.host_ids and g.units = excluded.units))
    returning id, taken
), wanted as (
    -- the first of a session claims for all of it
    select (select id from sitting) as sitting_id, coalesce((select taken from sitting), 1) = 1 as is_first
    from known where $44::int = 1 or exists (select from sitting)
), busy as (
    select exists (
        select from (select unnest($4::bigint[]) as subject_no) o
        join busy_blocks k on int8range(k.subject_no, k.subject_no, '[]') && int8range(o.subject_no, o.subject_no, '[]')
            and k.during && tstzrange($5, $6)
        join calendars c on c.org_id = k.org_id and c.id = k.calendar_id and c.generation = k.generation and c.read_busy
    ) or exists (
        -- what a calendar says is not known when it was not read for too long, nor further ahead than it was read
        select from calendars c
        where c.org_id = $1 and c.user_id = any($10::uuid[]) and c.read_busy and c.stale_policy = 'fail_closed'
          and (c.fresh_until <= $28 or c.known_until < $6)
    ) as found
), claim as (
    insert into allocations (org_id, id, subject_no, during, booking_id, sitting_id, expires_at)
    select $1::uuid, a.id, a.subject_no, tstzrange($5, $6), case when w.sitting_id is null then $2::uuid end, w.sitting_id,
           -- what a session holds ends with its last seat
           case when w.sitting_id is null then $45::timestamptz end
    from wanted w, (select unnest($3::uuid[]) as id, unnest($4::bigint[]) as subject_no) a
    where w.is_first and not (select found from busy)
    order by a.subject_no
    on conflict do nothing
    returning id
), held as (
    select w.sitting_id, w.is_first from wanted w
    where not w.is_first or (select count(*) from claim) = cardinality($4::bigint[])
), counted as (
    insert into booking_counters as c (org_id, event_type_id, user_id, period, period_start, taken)
    select $1, $9, p.user_id, p.period, p.period_start, 1
    from held h, (select unnest($46::uuid[]) as user_id, unnest($47::text[]) as period, unnest($48::date[]) as period_start) p
    where h.is_first
    order by p.user_id, p.period, p.period_start
    on conflict (org_id, event_type_id, user_id, period, period_start) do update set taken = c.taken + 1
    where c.taken < case excluded.period when 'day' then $49::int when 'week' then $50::int else $51::int end
    returning c.taken
), booking as (
    insert into bookings (
        org_id, id, code, status, event_type_id, assigned_to_id, host_ids, created_by_user_id,
        starts_at, ends_at, timezone, local_start, attendee_name, attendee_email, attendee_phone,
        guests, custom_fields, metadata, answers, notes, location,
        requires_confirmation, auto_complete, ical_uid, event_sequence, created_at, updated_at,
        sitting_id, units, counters, service_id, routing_trace, hold_expires_at, rescheduled_from_id, ical_sequence,
        event_link_id, held_by_key_id
    )
    select $1, $2, $7, $8, $9, ($10::uuid[])[1], $10, $11, $12, $13, $14, $15, $16, $17, $18,
           $19, $20, $21, $22, $23, $24, $25, $26, $27, case when $31::uuid is null then 0 else 1 end, $28, $28,
           h.sitting_id, $42, case when h.sitting_id is null then $43::jsonb else '[]' end, $52, $53, $45, $54, $55, $57,
           case when $8 = 'DRAFT' then $37::uuid end
    from held h
    where not h.is_first or (select count(*) from counted) = cardinality($46::uuid[])
    returning id
), step as (
    insert into booking_history (org_id, booking_id, no, from_status, to_status, at, by, by_id)
    select $1, id, 1, 'DRAFT', $8, $28, $29, $30 from booking where $8 <> 'DRAFT'
), event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select $1, $31, $32, id, $9, 1, $28, $33 from booking where $31::uuid is not null
    returning id
), owed as (
    insert into outbox (org_id, topic, ref_id, due_at)
    select $1, topic, id, $28 from event, unnest($58::text[]) as topic
    where topic <> 'calendar' or exists (select from calendars c where c.org_id = $1 and (c.is_write_target or c.next_poll_at is not null))
), turn as (
    update event_type_hosts h set assigned_count = h.assigned_count + 1, last_assigned_at = $28
    from booking b
    where h.org_id = $1 and h.event_type_id = $9 and h.user_id = any($10::uuid[]) and $56::boolean
      and (select is_first from held)
)
select case
    when exists (select from booking) then 'won'
    when not exists (select from known) then 'stale'
    when not exists (select from wanted) then 'taken'
    when exists (select from claim) and not exists (select from held) then refuse_claim('taken')
    when exists (select from sitting) and not exists (select from held) then refuse_claim('taken')
    when not exists (select from held) and (select found from busy) then 'busy'
    when not exists (select from held) then case when exists (
        -- a hold that is over, or a session in which only such ones sit: whoever asks ends them first
        select from (select unnest($4::bigint[]) as subject_no) o
        join allocations a on int8range(a.subject_no, a.subject_no, '[]') && int8range(o.subject_no, o.subject_no, '[]')
            and a.during && tstzrange($5, $6)
        where a.expires_at <= $28 or a.sitting_id is not null
    ) then 'stale' else 'taken' end
    else refuse_claim('capped')
end;

-- name: get_bookings
select b.org_id, b.id, b.code, b.status, b.event_type_id, t.code as event_type_code, b.resource_id, b.assigned_to_id,
       b.starts_at, b.ends_at, b.timezone, b.attendee_name, b.attendee_email, b.attendee_phone, b.guests,
       b.custom_fields, b.metadata, b.answers, b.notes, b.location, b.requires_confirmation, b.cancelled_at,
       b.cancelled_by, b.cancellation_reason, b.rescheduled_from_id, b.rescheduled_to_id, b.token_version,
       b.event_sequence, b.created_at, b.updated_at, b.service_id, b.units, b.routing_trace, b.hold_expires_at,
       b.host_ids, b.auto_complete, b.ical_uid, b.ical_sequence, b.attendee_bounced_at,
       (select jsonb_agg(jsonb_build_object('user_id', u.id, 'name', u.name) order by o.no)
        from unnest(b.host_ids) with ordinality as o (user_id, no)
        join users u on u.org_id = b.org_id and u.id = o.user_id) as hosts,
       (select array_agg((h.from_status, h.to_status, h.at, h.by, h.reason) order by h.no)
        from booking_history h where h.org_id = b.org_id and h.booking_id = b.id) as history
from bookings b
left join event_types t on t.org_id = b.org_id and t.id = b.event_type_id
where b.org_id = $1 and b.id = any($2::uuid[]);

-- name: list_steps
select from_status, to_status, at, by, reason, by_id
from booking_history where org_id = $1 and booking_id = $2 order by no;

-- name: has_part_in
select exists (
    select from bookings where org_id = $1 and id = $2 and (created_by_user_id = $3 or host_ids @> array[$3::uuid])
);

-- name: lock_booking
-- Taken before the booking is read, so that two actions at once see each other's outcome. NO KEY: history and events
-- point at bookings.
select sitting_id from bookings where org_id = $1 and id = $2 for no key update;

-- name: lock_sitting
-- By itself, after the booking's lock: what ends a seat has to see what others made of the session and its counters.
select id from sittings where org_id = $1 and id = $2 for no key update;

-- name: lock_event_type_of
-- A move gives back before it claims; nobody else claims of this event type meanwhile, or the two would deadlock.
select t.id
from event_types t
where t.org_id = $1 and t.id = (select b.event_type_id from bookings b where b.org_id = $1 and b.id = $2)
for update;

-- name: end_booking
-- Ends a booking, however, and gives back what it holds, with its history and its event (none for a hold, which nobody was
-- told of), in one statement. What is cancelled gives its place in the caps back too; who came, or did not, has used it.
-- Locks in the order of `create_booking`: sitting, allocations, counters, turn.
with booking as (
    update bookings
    set status = $13, cancelled_at = case when $13 = 'CANCELLED' then $3::timestamptz end,
        cancelled_by = case when $13 = 'CANCELLED' then $4 end, cancellation_reason = $5, event_sequence = $6,
        hold_expires_at = null, ical_sequence = $15, updated_at = $3
    where org_id = $1 and id = $2 and status = $7
    returning id, event_type_id, resource_id, sitting_id, host_ids, counters
), sitting as (
    update sittings g set taken = g.taken - 1
    from booking b
    where g.org_id = $1 and g.id = b.sitting_id
    returning g.id, g.taken, g.counters
), freed as (
    delete from allocations a
    using booking b left join sitting g on g.id = b.sitting_id
    where a.org_id = $1 and (a.booking_id = b.id or (a.sitting_id = g.id and g.taken = 0))
    returning a.id
), counter as (
    select c.user_id, c.event_type_id, c.period, c.period_start
    from booking b
    left join sitting g on g.id = b.sitting_id
    cross join lateral jsonb_array_elements(
        case when $13 <> 'CANCELLED' then '[]'
             when g.id is null then b.counters
             when g.taken = 0 and not exists (select from bookings m
                                              where m.org_id = $1 and m.sitting_id = g.id
                                                and m.status in ('COMPLETED', 'NO_SHOW')) then g.counters
             else '[]' end) as k (counter)
    join booking_counters c on c.org_id = $1 and c.event_type_id = b.event_type_id and c.user_id = (k.counter ->> 0)::uuid
        and c.period = k.counter ->> 1 and c.period_start = (k.counter ->> 2)::date
    where (select count(*) from freed) >= 0
    order by c.user_id, c.period, c.period_start
    for update of c
), given_back as (
    update booking_counters c set taken = c.taken - 1
    from counter k
    where c.org_id = $1 and c.event_type_id = k.event_type_id and c.user_id = k.user_id and c.period = k.period
      and c.period_start = k.period_start and c.taken > 0
    returning c.taken
), turn as (
    -- a hold that came to nothing was no turn
    update event_type_hosts h set assigned_count = h.assigned_count - 1
    from booking b
    join event_types t on t.org_id = $1 and t.id = b.event_type_id and t.assignment = 'round_robin'
    where $7 = 'DRAFT' and b.sitting_id is null and (select count(*) from given_back) >= 0
      and h.org_id = $1 and h.event_type_id = b.event_type_id and h.user_id = any(b.host_ids) and h.assigned_count > 0
), offered as (
    -- a place that was offered to somebody who waited: its time ran out, or nobody wanted it
    update waitlist_entries w
    set status = case when $5 = 'hold_expired' then 'expired' else 'left' end, ended_at = $3
    from booking b
    where $7 = 'DRAFT' and w.org_id = $1 and w.booking_id = b.id and w.status = 'offered'
), vacancy as (
    -- only where somebody waits for anything: one look at an index that is empty as a rule
    insert into outbox (org_id, topic, ref_id, due_at)
    select $1, 'vacancy', coalesce(b.event_type_id, b.resource_id), $3
    from booking b
    where $13 = 'CANCELLED'
      and exists (select from waitlists l where l.org_id = $1 and l.next_check_at is not null)
), step as (
    insert into booking_history (org_id, booking_id, no, from_status, to_status, at, by, by_id, reason)
    select $1, b.id, 1 + (select count(*) from booking_history h where h.org_id = $1 and h.booking_id = b.id),
           $7, $13, $3, $4, $8, $12
    from booking b
), event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select $1, $9, $10, id, event_type_id, $6, $3, $11 from booking where $9::uuid is not null
    returning id
)
insert into outbox (org_id, topic, ref_id, due_at)
select $1, topic, id, $3 from event, unnest($14::text[]) as topic
where topic <> 'calendar' or exists (select from calendars c where c.org_id = $1 and (c.is_write_target or c.next_poll_at is not null));

-- name: advance_booking
-- A step that keeps what the booking holds: a confirmation.
with booking as (
    update bookings set status = $3, event_sequence = $4, ical_sequence = $14, updated_at = $5
    where org_id = $1 and id = $2
    returning id, event_type_id
), step as (
    insert into booking_history (org_id, booking_id, no, from_status, to_status, at, by, by_id, reason)
    select $1, b.id, 1 + (select count(*) from booking_history h where h.org_id = $1 and h.booking_id = b.id),
           $6, $3, $5, $7, $8, $9
    from booking b
), event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select $1, $10, $11, id, event_type_id, $4, $5, $12 from booking
    returning id
)
insert into outbox (org_id, topic, ref_id, due_at)
select $1, topic, id, $5 from event, unnest($13::text[]) as topic
where topic <> 'calendar' or exists (select from calendars c where c.org_id = $1 and (c.is_write_target or c.next_poll_at is not null));

-- name: change_attendee
-- No step of the lifecycle, so no line of the history.
with booking as (
    update bookings
    set attendee_name = $3, attendee_email = $4, attendee_phone = $5, timezone = $6, local_start = $7, token_version = $8,
        attendee_bounced_at = case when lower(attendee_email) = lower($4) then attendee_bounced_at end,
        event_sequence = $9, ical_sequence = $15, updated_at = $10
    where org_id = $1 and id = $2
    returning id, event_type_id
), event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select $1, $11, $12, id, event_type_id, $9, $10, $13 from booking
    returning id
)
insert into outbox (org_id, topic, ref_id, due_at)
select $1, topic, id, $10 from event, unnest($14::text[]) as topic
where topic <> 'calendar' or exists (select from calendars c where c.org_id = $1 and (c.is_write_target or c.next_poll_at is not null));

-- name: set_location
with booking as (
    update bookings set location = $3, event_sequence = $4, ical_sequence = $5, updated_at = $6
    where org_id = $1 and id = $2
    returning id, event_type_id
), event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select $1, $7, $8, id, event_type_id, $4, $6, $9 from booking
    returning id
)
insert into outbox (org_id, topic, ref_id, due_at)
select $1, topic, id, $6 from event, unnest($10::text[]) as topic
where topic <> 'calendar' or exists (select from calendars c where c.org_id = $1 and (c.is_write_target or c.next_poll_at is not null));

-- name: note_bounce
with booking as (
    update bookings set attendee_bounced_at = $3, event_sequence = $4, updated_at = $3
    where org_id = $1 and id = $2
    returning id, event_type_id
), event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select $1, $5, $6, id, event_type_id, $4, $3, $7 from booking
    returning id
)
insert into outbox (org_id, topic, ref_id, due_at)
select $1, topic, id, $3 from event, unnest($8::text[]) as topic
where topic <> 'calendar' or exists (select from calendars c where c.org_id = $1 and (c.is_write_target or c.next_poll_at is not null));

-- name: finish_booking
-- A hold becomes a booking: the attendee's data, the step, the event; what it holds has no end any more.
with booking as (
    update bookings
    set status = $3, event_sequence = $4, updated_at = $5, hold_expires_at = null, timezone = $6, local_start = $7,
        attendee_name = $8, attendee_email = $9, attendee_phone = $10, guests = $11, custom_fields = $12, metadata = $13,
        answers = $14, notes = $15, requires_confirmation = $22
    where org_id = $1 and id = $2
    returning id, event_type_id
), firm as (
    update allocations a set expires_at = null
    from booking b
    where a.org_id = $1 and a.booking_id = b.id
), offered as (
    update waitlist_entries w set status = 'booked', ended_at = $5
    from booking b
    where w.org_id = $1 and w.booking_id = b.id and w.status = 'offered'
), step as (
    insert into booking_history (org_id, booking_id, no, from_status, to_status, at, by, by_id)
    select $1, b.id, 1 + (select count(*) from booking_history h where h.org_id = $1 and h.booking_id = b.id),
           'DRAFT', $3, $5, $16, $17
    from booking b
), event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select $1, $18, $19, id, event_type_id, $4, $5, $20 from booking
    returning id
)
insert into outbox (org_id, topic, ref_id, due_at)
select $1, topic, id, $5 from event, unnest($21::text[]) as topic
where topic <> 'calendar' or exists (select from calendars c where c.org_id = $1 and (c.is_write_target or c.next_poll_at is not null));

-- name: lock_moves
-- Moves within an organization take turns: two that want each other's places would deadlock, since each gives its own back
-- before it claims the other.
select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 7));

-- name: note_rescheduled
-- The one event of a reschedule belongs to the new booking.
with event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select $1, $3, $4, b.id, b.event_type_id, 1, $5, $6 from bookings b where b.org_id = $1 and b.id = $2
    returning id
), booking as (
    update bookings set event_sequence = 1 where org_id = $1 and id = $2
), step as (
    update booking_history set reason = $8 where org_id = $1 and booking_id = $2
), old as (
    update bookings set rescheduled_to_id = $2 where org_id = $1 and id = $7
)
insert into outbox (org_id, topic, ref_id, due_at)
select $1, topic, id, $5 from event, unnest($9::text[]) as topic
where topic <> 'calendar' or exists (select from calendars c where c.org_id = $1 and (c.is_write_target or c.next_poll_at is not null));

-- name: find_ended_holds
-- Holds that are over, behind these allocations.
select distinct coalesce(a.booking_id, b.id) as id
from allocations a
left join bookings b on b.org_id = a.org_id and b.sitting_id = a.sitting_id and b.status = 'DRAFT' and b.hold_expires_at <= $3
where a.org_id = $1 and a.id = any($2::uuid[]) and (a.expires_at <= $3 or b.id is not null)
order by id;

-- name: list_ended_holds
-- (queue) Holds that are over, of everybody.
select org_id, id from bookings where status = 'DRAFT' and hold_expires_at <= $1 order by hold_expires_at limit $2;

-- name: list_unanswered
-- (queue) Requests whose time has come without an answer, of everybody.
select org_id, id from bookings where status = 'PENDING_CONFIRMATION' and starts_at <= $1 order by starts_at limit $2;

-- name: list_over
-- (queue) Bookings that complete by themselves and are over, of everybody.
select org_id, id
from bookings
where status in ('SCHEDULED', 'RESCHEDULED') and auto_complete and ends_at <= $1
order by ends_at
limit $2;

-- name: find_by_code
select id from bookings where org_id = $1 and code = $2;
