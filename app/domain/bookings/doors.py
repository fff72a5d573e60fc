"""Tokens at work: whoever holds one acts on one booking, as the attendee or as the host, without a key.

The one rule: a token is proven before anything is told, and what it may do is decided like any other step. It shows the
booking as it is until the booking's time is over, and then nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from app.core import sql
from app.core.db import Connection
from app.core.errors import InvalidInput, InvalidTransition, LinkExpired, NotFound
from app.core.times import epoch, from_epoch
from app.core.vault import Vault
from app.domain.availability.slot_tokens import read_token
from app.domain.bookings.lifecycle import Action, decide
from app.domain.bookings.models import Booking
from app.domain.bookings.queries import get_booking
from app.domain.bookings.tokens import Purpose, parse, proves
from app.domain.identity.models import Visitor
from app.domain.identity.organizations import visitor_of

SQL = sql.load("doors")


@dataclass(frozen=True, slots=True)
class Door:
    """A booking as its link opens it. title, slug, handle: of the event type, and where its page stands; None where
    there is none. host_zone: the first host's own."""

    visitor: Visitor
    booking: Booking
    title: str | None
    slug: str | None
    handle: str | None
    host_zone: str

    def allows(self, action: Action, now: datetime) -> bool:
        """Whether the step would change anything."""
        booking = self.booking
        try:
            after = decide(booking.status, action, starts_at=booking.starts_at, ends_at=booking.ends_at, now=now)
        except InvalidTransition:
            return False
        return after is not booking.status


async def open_door(conn: Connection, token: str, purpose: Purpose, vault: Vault, now: datetime) -> Door:
    """The booking of a token. Raises NotFound `link_not_found` for one that was not made for this purpose, or was
    ended, and LinkExpired when the booking is over."""
    return await _open(conn, token, (purpose,), vault, now)


async def open_any_door(conn: Connection, token: str, vault: Vault, now: datetime) -> Door:
    """The booking of a token, whatever that is for. Raises what `open_door` raises."""
    return await _open(conn, token, tuple(Purpose), vault, now)


async def _open(conn: Connection, token: str, purposes: Iterable[Purpose], vault: Vault, now: datetime) -> Door:
    said = {purpose: found for purpose in purposes if (found := parse(token, purpose)) is not None}
    if not said:
        raise _unknown()
    # purposes differ in what proves them; where more than one form fits, it is the same bytes
    org_id, booking_id, proof = next(iter(said.values()))
    row = await conn.fetchrow(SQL.find_booking, org_id, booking_id)
    if row is None:
        raise _unknown()
    visitor = visitor_of(row, vault)
    if not any(proves(proof, visitor.secret, purpose, booking_id, row["token_version"]) for purpose in said):
        raise _unknown()
    booking = await get_booking(conn, org_id, booking_id)
    if now >= booking.ends_at:
        raise LinkExpired("The time of this booking is over, and its links with it.")
    return Door(visitor, booking, row["title"], row["slug"], row["handle"], row["host_zone"])


def moved_start(door: Door, start: datetime | None, slot_token: str | None) -> datetime:
    """When a booking shall be moved to: a time, or what a slot token says, or both where they agree. Raises
    InvalidInput."""
    if slot_token is None:
        assert start is not None  # noqa: S101 -- the wire asks for one of them
        return start
    token = read_token(door.visitor.secret, slot_token)
    booking = door.booking
    if token.event_type_id != booking.event_type_id:
        raise InvalidInput.of("slot_token", "is a token of another event type")
    minutes = round((booking.ends_at - booking.starts_at).total_seconds() / 60)
    if token.minutes != minutes:
        raise InvalidInput.of("slot_token", f"is for {token.minutes} minutes; this booking keeps its {minutes}")
    if start is not None and (start.microsecond or epoch(start) != token.start):
        raise InvalidInput.of("start_time", "is not the time of the slot_token; one of them is enough")
    return from_epoch(token.start)


def _unknown() -> NotFound:
    return NotFound("No such link. Check that it was copied whole.", code="link_not_found")
