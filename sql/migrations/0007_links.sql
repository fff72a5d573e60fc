-- Links are counted by the bookings that came through them, so that no counter can differ from them. The running version
-- never touched `uses`.
alter table event_links drop column uses;

-- In the order of their ids, as pages list them.
create index event_links_of_event_type on event_links (org_id, event_type_id, id);
drop index event_links_by_event_type;

create index bookings_by_link on bookings (org_id, event_link_id) where event_link_id is not null;
