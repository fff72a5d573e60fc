"""The table of `/api`: every route with what a person's role must grant for it, and what it reads and answers.

The one rule: bodies stand under the noun's name, answers under `data` (seed 000). Nouns that /v1 has too are answered
by the same handlers.
"""

from app.domain.webhooks.subscriptions import WebhookShown
from app.faces.browser import audit, entry, keys, numbered, sessions
from app.faces.browser.booking_routes import ROUTES as BOOKING_ROUTES
from app.faces.browser.calendar_routes import ROUTES as CALENDAR_ROUTES
from app.faces.browser.shapes import (
    AcceptedShown,
    ApiKeyShown,
    AuditQuery,
    AuditShown,
    DeviceShown,
    KeyCreated,
    KeyIn,
    LogInIn,
    PasswordChangeIn,
    PasswordResetIn,
    SessionDeliveriesQuery,
    SessionResourcesQuery,
    SessionShown,
    SignUpIn,
)
from app.faces.rest import deliveries, feeds, locations, organization, resources, schedules, teams, users, webhooks
from app.faces.rest.shapes.deliveries import CountShown, DeliveryShown, ReplayIn, SampleIn
from app.faces.rest.shapes.locations import LocationIn, LocationPatch, LocationShown
from app.faces.rest.shapes.organization import OrganizationPatch, OrganizationShown
from app.faces.rest.shapes.resources import ResourceIn, ResourcePatch, ResourceShown
from app.faces.rest.shapes.schedules import ScheduleIn, SchedulePatch, ScheduleShown
from app.faces.rest.shapes.teams import TeamIn, TeamPatch, TeamShown
from app.faces.rest.shapes.users import FeedShown, PersonIn, PersonPatch, UserShown
from app.faces.rest.shapes.webhooks import NothingIn, WebhookCreated, WebhookIn, WebhookPatch
from app.web.browser import EntryRoute, SessionRoute, route
from app.web.operation import Data, DataList, DataPage, Operation
from app.web.paging import Numbers

_ME, _DEVICES = Data(SessionShown), DataList(DeviceShown)
_MEMBER, _TEAM, _SCHEDULE = Data(UserShown), Data(TeamShown), Data(ScheduleShown)
_LOCATION, _RESOURCE = Data(LocationShown), Data(ResourceShown)
_WEBHOOK, _SECRET, _DELIVERY = Data(WebhookShown), Data(WebhookCreated), Data(DeliveryShown)

ENTRIES = (
    EntryRoute(
        "POST",
        "/api/signup",
        entry.sign_up,
        Operation(
            "Make an organization and log in",
            body=SignUpIn,
            nested="signup",
            answer=_ME,
            status=201,
            problems=("forbidden",),
            cookie=True,
            name="sign_up",
        ),
    ),
    EntryRoute(
        "POST",
        "/api/session",
        entry.log_in,
        Operation(
            "Log in",
            body=LogInIn,
            nested="session",
            answer=_ME,
            status=201,
            problems=("unauthorized",),
            cookie=True,
            name="log_in",
        ),
    ),
    EntryRoute(
        "POST",
        "/api/password-resets",
        entry.ask_for_password,
        Operation(
            "Ask for a new password by mail",
            body=PasswordResetIn,
            nested="password_reset",
            answer=Data(AcceptedShown),
            status=202,
            name="ask_for_password",
        ),
    ),
)


_SESSIONS = (
    route("GET", "session", sessions.me, "any", "Who is logged in", answer=_ME, name="get_session"),
    route(
        *("DELETE", "session", sessions.log_out, "any", "Log out, here and wherever one logged in before"),
        status=204,
        cookie=True,
        name="log_out",
    ),
    route("GET", "sessions", sessions.list_all, "any", "List where one is logged in", answer=_DEVICES),
    route(
        *("DELETE", "sessions", sessions.end_all, "any", "Log out everywhere"),
        status=204,
        cookie=True,
        name="log_out_everywhere",
    ),
    route("DELETE", "sessions/{id}", sessions.end_one, "any", "Log out on one device", status=204),
    route(
        *("PATCH", "password", sessions.change_password, "any", "Change one's password; every other session ends"),
        body=PasswordChangeIn,
        nested="password",
        answer=_ME,
        cookie=True,
        name="change_password",
    ),
)

_ORGANIZATION = (
    route(
        *("GET", "audit", audit.list_all, "audit:read", "Read the audit log"),
        query=AuditQuery,
        answer=DataPage(AuditShown),
        name="session_list_audit_entries",
    ),
    route(
        *("GET", "organization", organization.read, "users:read", "Read the organization"),
        answer=Data(OrganizationShown),
    ),
    route(
        *("PATCH", "organization", organization.update, "users:write", "Change the organization"),
        body=OrganizationPatch,
        nested="organization",
        answer=Data(OrganizationShown),
        name="session_update_organization",
    ),
    route("GET", "keys", keys.list_all, "keys:read", "List API keys", query=Numbers, answer=DataPage(ApiKeyShown)),
    route(
        *("POST", "keys", keys.create, "keys:write", "Make an API key, which is shown once"),
        body=KeyIn,
        nested="key",
        answer=Data(KeyCreated),
        status=201,
        replays=True,
    ),
    route("GET", "keys/{id}", keys.read, "keys:read", "Read an API key", answer=Data(ApiKeyShown)),
    route("DELETE", "keys/{id}", keys.revoke, "keys:write", "Revoke an API key", status=204),
)

_PEOPLE = (
    route("GET", "members", users.list_all, "users:read", "List members", query=Numbers, answer=DataPage(UserShown)),
    route(
        *("POST", "members", users.create, "users:write", "Invite a member"),
        body=PersonIn,
        nested="member",
        answer=_MEMBER,
        status=201,
        replays=True,
    ),
    route("GET", "members/{id}", users.read, "users:read", "Read a member", answer=_MEMBER),
    route(
        *("PATCH", "members/{id}", users.update, "any", "Change a member, or oneself"),
        body=PersonPatch,
        nested="member",
        answer=_MEMBER,
        problems=("forbidden",),
    ),
    route("DELETE", "members/{id}", users.delete, "users:write", "Remove a member", status=204),
    route(
        *("POST", "members/{id}/invite", users.invite, "users:write", "Send a member's invitation once more"),
        body=NothingIn,
        nested="invitation",
        optional=True,
        answer=_MEMBER,
        status=202,
    ),
    route(
        *("GET", "members/{id}/feed", feeds.read, "bookings:read", "Get the address of a member's calendar"),
        answer=Data(FeedShown),
    ),
    route(
        *("POST", "members/{id}/feed/rotate", feeds.rotate, "bookings:read", "Give a member's calendar a new address"),
        answer=Data(FeedShown),
    ),
    route("GET", "teams", teams.list_all, "users:read", "List teams", query=Numbers, answer=DataPage(TeamShown)),
    route(
        *("POST", "teams", teams.create, "users:write", "Make a team"),
        body=TeamIn,
        nested="team",
        answer=_TEAM,
        status=201,
        replays=True,
    ),
    route("GET", "teams/{id}", teams.read, "users:read", "Read a team", answer=_TEAM),
    route(
        *("PATCH", "teams/{id}", teams.update, "users:write", "Change a team"),
        body=TeamPatch,
        nested="team",
        answer=_TEAM,
    ),
    route("DELETE", "teams/{id}", teams.delete, "users:write", "Remove a team", status=204),
)

_THINGS = (
    route(
        *("GET", "schedules", schedules.list_all, "event_types:read", "List schedules"),
        query=Numbers,
        answer=DataPage(ScheduleShown),
    ),
    route(
        *("POST", "schedules", schedules.create, "event_types:write", "Make a schedule"),
        body=ScheduleIn,
        nested="schedule",
        answer=_SCHEDULE,
        status=201,
        replays=True,
        problems=("forbidden",),
    ),
    route("GET", "schedules/{id}", schedules.read, "event_types:read", "Read a schedule", answer=_SCHEDULE),
    route(
        *("PATCH", "schedules/{id}", schedules.update, "event_types:write", "Change a schedule"),
        body=SchedulePatch,
        nested="schedule",
        answer=_SCHEDULE,
    ),
    route("DELETE", "schedules/{id}", schedules.delete, "event_types:write", "Remove a schedule", status=204),
    route(
        *("GET", "locations", locations.list_all, "resources:read", "List locations"),
        query=Numbers,
        answer=DataPage(LocationShown),
    ),
    route(
        *("POST", "locations", locations.create, "resources:write", "Make a location"),
        body=LocationIn,
        nested="location",
        answer=_LOCATION,
        status=201,
        replays=True,
    ),
    route("GET", "locations/{id}", locations.read, "resources:read", "Read a location", answer=_LOCATION),
    route(
        *("PATCH", "locations/{id}", locations.update, "resources:write", "Change a location"),
        body=LocationPatch,
        nested="location",
        answer=_LOCATION,
    ),
    route("DELETE", "locations/{id}", locations.archive, "resources:write", "Archive a location", status=204),
    route(
        *("GET", "resources", numbered.resources, "resources:read", "List resources"),
        query=SessionResourcesQuery,
        answer=DataPage(ResourceShown),
    ),
    route(
        *("POST", "resources", resources.create, "resources:write", "Make a resource"),
        body=ResourceIn,
        nested="resource",
        answer=_RESOURCE,
        status=201,
        replays=True,
    ),
    route("GET", "resources/{id}", resources.read, "resources:read", "Read a resource", answer=_RESOURCE),
    route(
        *("PATCH", "resources/{id}", resources.update, "resources:write", "Change a resource"),
        body=ResourcePatch,
        nested="resource",
        answer=_RESOURCE,
    ),
    route("DELETE", "resources/{id}", resources.archive, "resources:write", "Archive a resource", status=204),
)

_WEBHOOKS = (
    route(
        *("GET", "webhooks", webhooks.list_all, "webhooks:read", "List webhooks"),
        query=Numbers,
        answer=DataPage(WebhookShown),
    ),
    route(
        *("POST", "webhooks", webhooks.create, "webhooks:write", "Subscribe an address to events"),
        body=WebhookIn,
        nested="webhook",
        answer=_SECRET,
        status=201,
        replays=True,
    ),
    route("GET", "webhooks/{id}", webhooks.read, "webhooks:read", "Read a webhook", answer=_WEBHOOK),
    route(
        *("PATCH", "webhooks/{id}", webhooks.update, "webhooks:write", "Change, pause or resume a webhook"),
        body=WebhookPatch,
        nested="webhook",
        answer=_WEBHOOK,
    ),
    route("DELETE", "webhooks/{id}", webhooks.delete, "webhooks:write", "Unsubscribe", status=204),
    route(
        *("POST", "webhooks/{id}/rotate-secret", webhooks.rotate_secret, "webhooks:write", "Give it a new secret"),
        body=NothingIn,
        nested="webhook",
        optional=True,
        answer=_SECRET,
        replays=True,
    ),
    route(
        *("POST", "webhooks/{id}/test", deliveries.send_one_now, "webhooks:write", "Send a sample"),
        body=SampleIn,
        nested="webhook",
        optional=True,
        answer=_DELIVERY,
    ),
    route(
        *("POST", "webhooks/{id}/replay", deliveries.send_range_again, "webhooks:write", "Send a period again"),
        body=ReplayIn,
        nested="replay",
        answer=Data(CountShown),
        status=202,
    ),
    route(
        *("GET", "webhooks/{id}/deliveries", numbered.deliveries, "webhooks:read", "List what it was sent"),
        query=SessionDeliveriesQuery,
        answer=DataPage(DeliveryShown),
    ),
    route(
        *("GET", "deliveries/{id}", deliveries.read, "webhooks:read", "Read a delivery"),
        answer=_DELIVERY,
    ),
    route(
        *("POST", "deliveries/{id}/redeliver", deliveries.send_again, "webhooks:write", "Send a delivery again"),
        body=NothingIn,
        nested="delivery",
        optional=True,
        answer=_DELIVERY,
        status=202,
    ),
)

ROUTES: tuple[SessionRoute | EntryRoute, ...] = (
    *ENTRIES,
    *_SESSIONS,
    *_ORGANIZATION,
    *_PEOPLE,
    *_THINGS,
    *_WEBHOOKS,
    *CALENDAR_ROUTES,
    *BOOKING_ROUTES,
)
