"""The part of `/v1`'s table that is about the organization, its people and its teams."""

from app.faces.rest import feeds, organization, teams, users
from app.faces.rest.shapes.organization import OrganizationPatch, OrganizationShown
from app.faces.rest.shapes.teams import TeamIn, TeamPatch, TeamShown
from app.faces.rest.shapes.users import FeedShown, Me, PersonIn, PersonPatch, UserShown
from app.web.operation import Many, One, Operation
from app.web.paging import Page
from app.web.routing import Route

_ORGANIZATION = One("organization", OrganizationShown)
_USER = One("user", UserShown)
_TEAM = One("team", TeamShown)
_FEED = One("feed", FeedShown)

ROUTES = (
    Route(
        "GET",
        "/v1/organization",
        organization.read,
        "users:read",
        Operation("Read the organization", answer=_ORGANIZATION),
    ),
    Route(
        "PATCH",
        "/v1/organization",
        organization.update,
        "users:write",
        Operation("Change the organization", body=OrganizationPatch, answer=_ORGANIZATION, name="update_organization"),
    ),
    Route("GET", "/v1/users/me", users.me, "any", Operation("Who is behind the key", answer=Me, name="get_me")),
    Route(
        "GET",
        "/v1/users",
        users.list_all,
        "users:read",
        Operation("List people", query=Page, answer=Many("users", UserShown)),
    ),
    Route(
        "POST",
        "/v1/users",
        users.create,
        "users:write",
        Operation("Add a person", body=PersonIn, answer=_USER, status=201, replays=True),
    ),
    Route("GET", "/v1/users/{id}", users.read, "users:read", Operation("Read a person", answer=_USER)),
    Route(
        "PATCH",
        "/v1/users/{id}",
        users.update,
        "users:write",
        Operation("Change a person", body=PersonPatch, answer=_USER),
    ),
    Route("DELETE", "/v1/users/{id}", users.delete, "users:write", Operation("Remove a person", status=204)),
    Route(
        "GET",
        "/v1/users/{id}/feed",
        feeds.read,
        "bookings:read",
        Operation(
            "Get the address of a person's calendar; anybody's but the key's own needs `users:write` too", answer=_FEED
        ),
    ),
    Route(
        "POST",
        "/v1/users/{id}/feed/rotate",
        feeds.rotate,
        "users:write",
        Operation("End the address of a person's calendar, and make another", answer=_FEED),
    ),
    Route(
        "GET",
        "/v1/teams",
        teams.list_all,
        "users:read",
        Operation("List teams", query=Page, answer=Many("teams", TeamShown)),
    ),
    Route(
        "POST",
        "/v1/teams",
        teams.create,
        "users:write",
        Operation("Make a team", body=TeamIn, answer=_TEAM, status=201, replays=True),
    ),
    Route("GET", "/v1/teams/{id}", teams.read, "users:read", Operation("Read a team", answer=_TEAM)),
    Route(
        "PATCH", "/v1/teams/{id}", teams.update, "users:write", Operation("Change a team", body=TeamPatch, answer=_TEAM)
    ),
    Route("DELETE", "/v1/teams/{id}", teams.delete, "users:write", Operation("Remove a team", status=204)),
)
