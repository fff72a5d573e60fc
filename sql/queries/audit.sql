-- name: insert_entry
insert into audit_log (org_id, id, at, actor_kind, actor_id, action, target, address, details)
values ($1, $2, $3, $4, $5, $6, $7, $8::text::inet, $9);

-- name: list_entries
select id, at, actor_kind, actor_id, action, target, host(address) as address, details
from audit_log
where org_id = $1
  and ($2::text is null or action = $2 or split_part(action, '.', 1) = $2)
  and ($3::text is null or target = $3)
  and ($4::uuid is null or actor_id = $4)
  and ($5::timestamptz is null or at >= $5)
  and ($6::timestamptz is null or at < $6)
order by at desc, id desc
offset $7 limit $8;

-- name: count_entries
select count(*)
from audit_log
where org_id = $1
  and ($2::text is null or action = $2 or split_part(action, '.', 1) = $2)
  and ($3::text is null or target = $3)
  and ($4::uuid is null or actor_id = $4)
  and ($5::timestamptz is null or at >= $5)
  and ($6::timestamptz is null or at < $6);

-- name: delete_old_refusals
-- (queue) What strangers have written, of all organizations. The limit is written here, as in `claim_mails`.
delete from audit_log where (org_id, id) = any(array(
    select (org_id, id) from audit_log
    where at < $1 and action in ('session.refused', 'password.reset_requested')
    order by at limit 1000
));
