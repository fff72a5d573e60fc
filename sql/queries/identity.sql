-- name: find_key
-- The door: the only look-up before the tenant is known.
select k.org_id, k.id, k.name, k.user_id, u.role, k.scopes, k.tools, k.limits, o.name as org_name, o.secret_sealed,
       coalesce(k.last_used_at < $2::timestamptz - interval '1 minute', true) as stale
from api_keys k
join organizations o on o.id = k.org_id
join users u on u.org_id = k.org_id and u.id = k.user_id and u.disabled_at is null
where k.key_hash = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > $2);

-- name: insert_key
insert into api_keys (org_id, id, user_id, name, key_hash, key_start, scopes, limits, created_by, created_at, tools, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $3, $9, $10, $11);

-- name: get_key
select id, name, key_start, scopes, tools, limits, user_id, created_at, last_used_at, expires_at
from api_keys where org_id = $1 and id = $2 and revoked_at is null;

-- name: list_keys
select id, name, key_start, scopes, tools, limits, user_id, created_at, last_used_at, expires_at
from api_keys
where org_id = $1 and revoked_at is null and id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
order by id
limit $3;

-- name: revoke_key
update api_keys set revoked_at = $3 where org_id = $1 and id = $2 and revoked_at is null
returning name;

-- name: touch_key
update api_keys set last_used_at = $3
where org_id = $1 and id = $2 and (last_used_at is null or last_used_at < $3::timestamptz - interval '1 minute');

-- name: insert_organization
insert into organizations (id, name, secret_sealed, created_at, updated_at) values ($1, $2, $3, $4, $4);

-- name: insert_user
-- A subject first: whoever can be booked has a number that the exclusion constraint compares. Who is asked for no language gets
-- the organization's.
with subject as (
    insert into subjects (org_id, kind)
    select $1, 'user'
    where not exists (select from users where lower(email) = lower($3))
    returning subject_no
)
insert into users (
    org_id, id, subject_no, email, name, username, timezone, locale, role, password_hash, invited_at, created_at, updated_at
)
select $1, $2, subject_no, $3, $4, $5, $6,
       coalesce($11, (select o.settings ->> 'locale' from organizations o where o.id = $1), 'en'), $7, $8, $9, $10, $10
from subject
on conflict (lower(email)) do nothing
returning id;

-- name: claim_handle_for_user
insert into handles (handle, org_id, user_id) values ($1, $2, $3)
on conflict do nothing
returning handle;

-- name: list_taken_handles
select handle from handles where handle = any($1::text[]);

-- name: take_username
-- The handle and the name that the person goes by, in one step; nothing where somebody has it.
with taken as (
    insert into handles (handle, org_id, user_id) values ($3, $1, $2)
    on conflict do nothing
    returning handle
)
update users u set username = t.handle
from taken t
where u.org_id = $1 and u.id = $2
returning u.username;

-- name: find_user_by_email
select org_id, id, subject_no, email, name, username, timezone, locale, role, created_at, updated_at
from users where lower(email) = lower($1) and disabled_at is null;

-- name: get_user
select id, subject_no, email, name, username, timezone, locale, role, created_at, updated_at
from users where org_id = $1 and id = $2;

-- name: end_account_tokens
update mail_tokens set used_at = $4
where org_id = $1 and user_id = $2 and used_at is null and ($3::text is null or purpose = $3);

-- name: insert_account_token
-- With the address that it is mailed to: it opens nothing once the person has another.
insert into mail_tokens (org_id, id, user_id, purpose, token_hash, data, created_at, expires_at)
select $1, $2, u.id, $4, $5, jsonb_build_object('email', lower(u.email)), $6, $7
from users u where u.org_id = $1 and u.id = $3;

-- name: find_account_token
-- (door) Whose account a link is to, by what it says of itself and the hash of all of it.
select t.org_id, t.id as token_id, t.user_id, u.email, o.name as org_name,
       t.used_at is null and t.expires_at > $5::timestamptz and t.data ->> 'email' = lower(u.email) as good
from mail_tokens t
join users u on u.org_id = t.org_id and u.id = t.user_id and u.disabled_at is null
join organizations o on o.id = t.org_id
where t.org_id = $1 and t.id = $2 and t.purpose = $3 and t.token_hash = $4;

-- name: use_account_token
-- Before the person's row is touched: whoever is second waits here for the first, and then finds the token used.
update mail_tokens set used_at = $3
where org_id = $1 and id = $2 and used_at is null and expires_at > $3
returning id;

-- name: set_password
update users set password_hash = $3, session_generation = session_generation + 1, updated_at = $4
where org_id = $1 and id = $2 and disabled_at is null
returning id;

-- name: awaits_password
select password_hash is null from users where org_id = $1 and id = $2 and disabled_at is null;

-- name: list_first_organizations
-- (door) For an operator who names none: two are enough to know that there are several.
select id from organizations order by id limit 2;

-- name: get_organization
select id, name, settings ->> 'sender_name' as sender_name, settings ->> 'reply_to' as reply_to,
       coalesce(settings ->> 'locale', 'en') as locale
from organizations where id = $1;

-- name: update_organization
-- Merged here, so that two edits of different things at once both hold.
update organizations set name = coalesce($2, name), settings = settings || $3::jsonb, updated_at = $4
where id = $1
returning id, name, settings ->> 'sender_name' as sender_name, settings ->> 'reply_to' as reply_to,
          coalesce(settings ->> 'locale', 'en') as locale;
