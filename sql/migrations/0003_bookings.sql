-- Bookings, and the allocations that make a double booking impossible.

-- Guests of one start of a seated event type share a sitting, and so one allocation.
create table sittings (
    org_id         uuid not null,
    id             uuid not null,
    event_type_id  uuid not null,
    starts_at      timestamptz not null,
    seats          integer not null check (seats > 0),
    taken          integer not null check (taken >= 0 and taken <= seats),
    primary key (org_id, id),
    unique (org_id, event_type_id, starts_at),
    foreign key (org_id, event_type_id) references event_types (org_id, id)
);

create table bookings (
    org_id               uuid not null references organizations (id),
    id                   uuid not null,
    code                 text not null,
    status               text not null check (status in ('DRAFT', 'PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED',
                                                         'COMPLETED', 'CANCELLED', 'NO_SHOW')),
    event_type_id        uuid,
    resource_id          uuid,
    sitting_id           uuid,
    event_link_id        uuid,
    assigned_to_id       uuid,
    host_ids             uuid[] not null default '{}',
    created_by_user_id   uuid,
    starts_at            timestamptz not null,
    ends_at              timestamptz not null,
    -- the attendee's zone, and the wall time that was promised: an update of tzdata can part the two
    timezone             text not null,
    local_start          timestamp not null,
    attendee_name        text,
    attendee_email       text,
    attendee_phone       text,
    attendee_bounced_at  timestamptz,
    guests               jsonb not null default '[]',
    custom_fields        jsonb not null default '{}',
    metadata             jsonb not null default '{}',
    answers              jsonb not null default '[]',
    notes                text,
    location             jsonb,
    service_id           text,
    routing_trace        jsonb,
    requires_confirmation boolean not null default false,
    auto_complete        boolean not null default true,
    hold_expires_at      timestamptz,
    cancelled_at         timestamptz,
    cancelled_by         text check (cancelled_by in ('host', 'attendee', 'api', 'system', 'calendar')),
    cancellation_reason  text,
    rescheduled_from_id  uuid,
    rescheduled_to_id    uuid,
    ical_uid             text not null,
    ical_sequence        integer not null default 0,
    token_version        integer not null default 0,
    event_sequence       integer not null default 0,
    created_at           timestamptz not null,
    updated_at           timestamptz not null,
    primary key (org_id, id),
    check (ends_at > starts_at),
    check ((status = 'CANCELLED') = (cancelled_at is not null)),
    check (num_nonnulls(event_type_id, resource_id) >= 1),
    check (status = 'DRAFT' or resource_id is not null or (attendee_name is not null and attendee_email is not null)
           or (status = 'CANCELLED' and cancellation_reason = 'hold_expired')),
    foreign key (org_id, event_type_id) references event_types (org_id, id),
    foreign key (org_id, resource_id) references resources (org_id, id),
    foreign key (org_id, sitting_id) references sittings (org_id, id),
    foreign key (org_id, event_link_id) references event_links (org_id, id),
    foreign key (org_id, assigned_to_id) references users (org_id, id),
    foreign key (org_id, created_by_user_id) references users (org_id, id),
    foreign key (org_id, rescheduled_from_id) references bookings (org_id, id),
    foreign key (org_id, rescheduled_to_id) references bookings (org_id, id)
);
create unique index bookings_code on bookings (org_id, code);
create index bookings_by_start on bookings (org_id, starts_at, id);
create index bookings_by_event_type on bookings (org_id, event_type_id, starts_at);
create index bookings_by_host on bookings (org_id, assigned_to_id, starts_at);
create index bookings_by_attendee on bookings (org_id, lower(attendee_email), starts_at);
-- What the clock acts on (queue): holds that end, requests that nobody answered, meetings that are over.
create index bookings_holds_queue on bookings (hold_expires_at) where status = 'DRAFT';
create index bookings_pending_queue on bookings (starts_at) where status = 'PENDING_CONFIRMATION';
create index bookings_ended_queue on bookings (ends_at) where status in ('SCHEDULED', 'RESCHEDULED') and auto_complete;

create table booking_history (
    org_id       uuid not null,
    booking_id   uuid not null,
    no           integer not null,
    from_status  text not null,
    to_status    text not null,
    at           timestamptz not null,
    by           text not null check (by in ('host', 'attendee', 'api', 'system', 'calendar')),
    by_id        uuid,
    reason       text,
    primary key (org_id, booking_id, no),
    foreign key (org_id, booking_id) references bookings (org_id, id) on delete cascade
);

-- What a booking holds: one subject, one period, buffers included, half-open. The exclusion constraint is the only
-- thing that decides double booking. A row exists only while it holds: ending a booking deletes it in the same
-- transaction. It cannot lead with org_id (a gist index over uuid needs an extension); subject numbers are unique
-- across organizations, so that two tenants never meet in it.
create table allocations (
    org_id         uuid not null,
    id             uuid not null,
    subject_no     bigint not null,
    during         tstzrange not null check (not isempty(during) and lower_inc(during) and not upper_inc(during)),
    booking_id     uuid,
    sitting_id     uuid,
    -- a hold: whoever asks for the slot after this instant may take it
    expires_at     timestamptz,
    primary key (org_id, id),
    check (num_nonnulls(booking_id, sitting_id) = 1),
    foreign key (org_id, subject_no) references subjects (org_id, subject_no),
    foreign key (org_id, booking_id) references bookings (org_id, id) on delete cascade,
    foreign key (org_id, sitting_id) references sittings (org_id, id) on delete cascade,
    constraint allocations_no_double_booking
        exclude using gist (int8range(subject_no, subject_no, '[]') with &&, during with &&)
);
create index allocations_by_booking on allocations (org_id, booking_id) where booking_id is not null;
create index allocations_by_sitting on allocations (org_id, sitting_id) where sitting_id is not null;

-- Caps are exact because a booking raises its counters in the statement that claims the slot.
create table booking_counters (
    org_id         uuid not null,
    event_type_id  uuid not null,
    user_id        uuid not null,
    period         text not null check (period in ('day', 'week', 'month')),
    period_start   date not null,
    taken          integer not null check (taken >= 0),
    primary key (org_id, event_type_id, user_id, period, period_start),
    foreign key (org_id, event_type_id) references event_types (org_id, id) on delete cascade,
    foreign key (org_id, user_id) references users (org_id, id)
);

create table waitlist_entries (
    org_id         uuid not null,
    id             uuid not null,
    event_type_id  uuid not null,
    starts_at      timestamptz,
    local_date     date,
    timezone       text not null,
    attendee_name  text not null,
    attendee_email text not null,
    answers        jsonb not null default '[]',
    status         text not null check (status in ('waiting', 'offered', 'booked', 'expired', 'left')),
    booking_id     uuid,
    offered_at     timestamptz,
    offer_expires_at timestamptz,
    created_at     timestamptz not null,
    primary key (org_id, id),
    check (num_nonnulls(starts_at, local_date) = 1),
    foreign key (org_id, event_type_id) references event_types (org_id, id),
    foreign key (org_id, booking_id) references bookings (org_id, id)
);
create index waitlist_by_slot on waitlist_entries (org_id, event_type_id, starts_at, created_at, id) where status = 'waiting';
create index waitlist_offers_queue on waitlist_entries (offer_expires_at) where status = 'offered';

create table reminders (
    org_id          uuid not null,
    id              uuid not null,
    booking_id      uuid not null,
    minutes_before  integer not null,
    due_at          timestamptz not null,
    sent_at         timestamptz,
    dropped_at      timestamptz,
    primary key (org_id, id),
    unique (org_id, booking_id, minutes_before),
    foreign key (org_id, booking_id) references bookings (org_id, id) on delete cascade
);
create index reminders_queue on reminders (due_at) where sent_at is null and dropped_at is null;

-- The first answer to a creating POST, so that a retry gets the same bytes. The body is sealed under the key ring:
-- it holds an attendee's data and the links that cancel the booking.
create table idempotency_keys (
    org_id        uuid not null references organizations (id),
    key           text not null,
    fingerprint   bytea not null check (length(fingerprint) = 32),
    body_sealed   bytea not null,
    created_at    timestamptz not null,
    primary key (org_id, key)
);
create index idempotency_keys_queue on idempotency_keys (created_at);
