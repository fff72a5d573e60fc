"""Links that an attendee gets: who holds one may see, cancel, or move, one booking.

The one rule: a link is for one booking and one purpose (see `app.core.link_tokens`). Raising a booking's
`token_version` ends its attendee's old links; the host's confirm link is not the attendee's, and stays.
"""

from enum import StrEnum
from uuid import UUID

from app.core import link_tokens
from app.domain.bookings.models import Booking, Tokens


class Purpose(StrEnum):
    CANCEL = "cancel"
    RESCHEDULE = "reschedule"
    CONFIRM = "confirm"
    # changes nothing: for the calendar entry of the booking
    VIEW = "view"
    # of a place that is held for somebody who waited: to take it, or to leave it to the next in line
    OFFER = "offer"


_PREFIXES = {
    Purpose.CANCEL: "",
    Purpose.RESCHEDULE: "",
    Purpose.CONFIRM: "cft_",
    Purpose.VIEW: "vwt_",
    Purpose.OFFER: "",
}


def _purpose(purpose: Purpose) -> str:
    return f"booking token: {purpose}"


def _message(purpose: Purpose, booking_id: UUID, version: int) -> bytes:
    counted = 0 if purpose is Purpose.CONFIRM else version
    return booking_id.bytes + counted.to_bytes(4, "big")


def mint(secret: bytes, purpose: Purpose, org_id: UUID, booking_id: UUID, version: int) -> str:
    """The token of one booking for one purpose: 70 URL-safe characters, with a prefix for confirm and view links."""
    proof = link_tokens.prove(secret, _purpose(purpose), _message(purpose, booking_id, version))
    return link_tokens.write(org_id, booking_id, proof, _PREFIXES[purpose])


def parse(text: str, purpose: Purpose) -> tuple[UUID, UUID, bytes] | None:
    """(org_id, booking_id, proof) of a text that has the form of a token, or None. It is not yet proven."""
    return link_tokens.read(text, _PREFIXES[purpose])


def proves(proof: bytes, secret: bytes, purpose: Purpose, booking_id: UUID, version: int) -> bool:
    return link_tokens.proves(proof, secret, _purpose(purpose), _message(purpose, booking_id, version))


def tokens_of(booking: Booking, secret: bytes) -> Tokens:
    return Tokens(
        cancel=mint(secret, Purpose.CANCEL, booking.org_id, booking.id, booking.token_version),
        reschedule=mint(secret, Purpose.RESCHEDULE, booking.org_id, booking.id, booking.token_version),
    )
