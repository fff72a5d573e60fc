-- name: find_published
-- The booking that a calendar shows in the place of this one: itself, or what it was moved to in the end; $3: only as long as it
-- is the same attendee's, and otherwise none. The ORGANIZER is that of the first mail of the same entry, whatever is configured now.
with recursive chain as (
    select b.org_id, b.id, b.rescheduled_to_id, lower(b.attendee_email) as email
    from bookings b where b.org_id = $1 and b.id = $2
    union
    select n.org_id, n.id, n.rescheduled_to_id, c.email
    from chain c
    join bookings n on n.org_id = c.org_id and n.id = c.rescheduled_to_id
    where not $3::boolean or lower(n.attendee_email) is not distinct from c.email
)
select b.ical_uid, b.ical_sequence, b.status, b.starts_at, b.ends_at, coalesce(t.title, r.name, '') as title, b.location, b.notes,
       b.attendee_name, b.attendee_email, b.attendee_phone, b.guests, b.created_at, b.updated_at, o.name as org_name,
       o.settings ->> 'sender_name' as sender_name, o.settings ->> 'locale' as locale,
       (b.attendee_email is null and b.resource_id is null)
           or (b.cancelled_by = 'system' and b.cancellation_reason is not distinct from 'hold_expired') as nobodys,
       array(select u.name
             from unnest(b.host_ids) with ordinality as h (user_id, no)
             join users u on u.org_id = b.org_id and u.id = h.user_id
             order by h.no) as hosts,
       (select m.organizer from mails m
        where m.org_id = b.org_id and m.thread = b.ical_uid and m.organizer is not null
        order by m.happened_at limit 1) as organizer
from chain c
join bookings b on b.org_id = c.org_id and b.id = c.id
join organizations o on o.id = b.org_id
left join event_types t on t.org_id = b.org_id and t.id = b.event_type_id
left join resources r on r.org_id = b.org_id and r.id = b.resource_id
where c.rescheduled_to_id is null;

-- name: find_feed
-- (door) Whose feed an address is of, by what it says of itself, with what proves it.
select u.org_id, u.id, u.name, u.locale, u.feed_version, o.name as org_name, o.secret_sealed
from users u
join organizations o on o.id = u.org_id
where u.org_id = $1 and u.id = $2 and u.disabled_at is null;

-- name: rotate_feed
update users set feed_version = feed_version + 1
where org_id = $1 and id = $2 and disabled_at is null
returning org_id, id, feed_version;

-- name: get_feed_version
select org_id, id, feed_version from users where org_id = $1 and id = $2 and disabled_at is null;

-- name: digest_feed
-- Everything that the feed's bytes follow from, in a few numbers: which bookings, as of when, and when anything that they name
-- was last changed.
with own as (
    select b.id, b.updated_at
    from bookings b
    where b.org_id = $1 and b.assigned_to_id = $2 and b.starts_at >= $3 and b.starts_at < $4
      and b.status in ('PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED', 'COMPLETED')
    union all
    select b.id, b.updated_at
    from bookings b
    where b.org_id = $1 and cardinality(b.host_ids) > 1 and b.host_ids @> array[$2::uuid]
      and b.assigned_to_id is distinct from $2 and b.starts_at >= $3 and b.starts_at < $4
      and b.status in ('PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED', 'COMPLETED')
)
select count(*) as bookings, bit_xor(uuid_hash_extended(id, (extract(epoch from updated_at) * 1000000)::bigint)) as mixed,
       (select max(t.updated_at) from event_types t where t.org_id = $1) as event_types,
       (select max(u.updated_at) from users u where u.org_id = $1) as people,
       (select o.updated_at from organizations o where o.id = $1) as organization
from own;

-- name: list_feed
-- Where somebody is the only host, or the first of several, and where they are one of several. Two branches, since each has an
-- index that the other has no use for.
with own as (
    select b.id, b.starts_at
    from bookings b
    where b.org_id = $1 and b.assigned_to_id = $2 and b.starts_at >= $3 and b.starts_at < $4
      and b.status in ('PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED', 'COMPLETED')
    union all
    select b.id, b.starts_at
    from bookings b
    where b.org_id = $1 and cardinality(b.host_ids) > 1 and b.host_ids @> array[$2::uuid]
      and b.assigned_to_id is distinct from $2 and b.starts_at >= $3 and b.starts_at < $4
      and b.status in ('PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED', 'COMPLETED')
    order by starts_at, id
    limit $5
)
select b.ical_uid, b.ical_sequence, b.status, b.starts_at, b.ends_at, coalesce(t.title, r.name, '') as title, b.location, b.notes,
       b.attendee_name, b.attendee_email, b.attendee_phone, b.guests, b.created_at, b.updated_at, o.name as org_name,
       o.settings ->> 'sender_name' as sender_name, o.settings ->> 'locale' as locale,
       array(select u.name
             from unnest(b.host_ids) with ordinality as h (user_id, no)
             join users u on u.org_id = b.org_id and u.id = h.user_id
             order by h.no) as hosts,
       (select m.organizer from mails m
        where m.org_id = b.org_id and m.thread = b.ical_uid and m.organizer is not null
        order by m.happened_at limit 1) as organizer
from own w
join bookings b on b.org_id = $1 and b.id = w.id
join organizations o on o.id = b.org_id
left join event_types t on t.org_id = b.org_id and t.id = b.event_type_id
left join resources r on r.org_id = b.org_id and r.id = b.resource_id
order by w.starts_at, w.id;
