-- What keys may book at most.

-- name: count_booking
-- One more of the key's day; nothing where the day is used up. The row stays locked until the transaction ends, and is the first
-- lock of all that it takes: whoever books with the same key at the same time waits here, and for nothing else of theirs. A
-- process whose clock is a little behind counts in the day that has begun already.
insert into key_days as d (org_id, key_id, day, bookings)
values ($1, $2, $3, 1)
on conflict (org_id, key_id) do update
set day = greatest(d.day, excluded.day), bookings = case when d.day < excluded.day then 1 else d.bookings + 1 end
where d.day < excluded.day or d.bookings < $4
returning d.bookings;

-- name: find_event_type
select id from event_types where org_id = $1 and code = $2 and archived_at is null;

-- name: is_held_by
-- Who holds it never changes.
select held_by_key_id = $3 from bookings where org_id = $1 and id = $2;
