-- name: insert_authorization
insert into calendar_authorizations (org_id, id, user_id, provider, state_hash, browser_hash, redirect_to, created_at, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: take_authorization
-- (door) Whose consent a state is of; it works once.
with taken as (
    delete from calendar_authorizations where state_hash = $1
    returning org_id, user_id, provider, browser_hash, redirect_to, expires_at
)
select t.org_id, t.user_id, t.provider, t.browser_hash, t.redirect_to, t.expires_at, o.name as org_name, o.secret_sealed
from taken t
join organizations o on o.id = t.org_id
join users u on u.org_id = t.org_id and u.id = t.user_id and u.disabled_at is null;

-- name: count_connections
select count(*) from calendar_connections where org_id = $1 and user_id = $2 and status <> 'disconnected';

-- name: save_connection
insert into calendar_connections (org_id, id, user_id, provider, account, credentials_sealed, status, server_url, refreshed_at,
                                  created_at, updated_at)
values ($1, $2, $3, $4, $5, $6, 'active', $7, $8, $8, $8)
on conflict (org_id, user_id, provider, account) where status <> 'disconnected'
do update set credentials_sealed = excluded.credentials_sealed, server_url = excluded.server_url, refreshed_at = $8, updated_at = $8,
    -- what waits for its owner's word goes on waiting
    status = case when calendar_connections.status = 'paused' then 'paused' else 'active' end,
    status_reason = case when calendar_connections.status = 'paused' then calendar_connections.status_reason end,
    resting_until = null
returning id, xmax = 0 as is_new;

-- name: save_calendars
insert into calendars as c (org_id, id, connection_id, user_id, remote_id, name, timezone, is_primary, is_writable, read_busy,
                            next_poll_at, created_at, updated_at)
select $1, t.id, $2, $3, t.remote_id, t.name, t.timezone, t.is_primary, t.is_writable, t.is_primary and $11::boolean,
       case when t.is_primary and $11 then $10::timestamptz end, $10, $10
from unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::boolean[], $9::boolean[])
    as t (id, remote_id, name, timezone, is_primary, is_writable)
on conflict (org_id, connection_id, remote_id) do update
set name = excluded.name, timezone = excluded.timezone, is_primary = excluded.is_primary, is_writable = excluded.is_writable,
    -- $11: its owner connects it, and everything begins anew
    next_poll_at = case when $11 and c.next_poll_at is not null then $10 else c.next_poll_at end,
    failures = case when $11 then 0 else c.failures end, error = case when not $11 then c.error end, updated_at = $10;

-- name: choose_first_target
-- The main calendar of whoever writes to none yet.
update calendars c set is_write_target = true, next_poll_at = coalesce(c.next_poll_at, $3), updated_at = $3
where c.org_id = $1 and c.connection_id = $2 and c.is_primary and c.is_writable
  and not exists (select from calendars o where o.org_id = c.org_id and o.user_id = c.user_id and o.is_write_target)
returning c.id;

-- name: list_calendars
-- $4: only somebody's; $5: only one; $6: only those of one connection.
select c.org_id, c.id, c.connection_id, c.user_id, n.provider, n.account, n.status, n.status_reason, c.name, c.timezone, c.is_primary,
       c.is_writable, c.read_busy, c.is_write_target, c.stale_policy, c.synced_at,
       nullif(c.fresh_until, '-infinity') as fresh_until, nullif(c.known_until, '-infinity') as known_until,
       c.next_poll_at, c.error, c.channel is not null as has_push,
       (select count(*) from calendar_changes g where g.org_id = c.org_id and g.calendar_id = c.id and g.state = 'held') as changes_held,
       (select count(*) from calendar_events x
        where x.org_id = c.org_id and x.calendar_id = c.id and x.removed_at is null and x.error is not null) as writes_failed,
       c.created_at, c.updated_at
from calendars c
join calendar_connections n on n.org_id = c.org_id and n.id = c.connection_id
where c.org_id = $1 and n.status <> 'disconnected' and c.id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
  and ($4::uuid is null or c.user_id = $4) and ($5::uuid is null or c.id = $5) and ($6::uuid is null or c.connection_id = $6)
order by c.id
limit $3;

-- name: lock_owner
-- Whoever connects and chooses for one person takes turns, so that one calendar is left that is written to.
select id from users where org_id = $1 and id = $2 for no key update;

-- name: clear_target
update calendars set is_write_target = false, updated_at = $4
where org_id = $1 and user_id = $2 and is_write_target and id <> $3;

-- name: update_calendar
update calendars c
set read_busy = $3, is_write_target = $4, stale_policy = $5, updated_at = $6,
    next_poll_at = case
        when $3 or $4 or exists (select from calendar_events x
                                 where x.org_id = c.org_id and x.calendar_id = c.id and x.removed_at is null)
        then coalesce(c.next_poll_at, $6) end
where org_id = $1 and id = $2
  and exists (select from calendar_connections n
              where n.org_id = c.org_id and n.id = c.connection_id and n.status <> 'disconnected');

-- name: ask_for_sync
-- Whatever it waits for, but for a reading that is under way: that one is followed by another.
update calendars set next_poll_at = $3 where org_id = $1 and id = $2 and next_poll_at is not null returning id;

-- name: end_rest
update calendar_connections set resting_until = null where org_id = $1 and id = $2;

-- name: end_connection
update calendar_connections n
set status = 'disconnected', status_reason = $3, resting_until = null, ending_attempts = 0, updated_at = $4,
    -- who connects again at once has another grant by then, which the end of this one would end too
    ending_due_at = $4::timestamptz + interval '2 minutes',
    ending = (select coalesce(jsonb_agg(c.channel), '[]') from calendars c
              where c.org_id = n.org_id and c.connection_id = n.id and c.channel is not null)
where org_id = $1 and id = $2 and status <> 'disconnected'
returning id;

-- name: park_calendars
-- What stands there stays, and so does what we know of it: connected again, nothing is entered twice.
update calendars
set was_busy = read_busy, read_busy = false, is_write_target = false, sync_state = '{}', synced_at = null,
    fresh_until = '-infinity', known_until = '-infinity', next_poll_at = null, leased_until = null, failures = 0, error = null,
    channel = null, channel_due_at = null, hook_id = null, hook_secret_hash = null, channel_failures = 0, updated_at = $3
where org_id = $1 and connection_id = $2;

-- name: park_entries
update calendar_events x set due_at = null, leased_until = null
from calendars c
where x.org_id = $1 and x.due_at is not null and c.org_id = x.org_id and c.id = x.calendar_id and c.connection_id = $2;

-- name: forget_busy
delete from busy_blocks where org_id = $1 and calendar_id in (select id from calendars where org_id = $1 and connection_id = $2);

-- name: forget_changes
delete from calendar_changes where org_id = $1 and calendar_id in (select id from calendars where org_id = $1 and connection_id = $2);

-- name: revive_connection
-- The account was connected before, by the same person.
update calendar_connections
set status = 'active', status_reason = null, ending = null, ending_due_at = null, ending_attempts = 0, touched_at = '{}',
    credentials_sealed = $5, server_url = $6, refreshed_at = $7, updated_at = $7, resting_until = null
where org_id = $1 and id = (select id from calendar_connections
                            where org_id = $1 and user_id = $2 and provider = $3 and account = $4 and status = 'disconnected'
                            order by updated_at desc limit 1)
  and not exists (select from calendar_connections
                  where org_id = $1 and user_id = $2 and provider = $3 and account = $4 and status <> 'disconnected')
returning id;

-- name: revive_calendars
-- Those that are still there ($4).
update calendars
set read_busy = was_busy and remote_id = any($4::text[]), was_busy = null, updated_at = $3,
    next_poll_at = case when was_busy and remote_id = any($4::text[]) then $3::timestamptz end
where org_id = $1 and connection_id = $2 and was_busy is not null;

-- name: read_where_ours_stand
-- A calendar that bookings stand in is read, whether it counts as busy or not.
update calendars c set next_poll_at = $3
where c.org_id = $1 and c.connection_id = $2 and c.next_poll_at is null
  and exists (select from calendar_events x where x.org_id = c.org_id and x.calendar_id = c.id and x.removed_at is null);

-- name: list_connections_of
select id from calendar_connections where org_id = $1 and user_id = $2 and status <> 'disconnected' order by id;

-- name: list_held
-- What waits for its owner's word.
select g.event_id as id, g.calendar_id, g.plan, x.booking_id, b.code, b.starts_at, b.ends_at
from calendar_changes g
join calendar_events x on x.org_id = g.org_id and x.id = g.event_id
join bookings b on b.org_id = x.org_id and b.id = x.booking_id
join calendars c on c.org_id = g.org_id and c.id = g.calendar_id and c.connection_id = $2
where g.org_id = $1 and g.state = 'held'
order by b.starts_at, g.event_id;

-- name: approve_changes
update calendar_changes g set state = 'approved'
from calendars c
where g.org_id = $1 and g.state = 'held' and c.org_id = g.org_id and c.id = g.calendar_id and c.connection_id = $2
returning g.event_id;

-- name: withdraw_changes
delete from calendar_changes g using calendars c
where g.org_id = $1 and g.state = 'held' and c.org_id = g.org_id and c.id = g.calendar_id and c.connection_id = $2
returning g.event_id as id;

-- name: resume_connection
update calendar_connections set status = 'active', status_reason = null, touched_at = '{}', updated_at = $3
where org_id = $1 and id = $2 and status = 'paused'
returning id;

-- name: prompt_connection
update calendars set next_poll_at = least(next_poll_at, $3)
where org_id = $1 and connection_id = $2 and next_poll_at is not null;

-- name: write_back
-- The event goes back to the booking's time from wherever it is by now: without a place of its own nobody looks first.
update calendar_events
set starts_at = null, ends_at = null, written = written || '{"starts_at": null, "ends_at": null}', revision = revision + 1, due_at = $3,
    attempts = 0, error = null, updated_at = $3
where org_id = $1 and id = $2 and removed_at is null;

-- name: list_entries
-- How a booking stands in its hosts' calendars.
select x.id, x.user_id, x.calendar_id, n.provider, x.wanted, x.due_at, x.attempts, x.error, x.written_at, x.meeting_url
from calendar_events x
join calendars c on c.org_id = x.org_id and c.id = x.calendar_id
join calendar_connections n on n.org_id = c.org_id and n.id = c.connection_id
where x.org_id = $1 and x.booking_id = $2 and x.removed_at is null and n.status <> 'disconnected'
order by x.created_at, x.id;

-- name: list_upcoming
-- What is to stand in a calendar, for comparing: of bookings that are not over.
select x.id, x.booking_id, b.code, x.remote_id, x.wanted, x.due_at, x.error, x.starts_at, x.ends_at, b.starts_at as booked_from,
       b.ends_at as booked_until, b.status
from calendar_events x
join bookings b on b.org_id = x.org_id and b.id = x.booking_id
where x.org_id = $1 and x.calendar_id = $2 and x.removed_at is null and b.ends_at > $3
order by b.starts_at, x.id
limit 2000;

-- name: find_marks
-- What became of these marks of ours.
select x.id, x.booking_id, x.calendar_id, x.remote_id, x.removed_at is null as live, b.code, b.starts_at, b.ends_at
from calendar_events x
join bookings b on b.org_id = x.org_id and b.id = x.booking_id
where x.org_id = $1 and x.id = any($2::uuid[]);

-- name: list_unwritten
-- Agreed and to come, of whoever writes to this calendar, and in no calendar of theirs.
select b.id as booking_id, b.code, b.starts_at, b.ends_at
from calendars c
cross join lateral (
    -- three branches, since each has an index that the others have no use for; nothing takes longer than these days
    select o.id from bookings o
    where o.org_id = c.org_id and o.assigned_to_id = c.user_id and o.starts_at > $3::timestamptz - interval '62 days'
    union
    select o.id from bookings o
    where o.org_id = c.org_id and cardinality(o.host_ids) > 1 and o.host_ids @> array[c.user_id]
      and o.starts_at > $3::timestamptz - interval '62 days'
    union
    select o.id from bookings o
    where o.org_id = c.org_id and o.resource_id is not null and o.created_by_user_id = c.user_id
      and o.starts_at > $3::timestamptz - interval '62 days'
) own
join bookings b on b.org_id = c.org_id and b.id = own.id and b.ends_at > $3 and b.status in ('SCHEDULED', 'RESCHEDULED')
where c.org_id = $1 and c.id = $2 and c.is_write_target
  and not exists (select from calendar_events x
                  where x.org_id = b.org_id and x.thread = b.ical_uid and x.user_id = c.user_id and x.removed_at is null)
order by b.starts_at
limit 2000;

-- name: find_place
-- Where a calendar is: of which account, by which id there, in which zone.
select c.connection_id, c.remote_id, coalesce(c.timezone, u.timezone) as timezone
from calendars c
join users u on u.org_id = c.org_id and u.id = c.user_id
where c.org_id = $1 and c.id = $2;

-- name: queue_removals
-- What should not stand there any more. A thread of its own: the booking may have another entry by now.
update calendar_events
set wanted = false, thread = 'left ' || id, removed_at = null, revision = revision + 1, due_at = $3, attempts = 0, error = null,
    updated_at = $3
where org_id = $1 and id = any($2::uuid[]) and (leased_until is null or leased_until <= $3);

-- name: retry_writes
-- Those that failed are tried again now, however often they were.
update calendar_events set due_at = $3, attempts = 0, updated_at = $3
where org_id = $1 and id = any($2::uuid[]) and removed_at is null and error is not null;

-- name: list_every_calendar
-- (queue) Of everybody, for the operator: those that bookings are written to.
select c.org_id, c.id, c.connection_id, c.user_id, n.provider, n.account, n.status
from calendars c
join calendar_connections n on n.org_id = c.org_id and n.id = c.connection_id
where n.status <> 'disconnected' and ($1::uuid is null or c.id = $1)
  and ($1::uuid is not null or c.is_write_target
       or exists (select from calendar_events x where x.org_id = c.org_id and x.calendar_id = c.id and x.removed_at is null))
order by c.org_id, c.id;

-- name: list_kept_credentials
-- (queue) Of everybody, for the operator: which connections are in use, and what opens them.
select org_id, id, provider, status, credentials_sealed from calendar_connections where status <> 'disconnected' order by org_id, id;
