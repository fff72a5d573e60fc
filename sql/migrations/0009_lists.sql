-- What lists are narrowed to where no index helped.

-- "Who waits for an answer?" is what a dashboard asks first, and few do.
create index bookings_unanswered on bookings (org_id, starts_at, id) where status = 'PENDING_CONFIRMATION';

-- A resource's bookings: those of the resource itself, and those that hold a unit of it beside a host.
create index bookings_by_resource on bookings (org_id, resource_id, starts_at) where resource_id is not null;
create index bookings_by_unit on bookings using gin (units jsonb_path_ops) where units <> '[]';
