-- name: load_inputs
-- One row per host (one without a host when there is none). Unknown schedules come out as null: never open.
-- Busy time reaches past the asked range by the buffers and the longest duration, since a start near its edge is
-- blocked by what lies beyond it. A booking does not ask for it ($8): the claim itself finds out, under the constraint.
select t.id as event_type_id, t.code, t.title, t.active, t.duration_minutes, t.durations_minutes, t.longest_minutes,
       t.slot_interval_minutes, t.buffer_before_minutes, t.buffer_after_minutes, t.minimum_notice_minutes, t.booking_window_days,
       t.requires_confirmation, t.auto_complete, t.location, t.config_version,
       $7::uuid is null or exists (
           select from api_keys k
           join users o on o.org_id = k.org_id and o.id = k.user_id and o.disabled_at is null
           where k.org_id = t.org_id and k.id = $7 and k.revoked_at is null
             and (k.expires_at is null or k.expires_at > $6)
       ) as key_alive,
       u.id as user_id, u.subject_no, u.name as host_name,
       s.weekly::text as weekly, s.overrides::text as overrides, s.timezone, s.valid_from, s.valid_until,
       s.id as schedule_id, s.version as schedule_version,
       busy.starts as busy_starts, busy.ends as busy_ends
from event_types t
left join event_type_hosts h on h.org_id = t.org_id and h.event_type_id = t.id
left join users u on u.org_id = h.org_id and u.id = h.user_id and u.disabled_at is null
left join schedules s on s.org_id = u.org_id
    and s.id = coalesce(t.schedule_id, (select d.id from schedules d
                                        where d.org_id = u.org_id and d.user_id = u.id and d.is_default))
left join lateral (
    select array_agg(floor(date_part('epoch', lower(b.during)))::bigint) as starts,
           array_agg(ceil(date_part('epoch', upper(b.during)))::bigint) as ends
    from (
        select a.during
        from allocations a
        where $8 and int8range(a.subject_no, a.subject_no, '[]') && int8range(u.subject_no, u.subject_no, '[]')
          and a.during && tstzrange($4::timestamptz - make_interval(mins => t.buffer_before_minutes),
                                    $5::timestamptz + make_interval(mins => t.longest_minutes + t.buffer_after_minutes))
          and (a.expires_at is null or a.expires_at > $6)
        union all
        select k.during
        from busy_blocks k
        join calendars c on c.org_id = k.org_id and c.id = k.calendar_id and c.generation = k.generation and c.read_busy
        where $8 and int8range(k.subject_no, k.subject_no, '[]') && int8range(u.subject_no, u.subject_no, '[]')
          and k.during && tstzrange($4::timestamptz - make_interval(mins => t.buffer_before_minutes),
                                    $5::timestamptz + make_interval(mins => t.longest_minutes + t.buffer_after_minutes))
    ) b
) busy on true
where t.org_id = $1 and t.archived_at is null
  -- not "id = $2 or code = $3", which no index answers
  and t.id = coalesce($2::uuid, (select c.id from event_types c
                                 where c.org_id = $1 and c.code = $3 and c.archived_at is null))
order by h.position;
