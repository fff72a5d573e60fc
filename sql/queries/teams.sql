-- name: find_people
-- SHARE: whoever is being removed is waited for, so that nobody joins a team while leaving all of them.
select id from users where org_id = $1 and id = any($2::uuid[]) and disabled_at is null for share;

-- name: insert_team
insert into teams (org_id, id, slug, name, created_at, updated_at) values ($1, $2, $3, $4, $5, $5);

-- name: claim_handle_for_team
insert into handles (handle, org_id, team_id) values ($1, $2, $3)
on conflict do nothing
returning handle;

-- name: move_handle_of_team
update handles set handle = $3 where org_id = $1 and team_id = $2;

-- name: get_team
select t.id, t.slug, t.name, t.created_at, t.updated_at,
       array(select m.user_id from team_members m
             where m.org_id = t.org_id and m.team_id = t.id order by m.user_id) as user_ids
from teams t
where t.org_id = $1 and t.id = $2;

-- name: list_teams
select t.id, t.slug, t.name, t.created_at, t.updated_at,
       array(select m.user_id from team_members m
             where m.org_id = t.org_id and m.team_id = t.id order by m.user_id) as user_ids
from teams t
where t.org_id = $1 and t.id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
order by t.id
limit $3;

-- name: lock_team
-- NO KEY: event types point at teams. Before the members' rows, always.
select id from teams where org_id = $1 and id = $2 for no key update;

-- name: update_team
update teams set slug = $3, name = $4, updated_at = $5 where org_id = $1 and id = $2;

-- name: delete_other_members
delete from team_members where org_id = $1 and team_id = $2 and user_id <> all($3::uuid[]);

-- name: insert_members
insert into team_members (org_id, team_id, user_id)
select $1, $2, unnest($3::uuid[])
on conflict do nothing;

-- name: delete_team
delete from teams where org_id = $1 and id = $2;
