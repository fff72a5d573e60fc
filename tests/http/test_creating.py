"""Every POST that creates can be retried: a new route of that kind is found by its status, and held to this."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.faces.public.routes import ROUTES as PUBLIC_ROUTES
from app.faces.v1.routes import ROUTES
from app.web.routing import PublicRoute, Route
from tests.offers import iso, offer
from tests.support import Api, Tenant, booking_body, unique_name

EVERY: list[Route | PublicRoute] = [*ROUTES, *PUBLIC_ROUTES]
CREATING = [f"{route.method} {route.path}" for route in EVERY if route.operation.status == 201]

Bodies = dict[str, Callable[[int], Any]]


async def bodies(api: Api, soon: datetime) -> tuple[Bodies, dict[str, str]]:
    """A body for each creating route, another one for another number; and what their paths are filled with."""
    made = await offer(api, code="mine", slug="mine")
    place = (await api.post("/v1/locations", {"name": "x", "timezone": "UTC"})).ok(201)["location"]["id"]
    link = (await api.post("/v1/event-types/mine/links", {"max_uses": 9})).ok(201)["link"]
    name = unique_name()

    def flat(number: int) -> Any:
        start = soon + number * timedelta(hours=1)
        who = {"attendee_name": "J", "attendee_email": "j@example.com", "timezone": "UTC"}
        return {**who, "start_time": iso(start)}

    found: Bodies = {
        "POST /v1/users": lambda n: {"email": f"{name}-{n}@example.com", "name": "Ben"},
        "POST /v1/teams": lambda n: {"slug": f"{name}-{n}", "name": "Team"},
        "POST /v1/event-types": lambda n: {"title": f"Call {n}"},
        "POST /v1/event-types/{code}/duplicate": lambda n: {"title": f"Copy {n}"},
        "POST /v1/event-types/{code}/links": lambda n: {"max_uses": n + 1},
        "POST /v1/schedules": lambda n: {"name": f"Hours {n}", "timezone": "UTC", "weekly": []},
        "POST /v1/locations": lambda n: {"name": f"Place {n}", "timezone": "UTC"},
        "POST /v1/resources": lambda n: {"name": f"Room {n}", "kind": "room", "location_id": place},
        "POST /v1/bookings": lambda n: booking_body("mine", soon + (9 + n) * timedelta(hours=1)),
        "POST /v1/webhooks": lambda n: {"url": f"http://127.0.0.1:9/hook{n}"},
        "POST /v1/book/{username}/{event_slug}": flat,
        "POST /v1/book/link/{link_code}": lambda n: flat(20 + n),
    }
    return found, {"code": made["code"], "event_slug": made["slug"], "link_code": link["link_code"]}


@pytest.mark.parametrize("route", CREATING)
async def test_a_retry_creates_nothing_and_answers_the_same(
    api: Api, tenant: Tenant, soon: datetime, route: str
) -> None:
    made, names = await bodies(api, soon)
    assert sorted(made) == sorted(CREATING), "a creating route is missing here"
    path = route.removeprefix("POST ").format(**names, username=tenant.username)
    first = await api.post(path, made[route](1), Idempotency_Key="once")
    again = await api.post(path, made[route](1), Idempotency_Key='"once"')
    assert (first.status, again.status) == (201, 200), first.raw + again.raw
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.raw.startswith(b'{"idempotent_replay":true,')
    assert again.raw.replace(b'"idempotent_replay":true,', b"", 1) == first.raw
    other = await api.post(path, made[route](2), Idempotency_Key="once")
    assert other.ok(422)["code"] == "idempotency_key_reused"
    assert (await api.post(path, made[route](2), Idempotency_Key="twice")).status == 201


@pytest.mark.parametrize("route", CREATING)
async def test_a_refused_creation_keeps_its_key_free(api: Api, tenant: Tenant, soon: datetime, route: str) -> None:
    made, names = await bodies(api, soon)
    path = route.removeprefix("POST ").format(**names, username=tenant.username)
    assert (await api.post(path, {"nonsense": 1}, Idempotency_Key="once")).status == 400
    assert (await api.post(path, made[route](1), Idempotency_Key="once")).status == 201


def test_each_of_them_says_that_it_takes_a_key() -> None:
    assert [route.path for route in EVERY if route.operation.status == 201 and not route.operation.replays] == []
