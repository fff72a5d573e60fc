-- name: find_event_type
select t.id, t.waitlist
from event_types t
where t.org_id = $1 and t.archived_at is null
  and t.id = coalesce($2::uuid, (select c.id from event_types c
                                 where c.org_id = $1 and c.code = $3 and c.archived_at is null));

-- name: insert_entry
-- Nothing where the same attendee waits for the same thing already.
insert into waitlist_entries (
    org_id, id, event_type_id, starts_at, local_date, timezone, attendee_name, attendee_email, attendee_phone,
    duration_minutes, service_id, host_id, answers, notes, custom_fields, metadata, closes_at, created_at, status
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 'waiting')
on conflict do nothing
returning id;

-- name: find_same
select id
from waitlist_entries
where org_id = $1 and event_type_id = $2 and lower(attendee_email) = lower($3)
  and (starts_at = $4 or (local_date = $5 and timezone = $6)) and status in ('waiting', 'offered');

-- name: wake_list
-- Somebody waits now. After the entry, never before it: two who join at once would wait for each other.
insert into waitlists as l (org_id, event_type_id, next_check_at) values ($1, $2, $3)
on conflict (org_id, event_type_id) do update set next_check_at = least(l.next_check_at, excluded.next_check_at);

-- name: get_entry
select e.org_id, e.id, e.event_type_id, t.code as event_type_code, e.status, e.starts_at, e.local_date, e.timezone,
       e.attendee_name, e.attendee_email, e.attendee_phone, e.duration_minutes, e.service_id, e.host_id, e.answers, e.notes,
       e.custom_fields, e.metadata, e.booking_id, e.offered_at, e.offer_expires_at, e.ended_at, e.created_at
from waitlist_entries e
join event_types t on t.org_id = e.org_id and t.id = e.event_type_id
where e.org_id = $1 and e.id = $2;

-- name: list_entries
-- Run in `db.snapshot`, which has it planned for its values.
select e.org_id, e.id, e.event_type_id, t.code as event_type_code, e.status, e.starts_at, e.local_date, e.timezone,
       e.attendee_name, e.attendee_email, e.attendee_phone, e.duration_minutes, e.service_id, e.host_id, e.answers, e.notes,
       e.custom_fields, e.metadata, e.booking_id, e.offered_at, e.offer_expires_at, e.ended_at, e.created_at
from waitlist_entries e
join event_types t on t.org_id = e.org_id and t.id = e.event_type_id
where e.org_id = $1 and ($2::uuid is null or e.event_type_id = $2) and ($3::text[] is null or e.status = any($3))
  and e.id > coalesce($4::uuid, '00000000-0000-0000-0000-000000000000')
  and ($6::uuid is null or exists (
      select from event_type_hosts h where h.org_id = e.org_id and h.event_type_id = e.event_type_id and h.user_id = $6
  ))
order by e.id
limit $5 offset $7;

-- name: count_entries
select count(*)
from waitlist_entries e
where e.org_id = $1 and ($2::uuid is null or e.event_type_id = $2) and ($3::text[] is null or e.status = any($3))
  and ($4::uuid is null or exists (
      select from event_type_hosts h where h.org_id = e.org_id and h.event_type_id = e.event_type_id and h.user_id = $4
  ));

-- name: is_host_of_entry
select exists (
    select from waitlist_entries e
    join event_type_hosts h on h.org_id = e.org_id and h.event_type_id = e.event_type_id and h.user_id = $3
    where e.org_id = $1 and e.id = $2
);

-- name: leave_line
-- Whoever has an offer leaves by ending its booking.
update waitlist_entries set status = 'left', ended_at = $3 where org_id = $1 and id = $2 and status = 'waiting' returning id;

-- name: take_vacancies
-- (queue) What was freed, of everybody: the lists that it may help are due at once, those of event types that share a host
-- too. A list that is being looked after is waited for, since what it was decided by may be older than this; rows in the order
-- of their keys, so that two workers do not wait for each other.
with freed as (
    delete from outbox
    -- an array, not a join: see `fan_out`
    where no = any(array(
        select no from outbox where topic = 'vacancy' and due_at <= $1 order by due_at, no limit 200 for update skip locked
    ))
    returning org_id, ref_id
), told as (
    select l.org_id, l.event_type_id
    from waitlists l
    where l.next_check_at is not null and (l.org_id, l.event_type_id) in (
        select org_id, ref_id from freed
        union
        select o.org_id, o.event_type_id
        from freed f
        join event_type_hosts h on h.org_id = f.org_id and h.event_type_id = f.ref_id
        join event_type_hosts o on o.org_id = h.org_id and o.user_id = h.user_id
    )
    order by l.org_id, l.event_type_id
    for no key update of l
), due as (
    update waitlists l set next_check_at = least(l.next_check_at, $1)
    from told t
    where l.org_id = t.org_id and l.event_type_id = t.event_type_id
)
select count(*) from freed;

-- name: take_due_list
-- (queue) The list that is due the longest; one that another worker looks after is skipped.
select l.org_id, l.event_type_id, o.name as org_name, o.secret_sealed
from waitlists l
join organizations o on o.id = l.org_id
where l.next_check_at <= $1
order by l.next_check_at
limit 1
for no key update of l skip locked;

-- name: plan_check
update waitlists set next_check_at = $3 where org_id = $1 and event_type_id = $2;

-- name: expire_entries
-- Those whose time has come; all of them ($4) where the event type is gone.
update waitlist_entries set status = 'expired', ended_at = $3
where org_id = $1 and event_type_id = $2 and status = 'waiting' and (closes_at <= $3 or $4::boolean);

-- name: list_wants
-- What is waited for, each once: in whose zone somebody is matters only to a day.
select distinct starts_at, local_date, case when local_date is not null then timezone end as timezone, duration_minutes,
       service_id, host_id
from waitlist_entries
where org_id = $1 and event_type_id = $2 and status = 'waiting';

-- name: list_line
-- Who waits for one of these starts, or for one of these days in their zones, in the order of the line, after a place in it.
select e.org_id, e.id, e.event_type_id, t.code as event_type_code, e.status, e.starts_at, e.local_date, e.timezone,
       e.attendee_name, e.attendee_email, e.attendee_phone, e.duration_minutes, e.service_id, e.host_id, e.answers, e.notes,
       e.custom_fields, e.metadata, e.booking_id, e.offered_at, e.offer_expires_at, e.ended_at, e.created_at
from waitlist_entries e
join event_types t on t.org_id = e.org_id and t.id = e.event_type_id
where e.org_id = $1 and e.event_type_id = $2 and e.status = 'waiting'
  and (e.starts_at = any($3::timestamptz[])
       or (e.local_date, e.timezone) in (select d.day, d.zone from unnest($4::date[], $5::text[]) as d (day, zone)))
  and ($6::timestamptz is null or (e.created_at, e.id) > ($6, $7::uuid))
order by e.created_at, e.id
limit 100;

-- name: is_awaited
select exists (select from waitlist_entries where org_id = $1 and event_type_id = $2 and status = 'waiting');

-- name: lock_waiting
-- Nothing where they have left.
select id from waitlist_entries where org_id = $1 and id = $2 and status = 'waiting' for no key update;

-- name: record_offer
with entry as (
    update waitlist_entries
    set status = 'offered', booking_id = $3, offered_at = $4, offer_expires_at = $5
    where org_id = $1 and id = $2 and status = 'waiting'
    returning event_type_id
), booking as (
    update bookings set event_sequence = $6 from entry where org_id = $1 and id = $3
), event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select $1, $7, $8, $3, event_type_id, $6, $4, $9 from entry
    returning id
)
insert into outbox (org_id, topic, ref_id, due_at)
select $1, topic, id, $4 from event, unnest($10::text[]) as topic;
