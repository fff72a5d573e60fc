-- Two-way calendars: what connecting, reading, writing and being told of changes have to remember.

alter table calendar_connections
    -- of CalDAV
    add column server_url text,
    -- the provider asked to be left alone until then
    add column resting_until timestamptz,
    -- when a sync changed bookings, for the brake: the last minute of them
    add column touched_at timestamptz[] not null default '{}',
    -- disconnected: what is still to be ended at the provider, and what it takes
    add column ending jsonb,
    add column ending_due_at timestamptz,
    add column ending_attempts integer not null default 0;
create index calendar_connections_ending_queue on calendar_connections (ending_due_at) where ending_due_at is not null;

alter table calendars
    add column is_primary boolean not null default false,
    add column is_writable boolean not null default true,
    -- of a disconnected account: whether it counted, for when it is connected again
    add column was_busy boolean,
    -- from then on what its mirror says is too old to be believed; nothing was read yet
    add column fresh_until timestamptz not null default '-infinity',
    -- beyond that nothing is mirrored
    add column known_until timestamptz not null default '-infinity',
    -- the generation that the latest full sync fills
    add column filling bigint not null default 0,
    add column leased_until timestamptz,
    add column failures integer not null default 0,
    add column error text,
    -- how notifications name the channel, and what they have to prove
    add column hook_id uuid,
    add column hook_secret_hash bytea,
    add column channel_failures integer not null default 0;
-- it says when a channel is to be renewed, or asked for again
alter table calendars rename column channel_expires_at to channel_due_at;
create index calendars_by_user on calendars (org_id, user_id);
create unique index calendars_hook_door on calendars (hook_id) where hook_id is not null;

-- Nothing has ever been written into it.
drop table calendar_events;

-- A booking and all its reschedules, in the calendar of one of those who have it. The id is the mark that the event there
-- carries. What was removed stays for a while, so that late news of it is known for what it is.
create table calendar_events (
    org_id            uuid not null,
    id                uuid not null,
    thread            text not null,
    user_id           uuid not null,
    booking_id        uuid not null,
    calendar_id       uuid not null,
    remote_id         text,
    -- whether it is to stand there
    wanted            boolean not null default true,
    revision          bigint not null default 1,
    written_revision  bigint not null default 0,
    -- what was written there last, and where it stood when it was written or looked at last
    written           jsonb,
    starts_at         timestamptz,
    ends_at           timestamptz,
    meeting_url       text,
    due_at            timestamptz,
    leased_until      timestamptz,
    attempts          integer not null default 0,
    error             text,
    written_at        timestamptz,
    removed_at        timestamptz,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    primary key (org_id, id),
    foreign key (org_id, booking_id) references bookings (org_id, id) on delete cascade,
    foreign key (org_id, user_id) references users (org_id, id) on delete cascade,
    foreign key (org_id, calendar_id) references calendars (org_id, id) on delete cascade
);
create unique index calendar_events_of_thread on calendar_events (org_id, thread, user_id) where removed_at is null;
create index calendar_events_by_booking on calendar_events (org_id, booking_id);
create index calendar_events_by_remote on calendar_events (org_id, calendar_id, remote_id);
create index calendar_events_queue on calendar_events (due_at) where due_at is not null;

-- Our own events that look changed there, until somebody has looked again and decided.
create table calendar_changes (
    org_id       uuid not null,
    event_id     uuid not null,
    calendar_id  uuid not null,
    seen_at      timestamptz not null,
    -- held: it waits for its owner's word. approved: they gave it.
    state        text not null default 'seen' check (state in ('seen', 'held', 'approved')),
    -- what it would do, where it is held: {"action", "starts_at"}
    plan         jsonb,
    primary key (org_id, event_id),
    foreign key (org_id, event_id) references calendar_events (org_id, id) on delete cascade,
    foreign key (org_id, calendar_id) references calendars (org_id, id) on delete cascade
);
create index calendar_changes_by_calendar on calendar_changes (org_id, calendar_id);

-- Somebody is at the provider's consent page.
create table calendar_authorizations (
    org_id        uuid not null,
    id            uuid not null,
    user_id       uuid not null,
    provider      text not null check (provider in ('google', 'microsoft')),
    state_hash    bytea not null,
    -- of the browser that asked, where it was one
    browser_hash  bytea,
    redirect_to   text,
    created_at    timestamptz not null,
    expires_at    timestamptz not null,
    primary key (org_id, id),
    foreign key (org_id, user_id) references users (org_id, id) on delete cascade
);
create unique index calendar_authorizations_door on calendar_authorizations (state_hash);
create index calendar_authorizations_queue on calendar_authorizations (expires_at);
