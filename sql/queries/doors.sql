-- Doors: what is found before the tenant is known, by what a visitor holds.

-- name: find_page
-- By the public address: a handle, which is of a person or of a team, and the slug on their page. Not "of the person or of the
-- team", which no index answers.
select t.org_id, t.id as event_type_id, t.active, o.name as org_name, o.secret_sealed
from handles n
join organizations o on o.id = n.org_id
join event_types t on t.org_id = n.org_id and t.id = coalesce(
    (select c.id from event_types c
     where c.org_id = n.org_id and c.owner_user_id = n.user_id and c.slug = $2 and c.archived_at is null),
    (select c.id from event_types c
     where c.org_id = n.org_id and c.owner_team_id = n.team_id and c.slug = $2 and c.archived_at is null)
)
where n.handle = $1;

-- name: show_page
-- What stands on the page. The zone is the one that slots are listed in where none is asked for: of the hours of the first host
-- who has any.
select t.id, t.slug, t.title, t.description, t.duration_minutes, t.durations_minutes, t.questions, t.services, t.location,
       t.requires_confirmation, t.seats, t.assignment, t.waitlist, coalesce(n.handle, k.handle) as handle,
       coalesce(m.name, u.name) as name,
       (select jsonb_agg(jsonb_build_object('user_id', p.id, 'name', p.name) order by h.position)
        from event_type_hosts h
        join users p on p.org_id = h.org_id and p.id = h.user_id and p.disabled_at is null
        where h.org_id = t.org_id and h.event_type_id = t.id) as hosts,
       (select s.timezone
        from event_type_hosts h
        join users p on p.org_id = h.org_id and p.id = h.user_id and p.disabled_at is null
        join schedules s on s.org_id = t.org_id
            and s.id = coalesce(t.schedule_id, (select d.id from schedules d
                                                where d.org_id = p.org_id and d.user_id = p.id and d.is_default))
        where h.org_id = t.org_id and h.event_type_id = t.id
        order by h.position
        limit 1) as timezone
from event_types t
left join teams m on m.org_id = t.org_id and m.id = t.owner_team_id
left join users u on u.org_id = t.org_id and u.id = t.owner_user_id
left join handles n on n.org_id = t.org_id and n.user_id = t.owner_user_id
left join handles k on k.org_id = t.org_id and k.team_id = t.owner_team_id
where t.org_id = $1 and t.id = $2 and t.archived_at is null;

-- name: find_booking
-- By what a token says of itself, with what proves it and what its page shows besides the booking.
select b.org_id, o.name as org_name, o.secret_sealed, b.token_version,
       coalesce(t.title, (select r.name from resources r where r.org_id = b.org_id and r.id = b.resource_id)) as title, t.slug,
       coalesce(n.handle, k.handle) as handle, coalesce(u.timezone, 'UTC') as host_zone
from bookings b
join organizations o on o.id = b.org_id
left join event_types t on t.org_id = b.org_id and t.id = b.event_type_id
left join handles n on n.org_id = t.org_id and n.user_id = t.owner_user_id
left join handles k on k.org_id = t.org_id and k.team_id = t.owner_team_id
left join users u on u.org_id = b.org_id and u.id = b.assigned_to_id
where b.org_id = $1 and b.id = $2;
