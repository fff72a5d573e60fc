-- Organizations and the people, keys and sessions in them.
--
-- Every tenant table carries org_id and leads with it in its primary key, its indexes and its foreign keys,
-- so that the tables can be sharded by tenant later. The exceptions are the doors through which a caller
-- comes before the tenant is known (a key's hash, an e-mail at log-in, a public handle) and the queues,
-- which one worker drains for all tenants; each is marked "door" or "queue".

create table organizations (
    id              uuid primary key,
    name            text not null check (length(name) between 1 and 200),
    -- 32 random bytes under the key ring: links in mails and slot tokens are signed with a key derived from them
    secret_sealed   bytea not null,
    settings        jsonb not null default '{}',
    created_at      timestamptz not null,
    updated_at      timestamptz not null
);

-- What can be double-booked: a person, or one unit of a resource. The number is what the exclusion constraint
-- of `allocations` compares, because a range over bigint needs no extension and is 28 % cheaper than one over uuid.
create table subjects (
    org_id          uuid not null references organizations (id),
    subject_no      bigint not null generated always as identity,
    kind            text not null check (kind in ('user', 'resource_unit')),
    primary key (org_id, subject_no)
);

create table users (
    org_id              uuid not null references organizations (id),
    id                  uuid not null,
    subject_no          bigint not null,
    email               text not null check (length(email) between 3 and 320),
    name                text not null check (length(name) between 1 and 200),
    username            text not null,
    timezone            text not null,
    locale              text not null default 'en',
    role                text not null check (role in ('owner', 'admin', 'member')),
    password_hash       text,
    -- raised by a password change or "log out everywhere": sessions of an older generation are dead
    session_generation  integer not null default 0,
    invited_at          timestamptz,
    disabled_at         timestamptz,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    primary key (org_id, id),
    unique (org_id, subject_no),
    foreign key (org_id, subject_no) references subjects (org_id, subject_no)
);
create unique index users_email_door on users (lower(email));

create table teams (
    org_id      uuid not null references organizations (id),
    id          uuid not null,
    slug        text not null,
    name        text not null check (length(name) between 1 and 200),
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    primary key (org_id, id)
);

create table team_members (
    org_id   uuid not null,
    team_id  uuid not null,
    user_id  uuid not null,
    primary key (org_id, team_id, user_id),
    foreign key (org_id, team_id) references teams (org_id, id) on delete cascade,
    foreign key (org_id, user_id) references users (org_id, id) on delete cascade
);
create index team_members_by_user on team_members (org_id, user_id);

-- Usernames and team slugs share one namespace, because public addresses begin with them (door).
create table handles (
    handle   text primary key check (handle ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    org_id   uuid not null,
    user_id  uuid,
    team_id  uuid,
    check (num_nonnulls(user_id, team_id) = 1),
    foreign key (org_id, user_id) references users (org_id, id) on delete cascade,
    foreign key (org_id, team_id) references teams (org_id, id) on delete cascade
);
create unique index handles_of_user on handles (org_id, user_id) where user_id is not null;
create unique index handles_of_team on handles (org_id, team_id) where team_id is not null;

create table api_keys (
    org_id        uuid not null references organizations (id),
    id            uuid not null,
    user_id       uuid not null,
    name          text not null check (length(name) between 1 and 200),
    key_hash      bytea not null check (length(key_hash) = 32),
    key_start     text not null,
    scopes        text[] not null,
    tools         text[],
    limits        jsonb not null default '{}',
    created_by    uuid,
    created_at    timestamptz not null,
    last_used_at  timestamptz,
    expires_at    timestamptz,
    revoked_at    timestamptz,
    primary key (org_id, id),
    foreign key (org_id, user_id) references users (org_id, id),
    foreign key (org_id, created_by) references users (org_id, id)
);
create unique index api_keys_door on api_keys (key_hash);

create table sessions (
    org_id        uuid not null,
    id            uuid not null,
    user_id       uuid not null,
    token_hash    bytea not null check (length(token_hash) = 32),
    generation    integer not null,
    user_agent    text,
    address       inet,
    created_at    timestamptz not null,
    last_seen_at  timestamptz not null,
    expires_at    timestamptz not null,
    ended_at      timestamptz,
    primary key (org_id, id),
    foreign key (org_id, user_id) references users (org_id, id) on delete cascade
);
create unique index sessions_door on sessions (token_hash);
create index sessions_by_user on sessions (org_id, user_id);

-- One-time tokens by mail: invitation, password reset, changed address.
create table mail_tokens (
    org_id      uuid not null,
    id          uuid not null,
    user_id     uuid not null,
    purpose     text not null check (purpose in ('invitation', 'password_reset', 'email_change')),
    token_hash  bytea not null check (length(token_hash) = 32),
    data        jsonb not null default '{}',
    created_at  timestamptz not null,
    expires_at  timestamptz not null,
    used_at     timestamptz,
    primary key (org_id, id),
    foreign key (org_id, user_id) references users (org_id, id) on delete cascade
);
create unique index mail_tokens_door on mail_tokens (token_hash);
create index mail_tokens_by_user on mail_tokens (org_id, user_id, purpose);

create table audit_log (
    org_id      uuid not null references organizations (id),
    id          uuid not null,
    at          timestamptz not null,
    actor_kind  text not null check (actor_kind in ('user', 'api_key', 'attendee', 'system')),
    actor_id    uuid,
    action      text not null,
    target      text,
    address     inet,
    details     jsonb not null default '{}',
    primary key (org_id, id)
);
create index audit_log_by_time on audit_log (org_id, at desc, id desc);
