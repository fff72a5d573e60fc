"""The OpenAPI document as bytes: what `/openapi.json` serves and `slotwire openapi` prints.

The one rule: both are the same bytes, made once, from nothing but the routes.
"""

import functools
from importlib.resources import files
from typing import Any

import orjson

from app.web.openapi import build_document
from app.web.openapi.operations import tag_of
from app.web.openapi.webhooks import Sent
from app.web.routing import AnyRoute

TAGS = {
    "Servers: /v1": {
        "bookings": ("Bookings", "Bookings, and every step of their life."),
        "waitlist": ("Waiting lists", "Who waits for what is taken, and is offered what becomes free."),
        "slots": ("Slots", "What is open, grouped by local date."),
        "event-types": ("Event types", "What can be booked with people, and the links that open it once."),
        "event-links": ("Booking links", "Links that open an event type once, or a few times."),
        "schedules": ("Schedules", "Weekly hours, and the dates that differ."),
        "organization": ("Organization", "The organization behind the key, and how its mails look."),
        "users": ("People", "The people of the organization, and who is behind the key."),
        "teams": ("Teams", "People who are bookable under one address."),
        "locations": ("Locations", "The places that resources stand at."),
        "resources": ("Resources", "Desks, rooms and things, and which of them are free."),
        "calendars": ("Calendars", "Connected calendars: what counts as busy, where bookings go, and how it is doing."),
        "webhooks": ("Webhooks", "Which address hears of which events, and what it was sent."),
        "deliveries": ("Deliveries", "One event on its way to one address."),
        "events": ("Events", "What happened, for catching up after an outage."),
    },
    "Anybody: booking pages and mailed links": {
        "public": ("Public", "What anybody may call, without a key: booking pages, and the links in mails."),
    },
    "Browsers: /api": {
        "session": ("Sessions", "Signing up, logging in and out, where one is logged in, and passwords."),
        "session-bookings": ("Bookings", "Desks and rooms by the hour, and what a dashboard does with every booking."),
        "session-waitlist": ("Waiting lists", "Who waits for what is taken."),
        "session-event-types": ("Event types", "What can be booked with people, and links that open it once."),
        "session-schedules": ("Schedules", "Weekly hours, and the dates that differ."),
        "session-locations": ("Locations", "The places that resources stand at."),
        "session-resources": ("Resources", "Desks, rooms and things."),
        "session-organization": ("Organization", "The organization of whoever is logged in."),
        "session-members": ("Members", "The people of the organization, their roles, and their invitations."),
        "session-teams": ("Teams", "People who are bookable under one address."),
        "session-keys": ("API keys", "What programs call `/v1` and `/api/v1` with. A key is shown once."),
        "session-calendars": ("Calendars", "One's connected calendars: what counts, and where bookings go."),
        "session-webhooks": ("Webhooks", "Which address hears of which events, and what it was sent."),
        "session-audit": ("Audit log", "Who did what to accounts, keys, people and webhooks, and from where."),
    },
    "Bots: /api/v1": {
        "bots": ("Bots", "What conversational bots call: booking links, by the words of a chat."),
    },
}


@functools.cache
def document(routes: tuple[AnyRoute, ...], sent: Sent) -> bytes:
    here = files(__package__)
    examples: dict[str, Any] = orjson.loads(here.joinpath("examples.json").read_bytes())
    # of webhooks the document tells also what they carry
    described = {tag_of(route) for route in routes} | {"webhooks"}
    made = build_document(
        routes,
        sent,
        description=here.joinpath("description.md").read_text(encoding="utf-8"),
        tags={face: {name: of for name, of in tags.items() if name in described} for face, tags in TAGS.items()},
        examples=examples,
    )
    return orjson.dumps(made, option=orjson.OPT_APPEND_NEWLINE)
