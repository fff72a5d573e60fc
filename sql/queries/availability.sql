-- name: load_inputs
-- The event type in the first row, then one row per subject: the hosts, and the units of resources that it may need. What
-- is wide, or true of all of it, stands in the first row only. Unknown schedules come out as null: never open. Busy time reaches past the asked range by the buffers and the longest duration, since a start near
-- its edge is blocked by what lies beyond it. A booking that is decided by one constraint alone does not ask for it
-- ($8): the claim itself finds out.
with type as materialized (
    select t.org_id, t.id, t.code, t.title, t.active, t.duration_minutes, t.durations_minutes, t.longest_minutes,
           t.slot_interval_minutes, t.buffer_before_minutes, t.buffer_after_minutes, t.minimum_notice_minutes,
           t.booking_window_days, t.max_per_day, t.max_per_week, t.max_per_month, t.seats, t.requires_confirmation,
           t.auto_complete, t.assignment, t.schedule_id, t.questions, t.routing_rules, t.services, t.requires,
           t.location, t.config_version,
           $4::timestamptz - make_interval(mins => t.buffer_before_minutes) as busy_from,
           $5::timestamptz + make_interval(mins => greatest(t.longest_minutes, $9::int) + t.buffer_after_minutes) as busy_until
    from event_types t
    where t.org_id = $1 and t.archived_at is null
      -- not "id = $2 or code = $3", which no index answers
      and t.id = coalesce($2::uuid, (select c.id from event_types c
                                     where c.org_id = $1 and c.code = $3 and c.archived_at is null))
), ended as materialized (
    -- seats of holds that are over, by session; (queue) there are few of them, and soon none
    select b.sitting_id, count(*) as seats, array_agg(b.id) as ids
    from bookings b
    where b.org_id = $1 and b.status = 'DRAFT' and b.hold_expires_at <= $6 and b.sitting_id is not null
    group by b.sitting_id
), empty as materialized (
    -- sessions in which nobody else sits: what they hold is free
    select g.id from ended e join sittings g on g.org_id = $1 and g.id = e.sitting_id and g.taken = e.seats
), subject as (
    select -1 as part, 0 as no, null::uuid as id, null::text as name, null::bigint as subject_no, null::int as weight,
           null::int as priority, null::bigint as assigned_count, null::timestamptz as last_assigned_at,
           null::text as kind, null::int as capacity, null::uuid as location_id, null::text as location_zone,
           null::uuid as schedule_id
    union all
    select 0, h.position, u.id, u.name, u.subject_no, h.weight, h.priority, h.assigned_count,
           h.last_assigned_at, null, null, null, null,
           coalesce(t.schedule_id, (select d.id from schedules d
                                    where d.org_id = u.org_id and d.user_id = u.id and d.is_default))
    from type t
    join event_type_hosts h on h.org_id = t.org_id and h.event_type_id = t.id
    join users u on u.org_id = h.org_id and u.id = h.user_id and u.disabled_at is null
    union all
    select 1, u.unit_no, u.id, u.name, u.subject_no, null, null, null, null,
           u.kind, u.capacity, u.location_id, u.timezone, u.schedule_id
    from type t
    -- by itself for the one row that needs it: an event type without needs must not even look at the resources
    cross join lateral (
        select x.unit_no, r.id, r.name, x.subject_no, r.kind, r.capacity, r.location_id, l.timezone, r.schedule_id
        from resources r
        join locations l on l.org_id = r.org_id and l.id = r.location_id
        join resource_units x on x.org_id = r.org_id and x.resource_id = r.id and x.retired_at is null
        where r.org_id = t.org_id and r.active and r.archived_at is null and exists (
            select from jsonb_to_recordset(t.requires) as q (kind text, min_capacity int, location_id uuid)
            where q.kind = r.kind and r.capacity >= q.min_capacity
              and (q.location_id is null or q.location_id = r.location_id)
        )
        offset 0
    ) u
    where t.requires <> '[]'
)
select t.id as event_type_id, t.code, t.title, t.active, t.duration_minutes, t.durations_minutes, t.longest_minutes,
       t.slot_interval_minutes, t.buffer_before_minutes, t.buffer_after_minutes, t.minimum_notice_minutes,
       t.booking_window_days, t.max_per_day, t.max_per_week, t.max_per_month, t.seats, t.requires_confirmation,
       t.auto_complete, t.assignment, t.config_version,
       case when x.part = -1 then t.questions::text end as questions,
       case when x.part = -1 then t.routing_rules::text end as routing_rules,
       case when x.part = -1 then t.services::text end as services,
       case when x.part = -1 then t.requires::text end as requires,
       case when x.part = -1 then t.location::text end as location,
       case when x.part = -1 then $7::uuid is null or exists (
           select from api_keys k
           join users o on o.org_id = k.org_id and o.id = k.user_id and o.disabled_at is null
           where k.org_id = t.org_id and k.id = $7 and k.revoked_at is null
             and (k.expires_at is null or k.expires_at > $6)
       ) end as key_alive,
       case when x.part = -1 and t.seats > 1 then (
           select array_agg((floor(date_part('epoch', g.starts_at))::bigint, ceil(date_part('epoch', g.ends_at))::bigint,
                             g.taken - coalesce(e.seats, 0), g.host_ids, g.units::text, e.ids))
           from sittings g
           left join ended e on e.sitting_id = g.id
           where g.org_id = t.org_id and g.event_type_id = t.id and g.taken > coalesce(e.seats, 0)
             and g.starts_at >= $4 and g.starts_at < $5
       ) end as sittings,
       -- counters that are full, and the holds that are over but still counted in them
       case when x.part = -1 and num_nonnulls(t.max_per_day, t.max_per_week, t.max_per_month) > 0 then (
           select array_agg((c.user_id, c.period, c.period_start, c.taken))
           from booking_counters c
           where c.org_id = t.org_id and c.event_type_id = t.id
             and c.period_start between ($4::timestamptz - interval '40 days')::date and ($5::timestamptz + interval '2 days')::date
             and c.taken >= case c.period when 'day' then t.max_per_day when 'week' then t.max_per_week
                                          else t.max_per_month end
       ) end as full_periods,
       case when x.part = -1 and num_nonnulls(t.max_per_day, t.max_per_week, t.max_per_month) > 0 then (
           select array_agg((b.id, b.sitting_id, g.taken, coalesce(g.counters, b.counters)::text))
           from bookings b
           left join sittings g on g.org_id = b.org_id and g.id = b.sitting_id
           where b.org_id = t.org_id and b.event_type_id = t.id and b.status = 'DRAFT' and b.hold_expires_at <= $6
       ) end as ended_holds,
       x.part, x.no, x.id, x.name, x.subject_no, x.weight, x.priority, x.assigned_count, x.last_assigned_at,
       x.kind, x.capacity, x.location_id, x.location_zone,
       s.weekly::text as weekly, s.overrides::text as overrides, s.timezone, s.valid_from, s.valid_until,
       x.schedule_id, s.version as schedule_version,
       held.starts as held_starts, held.ends as held_ends, held.expired, busy.starts as busy_starts, busy.ends as busy_ends,
       unknown.since as unknown_since, unknown.until as unknown_until, unknown.unsure
from type t
cross join subject x
left join schedules s on s.org_id = t.org_id and s.id = x.schedule_id
left join lateral (
    select array_agg(floor(date_part('epoch', lower(a.during)))::bigint) filter (where not o.over) as starts,
           array_agg(ceil(date_part('epoch', upper(a.during)))::bigint) filter (where not o.over) as ends,
           -- whoever wants the time of holds that are over ends them first
           array_agg(a.id) filter (where o.over) as expired
    from allocations a
    cross join lateral (
        select coalesce(a.expires_at <= $6, false)
            or (a.sitting_id is not null and a.sitting_id in (select id from empty)) as over
    ) o
    where $8 and x.part >= 0 and int8range(a.subject_no, a.subject_no, '[]') && int8range(x.subject_no, x.subject_no, '[]')
      and a.during && tstzrange(t.busy_from, t.busy_until)
) held on true
left join lateral (
    select array_agg(floor(date_part('epoch', lower(k.during)))::bigint) as starts,
           array_agg(ceil(date_part('epoch', upper(k.during)))::bigint) as ends
    from busy_blocks k
    join calendars c on c.org_id = k.org_id and c.id = k.calendar_id and c.generation = k.generation and c.read_busy
    where $8 and x.part = 0
      and int8range(k.subject_no, k.subject_no, '[]') && int8range(x.subject_no, x.subject_no, '[]')
      and k.during && tstzrange(t.busy_from, t.busy_until)
) busy on true
left join lateral (
    -- what a calendar says is not known when it was not read for too long, nor further ahead than it was read
    select min(floor(date_part('epoch', greatest(t.busy_from, case when c.fresh_until > $6 then c.known_until end)))::bigint)
               filter (where c.stale_policy = 'fail_closed') as since,
           ceil(date_part('epoch', t.busy_until))::bigint as until, bool_or(c.stale_policy = 'warn') as unsure
    from calendars c
    where $8 and x.part = 0 and c.org_id = t.org_id and c.user_id = x.id and c.read_busy
      and (c.fresh_until <= $6 or c.known_until < t.busy_until)
) unknown on true
order by x.part, x.no, x.subject_no;

-- name: load_blockers
-- What takes the time of some subjects, with the objects behind it: for explanations. core: without the buffers.
select a.subject_no, floor(date_part('epoch', lower(a.during)))::bigint as held_from,
       ceil(date_part('epoch', upper(a.during)))::bigint as held_until,
       floor(date_part('epoch', coalesce(b.starts_at, g.starts_at)))::bigint as core_from,
       ceil(date_part('epoch', coalesce(b.ends_at, g.ends_at)))::bigint as core_until,
       case when b.id is not null then array[b.id]
            else (select array_agg(m.id order by m.id) from bookings m
                  where m.org_id = a.org_id and m.sitting_id = g.id
                    and m.status in ('DRAFT', 'PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED')
                    and (m.hold_expires_at is null or m.hold_expires_at > $5)) end as booking_ids,
       null::uuid as calendar_id
from unnest($2::bigint[]) as w (subject_no)
join allocations a on int8range(a.subject_no, a.subject_no, '[]') && int8range(w.subject_no, w.subject_no, '[]')
    and a.during && tstzrange($3, $4) and a.org_id = $1 and (a.expires_at is null or a.expires_at > $5)
left join bookings b on b.org_id = a.org_id and b.id = a.booking_id
left join sittings g on g.org_id = a.org_id and g.id = a.sitting_id
union all
select k.subject_no, floor(date_part('epoch', lower(k.during)))::bigint, ceil(date_part('epoch', upper(k.during)))::bigint,
       floor(date_part('epoch', lower(k.during)))::bigint, ceil(date_part('epoch', upper(k.during)))::bigint,
       null, k.calendar_id
from unnest($2::bigint[]) as w (subject_no)
join busy_blocks k on int8range(k.subject_no, k.subject_no, '[]') && int8range(w.subject_no, w.subject_no, '[]')
    and k.during && tstzrange($3, $4) and k.org_id = $1
join calendars c on c.org_id = k.org_id and c.id = k.calendar_id and c.generation = k.generation and c.read_busy
union all
select u.subject_no, w.since, w.until, w.since, w.until, null, w.id
from unnest($2::bigint[]) as s (subject_no)
join users u on u.org_id = $1 and u.subject_no = s.subject_no
cross join lateral (
    select c.id, floor(date_part('epoch', greatest($3::timestamptz, case when c.fresh_until > $5 then c.known_until end)))::bigint as since,
           ceil(date_part('epoch', $4::timestamptz))::bigint as until
    from calendars c
    where c.org_id = $1 and c.user_id = u.id and c.read_busy and c.stale_policy = 'fail_closed'
      and (c.fresh_until <= $5 or c.known_until < $4)
) w;
