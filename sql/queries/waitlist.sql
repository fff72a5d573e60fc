-- name: find_event_type
select t.id, t.waitlist
from event_types t
where t.org_id = $1 and t.archived_at is null
  and t.id = coalesce($2::uuid, (select c.id from event_types c
                                 where c.org_id = $1 and c.code = $3 and c.archived_at is null));

-- name: is_host
select exists (select from event_type_hosts where org_id = $1 and event_type_id = $2 and user_id = $3);

-- name: lock_attendee
-- Joins of one address take turns, so that their places can be counted. Before the entry, and so before the list.
select pg_advisory_xact_lock(hashtextextended($1::uuid::text || ' ' || lower($2), 8));

-- name: insert_entry
-- Nothing where the same attendee waits for the same thing already.
insert into waitlist_entries (
    org_id, id, event_type_id, starts_at, local_date, timezone, attendee_name, attendee_email, attendee_phone,
    duration_minutes, service_id, host_id, answers, notes, custom_fields, metadata, closes_at, created_at,
    requires_approval, status
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 'waiting')
on conflict do nothing
returning id;

-- name: find_same
select id
from waitlist_entries
where org_id = $1 and event_type_id = $2 and lower(attendee_email) = lower($3)
  and (starts_at = $4 or local_date = $5) and status in ('waiting', 'offered');

-- name: count_places
-- How many live ones the attendee has, and how many wait in this line. No more is counted than it takes to refuse.
select (select count(*) from (select from waitlist_entries
                              where org_id = $1 and lower(attendee_email) = lower($3) and status in ('waiting', 'offered')
                              limit 100) a) as of_attendee,
       (select count(*) from (select from waitlist_entries
                              where org_id = $1 and event_type_id = $2 and status = 'waiting'
                              limit 2000) l) as in_line;

-- name: wake_list
-- Somebody waits now, and the list is looked at at once: what was given back before this was told to nobody. One cancel
-- slips through, and waits for the sweep: it began before this was committed, so that it saw nobody waiting, and commits after
-- that first look. Always after the entry: joins that took the two in different orders would wait for each other.
insert into waitlists as l (org_id, event_type_id, next_check_at) values ($1, $2, $3)
on conflict (org_id, event_type_id) do update set next_check_at = least(l.next_check_at, excluded.next_check_at);

-- name: get_entry
select e.org_id, e.id, e.event_type_id, t.code as event_type_code, e.status, e.starts_at, e.local_date, e.timezone,
       e.attendee_name, e.attendee_email, e.attendee_phone, e.duration_minutes, e.service_id, e.host_id, e.answers, e.notes,
       e.custom_fields, e.metadata, e.booking_id, e.offered_at, e.offer_expires_at, e.ended_at, e.created_at, e.requires_approval
from waitlist_entries e
join event_types t on t.org_id = e.org_id and t.id = e.event_type_id
where e.org_id = $1 and e.id = $2;

-- name: list_entries
-- Run in `db.snapshot`, which has it planned for its values.
select e.org_id, e.id, e.event_type_id, t.code as event_type_code, e.status, e.starts_at, e.local_date, e.timezone,
       e.attendee_name, e.attendee_email, e.attendee_phone, e.duration_minutes, e.service_id, e.host_id, e.answers, e.notes,
       e.custom_fields, e.metadata, e.booking_id, e.offered_at, e.offer_expires_at, e.ended_at, e.created_at, e.requires_approval
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
-- (queue) What was freed, of everybody: the lists that it may help are due at once, from the first in line on. Those are the
-- list of the event type itself (or of none, where a resource was reserved by itself), of those that share a host, and of
-- those that need such a resource. What was freed for a list that is being looked after, by whatever may be older than this,
-- stays for later, so that nobody's long line holds up anybody else.
with freed as materialized (
    select no, org_id, ref_id
    from outbox
    where topic = 'vacancy' and due_at <= $1
    order by due_at
    limit 200
    for update skip locked
), helped as materialized (
    select f.no, l.org_id, l.event_type_id
    from freed f
    cross join lateral (
        select f.ref_id as event_type_id
        union
        select o.event_type_id
        from event_type_hosts h
        join event_type_hosts o on o.org_id = h.org_id and o.user_id = h.user_id
        where h.org_id = f.org_id and h.event_type_id = f.ref_id
        union
        select t.event_type_id
        from (
            select q.kind
            from event_types e
            cross join jsonb_to_recordset(e.requires) as q (kind text)
            where e.org_id = f.org_id and e.id = f.ref_id
            union
            select r.kind from resources r where r.org_id = f.org_id and r.id = f.ref_id
        ) k
        cross join lateral (
            select e.id as event_type_id
            from waitlists w
            join event_types e on e.org_id = w.org_id and e.id = w.event_type_id
            where w.org_id = f.org_id and w.next_check_at is not null
              and e.requires @> jsonb_build_array(jsonb_build_object('kind', k.kind))
        ) t
    ) t
    join waitlists l on l.org_id = f.org_id and l.event_type_id = t.event_type_id and l.next_check_at is not null
), told as materialized (
    select l.org_id, l.event_type_id
    from waitlists l
    where l.next_check_at is not null and (l.org_id, l.event_type_id) in (select org_id, event_type_id from helped)
    for no key update of l skip locked
), due as (
    update waitlists l set next_check_at = least(l.next_check_at, $1), tried_until = null, tried_id = null
    from told t
    where l.org_id = t.org_id and l.event_type_id = t.event_type_id
), late as materialized (
    select distinct no
    from helped h
    where not exists (select from told t where t.org_id = h.org_id and t.event_type_id = h.event_type_id)
), put_back as (
    -- an array, not a join: see `fan_out`
    update outbox set due_at = $1 + interval '200 milliseconds' where no = any(array(select no from late))
), served as (
    delete from outbox where no = any(array(select no from freed except select no from late))
)
select count(*) from freed;

-- name: take_due_list
-- (queue) The list that is due the longest; one that another worker looks after is skipped. is_off: nobody gets an offer.
select l.org_id, l.event_type_id, l.tried_until, l.tried_id, not t.waitlist and t.archived_at is null as is_off,
       o.name as org_name, o.secret_sealed
from waitlists l
join organizations o on o.id = l.org_id
join event_types t on t.org_id = l.org_id and t.id = l.event_type_id
where l.next_check_at <= $1
order by l.next_check_at
limit 1
for no key update of l skip locked;

-- name: plan_check
update waitlists set next_check_at = $3, tried_until = $4, tried_id = $5 where org_id = $1 and event_type_id = $2;

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
-- Who waits for one of these starts, or for one of these days in their zones, in the order of the line, after a place in it;
-- as many as are tried in one look. Whoever has another offer of this event type has their turn when it has ended.
select e.org_id, e.id, e.event_type_id, t.code as event_type_code, e.status, e.starts_at, e.local_date, e.timezone,
       e.attendee_name, e.attendee_email, e.attendee_phone, e.duration_minutes, e.service_id, e.host_id, e.answers, e.notes,
       e.custom_fields, e.metadata, e.booking_id, e.offered_at, e.offer_expires_at, e.ended_at, e.created_at, e.requires_approval
from waitlist_entries e
join event_types t on t.org_id = e.org_id and t.id = e.event_type_id
where e.org_id = $1 and e.event_type_id = $2 and e.status = 'waiting'
  and (e.starts_at = any($3::timestamptz[])
       or (e.local_date, e.timezone) in (select d.day, d.zone from unnest($4::date[], $5::text[]) as d (day, zone)))
  and ($6::timestamptz is null or (e.created_at, e.id) > ($6, $7::uuid))
  and not exists (select from waitlist_entries o
                  where o.org_id = e.org_id and o.event_type_id = e.event_type_id and o.status = 'offered'
                    and lower(o.attendee_email) = lower(e.attendee_email))
order by e.created_at, e.id
limit 200;

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
