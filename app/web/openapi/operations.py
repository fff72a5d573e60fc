"""One route as one operation of the document."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from app.core.ids import Kind
from app.core.shown import id_pattern
from app.web.browser import EntryRoute, SessionRoute
from app.web.openapi.answers import BOTS, OURS, SESSION, Dialect, problem_responses, successes
from app.web.openapi.credentials import credential_of
from app.web.openapi.schemas import Schema, Schemas, patch_of, query_parameters
from app.web.operation import Operation
from app.web.problems import says_success
from app.web.routing import AnyRoute, PublicRoute, Route

PARAMETER = re.compile(r"\{(\w+)\}")
# what stands behind a path segment: a malformed id of it is not found
KINDS = {
    "bookings": Kind.BOOKING,
    "users": Kind.USER,
    "members": Kind.USER,
    "keys": Kind.KEY,
    "sessions": Kind.SESSION,
    "teams": Kind.TEAM,
    "schedules": Kind.SCHEDULE,
    "locations": Kind.LOCATION,
    "resources": Kind.RESOURCE,
    "webhooks": Kind.WEBHOOK,
    "events": Kind.EVENT,
    "deliveries": Kind.DELIVERY,
    "calendars": Kind.CALENDAR,
    "waitlist": Kind.WAITLIST_ENTRY,
}
_ABOUT = {
    "code": "The public code, or the `evt_` id.",
    "username": "Of a person, or the slug of a team.",
    "event_slug": "The event type's slug on that page.",
    "link_code": "The code at the end of the link.",
    "token": "At the end of the link; it is its own credential.",
}
# what the operationIds of a face begin with
_FACES = (("/api/v1/", "bot_"), ("/api/", "session_"))
# what the tags of `/api` begin with, and that of the way in and out
_SESSION = "session"
_OF_SESSIONS = frozenset({"session", "sessions", "signup", "password", "password-resets"})
# nouns of `/api` that stand under another one
_UNDER = {"bookables": "bookings", "stats": "bookings", "event-links": "event-types", "deliveries": "webhooks"}
_VERBS = {"GET": "get", "POST": "create", "PATCH": "update", "DELETE": "delete"}


def name_of(route: AnyRoute) -> str:
    """The operationId: `list_bookings`, `get_booking`, `cancel_booking`, `create_event_type_link`; `bot_list_bookings`
    of another face."""
    operation = route.operation
    if operation.name:
        return operation.name
    for prefix, begin in _FACES:
        if route.path.startswith(prefix):
            return begin + _name(route, route.path.removeprefix(prefix))
    return _name(route, route.path.removeprefix("/v1/"))


def _name(route: AnyRoute, path: str) -> str:
    """path: from the first noun on."""
    segments = path.replace("-", "_").split("/")
    words = [
        _singular(each) if following.startswith("{") else each
        for each, following in zip(segments, [*segments[1:], ""], strict=True)
        if not each.startswith("{")
    ]
    last = words[-1]
    if segments[-1].startswith("{"):
        return f"{_VERBS[route.method]}_{'_'.join(words)}"
    if route.method in {"POST", "PATCH"} and route.operation.status != 201 and len(words) > 1:
        return "_".join([last, *words[:-1]])
    if route.method == "POST":
        return "_".join(["create", *words[:-1], _singular(last)])
    return "_".join(["list" if last.endswith("s") and last != "stats" else "get", *words])


def _singular(word: str) -> str:
    return word.removesuffix("ies") + "y" if word.endswith("ies") else word.removesuffix("s")


def describe(
    route: AnyRoute, tokens: str, schemas: Schemas, links: Mapping[str, Schema], example: Mapping[str, Any]
) -> tuple[Schema, Schema]:
    """The operation, and the responses that it refers to. tokens: what those look like that the path takes. example:
    `request` and `response`."""
    operation = route.operation
    other = route.by_token.operation if isinstance(route, Route) and route.by_token else None
    credential = credential_of(route)
    codes = _codes(route, operation) | credential.problems | (set(other.problems) if other else set())
    page = operation.page or (other is not None and other.page)
    references, responses = problem_responses(codes, _dialect_of(route), page=page)
    reads = route.method == "GET"
    answers = successes(
        operation, schemas, reads=reads, links=dict(links), example=example.get("response"), other=other
    )
    described: Schema = {
        "operationId": name_of(route),
        "tags": [tag_of(route)],
        "summary": operation.summary,
        "description": " ".join([*credential.about, *_about(operation, schemas)]),
        "parameters": _parameters(route, tokens, operation, schemas),
        "responses": {**answers, **references},
        "security": credential.security,
        **(credential.more or {}),
    }
    if operation.body is not None:
        schema = _body_schema(route, operation.body, schemas)
        content = {"schema": schema, **({"example": example["request"]} if "request" in example else {})}
        described["requestBody"] = {"required": not operation.optional, "content": {"application/json": content}}
    return described, responses


def _body_schema(route: AnyRoute, body: type[BaseModel], schemas: Schemas) -> Schema:
    """Under the noun's name, where the face wants one."""
    schema = patch_of(schemas.inline(body)) if route.method == "PATCH" else schemas.ref(body)
    nested, optional = route.operation.nested, route.operation.optional
    if not nested:
        return schema
    required = {} if optional else {"required": [nested]}
    return {"type": "object", "properties": {nested: schema}, **required, "additionalProperties": False}


def tag_of(route: AnyRoute) -> str:
    """Of each face the nouns have their own; the short faces have one for all."""
    if isinstance(route, PublicRoute):
        return "public"
    noun = route.path.split("/")[2]
    if isinstance(route, SessionRoute | EntryRoute):
        return _SESSION if noun in _OF_SESSIONS else f"{_SESSION}-{_UNDER.get(noun, noun)}"
    return "bots" if route.path.startswith("/api/") else noun


def _dialect_of(route: AnyRoute) -> Dialect:
    if isinstance(route, SessionRoute | EntryRoute):
        return SESSION
    return OURS if says_success(route.path) else BOTS


def _about(operation: Operation, schemas: Schemas) -> Iterator[str]:
    """What the query's model says of its parameters."""
    if operation.query is not None:
        yield from filter(None, [schemas.inline(operation.query).get("description")])


def _codes(route: AnyRoute, operation: Operation) -> set[str]:
    """What follows from the kind of the route, and what it says itself."""
    found = {"rate_limited", "internal_error", "unavailable", *operation.problems}
    if route.method != "GET":
        # whatever is written may refer to what somebody else removes meanwhile
        found.add("conflict")
    if "{" in route.path:
        found.add("not_found")
    if operation.body is not None:
        found |= {"missing_field", "validation_failed", "invalid_request", "body_too_large", "unsupported_media_type"}
    if operation.query is not None:
        found |= {"missing_field", "validation_failed", "invalid_request"}
    if operation.replays:
        found |= {"validation_failed", "idempotency_in_progress", "idempotency_key_reused"}
    return found


def _parameters(route: AnyRoute, tokens: str, operation: Operation, schemas: Schemas) -> list[Schema]:
    found = [_path_parameter(route, name, tokens) for name in PARAMETER.findall(route.path)]
    if operation.query is not None:
        found += query_parameters(schemas.inline(operation.query), operation.query)
    if operation.replays:
        found.append({"$ref": "#/components/parameters/Idempotency-Key"})
    if route.method == "GET":
        found.append({"$ref": "#/components/parameters/If-None-Match"})
    return found


def _path_parameter(route: AnyRoute, name: str, tokens: str) -> Schema:
    before = route.path.split(f"/{{{name}}}")[0].rsplit("/", 1)[-1]
    kind = KINDS.get(before) if name == "id" else None
    schema: Schema = {"type": "string", "minLength": 1}
    about = _ABOUT.get(name, "")
    if kind is not None:
        schema = {"type": "string", "pattern": id_pattern(kind)}
    if kind is not None and tokens:
        token: Schema = {"type": "string", "pattern": tokens}
        schema = token if isinstance(route, PublicRoute) else {"anyOf": [schema, token]}
        about = "The token of a mailed link." if isinstance(route, PublicRoute) else "An id, or a mailed token."
    return {"name": name, "in": "path", "required": True, **({"description": about} if about else {}), "schema": schema}
