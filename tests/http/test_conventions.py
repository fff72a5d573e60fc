"""What holds for every route: credentials, scopes, tenants, ids of requests, ETags, methods."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.identity.keys import is_well_formed, mint_key
from app.domain.identity.scopes import SCOPES, covers
from app.faces.public.routes import ROUTES as PUBLIC_ROUTES
from app.main import ROUTES as EVERY
from app.main import build_app
from app.web.problems import says_success
from app.web.routing import Route
from tests.conftest import AiohttpClient
from tests.connecting import caldav_account
from tests.support import Answer, Api, booking_body, make_tenant, told_of
from tests.visitors import BROWSER
from tests.waiting import waiting_body

# of keys, whichever face they are of
ROUTES = [route for route in EVERY if isinstance(route, Route)]
ROUTE_NAMES = [f"{route.method} {route.path}" for route in ROUTES]


def filled(route: Route, ids: dict[str, str]) -> str:
    """The route's path with ids that exist for its owner; without them, with one that is no token of a link."""
    return re.sub(r"([\w-]+)/\{\w+\}", lambda found: f"{found[1]}/{ids.get(found[1], 'bkg_x')}", route.path)


def asked(route: Route, ids: dict[str, str], soon: datetime) -> str:
    """The same with a query, where nothing is answered without one."""
    day, hour = soon.date(), "T10:00:00Z"
    queries = {
        "/v1/slots": f"event_type=theirs&start={day}&end={day}",
        "/v1/resources/availability": f"starts_at={day}{hour}&ends_at={day}{hour.replace('10', '11')}",
        "/api/v1/availability": f"booking_link_id=theirs&date={day}",
    }
    return f"{filled(route, ids)}?{queries.get(route.path, '')}"


async def things(api: Api, soon: datetime) -> dict[str, str]:
    """One of each noun, by the path segment that it stands behind."""
    event_type = await api.event_type(code="theirs", booking_window_days=None, waitlist=True)
    schedule = (await api.get("/v1/schedules")).ok()["schedules"][0]
    webhook = (await api.post("/v1/webhooks", {"url": "http://127.0.0.1:9/hook"})).ok(201)["webhook"]
    link = (await api.post("/v1/event-types/theirs/links")).ok(201)["link"]
    booking = (await api.book("theirs", soon + timedelta(hours=9))).ok(201)["booking"]
    waiting = waiting_body(event_type, soon + timedelta(hours=9))
    entry = (await api.post("/v1/waitlist", waiting)).ok(201)["waitlist_entry"]
    location = (await api.post("/v1/locations", {"name": "x", "timezone": "UTC"})).ok(201)["location"]
    room = {"name": "x", "kind": "room", "location_id": location["id"]}
    resource = (await api.post("/v1/resources", room)).ok(201)["resource"]
    user = await api.person()
    team = (await api.post("/v1/teams", {"slug": f"team-{user['username']}", "name": "Team"})).ok(201)["team"]
    event = (await api.get("/v1/events")).ok()["events"][0]
    delivery = (await api.post(f"/v1/webhooks/{webhook['id']}/test")).ok()["delivery"]
    return {
        "event-types": event_type["code"],
        "event-links": link["link_code"],
        "schedules": schedule["id"],
        "webhooks": webhook["id"],
        "events": event["id"],
        "deliveries": delivery["id"],
        "bookings": booking["id"],
        "waitlist": entry["id"],
        "users": user["id"],
        "teams": team["id"],
        "locations": location["id"],
        "resources": resource["id"],
        "calendars": await caldav_account(api),
    }


def test_every_route_declares_a_scope_that_exists() -> None:
    assert [route for route in ROUTES if not {*SCOPES, "any"}.issuperset(route.scopes)] == []
    assert len({(route.method, route.path) for route in EVERY}) == len(EVERY)


def test_reading_never_grants_writing() -> None:
    for scope in SCOPES:
        assert [other for other in SCOPES if covers(frozenset({scope}), other) and other != scope] == (
            ["slots:read", "bookings:read", "bookings:write"] if scope == "mcp" else []
        )


async def test_without_a_credential_every_route_is_401(api: Api) -> None:
    for route in ROUTES:
        with told_of(route):
            for key in ["", "slw_live_x", mint_key(), mint_key()[:-1] + "-"]:
                answer = await api.call(route.method, filled(route, {}), Authorization=f"Bearer {key}" if key else "")
                assert answer.ok(401)["code"] == "unauthorized"
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            answer = await api.call(route.method, filled(route, {}), Authorization="Basic abc")
            assert answer.status == 401
            assert "error=" not in answer.headers["WWW-Authenticate"], "no error in a challenge to nothing (RFC 6750)"


async def test_public_routes_ask_nobody_for_a_key(api: Api) -> None:
    for route in PUBLIC_ROUTES:
        with told_of(route):
            path, body = re.sub(r"\{\w+\}", "x", route.path), b"{}" if route.method == "POST" else None
            for key in ["", mint_key(), api.key]:
                answer = await api.call(route.method, path, body, Authorization=f"Bearer {key}" if key else "")
                assert answer.status in {400, 404}, answer.raw
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert answer.json.get("success") is (False if says_success(path) else None)


async def test_pages_of_links_bring_nothing_and_are_kept_nowhere(api: Api) -> None:
    """Whatever a browser is answered behind an address that is its own credential."""
    for route in [route for route in PUBLIC_ROUTES if route.operation.page]:
        with told_of(route):
            path, body = re.sub(r"\{\w+\}", "cft_x", route.path), b"{}" if route.method == "POST" else None
            answer = await api.call(route.method, path, body, Authorization="", **BROWSER)
            page = answer.raw.decode()
            assert answer.status in {400, 404}, page
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
            assert "noindex" in answer.headers["X-Robots-Tag"]
            assert "Set-Cookie" not in answer.headers
            assert not re.search(r"<script|https?://|\bsrc=|<link|@import|url\(", page)


async def test_without_its_scope_every_route_is_403(api: Api, conn: db.Connection, vault: Vault) -> None:
    for route in [route for route in ROUTES if route.scope != "any"]:
        with told_of(route):
            mine = [scope for scope in SCOPES if any(covers(frozenset({scope}), each) for each in route.scopes)]
            weak = await make_tenant(conn, vault, scopes=tuple(scope for scope in SCOPES if scope not in mine))
            answer = await Api(api.client, weak.api_key).call(route.method, filled(route, {}))
            assert answer.ok(403)["code"] == "insufficient_scope"
            assert " or ".join(route.scopes) in answer.json["detail"]


async def test_with_any_of_its_scopes_every_route_is_open(api: Api, conn: db.Connection, vault: Vault) -> None:
    for route in [route for route in ROUTES if route.scope != "any"]:
        with told_of(route):
            for scope in route.scopes:
                bearer = Api(api.client, (await make_tenant(conn, vault, scopes=(scope,))).api_key)
                assert (await bearer.call(route.method, filled(route, {}))).status not in {401, 403}


async def test_another_organizations_things_are_404(
    api: Api, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    for route in [route for route in ROUTES if "{" in route.path]:
        with told_of(route):
            owner = Api(api.client, (await make_tenant(conn, vault)).api_key)
            ids = await things(owner, soon)
            stranger = api
            body: dict[str, str] | None = {} if route.method == "PATCH" else None
            if route.path.endswith("/reschedule"):
                body = {"start_time": (soon + timedelta(hours=10)).isoformat()}
            if route.path.endswith("/replay"):
                body = {"since": soon.isoformat()}
            answer = await stranger.call(route.method, filled(route, ids), body)
            assert answer.status == 404, answer.raw
            mine = await owner.call(route.method, filled(route, ids), body)
            assert mine.status in {200, 201, 202, 204, 409}, "and for its owner it is there"


async def test_another_organizations_ids_in_a_body_are_unknown(
    api: Api, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    await api.event_type(code="theirs")
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    schedule = (await api.get("/v1/schedules")).ok()["schedules"][0]["id"]
    for body in [{"title": "x", "hosts": [{"user_id": me}]}, {"title": "x", "schedule_id": schedule}]:
        assert (await stranger.post("/v1/event-types", body)).status == 400
    assert (await stranger.post("/v1/bookings", booking_body("theirs", soon))).status == 404
    assert (await stranger.get("/v1/slots?event_type=theirs&start=2030-01-01&end=2030-01-01")).status == 404


async def test_me(api: Api, tenant: Any) -> None:
    shown = (await api.get("/v1/users/me")).ok()
    assert shown["user"]["username"] == tenant.username
    assert shown["key"]["scopes"] == sorted(SCOPES)
    assert shown["organization"]["id"].startswith("org_")


async def test_a_revoked_and_an_expired_key_stop_at_once(api: Api, conn: db.Connection, vault: Vault) -> None:
    ended = {
        "revoked": "update api_keys set revoked_at = now() where org_id = $1",
        "expired": "update api_keys set expires_at = now() where org_id = $1",
        "whose person left": "update users set disabled_at = now() where org_id = $1",
    }
    for statement in ended.values():
        other = await make_tenant(conn, vault)
        theirs = Api(api.client, other.api_key)
        assert (await theirs.get("/v1/users/me")).status == 200
        await conn.execute(statement, other.org_id)
        assert (await theirs.get("/v1/users/me")).status == 401


async def test_only_a_hash_of_the_key_is_stored(api: Api, conn: db.Connection, tenant: Any) -> None:
    row = await conn.fetchrow("select key_start, key_hash, last_used_at from api_keys where org_id = $1", tenant.org_id)
    assert row is not None
    assert tenant.api_key.startswith(row["key_start"])
    assert len(row["key_start"]) < 20
    await api.get("/v1/users/me")
    assert await conn.fetchval("select last_used_at from api_keys where org_id = $1", tenant.org_id) is not None


def test_a_key_notices_a_typo_by_itself() -> None:
    key = mint_key()
    assert is_well_formed(key)
    for position in range(len("slw_live_"), len(key)):
        wrong = key[:position] + ("a" if key[position] != "a" else "b") + key[position + 1 :]
        assert not is_well_formed(wrong)


async def test_request_ids_come_back(api: Api) -> None:
    assert (await api.get("/v1/users/me", X_Request_Id="my-id:1")).headers["X-Request-Id"] == "my-id:1"
    for insane in ["x" * 129, "a b", "<script>"]:
        given = (await api.get("/v1/users/me", X_Request_Id=insane)).headers["X-Request-Id"]
        assert re.fullmatch(r"req_[0-9a-f]{32}", given)


async def test_etags_spare_the_body(api: Api) -> None:
    first = await api.get("/v1/event-types")
    assert first.headers["ETag"].startswith('W/"')
    same = await api.get("/v1/event-types", If_None_Match=first.headers["ETag"])
    assert (same.status, same.raw) == (304, b"")
    strong = await api.get("/v1/event-types", If_None_Match=first.headers["ETag"].removeprefix("W/"))
    assert strong.status == 304, "the comparison is a weak one"
    await api.event_type()
    changed = await api.get("/v1/event-types", If_None_Match=first.headers["ETag"])
    assert changed.status == 200


READING = [route for route in ROUTES if route.method == "GET"]


async def test_every_get_has_an_etag_and_a_head(api: Api, soon: datetime) -> None:
    ids = await things(api, soon)
    for route in READING:
        with told_of(route):
            path = asked(route, ids, soon)
            first = await api.get(path)
            assert first.status == 200, first.raw
            same = await api.get(path, If_None_Match=first.headers["ETag"])
            assert (same.status, same.raw) == (304, b"")
            assert same.headers["ETag"] == first.headers["ETag"]
            head = await api.call("HEAD", path)
            assert (head.status, head.raw) == (200, b"")
            assert head.headers["ETag"] == first.headers["ETag"]


async def test_every_path_says_which_methods_it_has(api: Api) -> None:
    for path in sorted({route.path for route in ROUTES}):
        with told_of(path):
            methods = {route.method for route in EVERY if route.path == path}
            expected = sorted(methods | ({"HEAD"} if "GET" in methods else set()))
            for method in {"GET", "POST", "PATCH", "DELETE", "PUT"} - methods:
                answer = await api.call(method, re.sub(r"\{\w+\}", "bkg_x", path))
                assert answer.ok(405)["code"] == "method_not_allowed"
                assert answer.headers["Allow"] == ", ".join(expected)
                assert ("success" in answer.json) == path.startswith("/v1/")


async def test_methods_and_paths(api: Api) -> None:
    answer = await api.call("PUT", "/v1/event-types")
    assert answer.ok(405)["code"] == "method_not_allowed"
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert (await api.get("/v1/nothing")).ok(404)["code"] == "not_found"
    head = await api.call("HEAD", "/v1/event-types")
    assert (head.status, head.raw) == (200, b"")


async def test_operations_need_no_key(api: Api) -> None:
    for path in ["/healthz", "/readyz"]:
        answer: Answer = await api.call("GET", path, Authorization="")
        assert answer.status == 200
    metrics = await api.call("GET", "/metrics", Authorization="")
    assert "slotwire_http_requests_total" in metrics.raw.decode()


async def test_pages_hold_while_rows_come_and_go(api: Api) -> None:
    made = [(await api.event_type(code=f"c{n}"))["code"] for n in range(7)]
    first = (await api.get("/v1/event-types?limit=3")).ok()
    assert [each["code"] for each in first["event_types"]] == made[:3]
    assert first["pagination"]["has_more"] is True
    await api.call("DELETE", "/v1/event-types/c1")
    await api.event_type(code="late")
    cursor = first["pagination"]["next_cursor"]
    second = (await api.get(f"/v1/event-types?limit=3&cursor={cursor}")).ok()
    assert [each["code"] for each in second["event_types"]] == made[3:6]
    last = (await api.get(f"/v1/event-types?limit=3&cursor={second['pagination']['next_cursor']}")).ok()
    assert [each["code"] for each in last["event_types"]] == ["c6", "late"]
    assert last["pagination"] == {"next_cursor": None, "has_more": False}
    assert (await api.get("/v1/event-types?cursor=bkg_x")).status == 400
    for limit in ["0", "101", "x", ""]:
        assert (await api.get(f"/v1/event-types?limit={limit}")).status == 400


async def test_an_unreachable_database_is_a_503(aiohttp_client: AiohttpClient, settings: Settings, tenant: Any) -> None:
    app = build_app(settings)
    client = await aiohttp_client(app)
    from app.web.call import POOL

    await app[POOL].close()
    answer = await Api(client, tenant.api_key).get("/v1/users/me")
    assert answer.ok(503)["code"] == "unavailable"
    assert answer.headers["Retry-After"] == "1"
    ready = await Api(client, tenant.api_key).get("/readyz")
    assert ready.status == 503
    assert (await Api(client, tenant.api_key).get("/healthz")).status == 200


async def test_a_key_that_may_only_read_gets_no_links_that_change(
    api: Api, conn: db.Connection, tenant: Any, soon: datetime
) -> None:
    from app.domain.identity.keys import create_key

    _, key = await create_key(
        conn, tenant.org_id, tenant.user_id, name="reader", scopes=("bookings:read",), now=datetime.now(UTC)
    )
    await api.event_type(code="call", booking_window_days=None)
    booking = (await api.book("call", soon + timedelta(hours=9))).ok(201)["booking"]
    seen = (await Api(api.client, key).get(f"/v1/bookings/{booking['id']}")).ok()["booking"]
    assert seen == {**booking, "cancel_token": None, "reschedule_token": None, "calendar_events": []}


@pytest.mark.parametrize("route", ROUTES, ids=ROUTE_NAMES)
async def test_a_key_that_was_used_a_moment_ago_and_is_revoked_gets_nothing(
    api: Api, route: Route, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    """Routes may remember whose a key is, never that it is alive."""
    other = await make_tenant(conn, vault)
    theirs = Api(api.client, other.api_key)
    await theirs.event_type(code="call", booking_window_days=None)
    path, body = filled(route, {}), None
    if route.path == "/v1/slots":
        path = f"/v1/slots?event_type=call&start={soon.date()}&end={soon.date()}"
    if (route.method, route.path) == ("POST", "/v1/bookings"):
        body = booking_body("call", soon + timedelta(hours=9))
    before = await theirs.call(route.method, path, body)
    assert before.status != 401
    await conn.execute("update api_keys set revoked_at = now() where org_id = $1", other.org_id)
    if body is not None:
        body = booking_body("call", soon + timedelta(hours=10))
    for changed in [path, path.replace("event_type=call", "event_type=nowhere")]:
        assert (await theirs.call(route.method, changed, body)).ok(401)["code"] == "unauthorized"
    assert await conn.fetchval("select count(*) from bookings where org_id = $1", other.org_id) <= 1


async def test_a_revoked_key_gets_no_replay(api: Api, conn: db.Connection, vault: Vault, soon: datetime) -> None:
    other = await make_tenant(conn, vault)
    theirs = Api(api.client, other.api_key)
    await theirs.event_type(code="call", booking_window_days=None)
    start = soon + timedelta(hours=9)
    assert (await theirs.book("call", start, Idempotency_Key="k")).status == 201
    assert (await theirs.book("call", start, Idempotency_Key="k")).status == 200
    await conn.execute("update api_keys set revoked_at = now() where org_id = $1", other.org_id)
    assert (await theirs.book("call", start, Idempotency_Key="k")).ok(401)["code"] == "unauthorized"
