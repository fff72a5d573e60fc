-- Which bookings a list shows, as ids in its order: by start, then by id. A cursor is the last booking's id; its start never
-- changes (a move makes a new booking), so the place after it is the same for ever. One block per filter that an index
-- answers, each with all the others as conditions: one block for all would be planned for none.
--
-- $2 statuses, $3 event type, $4 host, $5 e-mail, $6 resource, $7 and $8 starts from and before, $9 after this booking,
-- $10 how many, $11 how many are passed over.

-- name: find_by_start
select b.id
from bookings b
where b.org_id = $1
  and ($2::text[] is null or b.status = any($2)) and ($3::uuid is null or b.event_type_id = $3)
  and ($4::uuid is null or b.assigned_to_id = $4) and ($5::text is null or lower(b.attendee_email) = lower($5))
  and ($6::uuid is null or b.resource_id = $6 or b.units @> jsonb_build_array(jsonb_build_object('resource_id', $6)))
  and b.starts_at >= coalesce($7::timestamptz, '-infinity') and b.starts_at < coalesce($8::timestamptz, 'infinity')
  and ($9::uuid is null or (b.starts_at, b.id) > (select c.starts_at, c.id from bookings c where c.org_id = $1 and c.id = $9))
order by b.starts_at, b.id
limit $10 offset $11;

-- name: find_by_event_type
select b.id
from bookings b
where b.org_id = $1 and b.event_type_id = $3
  and ($2::text[] is null or b.status = any($2)) and ($4::uuid is null or b.assigned_to_id = $4)
  and ($5::text is null or lower(b.attendee_email) = lower($5))
  and ($6::uuid is null or b.resource_id = $6 or b.units @> jsonb_build_array(jsonb_build_object('resource_id', $6)))
  and b.starts_at >= coalesce($7::timestamptz, '-infinity') and b.starts_at < coalesce($8::timestamptz, 'infinity')
  and ($9::uuid is null or (b.starts_at, b.id) > (select c.starts_at, c.id from bookings c where c.org_id = $1 and c.id = $9))
order by b.starts_at, b.id
limit $10 offset $11;

-- name: find_by_host
select b.id
from bookings b
where b.org_id = $1 and b.assigned_to_id = $4
  and ($2::text[] is null or b.status = any($2)) and ($3::uuid is null or b.event_type_id = $3)
  and ($5::text is null or lower(b.attendee_email) = lower($5))
  and ($6::uuid is null or b.resource_id = $6 or b.units @> jsonb_build_array(jsonb_build_object('resource_id', $6)))
  and b.starts_at >= coalesce($7::timestamptz, '-infinity') and b.starts_at < coalesce($8::timestamptz, 'infinity')
  and ($9::uuid is null or (b.starts_at, b.id) > (select c.starts_at, c.id from bookings c where c.org_id = $1 and c.id = $9))
order by b.starts_at, b.id
limit $10 offset $11;

-- name: find_by_attendee
select b.id
from bookings b
where b.org_id = $1 and lower(b.attendee_email) = lower($5)
  and ($2::text[] is null or b.status = any($2)) and ($3::uuid is null or b.event_type_id = $3)
  and ($4::uuid is null or b.assigned_to_id = $4)
  and ($6::uuid is null or b.resource_id = $6 or b.units @> jsonb_build_array(jsonb_build_object('resource_id', $6)))
  and b.starts_at >= coalesce($7::timestamptz, '-infinity') and b.starts_at < coalesce($8::timestamptz, 'infinity')
  and ($9::uuid is null or (b.starts_at, b.id) > (select c.starts_at, c.id from bookings c where c.org_id = $1 and c.id = $9))
order by b.starts_at, b.id
limit $10 offset $11;

-- name: find_cursor
select id from bookings where org_id = $1 and id = $2;

-- name: count_bookings
select count(*)
from bookings b
where b.org_id = $1
  and ($2::text[] is null or b.status = any($2)) and ($3::uuid is null or b.event_type_id = $3)
  and ($4::uuid is null or b.assigned_to_id = $4) and ($5::text is null or lower(b.attendee_email) = lower($5))
  and ($6::uuid is null or b.resource_id = $6 or b.units @> jsonb_build_array(jsonb_build_object('resource_id', $6)))
  and b.starts_at >= coalesce($7::timestamptz, '-infinity') and b.starts_at < coalesce($8::timestamptz, 'infinity');

-- name: count_by_kind
-- What stats show, of the starts in a period: one pass over the bookings, counted by each kind. Times by whole
-- periods of $4 seconds: which local day one belongs to is for the zones of the process to say, as everywhere.
with counted as materialized (
    select b.status, b.event_type_id, b.host_ids, floor(date_part('epoch', b.starts_at) / $4::int)::bigint * $4::int as since
    from bookings b
    where b.org_id = $1
      and b.starts_at >= coalesce($2::timestamptz, '-infinity') and b.starts_at < coalesce($3::timestamptz, 'infinity')
)
select 'status' as kind, status as name, null::uuid as id, null::text as code, null::bigint as since, count(*) as count
from counted group by status
union all
select 'event_type', null, c.event_type_id, t.code, null, count(*)
from counted c join event_types t on t.org_id = $1 and t.id = c.event_type_id
group by c.event_type_id, t.code
union all
select 'host', null, h.user_id, null, null, count(*)
from counted c cross join unnest(c.host_ids) as h (user_id) group by h.user_id
union all
select 'time', null, null, null, since, count(*)
from counted group by since
order by kind, count desc, id;
