-- Waiting lists: what an entry needs so that its offer is a booking like any other, and when somebody looks next whether
-- anything is free for whoever waits.

alter table waitlist_entries
    add column attendee_phone    text,
    add column duration_minutes  integer,
    add column service_id        text,
    add column host_id           uuid,
    add column notes             text,
    add column custom_fields     jsonb not null default '{}',
    add column metadata          jsonb not null default '{}',
    -- from when on nothing of it can be had: its start, or the end of its day
    add column closes_at         timestamptz,
    add column ended_at          timestamptz,
    add foreign key (org_id, host_id) references users (org_id, id);
update waitlist_entries set closes_at = coalesce(starts_at, (local_date + 1)::timestamp at time zone timezone);
alter table waitlist_entries alter column closes_at set not null;

-- Nobody has two places in line for one thing; nor for one day, by naming it in several zones.
create unique index waitlist_once_for_start on waitlist_entries (org_id, event_type_id, starts_at, lower(attendee_email))
    where status in ('waiting', 'offered') and starts_at is not null;
create unique index waitlist_once_for_day on waitlist_entries (org_id, event_type_id, local_date, lower(attendee_email))
    where status in ('waiting', 'offered') and local_date is not null;
-- Nor two offers at once.
create unique index waitlist_one_offer on waitlist_entries (org_id, event_type_id, lower(attendee_email)) where status = 'offered';
create index waitlist_by_attendee on waitlist_entries (org_id, lower(attendee_email)) where status in ('waiting', 'offered');
create index waitlist_line on waitlist_entries (org_id, event_type_id, created_at, id) where status = 'waiting';
create index waitlist_by_booking on waitlist_entries (org_id, booking_id) where booking_id is not null;
create index waitlist_by_event_type on waitlist_entries (org_id, event_type_id, id);
drop index waitlist_by_slot, waitlist_offers_queue;

-- One row for each event type that somebody has ever waited for. Whoever makes its offers holds the row, so that the first in
-- line is the first whatever the number of workers; a booking's end asks it whether anybody is to be told.
create table waitlists (
    org_id         uuid not null,
    event_type_id  uuid not null,
    -- null: nobody waits
    next_check_at  timestamptz,
    -- the place in line up to which everybody was tried, where a look has ended before the line has; null: begin with the first
    tried_until    timestamptz,
    tried_id       uuid,
    primary key (org_id, event_type_id),
    foreign key (org_id, event_type_id) references event_types (org_id, id)
);
create index waitlists_awake on waitlists (org_id) where next_check_at is not null;
create index waitlists_queue on waitlists (next_check_at) where next_check_at is not null;
insert into waitlists (org_id, event_type_id, next_check_at)
select distinct org_id, event_type_id, timestamptz 'epoch' from waitlist_entries where status = 'waiting';
