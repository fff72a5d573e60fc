-- What strangers write into the audit log, by guessing at passwords and asking for new ones, is kept for a while only.
create index audit_log_strangers_queue on audit_log (at) where action in ('session.refused', 'password.reset_requested');
