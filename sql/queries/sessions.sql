-- name: begin_session
-- $9: the generation that the password was proven in. One that was changed meanwhile opens nothing.
insert into sessions (org_id, id, user_id, token_hash, generation, user_agent, address, created_at, last_seen_at, expires_at)
select u.org_id, $2, u.id, $4, u.session_generation, $5, $6::text::inet, $7, $7, $8
from users u
where u.org_id = $1 and u.id = $3 and u.disabled_at is null and u.session_generation = coalesce($9, u.session_generation)
returning id;

-- name: find_session
-- (door) The only look-up before the tenant is known.
select s.org_id, s.id, s.user_id, u.role, o.name as org_name, o.secret_sealed,
       s.last_seen_at < $2::timestamptz - interval '1 minute' as stale
from sessions s
join users u on u.org_id = s.org_id and u.id = s.user_id and u.disabled_at is null and u.session_generation = s.generation
join organizations o on o.id = s.org_id
where s.token_hash = $1 and s.ended_at is null and s.expires_at > $2 and s.last_seen_at > $3;

-- name: touch_session
-- At most once a minute, so that reads do not become writes.
update sessions set last_seen_at = $3, address = coalesce($4::text::inet, address)
where org_id = $1 and id = $2 and last_seen_at < $3;

-- name: list_sessions
select s.id, s.user_agent, host(s.address) as address, s.created_at, s.last_seen_at, s.expires_at
from sessions s
join users u on u.org_id = s.org_id and u.id = s.user_id and u.session_generation = s.generation
where s.org_id = $1 and s.user_id = $2 and s.ended_at is null and s.expires_at > $3 and s.last_seen_at > $4
order by s.last_seen_at desc, s.id desc;

-- name: end_session
update sessions set ended_at = $4
where org_id = $1 and user_id = $2 and id = $3 and ended_at is null
returning id;

-- name: end_sessions_until
update sessions s set ended_at = $4
from sessions this
where this.org_id = $1 and this.user_id = $2 and this.id = $3
  and s.org_id = $1 and s.user_id = $2 and s.ended_at is null and (s.created_at, s.id) <= (this.created_at, this.id);

-- name: end_session_by_token
-- (door)
update sessions set ended_at = $2 where token_hash = $1 and ended_at is null;

-- name: end_all_sessions
-- The generation, too: a log-in that is being answered this very moment is from before.
with person as (
    update users set session_generation = session_generation + 1 where org_id = $1 and id = $2
)
update sessions set ended_at = $3
where org_id = $1 and user_id = $2 and ended_at is null;

-- name: find_credentials
-- (door) What a log-in is compared with, if there is such an account; and how the e-mail is spelled here, in any case.
select s.spelling, u.org_id, u.id as user_id, u.password_hash, u.session_generation, o.name as org_name, o.secret_sealed
from (select lower($1::text) as spelling) s
left join users u on lower(u.email) = s.spelling and u.disabled_at is null
left join organizations o on o.id = u.org_id;

-- name: find_device
-- Whether somebody was logged in with this browser once.
select id from sessions where token_hash = $1 and org_id = $2 and user_id = $3;

-- name: get_password_hash
select password_hash from users where org_id = $1 and id = $2 and disabled_at is null;

-- name: change_password
-- Every session of before ends by the generation. Only where the password is still the one that was compared.
update users set password_hash = $3, session_generation = session_generation + 1, updated_at = $4
where org_id = $1 and id = $2 and disabled_at is null and password_hash = $5
returning id;

-- name: delete_old_sessions
-- (queue) By the clock, of all organizations: what ended long ago tells nobody anything any more.
delete from sessions where (org_id, id) = any(array(
    select (org_id, id) from sessions where coalesce(ended_at, expires_at) < $1 limit 1000
));
