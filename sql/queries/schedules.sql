-- name: lock_owner
-- NO KEY: bookings point at users, and must not wait for somebody who edits hours.
select id from users where org_id = $1 and id = $2 and disabled_at is null for no key update;

-- name: find_default
select id from schedules where org_id = $1 and user_id = $2 and is_default;

-- name: clear_default
update schedules set is_default = false, updated_at = $3 where org_id = $1 and user_id = $2 and is_default;

-- name: insert_schedule
insert into schedules (org_id, id, user_id, name, timezone, is_default, weekly, overrides, valid_from, valid_until,
                       created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11);

-- name: lock_resource_owner
-- NO KEY: bookings point at resources, and must not wait for somebody who edits hours.
select id from resources where org_id = $1 and id = $2 and archived_at is null for no key update;

-- name: insert_resource_schedule
insert into schedules (org_id, id, resource_id, name, timezone, is_default, weekly, overrides, valid_from, valid_until,
                       created_at, updated_at)
values ($1, $2, $3, $4, $5, false, $6, $7, $8, $9, $10, $10);

-- name: adopt_schedule
update resources set schedule_id = $3, updated_at = $4 where org_id = $1 and id = $2 and schedule_id is null;

-- name: get_schedule
select id, name, timezone, user_id, resource_id, is_default, weekly, overrides, valid_from, valid_until,
       created_at, updated_at
from schedules where org_id = $1 and id = $2;

-- name: list_schedules
-- The hours of somebody who left stay for their bookings' sake, and are nobody's business any more.
select s.id, s.name, s.timezone, s.user_id, s.resource_id, s.is_default, s.weekly, s.overrides, s.valid_from,
       s.valid_until, s.created_at, s.updated_at
from schedules s
where s.org_id = $1 and s.id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
  and not exists (select from users u where u.org_id = s.org_id and u.id = s.user_id and u.disabled_at is not null)
order by s.id
limit $3;

-- name: update_schedule
update schedules
set name = $3, timezone = $4, is_default = $5, weekly = $6, overrides = $7, valid_from = $8, valid_until = $9,
    version = version + 1, updated_at = $10
where org_id = $1 and id = $2;

-- name: delete_unused_schedule
delete from schedules s
where s.org_id = $1 and s.id = $2
  and not exists (select from event_types t where t.org_id = $1 and t.schedule_id = s.id)
  and not exists (select from resources r where r.org_id = $1 and r.schedule_id = s.id);
