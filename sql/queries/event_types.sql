-- name: find_users
select id from users where org_id = $1 and id = any($2::uuid[]) and disabled_at is null;

-- name: find_event_types
select id from event_types where org_id = $1 and id = any($2::uuid[]) and archived_at is null;

-- name: find_schedule
select id from schedules where org_id = $1 and id = $2;

-- name: find_team
select id from teams where org_id = $1 and id = $2;

-- name: find_location
select id from locations where org_id = $1 and id = $2 and archived_at is null;

-- name: list_slugs
select slug from event_types
where org_id = $1 and archived_at is null and (owner_user_id = $2 or owner_team_id = $2);

-- name: insert_event_type
insert into event_types (
    org_id, id, owner_user_id, longest_minutes, created_at, updated_at, code, slug, title, description,
    duration_minutes, durations_minutes, slot_interval_minutes, buffer_before_minutes, buffer_after_minutes,
    minimum_notice_minutes, booking_window_days, max_per_day, max_per_week, max_per_month, seats,
    requires_confirmation, auto_complete, assignment, schedule_id, questions, routing_rules, services, requires,
    location, waitlist, reminders_minutes_before, active, owner_team_id
) values (
    $1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
    $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33
);

-- name: update_event_type
update event_types
set owner_user_id = $3, longest_minutes = $4, updated_at = $5, config_version = config_version + 1,
    code = $6, slug = $7, title = $8, description = $9, duration_minutes = $10, durations_minutes = $11,
    slot_interval_minutes = $12, buffer_before_minutes = $13, buffer_after_minutes = $14, minimum_notice_minutes
    = $15, booking_window_days = $16, max_per_day = $17, max_per_week = $18, max_per_month = $19, seats = $20,
    requires_confirmation = $21, auto_complete = $22, assignment = $23, schedule_id = $24, questions = $25,
    routing_rules = $26, services = $27, requires = $28, location = $29, waitlist = $30,
    reminders_minutes_before = $31, active = $32, owner_team_id = $33
where org_id = $1 and id = $2;

-- name: lock_event_type
-- UPDATE on purpose, although bookings point here: an edit waits for the claims that are under way (they hold KEY SHARE)
-- and takes hosts and counters in the order that they do. It is over in milliseconds.
select id from event_types where org_id = $1 and id = $2 for update;

-- name: archive_event_type
update event_types set archived_at = $3, updated_at = $3, active = false, schedule_id = null, config_version = config_version + 1
where org_id = $1 and id = $2;

-- name: get_event_type
select t.id, t.code, t.slug, t.title, t.description, t.duration_minutes, t.durations_minutes, t.slot_interval_minutes,
       t.buffer_before_minutes, t.buffer_after_minutes, t.minimum_notice_minutes, t.booking_window_days,
       t.max_per_day, t.max_per_week, t.max_per_month, t.seats, t.requires_confirmation, t.auto_complete, t.assignment,
       t.schedule_id, t.questions, t.routing_rules, t.services, t.requires, t.location, t.waitlist,
       t.reminders_minutes_before, t.active, t.owner_team_id, t.config_version, t.created_at, t.updated_at,
       (select n.handle from handles n
        where n.org_id = t.org_id and (n.user_id = t.owner_user_id or n.team_id = t.owner_team_id)) as owner_handle,
       (select jsonb_agg(jsonb_build_object('user_id', h.user_id, 'weight', h.weight, 'priority', h.priority)
                         order by h.position)
        from event_type_hosts h where h.org_id = t.org_id and h.event_type_id = t.id) as hosts
from event_types t
where t.org_id = $1 and (t.id = $2 or t.code = $3) and t.archived_at is null;

-- name: list_event_types
select t.id, t.code, t.slug, t.title, t.description, t.duration_minutes, t.durations_minutes, t.slot_interval_minutes,
       t.buffer_before_minutes, t.buffer_after_minutes, t.minimum_notice_minutes, t.booking_window_days,
       t.max_per_day, t.max_per_week, t.max_per_month, t.seats, t.requires_confirmation, t.auto_complete, t.assignment,
       t.schedule_id, t.questions, t.routing_rules, t.services, t.requires, t.location, t.waitlist,
       t.reminders_minutes_before, t.active, t.owner_team_id, t.config_version, t.created_at, t.updated_at,
       (select n.handle from handles n
        where n.org_id = t.org_id and (n.user_id = t.owner_user_id or n.team_id = t.owner_team_id)) as owner_handle,
       (select jsonb_agg(jsonb_build_object('user_id', h.user_id, 'weight', h.weight, 'priority', h.priority)
                         order by h.position)
        from event_type_hosts h where h.org_id = t.org_id and h.event_type_id = t.id) as hosts
from event_types t
where t.org_id = $1 and t.archived_at is null and t.id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
  and (t.active or not $4) and ($5::uuid[] is null or t.id = any($5))
order by t.id
limit $3;

-- name: delete_other_hosts
delete from event_type_hosts where org_id = $1 and event_type_id = $2 and user_id <> all($3::uuid[]);

-- name: upsert_hosts
-- Whoever comes new into the turn begins with the smallest share that anybody has, not with a debt of all that was before.
insert into event_type_hosts (org_id, event_type_id, user_id, position, weight, priority, assigned_count)
select $1, $2, h.user_id, h.position, h.weight, h.priority,
       coalesce((select floor(min(o.assigned_count::float8 / o.weight) * h.weight)::bigint
                 from event_type_hosts o where o.org_id = $1 and o.event_type_id = $2), 0)
from unnest($3::uuid[], $4::int[], $5::int[]) with ordinality as h (user_id, weight, priority, position)
on conflict (org_id, event_type_id, user_id)
do update set position = excluded.position, weight = excluded.weight, priority = excluded.priority;

-- name: list_hosts_of
-- Who hosts these, by name.
select h.event_type_id, h.user_id, u.name
from event_type_hosts h
join users u on u.org_id = h.org_id and u.id = h.user_id
where h.org_id = $1 and h.event_type_id = any($2::uuid[])
order by h.event_type_id, h.position;
