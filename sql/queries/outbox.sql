-- name: find_oldest
select min(due_at) from outbox;
