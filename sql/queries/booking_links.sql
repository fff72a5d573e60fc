-- Event types as bots know them: booking links. timezone: of the first host's own, who is there.

-- name: find_link
-- By its id or its public code; $4: one that was archived, too.
select t.id, t.slug, t.title, t.duration_minutes,
       (select u.timezone
        from event_type_hosts h
        join users u on u.org_id = h.org_id and u.id = h.user_id and u.disabled_at is null
        where h.org_id = t.org_id and h.event_type_id = t.id
        order by h.position
        limit 1) as timezone
from event_types t
where t.org_id = $1 and (t.archived_at is null or $4::boolean)
  -- not "id = $2 or code = $3", which no index answers
  and t.id = coalesce($2::uuid, (select c.id from event_types c
                                 where c.org_id = $1 and c.code = $3 and c.archived_at is null));

-- name: find_links_of_slug
-- A slug is unique on one page only. Those that can be booked come first; choices: how many can, page: whose it is.
select t.id, t.slug, t.title, t.duration_minutes, t.active, count(*) filter (where t.active) over () as choices,
       (select n.handle from handles n
        where n.org_id = t.org_id and (n.user_id = t.owner_user_id or n.team_id = t.owner_team_id)) as page,
       (select u.timezone
        from event_type_hosts h
        join users u on u.org_id = h.org_id and u.id = h.user_id and u.disabled_at is null
        where h.org_id = t.org_id and h.event_type_id = t.id
        order by h.position
        limit 1) as timezone
from event_types t
where t.org_id = $1 and t.slug = $2 and t.archived_at is null
order by t.active desc, t.id
limit 20;

-- name: list_link_slugs
-- What a caller may choose from, and how many slugs there are in all.
select s.slug, count(*) over () as total
from (select distinct t.slug from event_types t where t.org_id = $1 and t.archived_at is null and t.active) s
order by s.slug
limit 20;

-- name: describe_links
-- Of bookings: what was archived since, too.
select t.id, t.slug, t.title, t.duration_minutes, null::text as timezone
from event_types t
where t.org_id = $1 and t.id = any($2::uuid[]);
