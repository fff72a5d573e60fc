-- What was booked before anybody was reminded is reminded of, too. By itself, so that no lock of the tables that the running
-- version writes lasts as long as this does.
insert into reminders (org_id, id, booking_id, minutes_before, due_at)
select b.org_id, gen_random_uuid(), b.id, m.minutes, b.starts_at - m.minutes * interval '1 minute'
from bookings b
join event_types t on t.org_id = b.org_id and t.id = b.event_type_id
cross join unnest(t.reminders_minutes_before) as m (minutes)
where b.status in ('SCHEDULED', 'RESCHEDULED') and b.starts_at - m.minutes * interval '1 minute' > now()
on conflict do nothing;
