-- name: insert_webhook
insert into webhooks (org_id, id, url, events, event_type_ids, description, active, secret_sealed, headers_sealed, header_names,
                      created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11);

-- name: get_webhook
select id, url, events, event_type_ids, header_names, description, active, failing_since, disabled_reason, created_at, updated_at
from webhooks where org_id = $1 and id = $2 and deleted_at is null;

-- name: list_webhooks
select id, url, events, event_type_ids, header_names, description, active, failing_since, disabled_reason, created_at, updated_at
from webhooks
where org_id = $1 and deleted_at is null and id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
order by id
limit $3;

-- name: find_event_types
select id from event_types where org_id = $1 and id = any($2::uuid[]);

-- name: lock_webhook
select id from webhooks where org_id = $1 and id = $2 and deleted_at is null for no key update;

-- name: update_webhook
-- Whoever switches it on again has mended it: what was against it is forgotten.
update webhooks
set url = $3, events = $4, event_type_ids = $5, description = $6, active = $7, updated_at = $8,
    failing_since = case when $7 and not active then null else failing_since end,
    disabled_reason = case when $7 then null else disabled_reason end
where org_id = $1 and id = $2;

-- name: set_headers
update webhooks set headers_sealed = $3, header_names = $4, updated_at = $5 where org_id = $1 and id = $2;

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
-- The row stays for the deliveries that point at it; what it is owed is dropped by the clock, however much that is.
with gone as (
    update webhooks set deleted_at = $3, active = false, updated_at = $3
    where org_id = $1 and id = $2 and deleted_at is null
    returning id
)
select id from gone;

-- name: list_settled_webhooks
-- Webhooks that are owed nothing any more, as far as something still waits for them: deleted ones, and those whose receiver
-- is gone. One step of the queue's index for each webhook that something waits for, after the one in $1 and $2.
with recursive queue as (
    (select d.org_id, d.webhook_id, 1 as no from deliveries d
     where d.next_attempt_at is not null and (d.org_id, d.webhook_id) > ($1::uuid, $2::uuid)
     order by d.org_id, d.webhook_id limit 1)
    union all
    select n.org_id, n.webhook_id, q.no + 1
    from queue q
    cross join lateral (
        select d.org_id, d.webhook_id from deliveries d
        where d.next_attempt_at is not null and (d.org_id, d.webhook_id) > (q.org_id, q.webhook_id)
        order by d.org_id, d.webhook_id limit 1
    ) n
    where q.no < 1000
)
select q.org_id, q.webhook_id,
       w.deleted_at is not null or (not w.active and w.disabled_reason is not distinct from 'gone') as settled
from queue q
join webhooks w on w.org_id = q.org_id and w.id = q.webhook_id
order by q.no;

-- name: drop_owed
-- Some of what a settled webhook is owed; locked rows are being sent just now. The webhook is locked first, as by whoever
-- writes down attempts: it cannot come back to life meanwhile.
with settled as (
    select w.org_id, w.id from webhooks w
    where w.org_id = $1 and w.id = $2
      and (w.deleted_at is not null or (not w.active and w.disabled_reason is not distinct from 'gone'))
    for no key update
)
update deliveries d set status = 'exhausted', next_attempt_at = null, leased_until = null, updated_at = $3
from settled s
where d.org_id = s.org_id and d.webhook_id = s.id
  and d.id = any(array(
      select o.id from deliveries o
      where o.org_id = $1 and o.webhook_id = $2 and o.next_attempt_at is not null
      order by o.next_attempt_at limit 1000 for no key update skip locked
  ));

-- name: fan_out
-- The outbox rows of events become deliveries: some $2 of them, of up to 100 organizations after the one in $1, each of which
-- gets the same share, so that nobody's backlog stands before the others'. Locked rows belong to another worker and are
-- skipped. The first of them, as many as there is room for ($6 in all, $7 of a webhook unless $8 and $9 say otherwise), are
-- born leased until $5 and come back to be sent: neither a second statement nor a second version of the row is needed to
-- claim them. Only first events of bookings are: whether a later one may go is for `claim_deliveries` to say, and one that
-- comes behind a failed one is not due before that is.
with recursive waiting as (
    (select o.org_id, 1 as no from outbox o where o.topic = 'event' and o.org_id > $1::uuid order by o.org_id limit 1)
    union all
    select n.org_id, q.no + 1
    from waiting q
    cross join lateral (
        select o.org_id from outbox o where o.topic = 'event' and o.org_id > q.org_id order by o.org_id limit 1
    ) n
    where q.no < 100
), share as (
    select greatest(1, $2::int / greatest(1, count(*)))::int as most from waiting
), due as (
    delete from outbox
    -- an array, not a join: a plan made while the table was empty would compare every row with every other
    where no = any(array(
        select f.no
        from waiting q
        cross join lateral (
            select o.no from outbox o
            where o.topic = 'event' and o.org_id = q.org_id and o.due_at <= $3
            order by o.due_at, o.no limit (select most from share) for update skip locked
        ) f
    ))
    returning org_id, ref_id, no
), owed as (
    select e.org_id, e.id as event_id, w.id as webhook_id, e.booking_id, e.sequence,
           row_number() over (order by due.no, w.id) as n,
           row_number() over (partition by w.org_id, w.id order by due.no) as place
    from due
    join events e on e.org_id = due.org_id and e.id = due.ref_id
    join webhooks w on w.org_id = e.org_id and w.active and w.deleted_at is null and e.type = any(w.events)
        and (w.event_type_ids is null or e.booking_id is null or e.event_type_id = any(w.event_type_ids))
), placed as (
    select o.*, coalesce(k.room, $7) as room
    from owed o left join unnest($8::uuid[], $9::int[]) as k (webhook_id, room) on k.webhook_id = o.webhook_id
), made as (
    insert into deliveries (org_id, id, event_id, webhook_id, next_attempt_at, leased_until, created_at, updated_at)
    -- beyond the ids that were brought, the database makes one: an organization may have any number of webhooks
    select o.org_id, coalesce(($4::uuid[])[o.n], gen_random_uuid()), o.event_id, o.webhook_id,
           case when o.booking_id is null or o.sequence <= 1 then $3::timestamptz else (
               select greatest($3::timestamptz, max(d.next_attempt_at))
               from events p
               join deliveries d on d.org_id = p.org_id and d.event_id = p.id and d.webhook_id = o.webhook_id
               where p.org_id = o.org_id and p.booking_id = o.booking_id and p.sequence < o.sequence
                 and d.next_attempt_at is not null and d.retry_no < 3
           ) end,
           case when o.n <= $6 and o.place <= o.room and (o.booking_id is null or o.sequence <= 1) then $5::timestamptz end,
           $3, $3
    from placed o
    on conflict (org_id, event_id, webhook_id) do nothing
    returning org_id, id, event_id, webhook_id, leased_until
), count as (
    select (select count(*)::int from due) as events,
           exists (select from due group by org_id having count(*) >= (select most from share)) as behind,
           (select q.org_id from waiting q where q.no = 100) as next_org_id,
           exists (select from made m join placed o using (org_id, event_id, webhook_id)
                   where m.leased_until is null and o.room > 0) as more
)
select c.events, c.behind, c.next_org_id, c.more, m.org_id, m.id, m.event_id, m.webhook_id, 0 as attempts, 0 as retry_no,
       e.type as event_type, e.at as event_at, e.body, w.url, w.secret_sealed, w.old_secrets_sealed, w.old_secrets_until,
       w.headers_sealed
from count c
left join (
    made m
    join events e on e.org_id = m.org_id and e.id = m.event_id
    join webhooks w on w.org_id = m.org_id and w.id = m.webhook_id
) on m.leased_until is not null
order by m.event_id;

-- name: claim_deliveries
-- So many in all ($1), and of each webhook ($4, unless $5 and $6 say otherwise) its oldest: one slow receiver must not hold
-- every slot. They are looked for webhook by webhook, one step of the queue's index for each that something waits for, from
-- the place on where the claim before stopped ($7, $8): a million that wait for one that is paused or down cost that one
-- step. Only what is taken is locked; locked rows belong to another worker and are skipped. What another worker took or
-- settled between the look and the lock fails the lease's condition, which is checked again on the locked row.
-- Events of a booking go in their order: not while one before it is under way or in its first three attempts, or was
-- committed a moment ago and is being fanned out just now by somebody else.
with recursive queue as (
    (select d.org_id, d.webhook_id, 1 as no from deliveries d
     where d.next_attempt_at is not null and (d.org_id, d.webhook_id) > ($7::uuid, $8::uuid)
     order by d.org_id, d.webhook_id limit 1)
    union all
    select n.org_id, n.webhook_id, q.no + 1
    from queue q
    cross join lateral (
        select d.org_id, d.webhook_id from deliveries d
        where d.next_attempt_at is not null and (d.org_id, d.webhook_id) > (q.org_id, q.webhook_id)
        order by d.org_id, d.webhook_id limit 1
    ) n
    where q.no < 500
), open as (
    select q.org_id, q.webhook_id, coalesce(k.room, $4) as room, w.events, w.created_at
    from queue q
    join webhooks w on w.org_id = q.org_id and w.id = q.webhook_id and w.active and w.deleted_at is null
    left join unnest($5::uuid[], $6::int[]) as k (webhook_id, room) on k.webhook_id = q.webhook_id
    where coalesce(k.room, $4) > 0
), oldest as (
    -- each webhook's first before any webhook's second
    select f.org_id, f.id, f.next_attempt_at,
           row_number() over (partition by o.org_id, o.webhook_id order by f.next_attempt_at) as place
    from open o
    cross join lateral (
        select d.org_id, d.id, d.next_attempt_at
        from deliveries d
        join events e on e.org_id = d.org_id and e.id = d.event_id
        where d.org_id = o.org_id and d.webhook_id = o.webhook_id
          and d.next_attempt_at <= $2 and (d.leased_until is null or d.leased_until < $2)
          and (e.booking_id is null or e.sequence <= 1 or not exists (
              select from events p
              left join deliveries b on b.org_id = p.org_id and b.event_id = p.id and b.webhook_id = d.webhook_id
              where p.org_id = e.org_id and p.booking_id = e.booking_id and p.sequence < e.sequence
                and case when b.id is null
                         then p.sequence > 0 and p.type = any(o.events)
                              and p.at >= greatest(o.created_at, $2 - interval '5 seconds')
                         else b.next_attempt_at is not null and b.retry_no < 3 end
          ))
        order by d.next_attempt_at
        limit least(o.room, $1)
    ) f
), chosen as (
    select d.org_id, d.id
    from oldest o
    join deliveries d on d.org_id = o.org_id and d.id = o.id
    where d.next_attempt_at <= $2 and (d.leased_until is null or d.leased_until < $2)
    order by o.place, o.next_attempt_at
    limit $1
    for no key update of d skip locked
), leased as (
    update deliveries d set leased_until = $3
    from chosen c where d.org_id = c.org_id and d.id = c.id
    returning d.org_id, d.id, d.event_id, d.webhook_id, d.attempts, d.retry_no
), place as (
    -- where the next claim goes on; none when this one came to the end
    select (select q.org_id from queue q where q.no = 500) as next_org_id,
           (select q.webhook_id from queue q where q.no = 500) as next_webhook_id
)
select p.next_org_id, p.next_webhook_id, l.org_id, l.id, l.event_id, l.webhook_id, l.attempts, l.retry_no,
       e.type as event_type, e.at as event_at, e.body,
       w.url, w.secret_sealed, w.old_secrets_sealed, w.old_secrets_until, w.headers_sealed
from place p
left join (
    leased l
    join events e on e.org_id = l.org_id and e.id = l.event_id
    join webhooks w on w.org_id = l.org_id and w.id = l.webhook_id
) on true
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
-- two webhooks must not wait for each other. A webhook that was deleted or is gone is owed nothing more; the rest of what
-- it was owed is dropped by the clock. One that has done nothing but fail for $14 ends too, and keeps what it is owed.
-- Returns those that end: their events are written by whoever asked, in the same transaction.
with tried as (
    select *
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::text[], $7::timestamptz[], $8::int[],
                $9::int[], $10::text[], $11::text[], $12::timestamptz[], $13::uuid[])
        as t (org_id, delivery_id, webhook_id, no, retry_no, status, next_attempt_at, status_code, duration_ms, error,
              response, at, event_id)
), verdict as (
    select org_id, webhook_id, bool_or(status = 'delivered') as delivered, max(at) as at,
           coalesce(bool_or(status_code = 410), false) as gone
    from tried group by org_id, webhook_id
), webhook as (
    select w.org_id, w.id, w.deleted_at is null and not v.gone and (w.active or w.disabled_reason is distinct from 'gone') as owed,
           case when not w.active or w.deleted_at is not null then null
                when v.gone then 'gone'
                when not v.delivered and w.failing_since <= v.at - $14::interval then 'failing' end as ends
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
), followers as (
    -- what waits behind a failed one leaves the head of the queue until that is due again
    update deliveries d set next_attempt_at = t.next_attempt_at
    from tried t
    join webhook w on w.org_id = t.org_id and w.id = t.webhook_id
    join events e on e.org_id = t.org_id and e.id = t.event_id
    join events f on f.org_id = e.org_id and f.booking_id = e.booking_id and f.sequence > e.sequence
    where t.status = 'failed' and t.retry_no < 3
      and d.org_id = f.org_id and d.event_id = f.id and d.webhook_id = t.webhook_id
      and d.next_attempt_at < t.next_attempt_at and d.leased_until is null and d.attempts = 0
), told as (
    -- whoever looks after it hears that it is disabled
    insert into outbox (org_id, topic, ref_id, data, due_at)
    select k.org_id, 'notice', k.id,
           jsonb_build_object('kind', 'webhook_disabled', 'reason', k.ends, 'url', split_part(w.url, '?', 1)), v.at
    from webhook k
    join verdict v on v.org_id = k.org_id and v.webhook_id = k.id
    join webhooks w on w.org_id = k.org_id and w.id = k.id
    where k.ends is not null
), judged as (
    update webhooks w
    set failing_since = case when v.delivered then null else coalesce(w.failing_since, v.at) end,
        active = w.active and k.ends is null,
        disabled_reason = coalesce(k.ends, w.disabled_reason),
        updated_at = v.at
    from verdict v join webhook k on k.org_id = v.org_id and k.id = v.webhook_id
    where w.org_id = v.org_id and w.id = v.webhook_id
      -- a healthy webhook's row is not written at every delivery
      and (k.ends is not null or v.delivered <> (w.failing_since is null))
)
select org_id, id from webhook where ends is not null;

-- name: insert_event
-- Of no booking; owed to whoever subscribes to it.
with event as (
    insert into events (org_id, id, type, sequence, at, body) values ($1, $2, $3, $4, $5, $6) returning id
)
insert into outbox (org_id, topic, ref_id, due_at) select $1, unnest($7::text[]), id, $5 from event;
