-- name: insert_webhook
insert into webhooks (org_id, id, url, events, description, active, secret_sealed, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $8);

-- name: get_webhook
select id, url, events, description, active, failing_since, disabled_reason, created_at, updated_at
from webhooks where org_id = $1 and id = $2 and deleted_at is null;

-- name: list_webhooks
select id, url, events, description, active, failing_since, disabled_reason, created_at, updated_at
from webhooks
where org_id = $1 and deleted_at is null and id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
order by id
limit $3;

-- name: lock_webhook
select id from webhooks where org_id = $1 and id = $2 and deleted_at is null for no key update;

-- name: update_webhook
-- Whoever switches it on again has mended it: what was against it is forgotten.
update webhooks
set url = $3, events = $4, description = $5, active = $6, updated_at = $7,
    failing_since = case when $6 and not active then null else failing_since end,
    disabled_reason = case when $6 then null else disabled_reason end
where org_id = $1 and id = $2;

-- name: rotate_secret
-- Until $5 deliveries are signed with the one before too, and with those before it until their own time is over.
update webhooks
set old_secrets_sealed = array(
        select o.sealed from unnest(old_secrets_sealed, old_secrets_until) with ordinality as o (sealed, until, no)
        where o.until > $4 order by o.no
    ) || secret_sealed,
    old_secrets_until = array(
        select o.until from unnest(old_secrets_sealed, old_secrets_until) with ordinality as o (sealed, until, no)
        where o.until > $4 order by o.no
    ) || $5::timestamptz,
    secret_sealed = $3, updated_at = $4
where org_id = $1 and id = $2;

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
-- The outbox rows of events become deliveries. Locked rows belong to another worker and are skipped. The first of them, as
-- many as there is room for ($6 in all, $7 of a webhook unless $8 and $9 say otherwise), are born leased until $5 and come
-- back to be sent: neither a second statement nor a second version of the row is needed to claim them.
with due as (
    delete from outbox
    -- an array, not a join: a plan made while the table was empty would compare every row with every other
    where no = any(array(
        select no from outbox where topic = $1 and due_at <= $3
        order by due_at, no limit $2 for update skip locked
    ))
    returning org_id, ref_id, no
), owed as (
    select e.org_id, e.id as event_id, w.id as webhook_id, row_number() over (order by due.no, w.id) as n,
           row_number() over (partition by w.org_id, w.id order by due.no) as place
    from due
    join events e on e.org_id = due.org_id and e.id = due.ref_id
    join webhooks w on w.org_id = e.org_id and w.active and w.deleted_at is null and e.type = any(w.events)
        and (w.event_type_ids is null or e.event_type_id = any(w.event_type_ids))
), made as (
    insert into deliveries (org_id, id, event_id, webhook_id, next_attempt_at, leased_until, created_at, updated_at)
    -- beyond the ids that were brought, the database makes one: an organization may have any number of webhooks
    select o.org_id, coalesce(($4::uuid[])[o.n], gen_random_uuid()), o.event_id, o.webhook_id, $3,
           case when o.n <= $6 and o.place <= coalesce(k.room, $7) then $5::timestamptz end, $3, $3
    from owed o
    left join unnest($8::uuid[], $9::int[]) as k (webhook_id, room) on k.webhook_id = o.webhook_id
    on conflict (org_id, event_id, webhook_id) do nothing
    returning org_id, id, event_id, webhook_id, leased_until
), count as (
    select (select count(*)::int from due) as events,
           exists (select from made where leased_until is null) as more
)
select c.events, c.more, m.org_id, m.id, m.event_id, m.webhook_id, 0 as attempts, 0 as retry_no,
       e.type as event_type, e.at as event_at, e.body, w.url, w.secret_sealed, w.old_secrets_sealed, w.old_secrets_until
from count c
left join (
    made m
    join events e on e.org_id = m.org_id and e.id = m.event_id
    join webhooks w on w.org_id = m.org_id and w.id = m.webhook_id
) on m.leased_until is not null
order by m.event_id;

-- name: claim_deliveries
-- Of the oldest due rows, so many in all ($1) and of each webhook ($4, unless $5 and $6 say otherwise): one slow receiver
-- must not hold every slot. Webhooks without room ($7) are passed over, so that their rows never hide others'. Only what is
-- taken is locked; locked rows belong to another worker and are skipped. What another worker took or settled between the
-- look and the lock fails the lease's condition, which is checked again on the locked row.
with oldest as (
    select d.org_id, d.id, d.webhook_id, d.next_attempt_at
    from deliveries d
    join webhooks w on w.org_id = d.org_id and w.id = d.webhook_id and w.active and w.deleted_at is null
    where d.next_attempt_at <= $2 and (d.leased_until is null or d.leased_until < $2) and d.webhook_id <> all($7::uuid[])
    order by d.next_attempt_at
    limit 2 * $1
), fair as (
    select org_id, id, webhook_id, next_attempt_at,
           row_number() over (partition by org_id, webhook_id order by next_attempt_at) as place
    from oldest
), chosen as (
    select d.org_id, d.id
    from fair f
    join deliveries d on d.org_id = f.org_id and d.id = f.id
    left join unnest($5::uuid[], $6::int[]) as k (webhook_id, room) on k.webhook_id = f.webhook_id
    where f.place <= coalesce(k.room, $4) and d.next_attempt_at <= $2 and (d.leased_until is null or d.leased_until < $2)
    order by f.next_attempt_at
    limit $1
    for no key update of d skip locked
), leased as (
    update deliveries d set leased_until = $3
    from chosen c where d.org_id = c.org_id and d.id = c.id
    returning d.org_id, d.id, d.event_id, d.webhook_id, d.attempts, d.retry_no
)
select l.org_id, l.id, l.event_id, l.webhook_id, l.attempts, l.retry_no, e.type as event_type, e.at as event_at, e.body,
       w.url, w.secret_sealed, w.old_secrets_sealed, w.old_secrets_until
from leased l
join events e on e.org_id = l.org_id and e.id = l.event_id
join webhooks w on w.org_id = l.org_id and w.id = l.webhook_id
order by l.event_id;

-- name: release_deliveries
-- Unsent deliveries become claimable again, unless their lease ran out and another worker has them by now. Nobody is
-- waited for: a row that is locked just now comes back when its lease runs out.
with ours as (
    select d.org_id, d.id
    from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as t (org_id, id, leased_until)
    join deliveries d on d.org_id = t.org_id and d.id = t.id
    where d.leased_until = t.leased_until
    for no key update of d skip locked
)
update deliveries d set leased_until = null from ours o where d.org_id = o.org_id and d.id = o.id;

-- name: record_attempts
-- Webhooks are locked first, in one order for every worker, then their deliveries: two workers with outcomes of the same
-- two webhooks must not wait for each other. A webhook that was deleted or disabled meanwhile is owed nothing more.
with tried as (
    select *
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::text[], $7::timestamptz[], $8::int[],
                $9::int[], $10::text[], $11::text[], $12::timestamptz[])
        as t (org_id, delivery_id, webhook_id, no, retry_no, status, next_attempt_at, status_code, duration_ms, error,
              response, at)
), verdict as (
    select org_id, webhook_id, bool_or(status = 'delivered') as delivered, max(at) as at,
           coalesce(bool_or(status_code = 410), false) as gone
    from tried group by org_id, webhook_id
), webhook as (
    select w.org_id, w.id, w.active and w.deleted_at is null and not v.gone as owed,
           w.active and w.deleted_at is null and v.gone as ends
    from webhooks w join verdict v on v.org_id = w.org_id and v.webhook_id = w.id
    order by w.org_id, w.id
    for no key update of w
), logged as (
    insert into delivery_attempts (org_id, delivery_id, no, at, status_code, duration_ms, error, response)
    select org_id, delivery_id, no, at, status_code, duration_ms, error, response from tried
    -- a lease that ran out under a slow receiver gives two attempts one number; the first report stands
    on conflict do nothing
), settled as (
    update deliveries d
    set status = case when t.status = 'failed' and not w.owed then 'exhausted' else t.status end,
        attempts = t.no, retry_no = t.retry_no, next_attempt_at = case when w.owed then t.next_attempt_at end,
        leased_until = null, updated_at = t.at
    from tried t join webhook w on w.org_id = t.org_id and w.id = t.webhook_id
    where d.org_id = t.org_id and d.id = t.delivery_id and d.status <> 'delivered'
      and (d.attempts < t.no or t.status = 'delivered')
), dropped as (
    update deliveries d
    set status = 'exhausted', next_attempt_at = null, leased_until = null, updated_at = v.at
    from verdict v
    where v.gone and d.org_id = v.org_id and d.webhook_id = v.webhook_id and d.next_attempt_at is not null
      and not exists (select from tried t where t.org_id = d.org_id and t.delivery_id = d.id)
), told as (
    -- whoever looks after it hears that it is disabled
    insert into outbox (org_id, topic, ref_id, data, due_at)
    select k.org_id, 'notice', k.id, jsonb_build_object('kind', 'webhook_disabled', 'reason', 'gone', 'url', split_part(w.url, '?', 1)), v.at
    from webhook k
    join verdict v on v.org_id = k.org_id and v.webhook_id = k.id
    join webhooks w on w.org_id = k.org_id and w.id = k.id
    where k.ends
)
update webhooks w
set failing_since = case when v.delivered then null else coalesce(w.failing_since, v.at) end,
    active = w.active and not v.gone,
    disabled_reason = case when v.gone then 'gone' else w.disabled_reason end,
    updated_at = v.at
from verdict v join webhook k on k.org_id = v.org_id and k.id = v.webhook_id
where w.org_id = v.org_id and w.id = v.webhook_id
  -- a healthy webhook's row is not written at every delivery
  and (v.gone or v.delivered <> (w.failing_since is null));
