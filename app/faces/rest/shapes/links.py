"""Links: what `/v1` takes and gives."""

from pydantic import Field
from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import EventTypeRef, Link, Time
from app.core.times import iso
from app.domain.links.models import EventLink
from app.web.fields import Instant, WireModel


class LinkIn(WireModel):
    max_uses: int = Field(default=1, ge=1, le=10_000)
    expires_at: Instant | None = None


class LinkShown(TypedDict):
    """uses: the bookings that came through it. url: the page to send to whoever shall book."""

    link_code: str
    event_type_id: EventTypeRef
    url: Link
    max_uses: int
    uses: int
    expires_at: Time | None
    revoked_at: Time | None
    created_at: Time


def link_out(link: EventLink, base_url: str) -> LinkShown:
    """`/link/…`, since both of these words are reserved: nobody's own page can stand there."""
    return {
        "link_code": link.code,
        "event_type_id": encode(Kind.EVENT_TYPE, link.event_type_id),
        "url": f"{base_url}/link/{link.code}",
        "max_uses": link.max_uses,
        "uses": link.uses,
        "expires_at": iso(link.expires_at) if link.expires_at else None,
        "revoked_at": iso(link.revoked_at) if link.revoked_at else None,
        "created_at": iso(link.created_at),
    }
