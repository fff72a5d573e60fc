-- What keys have used up of their days. One row for each key that has a number of bookings a day: the last day on which it
-- booked, in UTC, and how often. It says nothing of the days before, so there is nothing to clear away.
create table key_days (
    org_id    uuid not null,
    key_id    uuid not null,
    day       date not null,
    bookings  integer not null check (bookings > 0),
    primary key (org_id, key_id),
    foreign key (org_id, key_id) references api_keys (org_id, id) on delete cascade
);

-- Put in line by a key of which a person decides every booking: what is offered to it waits for that person, too.
alter table waitlist_entries add column requires_approval boolean not null default false;
