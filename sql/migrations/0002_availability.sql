-- What can be booked, and when it is open.

create table locations (
    org_id      uuid not null references organizations (id),
    id          uuid not null,
    name        text not null check (length(name) between 1 and 200),
    timezone    text not null,
    address     text,
    archived_at timestamptz,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    primary key (org_id, id)
);

-- Wall time as people write it ("MO", "09:00"), beside the zone it is meant in; seconds are computed when asked,
-- so that new rules of a zone apply to hours that were written before them.
create table schedules (
    org_id       uuid not null references organizations (id),
    id           uuid not null,
    name         text not null check (length(name) between 1 and 200),
    timezone     text not null,
    user_id      uuid,
    resource_id  uuid,
    is_default   boolean not null default false,
    weekly       jsonb not null check (jsonb_typeof(weekly) = 'array'),
    overrides    jsonb not null default '[]' check (jsonb_typeof(overrides) = 'array'),
    valid_from   date,
    valid_until  date,
    -- raised by every edit: a decision names the version that it was made by
    version      bigint not null default 1,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    primary key (org_id, id),
    check (num_nonnulls(user_id, resource_id) = 1),
    check (valid_until >= valid_from),
    foreign key (org_id, user_id) references users (org_id, id) on delete cascade
);
create unique index schedules_default_of_user on schedules (org_id, user_id) where is_default and user_id is not null;
create index schedules_by_resource on schedules (org_id, resource_id) where resource_id is not null;

create table resources (
    org_id       uuid not null references organizations (id),
    id           uuid not null,
    name         text not null check (length(name) between 1 and 200),
    kind         text not null check (length(kind) between 1 and 40),
    location_id  uuid not null,
    capacity     integer not null default 1 check (capacity > 0),
    attributes   jsonb not null default '{}',
    schedule_id  uuid,
    active       boolean not null default true,
    archived_at  timestamptz,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    primary key (org_id, id),
    foreign key (org_id, location_id) references locations (org_id, id),
    foreign key (org_id, schedule_id) references schedules (org_id, id)
);
create index resources_by_location on resources (org_id, location_id, kind);
alter table schedules add foreign key (org_id, resource_id) references resources (org_id, id) on delete cascade;

-- "Five projectors alike" is one resource with five units, and each unit is a subject of its own.
create table resource_units (
    org_id       uuid not null,
    resource_id  uuid not null,
    unit_no      integer not null check (unit_no > 0),
    subject_no   bigint not null,
    retired_at   timestamptz,
    primary key (org_id, resource_id, unit_no),
    unique (org_id, subject_no),
    foreign key (org_id, resource_id) references resources (org_id, id) on delete cascade,
    foreign key (org_id, subject_no) references subjects (org_id, subject_no)
);

create table event_types (
    org_id                  uuid not null references organizations (id),
    id                      uuid not null,
    code                    text not null check (code ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$'),
    slug                    text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    -- whose page it stands on, and so the namespace of its slug: its first host, or a team
    owner_user_id           uuid,
    owner_team_id           uuid,
    title                   text not null check (length(title) between 1 and 200),
    description             text,
    duration_minutes        integer not null,
    durations_minutes       integer[] not null check (cardinality(durations_minutes) between 1 and 20),
    -- the longest of the durations and services: how far ahead of a start busy time matters
    longest_minutes         integer not null check (longest_minutes between 1 and 1440),
    slot_interval_minutes   integer check (slot_interval_minutes between 1 and 1440),
    buffer_before_minutes   integer not null default 0 check (buffer_before_minutes between 0 and 1440),
    buffer_after_minutes    integer not null default 0 check (buffer_after_minutes between 0 and 1440),
    minimum_notice_minutes  integer not null default 0 check (minimum_notice_minutes >= 0),
    booking_window_days     integer default 60 check (booking_window_days > 0),
    max_per_day             integer check (max_per_day > 0),
    max_per_week            integer check (max_per_week > 0),
    max_per_month           integer check (max_per_month > 0),
    seats                   integer not null default 1 check (seats > 0),
    requires_confirmation   boolean not null default false,
    auto_complete           boolean not null default true,
    assignment              text not null default 'fixed' check (assignment in ('fixed', 'round_robin', 'collective')),
    schedule_id             uuid,
    questions               jsonb not null default '[]',
    routing_rules           jsonb not null default '[]',
    services                jsonb not null default '[]',
    requires                jsonb not null default '[]',
    location                jsonb,
    waitlist                boolean not null default false,
    reminders_minutes_before integer[] not null default '{1440}',
    active                  boolean not null default true,
    -- raised by every edit: slot tokens and cached answers name the version they were made for
    config_version          bigint not null default 1,
    archived_at             timestamptz,
    created_at              timestamptz not null,
    updated_at              timestamptz not null,
    primary key (org_id, id),
    check (duration_minutes = any(durations_minutes)),
    check (num_nonnulls(owner_user_id, owner_team_id) = 1),
    foreign key (org_id, owner_user_id) references users (org_id, id),
    foreign key (org_id, owner_team_id) references teams (org_id, id),
    foreign key (org_id, schedule_id) references schedules (org_id, id)
);
-- An archived event type gives its code and slug free.
create unique index event_types_code on event_types (org_id, code) where archived_at is null;
create unique index event_types_slug_of_user on event_types (org_id, owner_user_id, slug)
    where archived_at is null and owner_user_id is not null;
create unique index event_types_slug_of_team on event_types (org_id, owner_team_id, slug)
    where archived_at is null and owner_team_id is not null;

create table event_type_hosts (
    org_id            uuid not null,
    event_type_id     uuid not null,
    user_id           uuid not null,
    position          integer not null,
    weight            integer not null default 1 check (weight > 0),
    priority          integer not null default 0,
    assigned_count    bigint not null default 0,
    last_assigned_at  timestamptz,
    primary key (org_id, event_type_id, user_id),
    foreign key (org_id, event_type_id) references event_types (org_id, id) on delete cascade,
    foreign key (org_id, user_id) references users (org_id, id)
);
create index event_type_hosts_by_user on event_type_hosts (org_id, user_id);

create table event_links (
    org_id         uuid not null,
    id             uuid not null,
    event_type_id  uuid not null,
    code_hash      bytea not null check (length(code_hash) = 32),
    code_sealed    bytea not null,
    max_uses       integer not null default 1 check (max_uses > 0),
    uses           integer not null default 0 check (uses >= 0 and uses <= max_uses),
    expires_at     timestamptz,
    revoked_at     timestamptz,
    created_at     timestamptz not null,
    primary key (org_id, id),
    foreign key (org_id, event_type_id) references event_types (org_id, id)
);
create unique index event_links_door on event_links (code_hash);
create index event_links_by_event_type on event_links (org_id, event_type_id, created_at desc, id desc);
