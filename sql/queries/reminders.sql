-- name: insert_reminders
insert into reminders (org_id, id, booking_id, minutes_before, due_at)
select t.org_id, t.id, t.booking_id, t.minutes_before, t.due_at
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::timestamptz[])
    as t (org_id, id, booking_id, minutes_before, due_at)
on conflict (org_id, booking_id, minutes_before) do nothing;

-- name: drop_reminders
-- Of bookings that have ended. What is due all the same is looked at again before it fires.
update reminders r set dropped_at = $3
from unnest($1::uuid[], $2::uuid[]) as t (org_id, booking_id)
where r.org_id = t.org_id and r.booking_id = t.booking_id and r.sent_at is null and r.dropped_at is null;

-- name: take_due_reminders
-- (queue) Of everybody. Locked rows belong to another worker and are skipped; the booking is locked like for every change of
-- it, and one that somebody changes just now has its turn in a second. Of several that have become due, after an outage, the
-- last one is wanted. The limit is written here, as in `claim_mails`.
select r.org_id, r.id, r.booking_id, r.minutes_before, b.ical_uid,
       r.minutes_before = any(t.reminders_minutes_before) and not exists (
           select from reminders l
           where l.org_id = r.org_id and l.booking_id = r.booking_id and l.minutes_before < r.minutes_before
             and l.minutes_before = any(t.reminders_minutes_before)
             and l.due_at <= $1 and l.sent_at is null and l.dropped_at is null
       ) as wanted,
       array(select x.address from mail_optouts x
             where x.org_id = r.org_id
               and x.address = any(lower(b.attendee_email) || array(select lower(g ->> 'email')
                                                                    from jsonb_array_elements(b.guests) g))) as unwanted
from reminders r
join bookings b on b.org_id = r.org_id and b.id = r.booking_id
left join event_types t on t.org_id = b.org_id and t.id = b.event_type_id
where r.due_at <= $1 and r.sent_at is null and r.dropped_at is null
order by r.due_at
limit 200
for no key update of r, b skip locked;

-- name: fire_reminders
-- Fired and dropped ones, with the events of the fired, in one statement: each happens once, or not yet.
with event as (
    insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
    select t.org_id, t.id, $6, t.booking_id, b.event_type_id, t.sequence, $7, t.body
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::text[]) as t (org_id, id, booking_id, sequence, body)
    join bookings b on b.org_id = t.org_id and b.id = t.booking_id
    returning org_id, id, booking_id, sequence
), owed as (
    insert into outbox (org_id, topic, ref_id, due_at)
    select org_id, 'event', id, $7 from event
), counted as (
    update bookings b set event_sequence = s.sequence
    from (select org_id, booking_id, max(sequence) as sequence from event group by org_id, booking_id) s
    where b.org_id = s.org_id and b.id = s.booking_id
)
update reminders r
set sent_at = case when t.fired then $7::timestamptz end, dropped_at = case when not t.fired then $7::timestamptz end
from unnest($8::uuid[], $9::uuid[], $10::boolean[]) as t (org_id, id, fired)
where r.org_id = t.org_id and r.id = t.id;
