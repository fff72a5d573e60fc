-- A webhook's own headers: sealed, since they are credentials as a rule; their names are shown.
alter table webhooks add column header_names text[] not null default '{}';

-- What is asked for by its type is rare as a rule: the four default events are most of the log, and are found in it anyway.
create index events_rare on events (org_id, type, xact, id)
    where type not in ('booking.created', 'booking.cancelled', 'booking.rescheduled', 'booking.no_show');
