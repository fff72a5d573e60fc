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

-- name: count_webhooks
select count(*) from webhooks where org_id = $1 and deleted_at is null;

-- name: find_event_types
select id from event_types where org_id = $1 and id = any($2::uuid[]);

-- name: lock_webhook
select id from webhooks where org_id = $1 and id = $2 and deleted_at is null for no key update;

-- name: update_webhook
-- Whoever switches it on again, or gives it another address, has mended it: what was against it is forgotten.
update webhooks
set url = $3, events = $4, event_type_ids = $5, description = $6, active = $7, updated_at = $8,
    failing_since = case when ($7 and not active) or $3 <> url then null else failing_since end,
    paused_at = case when $7 then null when active then $8 else paused_at end,
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
      where (o.org_id, o.webhook_id, o.next_attempt_at) >= ($1, $2, '-infinity')
        and (o.org_id, o.webhook_id, o.next_attempt_at) <= ($1, $2, 'infinity') and o.next_attempt_at is not null
      order by o.org_id, o.webhook_id, o.next_attempt_at limit 1000 for no key update skip locked
  ));

-- name: fan_out
-- The outbox rows of events become deliveries: some $2 of them, of up to 100 organizations after the one in $1, each of which
-- gets the same share, and none so many that it makes more than 2,000 deliveries: nobody's backlog stands before the others'.
-- A webhook that is not active is owed what happened before. Locked rows belong to another worker and are
-- skipped. The first of them, as many as there is room for ($6 in all, $7 of a webhook unless $8 and $9 say otherwise), are
-- born leased until $5 and come back to be sent: neither a second statement nor a second version of the row is needed to
-- claim them. Only first events of bookings are: whether a later one may go is for `claim_deliveries` to say, and one that
-- comes behind a failed one is not due before that is. A booking's events are due a microsecond apart, so that the one that may
-- go stands before those that wait for it.
with recursive waiting as (
    (select o.org_id, 1 as no from outbox o where o.topic = 'event' and o.org_id > $1::uuid order by o.org_id limit 1)
    union all
    select n.org_id, q.no + 1
    from waiting q
    cross join lateral (
        select o.org_id from outbox o where o.topic = 'event' and o.org_id > q.org_id order by o.org_id limit 1
    ) n
    where q.no < 100
), shares as (
    select q.org_id,
           least(s.most, greatest(1, 2000 / greatest(1, (select count(*) from webhooks w
                                                         where w.org_id = q.org_id and w.deleted_at is null)))) as most
    from waiting q
    cross join (select greatest(1, $2::int / greatest(1, count(*))) as most from waiting) s
), due as (
    delete from outbox
    -- an array, not a join: a plan made while the table was empty would compare every row with every other
    where no = any(array(
        select f.no
        from shares q
        cross join lateral (
            -- rows are compared, so that no index but the one that begins with the organization fits: another one's backlog
            -- would be walked through
            select o.no from outbox o
            where o.topic = 'event' and (o.org_id, o.due_at) >= (q.org_id, '-infinity') and (o.org_id, o.due_at) <= (q.org_id, $3)
            order by o.org_id, o.due_at, o.no limit q.most for update skip locked
        ) f
    ))
    returning org_id, ref_id, no
), owed as (
    select e.org_id, e.id as event_id, w.id as webhook_id, e.booking_id, e.sequence, w.active,
           row_number() over (order by due.no, w.id) as n,
           row_number() over (partition by w.org_id, w.id order by due.no) as place
    from due
    join events e on e.org_id = due.org_id and e.id = due.ref_id
    join webhooks w on w.org_id = e.org_id and w.deleted_at is null and e.type = any(w.events)
        and (w.active or (e.at < w.paused_at and w.disabled_reason is distinct from 'gone'))
        and (w.event_type_ids is null or e.booking_id is null or e.event_type_id = any(w.event_type_ids))
), placed as (
    select o.*, coalesce(k.room, $7) as room
    from owed o left join unnest($8::uuid[], $9::int[]) as k (webhook_id, room) on k.webhook_id = o.webhook_id
), made as (
    insert into deliveries (org_id, id, event_id, webhook_id, next_attempt_at, leased_until, created_at, updated_at)
    -- beyond the ids that were brought, the database makes UUIDv7 of $3 as in `replay`: an event may have many webhooks
    select o.org_id,
           coalesce(($4::uuid[])[o.n],
                    encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
                                                   placing substring(int8send(floor(date_part('epoch', $3::timestamptz) * 1000)::bigint) from 3)
                                                   from 1 for 6), 52, 1), 53, 1), 'hex')::uuid),
           o.event_id, o.webhook_id,
           case when o.booking_id is null or o.sequence <= 1 then $3::timestamptz - interval '1 second' else (
               select greatest($3::timestamptz - interval '1 second', max(d.next_attempt_at))
                      + least(o.sequence, 900000) * interval '1 microsecond'
               from events p
               join deliveries d on (d.org_id, d.event_id, d.webhook_id) >= (p.org_id, p.id, o.webhook_id)
                                and (d.org_id, d.event_id, d.webhook_id) <= (p.org_id, p.id, o.webhook_id)
               where p.org_id = o.org_id and p.booking_id = o.booking_id and p.sequence < o.sequence
                 and d.next_attempt_at is not null and d.retry_no < 3
           ) end,
           case when o.active and o.n <= $6 and o.place <= o.room and (o.booking_id is null or o.sequence <= 1) then $5::timestamptz end,
           $3, $3
    from placed o
    on conflict (org_id, event_id, webhook_id) do nothing
    returning org_id, id, event_id, webhook_id, leased_until
), count as (
    select (select count(*)::int from due) as events,
           exists (select from due join shares s using (org_id) group by s.org_id, s.most having count(*) >= s.most) as behind,
           (select q.org_id from waiting q where q.no = 100) as next_org_id,
           exists (select from made m join placed o using (org_id, event_id, webhook_id)
                   where m.leased_until is null and o.active and o.room > 0) as more
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
-- Events of a booking go in their order: not while the one before is under way or in its first three attempts, or is still in
-- the outbox, where it is to be seen until whoever fans it out has committed. Of a webhook's oldest so many are looked at.
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
    select q.org_id, q.webhook_id, coalesce(k.room, $4) as room, w.events
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
        select h.org_id, h.id, h.next_attempt_at
        from (
            select d.org_id, d.webhook_id, d.id, d.event_id, d.next_attempt_at
            from deliveries d
            -- as in `fan_out`
            where (d.org_id, d.webhook_id, d.next_attempt_at) >= (o.org_id, o.webhook_id, '-infinity')
              and (d.org_id, d.webhook_id, d.next_attempt_at) <= (o.org_id, o.webhook_id, $2)
              and d.next_attempt_at is not null and (d.leased_until is null or d.leased_until < $2)
            order by d.org_id, d.webhook_id, d.next_attempt_at
            limit 10000
        ) h
        join events e on e.org_id = h.org_id and e.id = h.event_id
        where e.booking_id is null or e.sequence <= 1 or coalesce((
            select b.id is not null and (b.next_attempt_at is null or b.retry_no >= 3)
            from events p
            -- equality, written so that only the index of all three fits, however young the statistics
            left join deliveries b on (b.org_id, b.event_id, b.webhook_id) >= (p.org_id, p.id, o.webhook_id)
                                  and (b.org_id, b.event_id, b.webhook_id) <= (p.org_id, p.id, o.webhook_id)
            where p.org_id = e.org_id and p.booking_id = e.booking_id and p.sequence < e.sequence and p.type = any(o.events)
              -- what was never owed, since the webhook was paused, is none that one could wait for
              and (b.id is not null or exists (select from outbox x where x.topic = 'event' and x.org_id = p.org_id
                                                                      and x.due_at = p.at and x.ref_id = p.id))
            order by p.sequence desc limit 1
        ), true)
        order by h.org_id, h.webhook_id, h.next_attempt_at
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
-- Webhooks are locked first, then their deliveries. One that somebody holds just now is passed over: its outcomes are for the
-- next time, and nobody else's wait for it. A webhook that was deleted or is gone is owed nothing more; the rest of what it was
-- owed is dropped by the clock. One that has done nothing but fail for $14 ends too, and keeps what it is owed. Only what the
-- present address answered counts for or against it, nor do our own faults.
-- Returns what was written down, by webhook, and which of them end: their events are written by whoever asked, in the same
-- transaction.
with tried as (
    select *
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::text[], $7::timestamptz[], $8::int[],
                $9::int[], $10::text[], $11::text[], $12::timestamptz[], $13::uuid[], $15::text[])
        as t (org_id, delivery_id, webhook_id, no, retry_no, status, next_attempt_at, status_code, duration_ms, error,
              response, at, event_id, url)
), locked as (
    select w.org_id, w.id, w.url, w.active, w.deleted_at, w.disabled_reason, w.failing_since, w.failed_at
    from webhooks w join (select distinct org_id, webhook_id from tried) t on t.org_id = w.org_id and t.webhook_id = w.id
    for no key update of w skip locked
), verdict as (
    select k.org_id, k.id, bool_or(t.status = 'delivered' and t.url = k.url) as delivered, max(t.at) as at,
           coalesce(bool_or(t.status_code = 410 and t.url = k.url), false) as gone,
           bool_or(t.status <> 'delivered' and t.url = k.url and t.error <> all($16::text[])) as failed
    from locked k join tried t on t.org_id = k.org_id and t.webhook_id = k.id
    group by k.org_id, k.id
), webhook as (
    select k.org_id, k.id, v.at, v.delivered, v.failed,
           k.deleted_at is null and not v.gone and (k.active or k.disabled_reason is distinct from 'gone') as owed,
           -- after two days without a failure they count anew
           k.failing_since is not null and k.failed_at >= v.at - interval '2 days' as goes_on,
           case when not k.active or k.deleted_at is not null then null
                when v.gone then 'gone'
                when v.failed and not v.delivered and k.failing_since <= v.at - $14::interval
                     and k.failed_at >= v.at - interval '2 days' then 'failing' end as ends
    from locked k join verdict v on v.org_id = k.org_id and v.id = k.id
), logged as (
    insert into delivery_attempts (org_id, delivery_id, no, at, status_code, duration_ms, error, response)
    select t.org_id, t.delivery_id, t.no, t.at, t.status_code, t.duration_ms, t.error, t.response
    from tried t join webhook w on w.org_id = t.org_id and w.id = t.webhook_id
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
    returning d.org_id, d.id
), followers as (
    -- what waits behind a failed one leaves the head of the queue until that is due again, and comes back when it need not wait
    update deliveries d
    set next_attempt_at = case when t.status = 'failed' and t.retry_no < 3 then t.next_attempt_at else t.at - interval '1 second' end
                          + least(f.sequence, 900000) * interval '1 microsecond'
    from tried t
    join settled s on s.org_id = t.org_id and s.id = t.delivery_id
    join events e on e.org_id = t.org_id and e.id = t.event_id
    join events f on f.org_id = e.org_id and f.booking_id = e.booking_id and f.sequence > e.sequence
    where (t.status = 'failed' or t.no > 1) and d.org_id = f.org_id and d.event_id = f.id and d.webhook_id = t.webhook_id
      and d.next_attempt_at is not null and d.leased_until is null and d.retry_no = 0
      and case when t.status = 'failed' and t.retry_no < 3 then d.next_attempt_at < t.next_attempt_at
               else d.next_attempt_at > t.at end
), told as (
    -- whoever looks after it hears that it is disabled; what comes after its host may be a secret
    insert into outbox (org_id, topic, ref_id, data, due_at)
    select w.org_id, 'notice', w.id,
           jsonb_build_object('kind', 'webhook_disabled', 'reason', w.ends, 'url', substring(k.url from '^[a-z]+://[^/?#]+')), w.at
    from webhook w join locked k on k.org_id = w.org_id and k.id = w.id
    where w.ends is not null
), judged as (
    update webhooks w
    set failing_since = case when v.delivered then null when v.goes_on then w.failing_since else v.at end,
        failed_at = case when v.failed then v.at else w.failed_at end,
        active = w.active and v.ends is null,
        paused_at = case when v.ends is null then w.paused_at else $17 end,
        disabled_reason = coalesce(v.ends, w.disabled_reason),
        updated_at = v.at
    from webhook v
    where w.org_id = v.org_id and w.id = v.id
      -- a healthy webhook's row is not written at every delivery
      and (v.ends is not null or (v.delivered and w.failing_since is not null) or (v.failed and not v.delivered))
)
select org_id, id, ends from webhook;

-- name: insert_event
-- Of no booking; owed to whoever subscribes to it.
with event as (
    insert into events (org_id, id, type, sequence, at, body) values ($1, $2, $3, $4, $5, $6) returning id
)
insert into outbox (org_id, topic, ref_id, due_at) select $1, unnest($7::text[]), id, $5 from event;
