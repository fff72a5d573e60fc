-- name: insert_webhook
insert into webhooks (org_id, id, url, events, description, active, secret_sealed, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8);

-- name: get_webhook
select id, url, events, description, active, failing_since, disabled_reason, created_at, updated_at
from webhooks where org_id = $1 and id = $2 and deleted_at is null;

-- name: list_webhooks
select id, url, events, description, active, failing_since, disabled_reason, created_at, updated_at
from webhooks
where org_id = $1 and deleted_at is null and ($2::uuid is null or id > $2)
order by id
limit $3;

-- name: delete_webhook
-- The row stays for the deliveries that point at it.
with gone as (
    update webhooks set deleted_at = $3, active = false, updated_at = $3
    where org_id = $1 and id = $2 and deleted_at is null
    returning id
), dropped as (
    update deliveries d set status = 'exhausted', next_attempt_at = null, updated_at = $3
    from gone where d.org_id = $1 and d.webhook_id = gone.id and d.next_attempt_at is not null
)
select id from gone;

-- name: fan_out
-- The outbox rows of events become deliveries. Locked rows belong to another worker and are skipped.
with due as (
    delete from outbox
    where no in (
        select no from outbox where topic = $1 and due_at <= $3
        order by due_at, no limit $2 for update skip locked
    )
    returning org_id, ref_id, no
), owed as (
    select e.org_id, e.id as event_id, w.id as webhook_id, row_number() over (order by due.no, w.id) as n
    from due
    join events e on e.org_id = due.org_id and e.id = due.ref_id
    join webhooks w on w.org_id = e.org_id and w.active and w.deleted_at is null and e.type = any(w.events)
        and (w.event_type_ids is null or e.event_type_id = any(w.event_type_ids))
), made as (
    insert into deliveries (org_id, id, event_id, webhook_id, next_attempt_at, created_at, updated_at)
    -- beyond the ids that were brought, the database makes one: an organization may have any number of webhooks
    select org_id, coalesce(($4::uuid[])[n], gen_random_uuid()), event_id, webhook_id, $3, $3, $3
    from owed
    on conflict (org_id, event_id, webhook_id) do nothing
)
select count(*)::int from due;

-- name: claim_deliveries
with due as (
    select d.org_id, d.id
    from deliveries d
    where d.next_attempt_at <= $2 and (d.leased_until is null or d.leased_until < $2)
    order by d.next_attempt_at
    limit $1
    for no key update skip locked
), leased as (
    update deliveries d set leased_until = $3
    from due where d.org_id = due.org_id and d.id = due.id
    returning d.org_id, d.id, d.event_id, d.webhook_id, d.attempts, d.retry_no
)
select l.org_id, l.id, l.event_id, l.webhook_id, l.attempts, l.retry_no, e.type as event_type, e.body,
       w.url, w.secret_sealed, w.old_secret_sealed, w.old_secret_until
from leased l
join events e on e.org_id = l.org_id and e.id = l.event_id
join webhooks w on w.org_id = l.org_id and w.id = l.webhook_id;

-- name: record_attempts
with tried as (
    select *
    from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::int[], $6::int[], $7::text[], $8::timestamptz[], $9::int[],
                $10::int[], $11::text[], $12::text[])
        as t (org_id, delivery_id, webhook_id, no, retry_no, status, next_attempt_at, status_code, duration_ms, error,
              response)
), logged as (
    insert into delivery_attempts (org_id, delivery_id, no, at, status_code, duration_ms, error, response)
    select org_id, delivery_id, no, $1, status_code, duration_ms, error, response from tried
    -- a lease that ran out under a slow receiver gives two attempts one number; the first report stands
    on conflict do nothing
), settled as (
    update deliveries d
    set status = t.status, attempts = t.no, retry_no = t.retry_no, next_attempt_at = t.next_attempt_at,
        leased_until = null, updated_at = $1
    from tried t
    where d.org_id = t.org_id and d.id = t.delivery_id and d.status <> 'delivered'
      and (d.attempts < t.no or t.status = 'delivered')
)
update webhooks w
set failing_since = case when v.delivered then null else coalesce(w.failing_since, $1) end,
    active = w.active and not v.gone,
    disabled_reason = case when v.gone then 'gone' else w.disabled_reason end,
    updated_at = $1
from (
    select org_id, webhook_id, bool_or(status = 'delivered') as delivered, bool_or(status_code = 410) as gone
    from tried group by org_id, webhook_id
) v
where w.org_id = v.org_id and w.id = v.webhook_id
  -- a healthy webhook's row is not written at every delivery
  and (v.gone or v.delivered <> (w.failing_since is null));
