"""Seed 000, sent as it stands: a desk for a day by session, and its end."""

from typing import Any

from app.faces.browser.routes import ROUTES
from tests.browsers import Browser, Browsers
from tests.contract.examples import later, seed, served
from tests.rooms import location, room
from tests.support import Api

SEED = seed("000")
CREATE = SEED["POST /api/bookings"]


def today(value: Any, resource_id: str) -> Any:
    """The seed's JSON with an id that exists, and times to come."""
    found: dict[str, Any] = {**value, "bookable_id": resource_id}
    return found | {name: later(value[name]) for name in ("starts_at", "ends_at")}


async def desk(api: Api) -> str:
    made = await room(api, await location(api, "UTC"), kind="desk", name="Desk 7")
    return str(made["id"])


def test_every_endpoint_is_there() -> None:
    assert set(SEED["endpoints"]) <= served(ROUTES)


async def test_both_calls_to_the_letter(api: Api, owner: Browser) -> None:
    resource_id = await desk(api)
    body = {"booking": today(CREATE["body"]["booking"], resource_id)}
    made = (await owner.post("/api/bookings", body)).ok(CREATE["status"])
    wanted = today(CREATE["answer"]["data"], resource_id) | {"id": made["data"]["id"]}
    assert made == {"data": wanted}
    assert list(made["data"]) == list(CREATE["answer"]["data"]), "in the seed's order, too"
    ended = (await owner.delete(f"/api/bookings/{made['data']['id']}")).ok()
    assert ended == {"data": {**wanted, "status": "cancelled"}}


async def test_the_seeds_own_ids_are_refused_by_name(owner: Browser) -> None:
    """They are of no kind that exists here: a 400 and a 404, never a 500."""
    refused = (await owner.post("/api/bookings", CREATE["body"])).ok(400)
    assert [each["field"] for each in refused["errors"]] == ["booking.bookable_id"]
    assert (await owner.delete(f"/api/bookings/{CREATE['answer']['data']['id']}")).ok(404)["code"] == "not_found"


async def test_a_session_is_needed(api: Api, browsers: Browsers) -> None:
    """The seed: authenticate via the web log-in flow. A key does not do."""
    body = {"booking": today(CREATE["body"]["booking"], await desk(api))}
    assert (await browsers().post("/api/bookings", body)).status == 401
    assert (await api.post("/api/bookings", body)).status == 401
