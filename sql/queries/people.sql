-- name: get_person
select id, subject_no, email, name, username, timezone, locale, role, created_at, updated_at
from users where org_id = $1 and id = $2 and disabled_at is null;

-- name: list_people
select id, subject_no, email, name, username, timezone, locale, role, created_at, updated_at
from users
where org_id = $1 and disabled_at is null and id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
order by id
limit $3;

-- name: lock_organization
-- Owners leave one after another: each sees who is left. NO KEY: everything points at its organization. Before the
-- person's row, always.
select id from organizations where id = $1 for no key update;

-- name: lock_person
-- NO KEY: bookings point at users, and must not wait for somebody who edits a name.
select id, subject_no, email, name, username, timezone, locale, role, created_at, updated_at
from users where org_id = $1 and id = $2 and disabled_at is null
for no key update;

-- name: has_other_owner
select exists (
    select from users where org_id = $1 and id <> $2 and role = 'owner' and disabled_at is null
);

-- name: update_person
update users set email = $3, name = $4, username = $5, timezone = $6, role = $7, locale = $8, updated_at = $9
where org_id = $1 and id = $2;

-- name: move_handle
update handles set handle = $3 where org_id = $1 and user_id = $2;

-- name: raise_versions_of_host
-- What creates remember of a host does not hold any more. In the order of ids, so that two hosts of the same event types
-- do not wait for each other. NO KEY: bookings point at event types.
with hosted as (
    select t.id
    from event_types t
    join event_type_hosts h on h.org_id = t.org_id and h.event_type_id = t.id
    where h.org_id = $1 and h.user_id = $2
    order by t.id
    for no key update of t
)
update event_types t set config_version = t.config_version + 1
from hosted
where t.org_id = $1 and t.id = hosted.id;

-- name: disable_person
update users set disabled_at = $3, updated_at = $3, session_generation = session_generation + 1
where org_id = $1 and id = $2;

-- name: revoke_keys_of_person
update api_keys set revoked_at = $3 where org_id = $1 and user_id = $2 and revoked_at is null;

-- name: leave_teams
delete from team_members where org_id = $1 and user_id = $2;
