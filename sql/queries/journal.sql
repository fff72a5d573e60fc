-- The deliveries log, and asking for a delivery again.

-- name: list_deliveries
-- Newest first. $4 and $5: after the delivery in this place.
select d.id, d.event_id, d.webhook_id, e.type as event_type, d.status, d.next_attempt_at, d.created_at, d.updated_at,
       (select array_agg((a.at, a.status_code, a.duration_ms, a.error, a.response) order by a.no)
        from delivery_attempts a where a.org_id = d.org_id and a.delivery_id = d.id) as attempts
from deliveries d
join events e on e.org_id = d.org_id and e.id = d.event_id
where d.org_id = $1 and d.webhook_id = $2 and ($3::text[] is null or d.status = any($3))
  and (d.created_at, d.id) < (coalesce($4::timestamptz, 'infinity'), coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by d.created_at desc, d.id desc
limit $6 offset $7;

-- name: count_deliveries
select count(*) from deliveries d
where d.org_id = $1 and d.webhook_id = $2 and ($3::text[] is null or d.status = any($3));

-- name: find_delivery_place
select created_at, id from deliveries where org_id = $1 and webhook_id = $2 and id = $3;

-- name: get_delivery
select d.id, d.event_id, d.webhook_id, e.type as event_type, d.status, d.next_attempt_at, d.created_at, d.updated_at,
       (select array_agg((a.at, a.status_code, a.duration_ms, a.error, a.response) order by a.no)
        from delivery_attempts a where a.org_id = d.org_id and a.delivery_id = d.id) as attempts
from deliveries d
join events e on e.org_id = d.org_id and e.id = d.event_id
where d.org_id = $1 and d.id = $2;

-- name: redeliver
-- From the beginning of the retry schedule, under the same delivery id. Nothing happens unless its webhook is active.
update deliveries d
set status = 'pending', retry_no = 0, next_attempt_at = $3, updated_at = $3
from webhooks w
where d.org_id = $1 and d.id = $2 and w.org_id = d.org_id and w.id = d.webhook_id and w.active and w.deleted_at is null
returning d.id;

-- name: replay
-- What the webhook would have got in [$4, $5), again or for the first time; $6: only what never arrived. At most $7 of it.
-- Samples have no sequence and are not replayed. The ids of new deliveries are UUIDv7 of $3, made here because nobody knows
-- beforehand how many there are: its milliseconds, then what is random, with the version's bits.
with made as (
    insert into deliveries as d (org_id, id, event_id, webhook_id, next_attempt_at, created_at, updated_at)
    -- a booking's events are due a microsecond apart, as in `fan_out`
    select e.org_id,
           encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
                                          placing substring(int8send(floor(date_part('epoch', $3::timestamptz) * 1000)::bigint) from 3)
                                          from 1 for 6), 52, 1), 53, 1), 'hex')::uuid,
           e.id, w.id, $3 - interval '1 second' + least(e.sequence, 900000) * interval '1 microsecond', $3, $3
    from webhooks w
    join events e on e.org_id = w.org_id and e.type = any(w.events) and e.sequence > 0
        and (w.event_type_ids is null or e.booking_id is null or e.event_type_id = any(w.event_type_ids))
    where w.org_id = $1 and w.id = $2 and w.active and w.deleted_at is null
      and e.at >= $4 and e.at < coalesce($5::timestamptz, 'infinity')
      and not ($6::boolean and exists (select from deliveries x
                                       where x.org_id = e.org_id and x.event_id = e.id and x.webhook_id = w.id
                                         and x.status = 'delivered'))
    order by e.id
    limit $7
    on conflict (org_id, event_id, webhook_id) do update
    set status = 'pending', retry_no = 0, next_attempt_at = excluded.next_attempt_at, updated_at = excluded.updated_at
    where not $6::boolean or d.status <> 'delivered'
    returning d.id
)
select count(*) from made;

-- name: insert_sample
-- An event that happened to nobody, owed to one webhook only.
with event as (
    insert into events (org_id, id, type, sequence, at, body) values ($1, $2, $3, 0, $4, $5)
    returning id
)
insert into deliveries (org_id, id, event_id, webhook_id, next_attempt_at, created_at, updated_at)
select $1, $6, id, $7, $4, $4, $4 from event;
