-- outside a transaction
-- Deliveries are claimed webhook by webhook: a million that wait for one that is paused, slow or down must not stand before
-- everybody else's. Events are fanned out organization by organization, for the same reason. The queues before, of all by their
-- time alone, stay for workers of the version before; a later migration drops them.
drop index concurrently if exists deliveries_due;
create index concurrently deliveries_due on deliveries (org_id, webhook_id, next_attempt_at) where next_attempt_at is not null;
drop index concurrently if exists outbox_events;
create index concurrently outbox_events on outbox (org_id, due_at, no) where topic = 'event';
-- What is asked for by its type is rare as a rule: the four default events are most of the log, and are found in it anyway.
drop index concurrently if exists events_rare;
create index concurrently events_rare on events (org_id, type, xact, id)
    where type not in ('booking.created', 'booking.cancelled', 'booking.rescheduled', 'booking.no_show');
