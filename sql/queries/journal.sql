-- The deliveries log, and asking for a delivery again.

-- name: list_deliveries
-- Newest first. $4: after this delivery.
select d.id, d.event_id, d.webhook_id, e.type as event_type, d.status, d.next_attempt_at, d.created_at, d.updated_at,
       (select array_agg((a.at, a.status_code, a.duration_ms, a.error, a.response) order by a.no)
        from delivery_attempts a where a.org_id = d.org_id and a.delivery_id = d.id) as attempts
from deliveries d
join events e on e.org_id = d.org_id and e.id = d.event_id
where d.org_id = $1 and d.webhook_id = $2 and ($3::text[] is null or d.status = any($3))
  and ($4::uuid is null or (d.created_at, d.id) < (select c.created_at, c.id from deliveries c
                                                   where c.org_id = $1 and c.webhook_id = $2 and c.id = $4))
order by d.created_at desc, d.id desc
limit $5;

-- name: find_delivery_place
select id from deliveries where org_id = $1 and webhook_id = $2 and id = $3;

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
-- What the webhook would have got in [$4, $5), again or for the first time; $6: only what never arrived. Samples have no
-- sequence and are not replayed.
insert into deliveries as d (org_id, id, event_id, webhook_id, next_attempt_at, created_at, updated_at)
select e.org_id, gen_random_uuid(), e.id, w.id, $3, $3, $3
from webhooks w
join events e on e.org_id = w.org_id and e.type = any(w.events) and e.sequence > 0
    and (w.event_type_ids is null or e.event_type_id = any(w.event_type_ids))
where w.org_id = $1 and w.id = $2 and w.active and w.deleted_at is null
  and e.at >= $4 and e.at < coalesce($5::timestamptz, 'infinity')
order by e.id
on conflict (org_id, event_id, webhook_id) do update
set status = 'pending', retry_no = 0, next_attempt_at = excluded.next_attempt_at, updated_at = excluded.updated_at
where not $6::boolean or d.status <> 'delivered'
returning d.id;

-- name: insert_sample
-- An event that happened to nobody, owed to one webhook only.
with event as (
    insert into events (org_id, id, type, sequence, at, body) values ($1, $2, $3, 0, $4, $5)
    returning id
)
insert into deliveries (org_id, id, event_id, webhook_id, next_attempt_at, created_at, updated_at)
select $1, $6, id, $7, $4, $4, $4 from event;
