-- name: list_promises
-- The future bookings of everybody that hold their time, in the order of `bookings_by_start`, after the one named by the
-- first three. Whether a wall time still is its instant is not asked here: PostgreSQL brings zone rules of its own.
select org_id, id, code, timezone, local_start, starts_at
from bookings
where (org_id, starts_at, id) > ($1, $2, $3) and starts_at > $4
  and status in ('DRAFT', 'PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED')
order by org_id, starts_at, id
limit $5;
