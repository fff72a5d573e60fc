alter table webhooks
    -- its own headers are sealed, since they are credentials as a rule; their names are shown
    add column header_names text[] not null default '{}',
    -- since when it is not active: what happened before is still owed to it
    add column paused_at timestamptz,
    -- its last failure: a silence of days is no failing
    add column failed_at timestamptz;
