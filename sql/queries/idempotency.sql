-- name: try_lock
select pg_try_advisory_xact_lock($1);

-- name: find_key
select fingerprint, body_sealed from idempotency_keys where org_id = $1 and key = $2 and created_at > $3;

-- name: insert_key
-- A row of the same key that outlived its 24 hours gives way.
insert into idempotency_keys (org_id, key, fingerprint, body_sealed, created_at)
values ($1, $2, $3, $4, $5)
on conflict (org_id, key) do update
set fingerprint = excluded.fingerprint, body_sealed = excluded.body_sealed, created_at = excluded.created_at;

-- name: delete_old
delete from idempotency_keys
where (org_id, key) in (select org_id, key from idempotency_keys where created_at < $1 order by created_at limit $2);
