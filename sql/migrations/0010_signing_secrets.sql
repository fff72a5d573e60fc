-- A secret that is replaced stays live for a day, however often it is replaced again: whoever rotates twice, because the
-- first answer was lost, must not end the only secret that receivers have. Side by side: sealed secrets, and until when.
-- The single pair is read by the version still running; a later migration drops it.
alter table webhooks
    add column old_secrets_sealed bytea[] not null default '{}',
    add column old_secrets_until  timestamptz[] not null default '{}',
    add check (cardinality(old_secrets_sealed) = cardinality(old_secrets_until));
