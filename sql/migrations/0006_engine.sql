-- What the availability engine claims besides one host's time: sessions, counters, units.

-- Guests of one start share a sitting; it holds the hosts and units for all of them, and counts once in their caps.
alter table sittings
    add column ends_at   timestamptz,
    add column host_ids  uuid[] not null default '{}',
    add column units     jsonb not null default '[]',
    add column counters  jsonb not null default '[]';

-- counters: [[user_id, period, first date]], what this booking raised in booking_counters and its end gives back.
-- units: [{"resource_id", "name", "unit"}], what it holds besides its hosts.
alter table bookings
    add column counters  jsonb not null default '[]',
    add column units     jsonb not null default '[]';

create index bookings_by_sitting on bookings (org_id, sitting_id) where sitting_id is not null;

-- A claim is one statement, and writes all of what it claims or nothing. Where it has taken a part before it found that
-- another part is gone, it ends itself by this error, which takes the part back.
create function refuse_claim(reason text) returns text language plpgsql as $$
begin
    raise exception '%', reason using errcode = 'SW001';
end $$;
