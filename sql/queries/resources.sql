-- name: insert_location
insert into locations (org_id, id, name, timezone, address, created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, $6);

-- name: get_location
select id, name, timezone, address, created_at, updated_at
from locations where org_id = $1 and id = $2 and archived_at is null;

-- name: list_locations
select id, name, timezone, address, created_at, updated_at
from locations
where org_id = $1 and archived_at is null and id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
order by id
limit $3;

-- name: lock_location
select id from locations where org_id = $1 and id = $2 and archived_at is null for no key update;

-- name: hold_location
-- SHARE, which lock_location waits for: nothing is put up at a place while that is being archived.
select id from locations where org_id = $1 and id = $2 and archived_at is null for share;

-- name: update_location
update locations set name = $3, timezone = $4, address = $5, updated_at = $6 where org_id = $1 and id = $2;

-- name: archive_location
update locations set archived_at = $3, updated_at = $3 where org_id = $1 and id = $2;

-- name: find_resource_at
select id from resources where org_id = $1 and location_id = $2 and archived_at is null limit 1;

-- name: hold_schedule
-- KEY SHARE, so that it is not deleted before it is used.
select id from schedules where org_id = $1 and id = $2 for key share;

-- name: insert_resource
insert into resources (org_id, id, created_at, updated_at,
                       name, kind, location_id, capacity, attributes, schedule_id, active)
values ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: get_resource
select r.id, r.name, r.kind, r.location_id, r.capacity, r.attributes, r.schedule_id, r.active, r.created_at, r.updated_at,
       (select count(*) from resource_units u
        where u.org_id = r.org_id and u.resource_id = r.id and u.retired_at is null) as units
from resources r
where r.org_id = $1 and r.id = $2 and r.archived_at is null;

-- name: list_resources
select r.id, r.name, r.kind, r.location_id, r.capacity, r.attributes, r.schedule_id, r.active, r.created_at, r.updated_at,
       (select count(*) from resource_units u
        where u.org_id = r.org_id and u.resource_id = r.id and u.retired_at is null) as units
from resources r
where r.org_id = $1 and r.archived_at is null
  and ($2::uuid is null or r.location_id = $2) and ($3::text is null or r.kind = $3)
  and ($4::int is null or r.capacity >= $4)
  and r.id > coalesce($5::uuid, '00000000-0000-0000-0000-000000000000')
order by r.id
limit $6;

-- name: count_resources
select count(*)
from resources r
where r.org_id = $1 and r.archived_at is null and (r.active or not $5::boolean)
  and ($2::uuid is null or r.location_id = $2) and ($3::text is null or r.kind = $3)
  and ($4::int is null or r.capacity >= $4);

-- name: lock_resource
-- Before its units, in every edit. NO KEY: bookings point at resources, and must not wait for an edit of its name.
select id from resources where org_id = $1 and id = $2 and archived_at is null for no key update;

-- name: update_resource
update resources
set updated_at = $3, name = $4, kind = $5, location_id = $6, capacity = $7, attributes = $8, schedule_id = $9, active = $10
where org_id = $1 and id = $2;

-- name: archive_resource
update resources set archived_at = $3, updated_at = $3, active = false, schedule_id = null where org_id = $1 and id = $2;

-- name: raise_units
-- Numbers 1 to $3 become the active ones: retired ones come back, and what is still missing is made, each a subject of
-- its own.
with highest as (
    select coalesce(max(unit_no), 0) as unit_no from resource_units where org_id = $1 and resource_id = $2
), restored as (
    update resource_units set retired_at = null
    where org_id = $1 and resource_id = $2 and unit_no <= $3 and retired_at is not null
), made as (
    insert into subjects (org_id, kind)
    select $1, 'resource_unit' from highest, generate_series(highest.unit_no + 1, $3)
    returning subject_no
)
insert into resource_units (org_id, resource_id, unit_no, subject_no)
select $1, $2, highest.unit_no + row_number() over (order by made.subject_no), made.subject_no
from made, highest;

-- name: retire_units
-- Waits for a claim that holds the unit's row (SHARE, while retired_at is null); find_held_unit comes after it, and so
-- sees what that claim took. A claim that comes later finds the unit retired.
update resource_units set retired_at = $4
where org_id = $1 and resource_id = $2 and unit_no > $3 and retired_at is null;

-- name: find_held_unit
select u.unit_no
from resource_units u
where u.org_id = $1 and u.resource_id = $2 and u.unit_no > $3
  and exists (
      select from allocations a
      where int8range(a.subject_no, a.subject_no, '[]') && int8range(u.subject_no, u.subject_no, '[]')
        and a.during && tstzrange($4::timestamptz, null)
        and (a.expires_at is null or a.expires_at > $4)
        -- a session holds as long as anybody but holds that are over sits in it
        and (a.sitting_id is null or exists (
            select from bookings b
            where b.org_id = a.org_id and b.sitting_id = a.sitting_id
              and b.status in ('DRAFT', 'PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED')
              and (b.hold_expires_at is null or b.hold_expires_at > $4)))
  )
order by u.unit_no desc
limit 1;

-- name: list_vacancies
-- Everything that one question needs: each active resource, its hours, and how many units nothing holds in [$5, $6).
-- Without a schedule the hours come out as null: always open.
select r.id, r.name, r.kind, r.location_id, r.capacity, r.attributes, r.schedule_id, r.active, r.created_at, r.updated_at,
       s.weekly::text as weekly, s.overrides::text as overrides, s.timezone, s.valid_from, s.valid_until,
       unit.units, unit.unheld
from resources r
left join schedules s on s.org_id = r.org_id and s.id = r.schedule_id
left join lateral (
    select count(*) as units,
           count(*) filter (where not exists (
               select from allocations a
               where int8range(a.subject_no, a.subject_no, '[]') && int8range(u.subject_no, u.subject_no, '[]')
                 and a.during && tstzrange($5::timestamptz, $6::timestamptz)
                 and (a.expires_at is null or a.expires_at > $9)
                 -- a session holds as long as anybody but holds that are over sits in it
                 and (a.sitting_id is null or exists (
                     select from bookings b
                     where b.org_id = a.org_id and b.sitting_id = a.sitting_id
                       and b.status in ('DRAFT', 'PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED')
                       and (b.hold_expires_at is null or b.hold_expires_at > $9)))
           )) as unheld
    from resource_units u
    where u.org_id = r.org_id and u.resource_id = r.id and u.retired_at is null
) unit on true
where r.org_id = $1 and r.archived_at is null and r.active
  and ($2::uuid is null or r.location_id = $2) and ($3::text is null or r.kind = $3)
  and ($4::int is null or r.capacity >= $4)
  and r.id > coalesce($7::uuid, '00000000-0000-0000-0000-000000000000')
order by r.id
limit $8;

-- name: list_locations_named
-- Two are enough to know that a name says too little.
select id from locations where org_id = $1 and lower(name) = lower($2) and archived_at is null limit 2;

-- name: list_resources_named
select id from resources where org_id = $1 and lower(name) = lower($2) and archived_at is null limit 2;
