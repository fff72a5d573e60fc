-- Lists of bookings, and counts. Run in `db.snapshot`, which has each planned for its values: no plan suits every filter.

-- name: find_bookings
-- Which bookings a list shows, as ids in its order: by start, then by id. A cursor is the last booking's id; its start never
-- changes (a move makes a new booking), so the place after it is the same for ever.
-- $2 statuses, $3 event type, $4 host, $5 e-mail, $6 resource, $7 and $8 starts from and before, $9 and $10 after the
-- booking with this start and id, $11 how many, $12 how many are passed over, $13 a person who hosts or made it.
select b.id
from bookings b
where b.org_id = $1
  and ($2::text[] is null or b.status = any($2)) and ($3::uuid is null or b.event_type_id = $3)
  and ($4::uuid is null or b.assigned_to_id = $4) and ($5::text is null or lower(b.attendee_email) = lower($5))
  and ($6::uuid is null or b.resource_id = $6
       or (b.units <> '[]' and b.units @> jsonb_build_array(jsonb_build_object('resource_id', $6))))
  and b.starts_at >= coalesce($7::timestamptz, '-infinity') and b.starts_at < coalesce($8::timestamptz, 'infinity')
  and (b.starts_at, b.id) > (coalesce($9::timestamptz, '-infinity'), coalesce($10::uuid, '00000000-0000-0000-0000-000000000000'))
  and ($13::uuid is null or b.created_by_user_id = $13 or b.host_ids @> array[$13::uuid])
order by b.starts_at, b.id
limit $11 offset $12;

-- name: find_cursor
select starts_at, id from bookings where org_id = $1 and id = $2;

-- name: count_bookings
select count(*)
from bookings b
where b.org_id = $1
  and ($2::text[] is null or b.status = any($2)) and ($3::uuid is null or b.event_type_id = $3)
  and ($4::uuid is null or b.assigned_to_id = $4) and ($5::text is null or lower(b.attendee_email) = lower($5))
  and ($6::uuid is null or b.resource_id = $6
       or (b.units <> '[]' and b.units @> jsonb_build_array(jsonb_build_object('resource_id', $6))))
  and b.starts_at >= coalesce($7::timestamptz, '-infinity') and b.starts_at < coalesce($8::timestamptz, 'infinity')
  and ($9::uuid is null or b.created_by_user_id = $9 or b.host_ids @> array[$9::uuid]);

-- name: count_by_kind
-- What stats show, of the starts in a period: one pass over the bookings, counted by each kind. Times by whole periods of
-- $4 seconds: which local day one belongs to is for the zones of the process to say, as everywhere. kind: which of the four
-- a row counts by (7 status, 11 event type, 13 hosts, 14 time).
select c.kind, c.status, c.event_type_id, t.code, c.host_ids, c.since, c.count
from (
    select grouping(b.status, b.event_type_id, b.host_ids, b.since) as kind,
           b.status, b.event_type_id, b.host_ids, b.since, count(*) as count
    from (
        select o.status, o.event_type_id, o.host_ids,
               floor(date_part('epoch', o.starts_at) / $4::int)::bigint * $4::int as since
        from bookings o
        where o.org_id = $1
          and o.starts_at >= coalesce($2::timestamptz, '-infinity') and o.starts_at < coalesce($3::timestamptz, 'infinity')
          and ($5::uuid is null or o.created_by_user_id = $5 or o.host_ids @> array[$5::uuid])
    ) b
    group by grouping sets ((b.status), (b.event_type_id), (b.host_ids), (b.since))
) c
left join event_types t on t.org_id = $1 and t.id = c.event_type_id;
