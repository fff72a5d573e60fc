"""Who may do what in a session: roles and tenants, for every route of `/api`."""

import re
from datetime import datetime
from typing import Any

from app.core import db
from app.core.vault import Vault
from app.domain.identity.models import ADMIN, MEMBER, OWNER
from app.domain.identity.roles import POWERS, SCOPES_OF_ROLES
from app.domain.identity.scopes import SCOPES, covers
from app.faces.browser.routes import ROUTES
from app.faces.v1.routes import ROUTES as V1_ROUTES
from app.web.browser import EntryRoute, SessionRoute
from tests.browsers import Browser, Browsers, colleague
from tests.http.test_conventions import things
from tests.support import Api, make_tenant, told_of, unique_name

SESSION_ROUTES = [route for route in ROUTES if isinstance(route, SessionRoute)]
ENTRY_ROUTES = [route for route in ROUTES if isinstance(route, EntryRoute)]

# What a member may call; to somebody else's things each of them answers 403 or 404.
MEMBERS_MAY = {
    "any": [
        "GET session",
        "DELETE session",
        "GET sessions",
        "DELETE sessions",
        "DELETE sessions/{id}",
        "PATCH password",
        "PATCH members/{id}",
    ],
    "users:read": ["GET organization", "GET members", "GET members/{id}", "GET teams", "GET teams/{id}"],
    "resources:read": [
        "GET bookables",
        "GET locations",
        "GET locations/{id}",
        "GET resources",
        "GET resources/{id}",
    ],
    "event_types:read": [
        "GET event-types",
        "GET event-types/{code}",
        "GET event-types/{code}/links",
        "GET schedules",
        "GET schedules/{id}",
    ],
    "event_types:write": [
        "POST event-types",
        "PATCH event-types/{code}",
        "DELETE event-types/{code}",
        "POST event-types/{code}/duplicate",
        "POST event-types/{code}/links",
        "DELETE event-links/{link_code}",
        "POST schedules",
        "PATCH schedules/{id}",
        "DELETE schedules/{id}",
    ],
    "bookings:read": [
        "GET stats",
        "GET bookings",
        "GET bookings/{id}",
        "GET bookings/{id}/history",
        "GET members/{id}/feed",
        "GET waitlist",
        "GET waitlist/{id}",
        "POST members/{id}/feed/rotate",
    ],
    "bookings:write": [
        "POST bookings",
        "POST waitlist",
        "DELETE waitlist/{id}",
        "PATCH bookings/{id}",
        "DELETE bookings/{id}",
        "POST bookings/{id}/confirm",
        "POST bookings/{id}/decline",
        "POST bookings/{id}/complete",
        "POST bookings/{id}/no-show",
        "POST bookings/{id}/reschedule",
    ],
    "calendars:read": ["GET calendars", "GET calendars/{id}", "GET calendars/{id}/report"],
    "calendars:write": [
        "POST calendars/connect",
        "PATCH calendars/{id}",
        "DELETE calendars/{id}",
        "POST calendars/{id}/sync",
        "POST calendars/{id}/apply",
        "POST calendars/{id}/restore",
        "POST calendars/{id}/repair",
    ],
}


# What a member reads of things that are not theirs: the organization's furniture.
EVERYBODYS = {
    "GET members/{id}",
    "GET teams/{id}",
    "GET locations/{id}",
    "GET resources/{id}",
    "GET event-types/{code}",
    "GET schedules/{id}",
}


def name(route: SessionRoute | EntryRoute) -> str:
    return f"{route.method} {route.path.removeprefix('/api/')}"


async def all_things(api: Api, owner: Browser, soon: datetime) -> dict[str, str]:
    ids = await things(api, soon)
    key = (await owner.post("/api/keys", {"key": {"name": "x", "scopes": ["mcp"]}})).ok(201)["data"]
    device = (await owner.get("/api/sessions")).ok()["data"][0]
    return {**ids, "members": ids["users"], "keys": key["id"], "sessions": device["id"]}


def filled(route: SessionRoute | EntryRoute, ids: dict[str, str]) -> str:
    return re.sub(r"\{\w+\}", ids.get(route.path.split("/")[2], "bkg_x"), route.path)


def body_of(route: SessionRoute, soon: datetime) -> Any:
    """A body that a thing that exists could be answered with."""
    given: dict[str, Any] = {}
    if route.path.endswith("/reschedule"):
        given = {"start_time": soon.isoformat()}
    if route.path.endswith("/replay"):
        given = {"since": soon.isoformat()}
    return {route.operation.nested: given} if route.operation.body else None


def test_keys_are_remembered_only_for_what_every_role_may_call() -> None:
    """What is remembered of a key for a minute says what its maker's role allowed then."""
    remembered = [route for route in V1_ROUTES if route.proves_key]
    assert remembered
    assert [route for route in remembered if route.scope not in SCOPES_OF_ROLES[MEMBER]] == []


def test_every_route_declares_a_scope_that_exists() -> None:
    assert [route for route in SESSION_ROUTES if route.scope not in {*SCOPES, *POWERS, "any"}] == []
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_members_may_call_what_is_listed_and_nothing_else() -> None:
    """A new route has to be placed here, or members cannot call it."""
    allowed = {name(route): route.scope for route in SESSION_ROUTES if covers(SCOPES_OF_ROLES[MEMBER], route.scope)}
    assert allowed == {each: scope for scope, names in MEMBERS_MAY.items() for each in names}


def test_owners_and_admins_may_call_everything_and_no_key_has_a_persons_powers() -> None:
    for role in (OWNER, ADMIN):
        assert [route for route in SESSION_ROUTES if not covers(SCOPES_OF_ROLES[role], route.scope)] == []
    assert not set(SCOPES).intersection(POWERS)


async def test_without_a_session_every_route_is_401(api: Api, browsers: Browsers) -> None:
    for route in SESSION_ROUTES:
        with told_of(route):
            nobody = browsers()
            answer = await nobody.call(route.method, filled(route, {}))
            assert answer.ok(401)["code"] == "unauthorized"
            assert answer.headers["WWW-Authenticate"].startswith("Cookie ")
            with_key = await api.call(route.method, filled(route, {}))
            assert with_key.status == 401, "a key is no session"


# what ends things comes last, so that one set of them does for all routes
IN_ORDER = sorted(
    SESSION_ROUTES, key=lambda route: (["GET", "POST", "PATCH", "DELETE"].index(route.method), route.path)
)


async def test_every_route_by_a_member(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection, soon: datetime
) -> None:
    """Refused for the role, or let through; and then refused again where the thing is somebody else's."""
    ids = await all_things(api, owner, soon)
    person, member = await colleague(api, conn, browsers, MEMBER)
    for route in IN_ORDER:
        answer = await member.call(route.method, filled(route, ids), body_of(route, soon))
        said = f"{name(route)}: {answer.status} {answer.raw!r}"
        if not covers(SCOPES_OF_ROLES[MEMBER], route.scope):
            assert (answer.status, answer.json["code"]) == (403, "forbidden"), said
            assert "role (member)" in answer.json["detail"], said
        elif "{" in route.path and name(route) not in EVERYBODYS:
            assert answer.status in {403, 404}, said
        else:
            assert answer.status not in {401, 403, 404}, said
        if answer.status == 204:
            # that was the session itself
            (await member.log_in(person["email"])).ok(201)


async def test_every_route_by_an_admin(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection, soon: datetime
) -> None:
    ids = await all_things(api, owner, soon)
    person, admin = await colleague(api, conn, browsers, ADMIN)
    for route in IN_ORDER:
        answer = await admin.call(route.method, filled(route, ids), body_of(route, soon))
        # a session is nobody else's, whatever their role
        allowed = {200, 201, 202, 204, 400, 409} | ({404} if route.path == "/api/sessions/{id}" else set())
        assert answer.status in allowed, f"{name(route)}: {answer.status} {answer.raw!r}"
        if route.path.startswith("/api/session") and route.method == "DELETE":
            (await admin.log_in(person["email"])).ok(201)


async def test_another_organizations_things_are_404_on_every_route(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    ids = await all_things(api, owner, soon)
    me = (await owner.get("/api/session")).ok()["data"]
    tenant, stranger = await make_tenant(conn, vault), browsers()
    (await stranger.log_in(f"{tenant.username}@example.com")).ok(201)
    for route in [route for route in IN_ORDER if "{" in route.path]:
        path, body = filled(route, ids), body_of(route, soon)
        answer = await stranger.call(route.method, path, body)
        assert answer.status == 404, f"{name(route)}: {answer.status} {answer.raw!r}"
        mine = await owner.call(route.method, path, body)
        assert mine.status in {200, 201, 202, 204, 409}, f"for its owner it is there: {name(route)} {mine.raw!r}"
        if route.path == "/api/sessions/{id}":
            (await owner.log_in(me["email"])).ok(201)


async def test_a_role_acts_from_the_next_request_on(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection
) -> None:
    person, browser = await colleague(api, conn, browsers, ADMIN)
    assert (await browser.get("/api/keys")).status == 200
    (await owner.patch(f"/api/members/{person['id']}", {"member": {"role": "member"}})).ok()
    assert (await browser.get("/api/keys")).status == 403
    assert (await owner.delete(f"/api/members/{person['id']}")).status == 204
    assert (await browser.get("/api/session")).status == 401
    assert (await browser.log_in(person["email"])).status == 401


async def test_owners_are_for_owners(api: Api, owner: Browser, browsers: Browsers, conn: db.Connection) -> None:
    """An admin who could change an owner's e-mail would own the organization by asking for a new password."""
    me = (await owner.get("/api/session")).ok()["data"]
    person, admin = await colleague(api, conn, browsers, ADMIN)
    for changes in [{"email": "mine@evil.example"}, {"role": "member"}, {"name": "x"}]:
        assert (await admin.patch(f"/api/members/{me['id']}", {"member": changes})).ok(403)["code"] == "forbidden"
    assert (await admin.delete(f"/api/members/{me['id']}")).status == 403
    assert (await admin.patch(f"/api/members/{person['id']}", {"member": {"role": "owner"}})).status == 403
    invited = {"email": "new@owner.example", "name": "x", "role": "owner"}
    assert (await admin.post("/api/members", {"member": invited})).status == 403
    key = {"name": "x", "scopes": ["users:write"]}
    secret = (await admin.post("/api/keys", {"key": key})).ok(201)["data"]["secret"]
    by_key = await Api(api.client, secret).call("PATCH", f"/v1/users/{me['id']}", {"email": "mine@evil.example"})
    assert by_key.ok(403)["code"] == "forbidden", "nor by a key that they made"
    assert (await owner.patch(f"/api/members/{person['id']}", {"member": {"role": "owner"}})).status == 200
    assert (await admin.delete(f"/api/members/{me['id']}")).status == 204, "another owner may"


async def test_a_key_never_may_more_than_its_maker_may_by_now(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection, soon: datetime
) -> None:
    """Whoever was an admin once would make themselves one again."""
    person, admin = await colleague(api, conn, browsers, ADMIN)
    key = {"name": "x", "scopes": ["users:write", "users:read", "webhooks:write", "bookings:read", "mcp"]}
    theirs = Api(api.client, (await admin.post("/api/keys", {"key": key})).ok(201)["data"]["secret"])
    await api.event_type(code="owners", booking_window_days=None)
    booking = (await api.book("owners", soon.replace(hour=10))).ok(201)["booking"]
    assert (await theirs.get(f"/v1/bookings/{booking['id']}")).status == 200
    (await owner.patch(f"/api/members/{person['id']}", {"member": {"role": "member"}})).ok()
    up = await theirs.call("PATCH", f"/v1/users/{person['id']}", {"role": "admin"})
    assert up.ok(403)["code"] == "insufficient_scope"
    new = {"email": "b@c.example", "name": "B", "role": "admin"}
    assert (await theirs.post("/v1/users", new)).status == 403
    assert (await theirs.post("/v1/webhooks", {"url": "http://127.0.0.1:9/x"})).status == 403
    assert (await theirs.get("/v1/users")).status == 200, "what members may, it still may"
    for path in (f"/v1/bookings/{booking['id']}", f"/api/v1/bookings/{booking['id']}"):
        assert (await theirs.get(path)).status == 404, "of their own bookings"
    assert (await theirs.call("PATCH", f"/api/v1/bookings/{booking['id']}/cancel")).status == 404
    for step in ("finish", "cancel", "confirm", "no-show", "invite.ics"):
        method = "GET" if "." in step else "POST"
        answer = await theirs.call(method, f"/v1/bookings/{booking['id']}/{step}")
        assert answer.status == 404, step
    assert (await theirs.get("/v1/bookings")).ok()["bookings"] == []
    assert (await theirs.get("/v1/bookings?page=1")).ok()["pagination"]["total"] == 0
    assert (await theirs.get("/api/v1/bookings")).ok()["data"] == []
    assert (await theirs.get("/v1/bookings/stats")).ok()["stats"]["total"] == 0
    assert (await admin.get("/api/keys")).status == 403


async def test_nobody_gives_a_role_above_their_own(
    api: Api, browsers: Browsers, conn: db.Connection, owner: Browser
) -> None:
    _, admin = await colleague(api, conn, browsers, ADMIN)
    for role, status in (("owner", 403), ("admin", 201), ("member", 201)):
        member = {"email": f"{unique_name()}@example.com", "name": "x", "role": role}
        assert (await admin.post("/api/members", {"member": member})).status == status


async def test_members_change_of_themselves_what_is_theirs(
    api: Api, browsers: Browsers, conn: db.Connection, owner: Browser
) -> None:
    person, member = await colleague(api, conn, browsers, MEMBER)
    mine = f"/api/members/{person['id']}"
    changed = (await member.patch(mine, {"member": {"name": "Benjamin", "timezone": "Asia/Tokyo"}})).ok()["data"]
    assert (changed["name"], changed["timezone"]) == ("Benjamin", "Asia/Tokyo")
    for changes in [{"role": "owner"}, {"email": "other@example.com"}]:
        assert (await member.patch(mine, {"member": changes})).ok(403)["code"] == "forbidden"
    other = (await owner.get("/api/session")).ok()["data"]["id"]
    assert (await member.patch(f"/api/members/{other}", {"member": {"name": "x"}})).status == 403


async def test_members_have_their_own_event_types_and_schedules(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection
) -> None:
    person, member = await colleague(api, conn, browsers, MEMBER)
    mine = (await member.post("/api/event-types", {"event_type": {"title": "Mine"}})).ok(201)["data"]
    assert [host["user_id"] for host in mine["hosts"]] == [person["id"]]
    path = f"/api/event-types/{mine['code']}"
    (await member.patch(path, {"event_type": {"title": "Still mine"}})).ok()
    other = (await owner.get("/api/session")).ok()["data"]["id"]
    for hosts in [[{"user_id": other}], [{"user_id": person["id"]}, {"user_id": other}]]:
        assert (await member.patch(path, {"event_type": {"hosts": hosts}})).status == 403
        made = {"event_type": {"title": "Theirs", "hosts": hosts}}
        assert (await member.post("/api/event-types", made)).status == 403
    assert (await owner.get(path)).ok()["data"]["title"] == "Still mine"
    link = (await member.post(f"{path}/links")).ok(201)["data"]
    assert (await member.delete(f"/api/event-links/{link['link_code']}")).status == 204
    assert (await member.post(f"{path}/duplicate")).status == 201
    assert (await member.delete(path)).status == 204
    hours = {"name": "Evenings", "timezone": "UTC", "weekly": []}
    schedule = (await member.post("/api/schedules", {"schedule": hours})).ok(201)["data"]
    assert schedule["owner"]["user_id"] == person["id"]
    assert (await member.delete(f"/api/schedules/{schedule['id']}")).status == 204
    theirs = {"schedule": {**hours, "owner": {"user_id": other}}}
    assert (await member.post("/api/schedules", theirs)).status == 403


async def test_members_see_and_touch_their_own_bookings_only(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection, soon: datetime
) -> None:
    person, member = await colleague(api, conn, browsers, MEMBER)
    await api.event_type(code="theirs", booking_window_days=None)
    hosts = [{"user_id": person["id"]}]
    await api.event_type(code="mine", booking_window_days=None, hosts=hosts)
    at = soon.replace(hour=10)
    theirs = (await api.book("theirs", at)).ok(201)["booking"]
    mine = (await api.book("mine", at)).ok(201)["booking"]
    listed = (await member.get("/api/bookings")).ok()
    assert ([each["id"] for each in listed["data"]], listed["pagination"]["total"]) == ([mine["id"]], 1)
    assert len((await owner.get("/api/bookings")).ok()["data"]) == 2
    assert (await member.get("/api/stats")).ok()["data"]["total"] == 1
    assert (await owner.get("/api/stats")).ok()["data"]["total"] == 2
    assert (await member.get(f"/api/bookings/{theirs['id']}")).status == 404
    assert (await member.delete(f"/api/bookings/{theirs['id']}")).status == 404
    assert (await member.delete(f"/api/bookings/{mine['id']}")).ok()["data"]["status"] == "cancelled"
    history = (await owner.get(f"/api/bookings/{mine['id']}/history")).ok()["data"]
    assert [(step["to"], step["by"], step["actor"]) for step in history][-1] == ("cancelled", "host", person["id"])


async def test_members_see_who_waits_for_them(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection, soon: datetime
) -> None:
    person, member = await colleague(api, conn, browsers, MEMBER)
    at, waiting = soon.replace(hour=10), []
    for code, host in (("theirs", {}), ("mine", {"hosts": [{"user_id": person["id"]}]})):
        await api.event_type(code=code, booking_window_days=None, waitlist=True, **host)
        (await api.book(code, at)).ok(201)
        who = {"name": "Wanda", "email": "wanda@example.com", "timezone": "UTC"}
        entry = {"event_type": code, "start_time": at.isoformat(), "attendee": who}
        made = await owner.post("/api/waitlist", {"waitlist_entry": entry})
        waiting.append(made.ok(201)["data"]["id"])
    assert [each["id"] for each in (await owner.get("/api/waitlist")).ok()["data"]] == waiting
    listed = (await member.get("/api/waitlist?status=waiting")).ok()
    assert ([each["id"] for each in listed["data"]], listed["pagination"]["total"]) == (waiting[1:], 1)
    for method in ("GET", "DELETE"):
        assert (await member.call(method, f"/api/waitlist/{waiting[0]}")).status == 404
    assert (await member.delete(f"/api/waitlist/{waiting[1]}")).status == 204
    assert (await owner.get(f"/api/waitlist/{waiting[1]}")).ok()["data"]["status"] == "left"


async def test_unknown_methods_tell_the_known_ones(owner: Browser) -> None:
    for route in [each for each in ROUTES if "{" not in each.path]:
        with told_of(route):
            answer = await owner.call("PUT", route.path)
            assert answer.ok(405)["code"] == "method_not_allowed"
            assert route.method in answer.headers["Allow"]
