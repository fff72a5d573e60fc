-- Which key holds a slot: in whose day it was counted. Null for whoever has no key; nobody asks once the hold is finished. No
-- foreign key: it is compared, and never followed.
alter table bookings add column held_by_key_id uuid;
