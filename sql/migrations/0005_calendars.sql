-- Connected calendars and what they say is taken.

create table calendar_connections (
    org_id            uuid not null,
    id                uuid not null,
    user_id           uuid not null,
    provider          text not null check (provider in ('google', 'microsoft', 'caldav')),
    account           text not null,
    credentials_sealed bytea not null,
    status            text not null check (status in ('active', 'needs_reauth', 'paused', 'disconnected')),
    status_reason     text,
    refreshed_at      timestamptz,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    primary key (org_id, id),
    foreign key (org_id, user_id) references users (org_id, id) on delete cascade
);
create unique index calendar_connections_account on calendar_connections (org_id, user_id, provider, account)
    where status <> 'disconnected';

create table calendars (
    org_id           uuid not null,
    id               uuid not null,
    connection_id    uuid not null,
    user_id          uuid not null,
    remote_id        text not null,
    name             text not null,
    timezone         text,
    read_busy        boolean not null default true,
    is_write_target  boolean not null default false,
    stale_policy     text not null default 'fail_closed' check (stale_policy in ('fail_closed', 'fail_open', 'warn')),
    sync_state       jsonb not null default '{}',
    -- a full sync fills a new generation beside the old one and then moves this on: busy time is never forgotten between
    generation       bigint not null default 0,
    synced_at        timestamptz,
    next_poll_at     timestamptz,
    channel          jsonb,
    channel_expires_at timestamptz,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    primary key (org_id, id),
    unique (org_id, connection_id, remote_id),
    foreign key (org_id, connection_id) references calendar_connections (org_id, id) on delete cascade,
    foreign key (org_id, user_id) references users (org_id, id) on delete cascade
);
create unique index calendars_write_target on calendars (org_id, user_id) where is_write_target;
create index calendars_poll_queue on calendars (next_poll_at) where next_poll_at is not null;

create table busy_blocks (
    org_id       uuid not null,
    calendar_id  uuid not null,
    generation   bigint not null,
    remote_id    text not null,
    subject_no   bigint not null,
    during       tstzrange not null check (not isempty(during)),
    tentative    boolean not null default false,
    primary key (org_id, calendar_id, generation, remote_id, during),
    foreign key (org_id, calendar_id) references calendars (org_id, id) on delete cascade,
    foreign key (org_id, subject_no) references subjects (org_id, subject_no)
);
create index busy_blocks_by_subject on busy_blocks using gist (int8range(subject_no, subject_no, '[]'), during);

-- Where a booking stands in a host's calendar, so that a retry patches instead of adding.
create table calendar_events (
    org_id       uuid not null,
    booking_id   uuid not null,
    user_id      uuid not null,
    calendar_id  uuid not null,
    remote_id    text not null,
    etag         text,
    state        text not null check (state in ('writing', 'written', 'removing', 'removed', 'failed')),
    error        text,
    attempts     integer not null default 0,
    written_at   timestamptz,
    updated_at   timestamptz not null,
    primary key (org_id, booking_id, user_id),
    unique (org_id, calendar_id, remote_id),
    foreign key (org_id, booking_id) references bookings (org_id, id) on delete cascade,
    foreign key (org_id, user_id) references users (org_id, id),
    foreign key (org_id, calendar_id) references calendars (org_id, id)
);
