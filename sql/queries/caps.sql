-- name: lock_for_recount
-- FOR UPDATE on purpose, although bookings point here: claims take KEY SHARE on this row first, so the recount waits for
-- those under way, and later ones find another version and decide anew.
select t.max_per_day, t.max_per_week, t.max_per_month,
       exists (select from booking_counters c where c.org_id = $1 and c.event_type_id = $2 and c.taken > 0) as counted
from event_types t where t.org_id = $1 and t.id = $2
for update of t;

-- name: raise_version
update event_types set config_version = config_version + 1 where org_id = $1 and id = $2;

-- name: list_capped
select t.id
from event_types t
where t.org_id = $1 and t.archived_at is null and num_nonnulls(t.max_per_day, t.max_per_week, t.max_per_month) > 0
order by t.id;

-- name: list_host_zones
select h.user_id, s.timezone
from event_types t
join event_type_hosts h on h.org_id = t.org_id and h.event_type_id = t.id
join schedules s on s.org_id = t.org_id
    and s.id = coalesce(t.schedule_id, (select d.id from schedules d
                                        where d.org_id = t.org_id and d.user_id = h.user_id and d.is_default))
where t.org_id = $1 and t.id = $2;

-- name: lock_counted_bookings
-- Bookings that were not cancelled. Locked, so that a cancel is either seen here or finds the new counters: it locks its
-- booking first, too, and then its session, each in a statement of its own.
select b.id, b.starts_at, b.host_ids
from bookings b
where b.org_id = $1 and b.event_type_id = $2 and b.starts_at >= $3 and b.status <> 'CANCELLED' and b.sitting_id is null
order by b.id
for no key update;

-- name: lock_counted_sittings
-- Sessions in which somebody sits, or sat: each counts once.
select g.id, g.starts_at, g.host_ids
from sittings g
where g.org_id = $1 and g.event_type_id = $2 and g.starts_at >= $3
  and (g.taken > 0 or exists (select from bookings b where b.org_id = g.org_id and b.sitting_id = g.id
                                                       and b.status in ('COMPLETED', 'NO_SHOW')))
order by g.id
for no key update;

-- name: keep_on_bookings
-- kept: [[id, counters]]
update bookings b set counters = k.kept -> 1
from jsonb_array_elements($2::jsonb) as k (kept)
where b.org_id = $1 and b.id = (k.kept ->> 0)::uuid and b.counters <> k.kept -> 1;

-- name: keep_on_sittings
update sittings g set counters = k.kept -> 1
from jsonb_array_elements($2::jsonb) as k (kept)
where g.org_id = $1 and g.id = (k.kept ->> 0)::uuid and g.counters <> k.kept -> 1;

-- name: replace_counters
with gone as (
    delete from booking_counters c
    where c.org_id = $1 and c.event_type_id = $2
      and not exists (select from unnest($3::uuid[], $4::text[], $5::date[]) as k (user_id, period, period_start)
                      where k.user_id = c.user_id and k.period = c.period and k.period_start = c.period_start)
)
insert into booking_counters (org_id, event_type_id, user_id, period, period_start, taken)
select $1, $2, k.user_id, k.period, k.period_start, k.taken
from unnest($3::uuid[], $4::text[], $5::date[], $6::int[]) as k (user_id, period, period_start, taken)
on conflict (org_id, event_type_id, user_id, period, period_start) do update set taken = excluded.taken;
