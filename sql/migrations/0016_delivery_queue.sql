-- outside a transaction
-- Deliveries are claimed webhook by webhook: a million that wait for one that is paused, slow or down must not stand before
-- everybody else's. The queue of all of them by their time alone goes; a worker of the version before finds its deliveries
-- without it too, only slowly, for as long as it still runs. Events are fanned out organization by organization, for the same
-- reason; what they leave of the queue before is that of the other topics.
drop index concurrently if exists deliveries_due;
create index concurrently deliveries_due on deliveries (org_id, webhook_id, next_attempt_at) where next_attempt_at is not null;
drop index concurrently if exists deliveries_queue;
drop index concurrently if exists outbox_events;
create index concurrently outbox_events on outbox (org_id, due_at, no) where topic = 'event';
