-- name: claim_due
-- SKIP LOCKED: any number of workers share the queue without waiting for each other.
update outbox
set leased_until = $4, attempts = attempts + 1
where no in (
    select no from outbox
    where topic = $1 and due_at <= $3 and (leased_until is null or leased_until < $3)
    order by due_at, no
    limit $2
    for update skip locked
)
returning no, org_id, ref_id, attempts;

-- name: delete_done
delete from outbox where no = any($1::bigint[]);
