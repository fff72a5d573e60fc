-- All that is sealed under the key ring, of every organization, in the order of the tables' own keys. A value is replaced only
-- where it is still the one that was read: whoever wrote another one meanwhile has sealed that themselves.

-- name: list_organizations
select id, secret_sealed from organizations where id > $1 order by id limit 100;

-- name: reseal_organization
update organizations set secret_sealed = $2 where id = $1 and secret_sealed = $3;

-- name: list_sealed_webhooks
select org_id, id, secret_sealed, headers_sealed, old_secret_sealed, old_secrets_sealed
from webhooks
where (org_id, id) > ($1, $2)
order by org_id, id
limit 100;

-- name: reseal_webhook
update webhooks
set secret_sealed = $3, headers_sealed = $4, old_secret_sealed = $5, old_secrets_sealed = $6
where org_id = $1 and id = $2 and secret_sealed = $7 and headers_sealed is not distinct from $8
  and old_secret_sealed is not distinct from $9 and old_secrets_sealed = $10;

-- name: list_sealed_links
select org_id, id, code_sealed from event_links where (org_id, id) > ($1, $2) order by org_id, id limit 100;

-- name: reseal_link
update event_links set code_sealed = $3 where org_id = $1 and id = $2 and code_sealed = $4;

-- name: list_sealed_answers
select org_id, key, body_sealed from idempotency_keys where (org_id, key) > ($1, $2) order by org_id, key limit 100;

-- name: reseal_answer
update idempotency_keys set body_sealed = $3 where org_id = $1 and key = $2 and body_sealed = $4;

-- name: list_sealed_connections
select org_id, id, credentials_sealed from calendar_connections
-- of those that have ended nothing is left
where (org_id, id) > ($1, $2) and credentials_sealed <> ''
order by org_id, id limit 100;

-- name: reseal_connection
update calendar_connections set credentials_sealed = $3 where org_id = $1 and id = $2 and credentials_sealed = $4;
