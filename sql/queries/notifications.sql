-- name: take_notices
-- (queue) What people are owed, of everybody: the outbox rows go, and what is made of them is written in the same transaction.
with due as (
    delete from outbox
    -- an array, not a join: see `fan_out`
    where no = any(array(
        select no from outbox where topic = 'notice' and due_at <= $1 order by due_at, no limit 200 for update skip locked
    ))
    returning no, org_id, ref_id, data, attempts
)
select d.org_id, d.ref_id, d.data, d.attempts, e.type, e.at, e.body, e.booking_id, b.ical_uid, t.reminders_minutes_before,
       (select jsonb_agg(jsonb_build_object('user_id', u.id, 'address', u.email, 'writes', exists (
                   select from calendars c
                   join calendar_connections n on n.org_id = c.org_id and n.id = c.connection_id
                       and n.status in ('active', 'paused')
                   where c.org_id = u.org_id and c.user_id = u.id and c.is_write_target)) order by u.id)
        from users u
        where u.org_id = d.org_id and u.disabled_at is null
          and u.id = any(b.host_ids || coalesce(p.host_ids, '{}'))) as hosts,
       -- of what has no host, whose it is decides; where they have left, whoever manages the organization
       (select jsonb_agg(jsonb_build_object('user_id', u.id, 'address', u.email) order by u.id)
        from users u
        where b.host_ids = '{}' and u.org_id = d.org_id and u.disabled_at is null
          and case when exists (select from users w
                                where w.org_id = b.org_id and w.id = b.created_by_user_id and w.disabled_at is null)
              then u.id = b.created_by_user_id else u.role in ('owner', 'admin') end) as deciders,
       (select m.organizer from mails m
        where m.org_id = d.org_id and m.thread = b.ical_uid and m.organizer is not null
        order by m.happened_at limit 1) as organizer,
       array(select x.recipient
             from (select distinct on (m.recipient) m.recipient, m.ical_method from mails m
                   where m.org_id = d.org_id and m.thread = b.ical_uid and m.ical_method is not null
                     and (m.outcome in ('sent', 'unknown') or m.next_attempt_at is not null)
                   order by m.recipient, m.happened_at desc) x
             where x.ical_method = 'REQUEST') as asked
from due d
left join events e on e.org_id = d.org_id and e.id = d.ref_id and d.data is null
left join bookings b on b.org_id = e.org_id and b.id = e.booking_id
left join bookings p on p.org_id = b.org_id and p.id = b.rescheduled_from_id
left join event_types t on t.org_id = b.org_id and t.id = b.event_type_id
order by d.no;

-- name: list_concerned
-- Whom notices may be for that are about no booking.
select org_id, id, email, role from users
where org_id = any($1::uuid[]) and disabled_at is null and (role in ('owner', 'admin') or id = any($2::uuid[]))
order by org_id, id;

-- name: put_back
-- Rows that nobody could read: later, and ever later.
insert into outbox (org_id, topic, ref_id, data, due_at, attempts)
select t.org_id, 'notice', t.ref_id, t.data, $5::timestamptz + power(2, least(t.attempts, 10)) * interval '1 minute', t.attempts
from unnest($1::uuid[], $2::uuid[], $3::jsonb[], $4::int[]) as t (org_id, ref_id, data, attempts);

-- name: insert_mails
insert into mails (org_id, id, kind, role, recipient, user_id, booking_id, event_id, thread, happened_at, ical_method,
                   organizer, data, bulk, next_attempt_at, created_at)
select t.org_id, t.id, t.kind, t.role, t.recipient, t.user_id, t.booking_id, t.event_id, t.thread, t.happened_at,
       t.ical_method, t.organizer, t.data, t.bulk, $14, $14
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::uuid[], $9::text[],
            $10::timestamptz[], $11::text[], $12::text[], $13::boolean[], $15::jsonb[])
    as t (org_id, id, kind, role, recipient, user_id, booking_id, event_id, thread, happened_at, ical_method, organizer, bulk,
          data)
on conflict do nothing;

-- name: claim_mails
-- (queue) The next mails to send, of everybody. One that tells of something later waits for what is earlier, to one person of
-- one booking. Locked rows belong to another worker and are skipped. The limit is written here: of one that is a value the
-- planner expects a tenth of the table, and reads the others whole.
with chosen as (
    select m.org_id, m.id
    from mails m
    where m.next_attempt_at <= $1 and (m.leased_until is null or m.leased_until < $1)
      and not exists (
          select from mails e
          where e.org_id = m.org_id and e.thread = m.thread and e.recipient = m.recipient
            and e.happened_at < m.happened_at and e.next_attempt_at is not null and e.kind <> 'reminder'
      )
    order by m.bulk, m.next_attempt_at
    limit 8
    for no key update of m skip locked
), leased as (
    update mails m set leased_until = $2
    from chosen c where m.org_id = c.org_id and m.id = c.id
    returning m.org_id, m.id, m.kind, m.role, m.recipient, m.user_id, m.booking_id, m.event_id, m.thread, m.happened_at,
              m.ical_method, m.organizer, m.data, m.attempts, m.leased_until, m.created_at, m.bulk, m.next_attempt_at, m.error
)
select l.org_id, l.id, l.kind, l.role, l.recipient, l.booking_id, l.happened_at, l.ical_method, l.organizer, l.data,
       l.attempts, l.leased_until, l.created_at, l.next_attempt_at, l.error, e.body, b.status, b.starts_at, b.ends_at, b.attendee_email, b.token_version,
       coalesce(t.title, r.name) as title, b.resource_id is not null as reserved, coalesce(t.seats, 1) > 1 as seated, t.questions, o.name as org_name, o.settings,
       o.secret_sealed, u.name as user_name, u.timezone as user_zone, u.locale as user_locale,
       (select jsonb_agg(jsonb_build_object('id', h.id, 'name', h.name, 'address', h.email) order by h.id)
        from users h
        where h.org_id = l.org_id and h.id = any(b.host_ids || coalesce(p.host_ids, '{}'))) as hosts,
       exists (
           select from mails s
           where s.org_id = l.org_id and s.thread = l.thread and s.recipient = l.recipient and s.happened_at > l.happened_at
             and s.outcome = 'sent' and s.kind <> 'reminder'
       ) as superseded,
       l.kind = 'reminder' and exists (
           select from mail_optouts x where x.org_id = l.org_id and x.address = lower(l.recipient)
       ) as unwanted
from leased l
join organizations o on o.id = l.org_id
left join events e on e.org_id = l.org_id and e.id = l.event_id
left join bookings b on b.org_id = l.org_id and b.id = l.booking_id
left join bookings p on p.org_id = b.org_id and p.id = b.rescheduled_from_id
left join event_types t on t.org_id = b.org_id and t.id = b.event_type_id
left join resources r on r.org_id = b.org_id and r.id = b.resource_id
left join users u on u.org_id = l.org_id and u.id = l.user_id
order by l.bulk, l.next_attempt_at;

-- name: settle_mail
-- Only for whoever holds the lease: one whose lease ran out has lost the mail to another worker.
update mails
set outcome = 'sent', settled_at = $4, next_attempt_at = null, leased_until = null, attempts = attempts + 1, error = null
where org_id = $1 and id = $2 and leased_until = $3 and next_attempt_at is not null
returning id;

-- name: end_mail
-- How an attempt ended that did not send it: tried again at $5, or never ($6). Of one that is settled, only for whoever did.
update mails
set outcome = $6, settled_at = case when $5::timestamptz is null then $4::timestamptz end, next_attempt_at = $5,
    leased_until = null, attempts = attempts + (outcome is null)::int, error = $7
where org_id = $1 and id = $2
  and ((leased_until = $3 and next_attempt_at is not null) or (outcome = 'sent' and settled_at = $4))
returning id;

-- name: release_mails
-- What was claimed and nobody has tried is claimable again, in its old place.
update mails m set leased_until = null
from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as t (org_id, id, leased_until)
where m.org_id = t.org_id and m.id = t.id and m.leased_until = t.leased_until and m.next_attempt_at is not null;

-- name: reopen_mail
-- It was settled, or nobody knows whether it was, and it has not been sent.
update mails
set outcome = null, settled_at = null, next_attempt_at = $4, attempts = attempts - 1
where org_id = $1 and id = $2 and outcome = 'sent' and settled_at = $3;

-- name: delete_old_mails
-- (queue) Made so long ago that nobody asks; those of bookings that are still to come stay, since they know the ORGANIZER.
delete from mails
where (org_id, id) in (
    select m.org_id, m.id
    from mails m
    left join bookings b on b.org_id = m.org_id and b.id = m.booking_id
    where m.created_at < $1 and (b.id is null or b.ends_at < $1)
    order by m.created_at
    limit $2
);
