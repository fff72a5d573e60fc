"""What tests of calendars share: the entries of a VCALENDAR, and links of every kind to a booking."""

from typing import Any
from uuid import UUID

from icalendar import Calendar

from app.core import db
from app.core.vault import Vault
from app.domain.bookings.tokens import Purpose, mint
from tests.support import Answer, Tenant
from tests.visitors import uuid_of

TYPE = "text/calendar; charset=utf-8; method=PUBLISH"


def calendar_of(answer: Answer) -> Any:
    """As a program reads it: the type says what it is, and every line ends and folds as it has to."""
    assert (answer.status, answer.headers["Content-Type"]) == (200, TYPE), answer.raw
    assert answer.raw.endswith(b"\r\n")
    assert all(len(line) <= 75 for line in answer.raw.split(b"\r\n"))
    calendar = Calendar.from_ical(answer.raw)
    assert isinstance(calendar, Calendar)
    assert calendar["METHOD"] == "PUBLISH"
    return calendar


def entries_of(answer: Answer) -> list[Any]:
    return list(calendar_of(answer).walk("VEVENT"))


def entry_of(answer: Answer) -> Any:
    (event,) = entries_of(answer)
    assert "ATTENDEE" not in event, "what is published invites nobody"
    return event


async def secret_of(conn: db.Connection, vault: Vault, org_id: UUID) -> bytes:
    return vault.unseal(await conn.fetchval("select secret_sealed from organizations where id = $1", org_id))


async def link_tokens(
    conn: db.Connection, vault: Vault, tenant: Tenant, booking_id: str, version: int = 0
) -> dict[Purpose, str]:
    """A token of each purpose, as mails hold them."""
    secret = await secret_of(conn, vault, tenant.org_id)
    return {each: mint(secret, each, tenant.org_id, uuid_of(booking_id), version) for each in Purpose}
