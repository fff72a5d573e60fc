"""What the texts of an answer look like, said once: TypedDicts name these types, the OpenAPI document reads them.

The one rule: nothing here runs while a request is answered. To mypy each of them is a plain `str`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from app.core import emails
from app.core.ids import Kind


@dataclass(frozen=True, eq=False)
class Looks:
    """A piece of JSON Schema in an annotation: whoever makes the schema asks each annotation for this method."""

    schema: Mapping[str, Any]

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(core_schema), **self.schema}


def one_of(*values: str) -> Looks:
    return Looks({"enum": list(values)})


def id_pattern(kind: Kind) -> str:
    """A TypeID: the prefix, and 128 bits in 26 characters of Crockford's base 32."""
    return f"^{kind.value}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"


def id_of(kind: Kind) -> Looks:
    return Looks({"pattern": id_pattern(kind)})


Time = Annotated[str, Looks({"format": "date-time", "pattern": "Z$"})]
Date = Annotated[str, Looks({"format": "date"})]
ClockTime = Annotated[str, Looks({"pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"})]
Zone = Annotated[str, Looks({"format": "iana-time-zone"})]
# wider than the format `email`: what browsers take, and people have
MAIL_PATTERN = f"^{emails.PATTERN}$"
Mail = Annotated[str, Looks({"pattern": MAIL_PATTERN})]
Link = Annotated[str, Looks({"format": "uri"})]

OrganizationRef = Annotated[str, id_of(Kind.ORGANIZATION)]
UserRef = Annotated[str, id_of(Kind.USER)]
TeamRef = Annotated[str, id_of(Kind.TEAM)]
EventTypeRef = Annotated[str, id_of(Kind.EVENT_TYPE)]
BookingRef = Annotated[str, id_of(Kind.BOOKING)]
ResourceRef = Annotated[str, id_of(Kind.RESOURCE)]
LocationRef = Annotated[str, id_of(Kind.LOCATION)]
ScheduleRef = Annotated[str, id_of(Kind.SCHEDULE)]
KeyRef = Annotated[str, id_of(Kind.KEY)]
SessionRef = Annotated[str, id_of(Kind.SESSION)]
AuditRef = Annotated[str, id_of(Kind.AUDIT)]
WebhookRef = Annotated[str, id_of(Kind.WEBHOOK)]
EventRef = Annotated[str, id_of(Kind.EVENT)]
DeliveryRef = Annotated[str, id_of(Kind.DELIVERY)]
CalendarRef = Annotated[str, id_of(Kind.CALENDAR)]
EntryRef = Annotated[str, id_of(Kind.WAITLIST_ENTRY)]
