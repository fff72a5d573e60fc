"""Who may call an operation: in words, as OpenAPI's security requirements, and with which refusals.

The one rule: each kind of route has its one function here, and its scheme.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.identity.roles import SCOPES_OF_ROLES
from app.domain.identity.scopes import GRANTS, covers
from app.web.browser import EntryRoute, SessionRoute
from app.web.openapi.schemas import Schema
from app.web.routing import AnyRoute, Route
from app.web.sessions import COOKIE, SECURE_COOKIE


@dataclass(frozen=True, slots=True)
class Credential:
    """about: sentences. security: any of these will do. problems: codes of those who have none, or one that is not
    enough. more: members of the operation."""

    about: tuple[str, ...]
    security: list[Schema]
    problems: frozenset[str] = frozenset()
    more: Mapping[str, str] | None = None


def credential_of(route: AnyRoute) -> Credential:
    if isinstance(route, Route):
        return _key(route)
    if isinstance(route, SessionRoute):
        return _session(route)
    if isinstance(route, EntryRoute):
        return _entry()
    return Credential(("Needs no key.",), [])


def _key(route: Route) -> Credential:
    """A key with one of the scopes, or, where the path may hold a token instead, either."""
    free = route.scope == "any"
    about = [
        "Any valid key will do." if free else f"Needs the scope {' or '.join(f'`{each}`' for each in route.scopes)}."
    ]
    security: list[Schema] = [{"bearer": [] if free else [scope]} for scope in route.scopes]
    if route.by_token:
        about.append("The token of a mailed link does in place of a key.")
        security.append({})
    problems = {"unauthorized"} if free else {"unauthorized", "insufficient_scope"}
    return Credential(tuple(about), security, frozenset(problems), {"x-required-scope": route.scope})


def _session(route: SessionRoute) -> Credential:
    """Somebody whose role has the permission, from a page of our own where something is written."""
    free = route.scope == "any"
    who = [role for role, granted in SCOPES_OF_ROLES.items() if covers(granted, route.scope)]
    about = "For everybody who is logged in." if free else f"For {_listed(who)} (`{route.scope}`)."
    writes = route.method != "GET"
    problems = {"unauthorized", *(["forbidden"] if writes or not free else []), *(_OF_FORMS if writes else [])}
    security: list[Schema] = [{"session": [] if free else [route.scope]}]
    return Credential((about,), security, frozenset(problems), {"x-required-permission": route.scope})


def _listed(roles: list[str]) -> str:
    return "every role" if len(roles) == len(SCOPES_OF_ROLES) else " and ".join(f"{role}s" for role in roles)


def _entry() -> Credential:
    return Credential(("Needs no session; it is the way to one.",), [], frozenset({"forbidden", *_OF_FORMS}))


# what a form of another site's page could send is refused, even of nothing
_OF_FORMS = ("unsupported_media_type",)


def schemes() -> Schema:
    """OpenAPI 3.1 lets an operation name roles of any scheme; what they are it leaves to us."""
    scopes = "\n".join(f"- `{scope}`: {about}" for scope, about in GRANTS.items())
    bearer = {
        "type": "http",
        "scheme": "bearer",
        "description": f"An API key (`slw_live_…`). Each carries some of these scopes:\n\n{scopes}",
        "x-scopes": GRANTS,
    }
    session = {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The cookie that `POST /api/session` and `POST /api/signup` set; browsers send it by "
        f"themselves. In production, and wherever the public address is https, its name is `{SECURE_COOKIE}`.",
    }
    return {"bearer": bearer, "session": session}
