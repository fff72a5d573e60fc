-- Mail: what is owed to whom, reminders that fire once, and who asked for none.

-- A row is one mail to one person, made in the transaction that takes what it follows from out of the outbox. `settled_at` is
-- written before the mail server gets the last line of the mail, under the lease that the sender holds: a sender that dies
-- before has sent nothing, and one whose lease ran out cannot send what another one has.
create table mails (
    org_id           uuid not null references organizations (id),
    id               uuid not null,
    kind             text not null,
    role             text not null check (role in ('attendee', 'guest', 'host', 'member')),
    recipient        text not null check (length(recipient) between 3 and 320),
    user_id          uuid,
    booking_id       uuid,
    event_id         uuid,
    -- the calendar UID: mails of one to one person go out in the order in which what they tell happened
    thread           text,
    happened_at      timestamptz not null,
    -- the METHOD of the mail's calendar part and its ORGANIZER, which must stay the same for the UID whatever is configured later
    ical_method      text check (ical_method in ('REQUEST', 'CANCEL')),
    organizer        text,
    data             jsonb not null default '{}',
    -- a crowd of reminders lets everything else go first
    bulk             boolean not null default false,
    attempts         integer not null default 0,
    next_attempt_at  timestamptz,
    leased_until     timestamptz,
    settled_at       timestamptz,
    outcome          text check (outcome in ('sent', 'unknown', 'bounced', 'refused', 'given_up', 'superseded', 'unwanted')),
    error            text,
    created_at       timestamptz not null,
    primary key (org_id, id),
    check ((next_attempt_at is null) = (outcome is not null)),
    foreign key (org_id, user_id) references users (org_id, id),
    foreign key (org_id, booking_id) references bookings (org_id, id) on delete cascade,
    foreign key (org_id, event_id) references events (org_id, id)
);
create unique index mails_of_event on mails (org_id, event_id, kind, role, recipient) where event_id is not null;
create index mails_queue on mails (bulk, next_attempt_at) where next_attempt_at is not null;
create index mails_by_thread on mails (org_id, thread, recipient, happened_at) where thread is not null;
create index mails_old_queue on mails (created_at);

-- Addresses that want no reminders of this organization's.
create table mail_optouts (
    org_id      uuid not null references organizations (id),
    address     text not null check (address = lower(address)),
    created_at  timestamptz not null,
    primary key (org_id, address)
);

-- Raised to end a host's feed address, and to make another.
alter table users add column feed_version integer not null default 0;
