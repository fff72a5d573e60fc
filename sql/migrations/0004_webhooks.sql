-- Events, the outbox that guarantees that each is acted on, and the deliveries made of them.

create table webhooks (
    org_id            uuid not null references organizations (id),
    id                uuid not null,
    url               text not null,
    events            text[] not null check (cardinality(events) > 0),
    event_type_ids    uuid[],
    headers_sealed    bytea,
    description       text,
    active            boolean not null default true,
    secret_sealed     bytea not null,
    -- while a rotation overlaps, deliveries are signed with both
    old_secret_sealed bytea,
    old_secret_until  timestamptz,
    failing_since     timestamptz,
    disabled_reason   text,
    deleted_at        timestamptz,
    created_at        timestamptz not null,
    updated_at        timestamptz not null,
    primary key (org_id, id)
);

-- The event log: what happened, as the very bytes that every receiver gets.
create table events (
    org_id         uuid not null references organizations (id),
    id             uuid not null,
    type           text not null,
    booking_id     uuid,
    event_type_id  uuid,
    sequence       integer not null,
    at             timestamptz not null,
    body           text not null,
    primary key (org_id, id),
    foreign key (org_id, booking_id) references bookings (org_id, id)
);
create unique index events_by_booking on events (org_id, booking_id, sequence) where booking_id is not null;

-- Work that a commit owes (queue). A row is written in the transaction of what it follows from and taken in batches with
-- SKIP LOCKED, so that any number of workers share it. Webhooks, mail, reminders and calendar writes are topics of it; a
-- topic whose work is not done in the taking statement itself holds its rows by lease.
create table outbox (
    no            bigint generated always as identity primary key,
    org_id        uuid not null,
    topic         text not null,
    ref_id        uuid not null,
    data          jsonb,
    due_at        timestamptz not null,
    leased_until  timestamptz,
    attempts      integer not null default 0
);
create index outbox_queue on outbox (topic, due_at, no);

create table deliveries (
    org_id           uuid not null,
    id               uuid not null,
    event_id         uuid not null,
    webhook_id       uuid not null,
    status           text not null default 'pending' check (status in ('pending', 'delivered', 'failed', 'exhausted')),
    attempts         integer not null default 0,
    -- counts from 0 again when somebody asks for a redelivery
    retry_no         integer not null default 0,
    next_attempt_at  timestamptz,
    leased_until     timestamptz,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    primary key (org_id, id),
    unique (org_id, event_id, webhook_id),
    foreign key (org_id, event_id) references events (org_id, id),
    foreign key (org_id, webhook_id) references webhooks (org_id, id)
);
create index deliveries_by_webhook on deliveries (org_id, webhook_id, created_at desc, id desc);
create index deliveries_queue on deliveries (next_attempt_at) where next_attempt_at is not null;

create table delivery_attempts (
    org_id       uuid not null,
    delivery_id  uuid not null,
    no           integer not null,
    at           timestamptz not null,
    status_code  integer,
    duration_ms  integer not null,
    error        text,
    response     text,
    primary key (org_id, delivery_id, no),
    foreign key (org_id, delivery_id) references deliveries (org_id, id) on delete cascade
);
