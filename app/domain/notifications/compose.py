"""A letter as a mail (RFC 5322): text, HTML, and the calendar part where there is one."""
