-- name: find_optout
-- (door) Whose mail a link came with, by what it says of itself, with what proves it.
select m.org_id, m.id, m.recipient, o.name as org_name, o.secret_sealed,
       exists (select from mail_optouts x where x.org_id = m.org_id and x.address = lower(m.recipient)) as opted_out
from mails m
join organizations o on o.id = m.org_id
where m.org_id = $1 and m.id = $2;

-- name: insert_optout
insert into mail_optouts (org_id, address, created_at) values ($1, lower($2), $3)
on conflict do nothing;

-- name: delete_optout
delete from mail_optouts where org_id = $1 and address = lower($2);
