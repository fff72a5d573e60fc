"""The OpenAPI document as bytes: what `/openapi.json` serves and `slotwire openapi` prints.

The one rule: both are the same bytes, made once, from nothing but the routes.
"""

import functools
from importlib.resources import files
from typing import Any

import orjson

from app.web.openapi import build_document
from app.web.openapi.operations import AnyRoute
from app.web.openapi.webhooks import Sent

TAGS = {
    "bookings": ("Bookings", "Bookings, and every step of their life."),
    "slots": ("Slots", "What is open, grouped by local date."),
    "event-types": ("Event types", "What can be booked with people, and the links that open it once."),
    "event-links": ("Booking links", "Links that open an event type once, or a few times."),
    "schedules": ("Schedules", "Weekly hours, and the dates that differ."),
    "organization": ("Organization", "The organization behind the key, and how its mails look."),
    "users": ("People", "The people of the organization, and who is behind the key."),
    "teams": ("Teams", "People who are bookable under one address."),
    "locations": ("Locations", "The places that resources stand at."),
    "resources": ("Resources", "Desks, rooms and things, and which of them are free."),
    "webhooks": ("Webhooks", "Which address hears of which events, and what it was sent."),
    "deliveries": ("Deliveries", "One event on its way to one address."),
    "events": ("Events", "What happened, for catching up after an outage."),
    "public": ("Public", "What anybody may call, without a key: booking pages, and the links in mails."),
}


@functools.cache
def document(routes: tuple[AnyRoute, ...], sent: Sent) -> bytes:
    here = files(__package__)
    examples: dict[str, Any] = orjson.loads(here.joinpath("examples.json").read_bytes())
    described = {route.path.split("/")[2] for route in routes} | {"public"}
    made = build_document(
        routes,
        sent,
        description=here.joinpath("description.md").read_text(encoding="utf-8"),
        tags={name: about for name, about in TAGS.items() if name in described},
        examples=examples,
    )
    return orjson.dumps(made, option=orjson.OPT_APPEND_NEWLINE)
