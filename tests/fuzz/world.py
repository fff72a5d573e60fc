"""An organization with some of everything, so that what Schemathesis asks for exists every other time.

The one rule: the document is tested as a stranger would read it; all that this adds is values that exist.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.bookings.tokens import Purpose
from app.domain.identity.account_tokens import AccountPurpose, account_token, issue_account_token
from app.domain.notifications.optouts import unsubscribe_token
from tests.browsers import Browser
from tests.calendars import link_tokens, secret_of
from tests.connecting import caldav_account
from tests.support import Api, Tenant, booking_body
from tests.visitors import confirm_token, let_it_be_over, reminder
from tests.waiting import offer_path, tend, waiting_body

Values = Mapping[str, Sequence[str]]

_ASKED = {"query.service_id": "services", "query.host_id": "hosts"}
_SENT = {
    "body.slot_token": "slot_tokens",
    "body.host_id": "hosts",
    "body.service_id": "services",
    "body.answers[*].question_id": "questions",
}
_OF_BOTS = {
    "body.booking_link_id": "event_types",
    "body.staff_id": "hosts",
    "body.service_id": "services",
    "body.answers[*].question_id": "questions",
    "query.booking_link_id": "event_types",
}
# which values go where, by the paths of the document; the first that fits
_BOUND = {
    "^/v1/bookings/[{]id[}]/(confirm|decline)$": {"path.id": "decidable"},
    "^/v1/bookings/[{]id[}]/(complete|no-show)$": {"path.id": "over"},
    "^/v1/bookings/[{]id[}]/invite.ics$": {"path.id": "viewable"},
    "^/v1/bookings/": {"path.id": "bookings"},
    "^/v1/bookings$": {
        "body.event_type": "codes",
        "body.event_type_id": "event_types",
        "body.link_code": "links",
        **_SENT,
        "query.event_type_id": "event_types",
        "query.assigned_to_id": "hosts",
    },
    "^/api/v1/bookings$": _OF_BOTS,
    "^/v1/waitlist$": {
        "body.event_type": "codes",
        "body.event_type_id": "event_types",
        "query.event_type_id": "event_types",
    },
    "^/v1/waitlist/": {"path.id": "waiting"},
    "^/v1/book/[{]username[}]/[^/]+/waitlist$": {"path.username": "usernames", "path.event_slug": "slugs"},
    "^/v1/offers/": {"path.token": "offer_tokens"},
    "^/api/v1/waitlist$": _OF_BOTS,
    "^/api/v1/waitlist/": {"path.id": "waiting"},
    "^/api/v1/bookings/": {"path.id": "bookings"},
    "^/api/v1/availability$": {
        "query.booking_link_id": "event_types",
        "query.staff_id": "hosts",
        "query.service_id": "services",
    },
    "^/v1/event-types/": {"path.code": "codes"},
    "^/v1/slots$": {"query.event_type": "codes", **_ASKED},
    "^/v1/users/": {"path.id": "users"},
    "^/v1/teams": {"path.id": "teams", "body.user_ids[*]": "users"},
    "^/v1/schedules/": {"path.id": "schedules"},
    "^/v1/locations/": {"path.id": "locations"},
    "^/v1/resources": {"path.id": "resources", "body.location_id": "locations", "query.location_id": "locations"},
    "^/v1/webhooks/": {"path.id": "webhooks"},
    "^/v1/calendars/[{]id[}]": {"path.id": "calendars"},
    "^/v1/book/link/[^/]+$": {"path.link_code": "links", **_SENT},
    "^/v1/book/link/[^/]+/slots$": {"path.link_code": "links", **_ASKED},
    "^/v1/book/[{]username[}]/[^/]+$": {"path.username": "usernames", "path.event_slug": "slugs", **_SENT},
    "^/v1/book/[{]username[}]/[^/]+/slots$": {"path.username": "usernames", "path.event_slug": "slugs", **_ASKED},
    "^/v1/deliveries/": {"path.id": "deliveries"},
    "^/v1/cancel/": {"path.token": "cancel_tokens"},
    "^/v1/reschedule/": {"path.token": "reschedule_tokens"},
    "^/v1/unsubscribe/": {"path.token": "unsubscribe_tokens"},
    "^/api/bookings/[{]id[}]/(confirm|decline)$": {"path.id": "pending"},
    "^/api/bookings/[{]id[}]/(complete|no-show)$": {"path.id": "over"},
    "^/api/bookings/": {"path.id": "bookings"},
    "^/api/bookings$": {
        "body.booking.bookable_id": "desks",
        "body.booking.starts_at": "mornings",
        "body.booking.ends_at": "evenings",
        "query.bookable_id": "resources",
        "query.event_type_id": "event_types",
        "query.user_id": "hosts",
    },
    "^/api/bookables$": {"query.location_id": "locations"},
    "^/api/event-types/": {"path.code": "codes"},
    "^/api/waitlist$": {
        "body.waitlist_entry.event_type": "codes",
        "body.waitlist_entry.event_type_id": "event_types",
        "query.event_type_id": "event_types",
    },
    "^/api/waitlist/": {"path.id": "waiting"},
    "^/api/(members|password)": {"path.id": "users"},
    "^/api/teams": {"path.id": "teams", "body.team.user_ids[*]": "users"},
    "^/api/schedules/": {"path.id": "schedules"},
    "^/api/locations/": {"path.id": "locations"},
    "^/api/resources": {
        "path.id": "resources",
        "body.resource.location_id": "locations",
        "query.location_id": "locations",
    },
    "^/api/keys/": {"path.id": "keys"},
    "^/api/calendars/[{]id[}]": {"path.id": "calendars"},
    "^/api/webhooks/": {"path.id": "webhooks"},
    "^/api/deliveries/": {"path.id": "deliveries"},
    "^/api/audit$": {"query.user_id": "hosts"},
    "^/feeds/": {"path.token": "feed_tokens"},
    "^/invite/": {"path.token": "invitation_tokens"},
    "^/password/": {"path.token": "password_tokens"},
}


async def build(
    api: Api,
    owner: Browser,
    conn: db.Connection,
    settings: Settings,
    vault: Vault,
    tenant: Tenant,
    soon: datetime,
) -> dict[str, list[str]]:
    """Make it, and say what there is by kind."""
    schedule = (await api.always_open())["id"]
    location = (await api.post("/v1/locations", {"name": "Berlin", "timezone": "Europe/Berlin"})).ok(201)["location"]
    room = {"name": "Room", "kind": "room", "location_id": location["id"], "units": 3}
    resource = (await api.post("/v1/resources", room)).ok(201)["resource"]
    desk = {"name": "Desk", "kind": "desk", "location_id": location["id"]}
    desks = [(await api.post("/v1/resources", desk)).ok(201)["resource"]["id"] for _ in range(4)]
    people = [await api.person() for _ in range(3)]
    team = {"slug": f"{tenant.username}-team", "name": "Team", "user_ids": [people[0]["id"]]}
    webhook = (await api.post("/v1/webhooks", {"url": "http://127.0.0.1:9/hook"})).ok(201)["webhook"]
    question = {"id": "size", "label": "Size", "type": "select", "options": ["small", "large"]}
    rule = {"question_id": "size", "operator": "equals", "value": "small", "action": "reject", "message": "Too small."}
    kinds: dict[str, dict[str, Any]] = {
        "plain": {},
        "asking": {"requires_confirmation": True, "questions": [question], "routing_rules": [rule]},
        "seated": {"seats": 20, "durations": [15, 30]},
        "roomy": {"requires": [{"kind": "room"}], "services": [{"id": "long", "name": "Long", "duration_minutes": 60}]},
    }
    made = [
        await api.event_type(
            code=code, title=code, schedule_id=schedule, booking_window_days=None, waitlist=True, **fields
        )
        for code, fields in kinds.items()
    ]
    links = [
        (await api.post(f"/v1/event-types/{code}/links", {"max_uses": 1000})).ok(201)["link"]
        for code in ("plain", "seated")
    ]
    bookings = [
        (await api.post("/v1/bookings", booking_body(code, soon + timedelta(hours=hour)))).ok(201)["booking"]
        for code, hours in (("plain", range(6)), ("asking", range(6, 14)), ("seated", range(14, 18)))
        for hour in hours
    ]
    day = (soon + timedelta(days=1)).date()
    listed = (await api.get(f"/v1/slots?event_type=roomy&service_id=long&start={day}&end={day}")).ok()["slots"]
    over = [each["id"] for each in bookings if each["event_type"] == "plain"][:3]
    for each in over:
        await let_it_be_over(conn, each)
    sample = (await api.post(f"/v1/webhooks/{webhook['id']}/test")).ok()["delivery"]
    key = (await owner.post("/api/keys", {"key": {"name": "x", "scopes": ["mcp"]}})).ok(201)["data"]["id"]
    feed = (await api.get("/v1/users/me/feed")).ok()["feed"]["url"]
    secret = await secret_of(conn, vault, tenant.org_id)
    views = await link_tokens(conn, vault, tenant, bookings[4]["id"])
    # used up by the first request that sets a password
    accounts = {
        purpose: [await _account_token(conn, secret, purpose, tenant, each["id"]) for each in people]
        for purpose in AccountPurpose
    }
    waiting = [
        (await api.post("/v1/waitlist", waiting_body({"code": "plain"}, soon + timedelta(hours=hour), f"w{hour}"))).ok(
            201
        )
        for hour in range(3, 6)
    ]
    (await api.post(f"/v1/bookings/{bookings[5]['id']}/cancel")).ok()
    await tend(conn, settings)
    offered = (await api.get("/v1/waitlist?status=offered")).ok()["waitlist_entries"]
    pending = [each for each in bookings if each["status"] == "PENDING_CONFIRMATION"]
    return {
        "codes": list(kinds),
        "event_types": [each["id"] for each in made],
        "slugs": [urlsplit(each["booking_url"]).path.rsplit("/", 1)[-1] for each in made],
        "usernames": [tenant.username],
        "links": [each["link_code"] for each in links],
        "bookings": [each["id"] for each in bookings],
        "cancel_tokens": [each["cancel_token"] for each in bookings],
        "reschedule_tokens": [each["reschedule_token"] for each in bookings],
        "decidable": [
            *[each["id"] for each in pending[:4]],
            *[await confirm_token(conn, vault, tenant, each["id"]) for each in pending[4:]],
        ],
        "viewable": [*[each["id"] for each in bookings[:4]], views[Purpose.VIEW]],
        "pending": [each["id"] for each in pending],
        "keys": [key],
        "calendars": [await caldav_account(api)],
        "desks": desks,
        "mornings": [(soon + timedelta(days=day, hours=8)).isoformat() for day in range(12)],
        "evenings": [(soon + timedelta(days=12, hours=hour)).isoformat() for hour in range(18, 23)],
        "unsubscribe_tokens": [unsubscribe_token(secret, tenant.org_id, await reminder(conn, tenant.org_id))],
        "feed_tokens": [urlsplit(feed).path.removeprefix("/feeds/").removesuffix(".ics")],
        "invitation_tokens": accounts[AccountPurpose.INVITATION],
        "password_tokens": accounts[AccountPurpose.PASSWORD_RESET],
        "waiting": [each["waitlist_entry"]["id"] for each in waiting],
        "offer_tokens": [(await offer_path(conn, vault, tenant, each)).rsplit("/", 1)[1] for each in offered],
        "over": over,
        "deliveries": [sample["id"]],
        "slot_tokens": [slot["token"] for slots in listed.values() for slot in slots],
        "hosts": [made[0]["hosts"][0]["user_id"]],
        "services": ["long"],
        "questions": ["size"],
        "schedules": [schedule],
        "locations": [location["id"]],
        "resources": [resource["id"]],
        "users": [each["id"] for each in people],
        "teams": [(await api.post("/v1/teams", team)).ok(201)["team"]["id"]],
        "webhooks": [webhook["id"]],
    }


async def _account_token(
    conn: db.Connection, secret: bytes, purpose: AccountPurpose, tenant: Tenant, person: str
) -> str:
    user_id = decode(Kind.USER, person)
    assert user_id is not None
    now = datetime.now(UTC)
    token_id = await issue_account_token(conn, secret, purpose, tenant.org_id, user_id, now)
    return account_token(secret, purpose, tenant.org_id, token_id)


# what `/api` has from `/v1`, where it is asked at length: the same handlers and models
_AGAIN = """
[[operations]]
include-path-regex = '^/api/(event-types|event-links|schedules|locations|resources|teams|webhooks|deliveries|org)'
generation = {max-examples = 4}
phases = {coverage = {enabled = false}}
"""


def configuration(base: str, world: Values, key: str, cookie: str | None, *, short: bool) -> str:
    """The configuration with these credentials and values, in the order that Schemathesis looks them up."""
    credentials = f'[auth.openapi]\nbearer = {{bearer = "{key}"}}\nsession = {{api_key = "{cookie}"}}\n'
    parts = [base, credentials, _AGAIN if short else ""]
    parts += [f"[dictionaries.{name}]\nvalues = {json.dumps(list(values))}\n" for name, values in world.items()]
    for path, bound in _BOUND.items():
        lines = [f'"{place}" = {{dictionary = "{name}", probability = 0.9}}' for place, name in bound.items()]
        # what ends a thing is left to the things that the run makes itself
        parts.append(
            f"[[operations]]\ninclude-path-regex = '{path}'\nexclude-method = 'DELETE'\n"
            "[operations.parameters]\n" + "\n".join(lines) + "\n"
        )
    return "\n".join(parts)
