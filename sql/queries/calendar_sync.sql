-- name: plan_writes
-- (queue) What hosts' calendars are owed, of everybody: the outbox rows go, and the entries that follow are due in the same
-- statement. A booking that was moved is not looked at: the one that took its place has a row of its own. Whoever made a
-- reservation has it in their calendar.
with due as (
    delete from outbox
    -- an array, not a join: see `fan_out`
    where no = any(array(
        select no from outbox where topic = 'calendar' and due_at <= $1 order by due_at, no limit 200 for update skip locked
    ))
    returning org_id, ref_id
), thread as materialized (
    select distinct b.org_id, b.ical_uid as thread, b.id as booking_id,
           b.status in ('SCHEDULED', 'RESCHEDULED', 'COMPLETED', 'NO_SHOW') as agreed,
           case when b.host_ids <> '{}' then b.host_ids
                when b.resource_id is not null and b.created_by_user_id is not null then array[b.created_by_user_id]
                else '{}' end as holders
    from due d
    join events e on e.org_id = d.org_id and e.id = d.ref_id
    join bookings b on b.org_id = e.org_id and b.id = e.booking_id and b.rescheduled_to_id is null
), kept as (
    update calendar_events x
    set booking_id = t.booking_id, wanted = t.agreed and x.user_id = any(t.holders), revision = x.revision + 1,
        -- of an account that is connected no more: when it is again
        due_at = case when n.status <> 'disconnected' then $1::timestamptz end, attempts = 0, updated_at = $1
    from thread t, calendars c, calendar_connections n
    where x.org_id = t.org_id and x.thread = t.thread and x.removed_at is null
      and c.org_id = x.org_id and c.id = x.calendar_id and n.org_id = c.org_id and n.id = c.connection_id
    returning x.org_id, x.thread, x.user_id
), made as (
    insert into calendar_events (org_id, id, thread, user_id, booking_id, calendar_id, due_at, created_at, updated_at)
    select t.org_id, gen_random_uuid(), t.thread, c.user_id, t.booking_id, c.id, $1, $1, $1
    from thread t
    cross join lateral unnest(t.holders) as h (user_id)
    join calendars c on c.org_id = t.org_id and c.user_id = h.user_id and c.is_write_target
    where t.agreed
      and not exists (select from kept k where k.org_id = t.org_id and k.thread = t.thread and k.user_id = c.user_id)
    on conflict do nothing
)
select count(*) from due;

-- name: lock_plans
-- Whoever plans sees what the one before has planned: two who read one booking's past and present at once would leave both.
select pg_advisory_xact_lock(hashtextextended('calendar plans', 7));

-- name: give_up
-- The booking has ended: nothing of it is to stand there.
update calendar_events set wanted = false, revision = revision + 1, due_at = $4, leased_until = null, updated_at = $4
where org_id = $1 and id = $2 and leased_until = $3;

-- name: retire_parked
-- What stands in an account that its owner has left for this one is written here from now on.
update calendar_events x set removed_at = $3, due_at = null, leased_until = null, updated_at = $3
from calendars t, calendars c, calendar_connections n, bookings b
where t.org_id = $1 and t.id = $2 and t.is_write_target and x.org_id = t.org_id and x.user_id = t.user_id and x.removed_at is null
  and c.org_id = x.org_id and c.id = x.calendar_id and n.org_id = c.org_id and n.id = c.connection_id and n.status = 'disconnected'
  and b.org_id = x.org_id and b.id = x.booking_id and b.ends_at > $3;

-- name: plan_missing
-- What is to come and agreed, and is in no calendar of whoever it belongs to: what was booked before they chose one.
insert into calendar_events (org_id, id, thread, user_id, booking_id, calendar_id, due_at, created_at, updated_at)
select b.org_id, gen_random_uuid(), b.ical_uid, c.user_id, b.id, c.id, $3, $3, $3
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
on conflict do nothing;

-- name: plan_again
-- All that stands in the calendars of a connection, as its bookings are by now: nobody was owed anything meanwhile.
with recursive chain as (
    select x.id as event_id, b.id, b.rescheduled_to_id
    from calendars c
    join calendar_events x on x.org_id = c.org_id and x.calendar_id = c.id and x.removed_at is null
    join bookings b on b.org_id = x.org_id and b.id = x.booking_id
    where c.org_id = $1 and c.connection_id = $2
    union all
    select h.event_id, n.id, n.rescheduled_to_id
    from chain h
    join bookings n on n.org_id = $1 and n.id = h.rescheduled_to_id
)
update calendar_events x
set booking_id = b.id, revision = x.revision + 1, due_at = $3, attempts = 0, updated_at = $3,
    wanted = b.status in ('SCHEDULED', 'RESCHEDULED', 'COMPLETED', 'NO_SHOW')
        and (x.user_id = any(b.host_ids) or (b.resource_id is not null and b.created_by_user_id = x.user_id))
from chain h
join bookings b on b.org_id = $1 and b.id = h.id
where h.rescheduled_to_id is null and b.ends_at > $3 and x.org_id = $1 and x.id = h.event_id;

-- name: claim_writes
-- (queue) The next entries to write, of everybody but the connections and organizations in $3. Those of a connection whose
-- provider asked to be left alone, or that has ended, wait.
with chosen as (
    select x.org_id, x.id
    from calendar_events x
    join calendars c on c.org_id = x.org_id and c.id = x.calendar_id
    join calendar_connections n on n.org_id = c.org_id and n.id = c.connection_id
        and n.status in ('active', 'paused') and (n.resting_until is null or n.resting_until <= $1)
    where x.due_at <= $1 and (x.leased_until is null or x.leased_until <= $1)
      and n.id <> all($3::uuid[]) and n.org_id <> all($3::uuid[])
    order by x.due_at
    limit 8
    for no key update of x skip locked
)
update calendar_events x set leased_until = $2
from chosen c, calendars d
where x.org_id = c.org_id and x.id = c.id and d.org_id = x.org_id and d.id = x.calendar_id
returning x.org_id, x.id, x.booking_id, x.user_id, x.calendar_id, x.remote_id, x.wanted, x.revision, x.written,
          x.starts_at, x.ends_at, x.attempts, x.leased_until, x.meeting_url, d.connection_id, d.remote_id as calendar_remote_id,
          d.timezone;

-- name: lease_event
-- For whoever looks at an event there, so that nobody writes meanwhile; nothing where somebody does, or it has changed since.
update calendar_events set leased_until = $4
where org_id = $1 and id = $2 and revision = $3 and removed_at is null and (leased_until is null or leased_until <= $5)
returning id;

-- name: release_event
update calendar_events set leased_until = null where org_id = $1 and id = $2 and leased_until = $3;

-- name: get_entry
-- What the entry of a booking says.
select b.ical_uid, b.ical_sequence, b.status, b.rescheduled_to_id, b.starts_at, b.ends_at, b.timezone, coalesce(t.title, r.name, '') as title, b.location, b.notes,
       b.attendee_name, b.attendee_email, b.attendee_phone, b.guests, b.created_at, b.updated_at, o.name as org_name,
       o.settings ->> 'sender_name' as sender_name, coalesce(u.locale, o.settings ->> 'locale') as locale,
       array(select h.name
             from unnest(b.host_ids) with ordinality as w (user_id, no)
             join users h on h.org_id = b.org_id and h.id = w.user_id
             order by w.no) as hosts,
       u.name as user_name, u.email as user_email, u.timezone as user_timezone, null as organizer, b.assigned_to_id is not distinct from u.id as leads,
       coalesce((select max(h.at) from booking_history h where h.org_id = b.org_id and h.booking_id = b.id), b.created_at) as changed_at
from bookings b
join organizations o on o.id = b.org_id
join users u on u.org_id = b.org_id and u.id = $3
left join event_types t on t.org_id = b.org_id and t.id = b.event_type_id
left join resources r on r.org_id = b.org_id and r.id = b.resource_id
where b.org_id = $1 and b.id = $2;

-- name: note_written
-- Only for whoever holds the lease. What was asked for meanwhile is due at once.
update calendar_events
set remote_id = $4, written = $5, starts_at = $6, ends_at = $7, meeting_url = coalesce($8, meeting_url), written_revision = $9,
    written_at = $10,
    -- a video meeting's link may follow some seconds later
    due_at = case when revision > $9 then $10::timestamptz
                  when $11::boolean and created_at > $10::timestamptz - interval '10 minutes' then $10::timestamptz + interval '15 seconds' end, leased_until = null, attempts = 0, error = null,
    updated_at = $10
where org_id = $1 and id = $2 and leased_until = $3
returning id;

-- name: note_removed
-- What is wanted again by now is made anew, under another mark.
with old as (
    update calendar_events
    set removed_at = $4, due_at = null, leased_until = null, attempts = 0, error = null, updated_at = $4
    where org_id = $1 and id = $2 and leased_until = $3
    returning *
)
insert into calendar_events (org_id, id, thread, user_id, booking_id, calendar_id, due_at, created_at, updated_at)
select org_id, gen_random_uuid(), thread, user_id, booking_id, calendar_id, $4, $4, $4
from old where revision > $5 and wanted;

-- name: remake_event
-- It is gone there and to stand there all the same: under another mark, in the calendar that is written to now, and ever later
-- where that has come to nothing before.
with old as (
    update calendar_events
    set removed_at = $3, due_at = null, leased_until = null, error = null, updated_at = $3
    where org_id = $1 and id = $2 and removed_at is null
    returning *
)
insert into calendar_events (org_id, id, thread, user_id, booking_id, calendar_id, attempts, due_at, created_at, updated_at)
select o.org_id, gen_random_uuid(), o.thread, o.user_id, o.booking_id, coalesce(c.id, o.calendar_id), o.attempts + 1, $4, $3, $3
from old o
left join calendars c on c.org_id = o.org_id and c.user_id = o.user_id and c.is_write_target
where o.wanted;

-- name: note_unwritten
-- Not written: tried again at $5, or never (null), and said why.
update calendar_events
set due_at = case when revision > $6 then $4::timestamptz else $5 end, leased_until = null, attempts = attempts + 1, error = $7,
    updated_at = $4
where org_id = $1 and id = $2 and leased_until = $3
returning id;

-- name: rest_connection
update calendar_connections set resting_until = $3
where org_id = $1 and id = $2 and (resting_until is null or resting_until < $3);

-- name: claim_calendars
-- (queue) The next calendars to read, of everybody but the connections and organizations in $3. A push while one is read makes it
-- due before its lease ends, which is how whoever ends the reading knows of it.
with chosen as (
    select c.org_id, c.id
    from calendars c
    join calendar_connections n on n.org_id = c.org_id and n.id = c.connection_id
        and n.status in ('active', 'paused') and (n.resting_until is null or n.resting_until <= $1)
    where c.next_poll_at <= $1 and (c.leased_until is null or c.leased_until <= $1)
      and n.id <> all($3::uuid[]) and n.org_id <> all($3::uuid[])
    order by c.next_poll_at
    limit 4
    for no key update of c skip locked
)
update calendars c set leased_until = $2, next_poll_at = $2
from chosen x, users u
where c.org_id = x.org_id and c.id = x.id and u.org_id = c.org_id and u.id = c.user_id
returning c.org_id, c.id, c.connection_id, c.user_id, c.remote_id, c.timezone, u.timezone as user_timezone, u.subject_no, c.sync_state,
          c.generation, c.leased_until, c.failures, c.channel, c.channel_due_at, c.channel_failures, c.read_busy;

-- name: keep_calendar
-- The reading takes longer; nothing where somebody else has it by now.
update calendars
set next_poll_at = case when next_poll_at = leased_until then $4 else next_poll_at end, leased_until = $4
where org_id = $1 and id = $2 and leased_until = $3
returning id;

-- name: begin_generation
update calendars set filling = greatest(filling, generation) + 1
where org_id = $1 and id = $2 and leased_until = $3
returning filling;

-- name: drop_generations
-- What full syncs left that never came to their end.
delete from busy_blocks where org_id = $1 and calendar_id = $2 and generation <> all($3::bigint[]);

-- name: insert_blocks
insert into busy_blocks (org_id, calendar_id, generation, remote_id, subject_no, during, tentative)
select $1, $2, $3, t.remote_id, $4, tstzrange(t.starts_at, t.ends_at), t.tentative
from unnest($5::text[], $6::timestamptz[], $7::timestamptz[], $8::boolean[]) as t (remote_id, starts_at, ends_at, tentative)
on conflict do nothing;

-- name: delete_blocks
delete from busy_blocks where org_id = $1 and calendar_id = $2 and generation = $3 and remote_id = any($4::text[]);

-- name: find_own
-- Which of these events are entries of the person whose calendar it is ($6), whatever became of them. $3: by their ids there;
-- $4: by their marks, in whichever calendar; `within`: of an account that is this one ($5). Somebody else's entries, in a
-- calendar that they share, are none of ours.
select x.id, x.remote_id, x.calendar_id, x.starts_at, x.ends_at, x.removed_at, c.connection_id = $5 as within
from calendar_events x
join calendars c on c.org_id = x.org_id and c.id = x.calendar_id
where x.org_id = $1 and x.user_id = $6 and (x.id = any($4::uuid[]) or (x.calendar_id = $2 and x.remote_id = any($3::text[])));

-- name: list_absent
-- Ours in this calendar that a full sync of [$4, $5) did not show.
select id from calendar_events
where org_id = $1 and calendar_id = $2 and removed_at is null and wanted and remote_id is not null and remote_id <> all($3::text[])
  and ends_at > $4 and starts_at < $5;

-- name: adopt_events
-- Where our events are: one whose id was never learnt, or that its owner moved to another calendar of theirs.
update calendar_events x set calendar_id = $2, remote_id = t.remote_id, updated_at = $5
from unnest($3::uuid[], $4::text[]) as t (id, remote_id)
where x.org_id = $1 and x.id = t.id and x.removed_at is null
  and (x.remote_id is null or x.calendar_id <> $2);

-- name: insert_changes
insert into calendar_changes (org_id, event_id, calendar_id, seen_at)
select $1, t.id, $2, $4 from unnest($3::uuid[]) as t (id)
on conflict (org_id, event_id) do update set calendar_id = $2, seen_at = $4
where calendar_changes.state = 'seen';

-- name: finish_generation
-- The new generation takes the old one's place. Only for whoever holds the lease.
update calendars
set generation = $4, filling = greatest(filling, $4), sync_state = $5, known_until = $6, fresh_until = $7, synced_at = $8,
    failures = 0, error = null, updated_at = $8
where org_id = $1 and id = $2 and leased_until = $3
returning id;

-- name: finish_increment
update calendars
set sync_state = $4, fresh_until = $5, synced_at = $6, failures = 0, error = null, updated_at = $6
where org_id = $1 and id = $2 and leased_until = $3
returning id;

-- name: release_calendar
-- Read; again at $4, or when its channel is to be renewed, and at once where a push came meanwhile. At $5 where a change of ours
-- is still to be looked at: somebody was writing it.
update calendars c
set next_poll_at = case when exists (select from calendar_changes g
                                     where g.org_id = c.org_id and g.calendar_id = c.id and g.state <> 'held')
                        then least(next_poll_at, $5)
                        when next_poll_at = leased_until then least($4, case when channel_due_at is not null then greatest(channel_due_at, $5) end)
                        else next_poll_at end,
    leased_until = null
where org_id = $1 and id = $2 and leased_until = $3
returning id;

-- name: note_unread
-- Not read: tried again at $4. $6: its mirror says nothing any more.
update calendars
set next_poll_at = $4, leased_until = null, failures = failures + 1, error = $5, updated_at = $7,
    fresh_until = case when $6::boolean then '-infinity' else fresh_until end
where org_id = $1 and id = $2 and leased_until = $3
returning id;

-- name: drop_idle_changes
-- Of what does not stand there any more, or is not known to.
delete from calendar_changes g using calendar_events x
where g.org_id = $1 and g.calendar_id = $2 and x.org_id = g.org_id and x.id = g.event_id
  and (x.removed_at is not null or x.remote_id is null);

-- name: list_changes
-- Ours that look changed, with the booking behind each. Those that wait for their owner's word are left out, and for a moment
-- those that somebody writes, or whose booking was moved and is still owed to the calendar: the entry tells of the old one.
select g.event_id as id, g.state, g.plan, x.user_id, x.booking_id, x.calendar_id, x.remote_id, x.wanted, x.revision, x.starts_at, x.ends_at,
       x.written, b.status, b.starts_at as booked_from, b.ends_at as booked_until,
       coalesce((select max(h.at) from booking_history h where h.org_id = b.org_id and h.booking_id = b.id), b.created_at) as changed_at,
       coalesce(t.title, r.name, '') as title
from calendar_changes g
join calendar_events x on x.org_id = g.org_id and x.id = g.event_id
join bookings b on b.org_id = x.org_id and b.id = x.booking_id and b.rescheduled_to_id is null
left join event_types t on t.org_id = b.org_id and t.id = b.event_type_id
left join resources r on r.org_id = b.org_id and r.id = b.resource_id
where g.org_id = $1 and g.calendar_id = $2 and g.state <> 'held' and (x.leased_until is null or x.leased_until <= $3)
order by g.seen_at, g.event_id
limit 100;

-- name: drop_change
delete from calendar_changes where org_id = $1 and event_id = $2;

-- name: hold_changes
update calendar_changes set state = 'held' where org_id = $1 and event_id = any($2::uuid[]) and state = 'seen';

-- name: note_plan
update calendar_changes set plan = $3 where org_id = $1 and event_id = $2;

-- name: put_off_write
-- Somebody has changed it there meanwhile: first that is looked at.
update calendar_events set due_at = $4, attempts = attempts + 1, leased_until = null, error = 'changed_there'
where org_id = $1 and id = $2 and leased_until = $3;

-- name: find_visitor
select o.id as org_id, o.name as org_name, o.secret_sealed from organizations o where o.id = $1;

-- name: find_sibling
-- Another calendar of the same account, by its id there.
select s.id from calendars c
join calendars s on s.org_id = c.org_id and s.connection_id = c.connection_id and s.remote_id = $3
where c.org_id = $1 and c.id = $2;

-- name: rehome_event
update calendar_events set calendar_id = $3, remote_id = null, updated_at = $4
where org_id = $1 and id = $2 and removed_at is null and calendar_id <> $3;

-- name: begin_polling
update calendars set next_poll_at = least(next_poll_at, $3) where org_id = $1 and id = $2;

-- name: note_seen
-- Where it stands there now; the lease of whoever looked ends.
update calendar_events
set starts_at = coalesce($4, starts_at), ends_at = coalesce($5, ends_at), leased_until = null, updated_at = $6,
    written = case when $4::timestamptz is null then written else $7 end,
    revision = revision + $8::int, due_at = case when $8::int > 0 then $6::timestamptz else due_at end
where org_id = $1 and id = $2 and leased_until = $3
returning id;

-- name: note_cancelled_there
-- It was deleted there, and the booking with it: nothing is left to remove.
update calendar_events
set removed_at = $4, due_at = null, leased_until = null, error = null, updated_at = $4
where org_id = $1 and id = $2 and leased_until = $3
returning id;

-- name: count_touched
-- How many bookings syncs of this connection have changed since $3, and how many more look changed than those in $4, which
-- somebody has looked at.
select n.status, (select count(*) from unnest(n.touched_at) as t (at) where t.at > $3) as touched,
       (select count(*) from calendar_changes g
        join calendars c on c.org_id = g.org_id and c.id = g.calendar_id
        where g.org_id = n.org_id and c.connection_id = n.id and g.state = 'seen' and g.event_id <> all($4::uuid[])) as unread
from calendar_connections n where n.org_id = $1 and n.id = $2;

-- name: note_touched
update calendar_connections
set touched_at = array(select t.at from unnest(touched_at) as t (at) where t.at > $4) || array_fill($3::timestamptz, array[$5::int])
where org_id = $1 and id = $2;

-- name: lock_connection
-- Whoever refreshes a token, or ends or pauses a connection, does it alone.
select n.org_id, n.id, n.user_id, n.provider, n.account, n.credentials_sealed, n.status, n.server_url, n.refreshed_at
from calendar_connections n where n.org_id = $1 and n.id = $2 for no key update;

-- name: find_connection
select n.org_id, n.id, n.user_id, n.provider, n.account, n.credentials_sealed, n.status, n.server_url, n.refreshed_at
from calendar_connections n where n.org_id = $1 and n.id = $2;

-- name: store_credentials
update calendar_connections set credentials_sealed = $3, refreshed_at = $4, updated_at = $4 where org_id = $1 and id = $2;

-- name: set_status
update calendar_connections set status = $3, status_reason = $4, updated_at = $5
where org_id = $1 and id = $2 and status <> $3
returning id;

-- name: close_mirrors
-- Nothing is known any more of what these calendars say.
update calendars set fresh_until = '-infinity', error = $3, updated_at = $4 where org_id = $1 and connection_id = $2;

-- name: find_told
-- The calendar that an event of its connection tells of: the one that is written to, or the main one.
select c.id from calendars c
where c.org_id = $1 and c.connection_id = $2
order by c.is_write_target desc, c.is_primary desc, c.id
limit 1;

-- name: insert_plain_event
with event as (
    insert into events (org_id, id, type, sequence, at, body) values ($1, $2, $3, 1, $4, $5) returning id
)
insert into outbox (org_id, topic, ref_id, due_at) select $1, unnest($6::text[]), id, $4 from event;

-- name: owe_notice
insert into outbox (org_id, topic, ref_id, data, due_at) values ($1, 'notice', $2, $3, $4);

-- name: find_hook
-- (door) Whose channel a notification is of, and what it has to prove.
select org_id, id, hook_secret_hash from calendars where hook_id = $1;

-- name: prompt_calendar
-- It is worth a look now; one that waits longer because it failed is not waited for either.
update calendars set next_poll_at = least(next_poll_at, $3) where org_id = $1 and id = $2 and next_poll_at is not null;

-- name: forget_channel
-- It has ended: another one is asked for at the next look.
update calendars set channel = null, channel_due_at = null, next_poll_at = least(next_poll_at, $3)
where org_id = $1 and id = $2 and next_poll_at is not null;

-- name: renew_channel_soon
update calendars set channel_due_at = $3, next_poll_at = least(next_poll_at, $3)
where org_id = $1 and id = $2 and next_poll_at is not null and channel is not null;

-- name: store_channel
update calendars
set channel = $4, channel_due_at = $5, hook_id = $6, hook_secret_hash = $7, channel_failures = 0
where org_id = $1 and id = $2 and leased_until = $3
returning id;

-- name: prolong_channel
update calendars set channel = $4, channel_due_at = $5, channel_failures = 0
where org_id = $1 and id = $2 and leased_until = $3;

-- name: note_no_channel
update calendars set channel = null, channel_due_at = $4, channel_failures = channel_failures + 1
where org_id = $1 and id = $2 and leased_until = $3;

-- name: find_asker
-- (door) For whom a server asked for a consent that is still open; nothing is used up by that.
select u.name, o.name as org_name, t.provider, t.redirect_to
from calendar_authorizations t
join organizations o on o.id = t.org_id
join users u on u.org_id = t.org_id and u.id = t.user_id and u.disabled_at is null
where t.state_hash = $1 and t.browser_hash is null and t.expires_at > $2;

-- name: claim_endings
-- (queue) Connections that were ended here, and have something left at the provider.
select org_id, id, ending_attempts from calendar_connections
where ending_due_at <= $1
order by ending_due_at
limit 4
for no key update skip locked;

-- name: get_ending
select n.org_id, n.id, n.user_id, n.provider, n.account, n.credentials_sealed, n.status, n.server_url, n.refreshed_at, n.ending, n.ending_attempts
from calendar_connections n where n.org_id = $1 and n.id = $2 and n.ending_due_at is not null;

-- name: is_account_shared
-- (queue) Whether the account of a connection that was ended is connected once more, by anybody in any organization: a provider
-- has one grant for all of them.
select exists (
    select from calendar_connections n
    join calendar_connections o on o.provider = n.provider and o.account = n.account and o.status in ('active', 'paused')
    where n.org_id = $1 and n.id = $2 and o.id <> n.id
);

-- name: put_off_ending
update calendar_connections set ending_due_at = $3, ending_attempts = ending_attempts + 1 where org_id = $1 and id = $2;

-- name: finish_ending
-- Nothing is left of what could open the account.
update calendar_connections
set ending = null, ending_due_at = null, credentials_sealed = '', updated_at = $3
where org_id = $1 and id = $2 and status = 'disconnected';

-- name: clean_events
-- (queue) Removed so long ago that no news of it can come any more.
delete from calendar_events where (org_id, id) in (
    select org_id, id from calendar_events where removed_at < $1 order by removed_at limit 500
);

-- name: clean_authorizations
-- (queue) Consents that nobody came back from.
delete from calendar_authorizations where expires_at < $1;
