"""One route as one operation of the document."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.core.ids import Kind
from app.core.shown import id_pattern
from app.web.openapi.answers import problem_responses, successes
from app.web.openapi.schemas import Schema, Schemas, patch_of, query_parameters
from app.web.operation import Operation
from app.web.routing import PublicRoute, Route

AnyRoute = Route | PublicRoute

PARAMETER = re.compile(r"\{(\w+)\}")
# what stands behind a path segment: a malformed id of it is not found
KINDS = {
    "bookings": Kind.BOOKING,
    "users": Kind.USER,
    "teams": Kind.TEAM,
    "schedules": Kind.SCHEDULE,
    "locations": Kind.LOCATION,
    "resources": Kind.RESOURCE,
    "webhooks": Kind.WEBHOOK,
    "events": Kind.EVENT,
    "deliveries": Kind.DELIVERY,
    "calendars": Kind.CALENDAR,
}
_ABOUT = {
    "code": "The public code, or the `evt_` id.",
    "username": "Of a person, or the slug of a team.",
    "event_slug": "The event type's slug on that page.",
    "link_code": "The code at the end of the link.",
    "token": "At the end of the link; it is its own credential.",
}
_VERBS = {"GET": "get", "POST": "create", "PATCH": "update", "DELETE": "delete"}


def name_of(route: AnyRoute) -> str:
    """The operationId: `list_bookings`, `get_booking`, `cancel_booking`, `create_event_type_link`."""
    operation = route.operation
    if operation.name:
        return operation.name
    segments = route.path.removeprefix("/v1/").replace("-", "_").split("/")
    words = [
        _singular(each) if following.startswith("{") else each
        for each, following in zip(segments, [*segments[1:], ""], strict=True)
        if not each.startswith("{")
    ]
    last = words[-1]
    if segments[-1].startswith("{"):
        return f"{_VERBS[route.method]}_{'_'.join(words)}"
    if route.method == "POST" and operation.status != 201 and len(words) > 1:
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
    codes = _codes(route, operation) | (set(other.problems) if other else set())
    references, responses = problem_responses(codes, page=operation.page or (other is not None and other.page))
    reads = route.method == "GET"
    answers = successes(
        operation, schemas, reads=reads, links=dict(links), example=example.get("response"), other=other
    )
    described: Schema = {
        "operationId": name_of(route),
        "tags": [tag_of(route)],
        "summary": operation.summary,
        "description": " ".join(_about(route, schemas)),
        "parameters": _parameters(route, tokens, operation, schemas),
        "responses": {**answers, **references},
        "security": _security(route),
    }
    if isinstance(route, Route):
        described["x-required-scope"] = route.scope
    if operation.body is not None:
        patched = route.method == "PATCH"
        schema = patch_of(schemas.inline(operation.body)) if patched else schemas.ref(operation.body)
        content = {"schema": schema, **({"example": example["request"]} if "request" in example else {})}
        described["requestBody"] = {"required": not operation.optional, "content": {"application/json": content}}
    return described, responses


def tag_of(route: AnyRoute) -> str:
    return "public" if isinstance(route, PublicRoute) else route.path.split("/")[2]


def _about(route: AnyRoute, schemas: Schemas) -> Iterator[str]:
    """What the caller needs, and what the query's model says of its parameters."""
    if isinstance(route, PublicRoute):
        yield "Needs no key."
    else:
        yield "Any valid key will do." if route.scope == "any" else f"Needs the scope `{route.scope}`."
        if route.by_token:
            yield "The token of a mailed link does in place of a key."
    if route.operation.query is not None:
        yield from filter(None, [schemas.inline(route.operation.query).get("description")])


def _security(route: AnyRoute) -> list[Schema]:
    """No credential, a key with the scope, or, where the path may hold a token instead, either."""
    if isinstance(route, PublicRoute):
        return []
    bearer: Schema = {"bearer": [] if route.scope == "any" else [route.scope]}
    return [bearer, {}] if route.by_token else [bearer]


def _codes(route: AnyRoute, operation: Operation) -> set[str]:
    """What follows from the kind of the route, and what it says itself."""
    found = {"rate_limited", "internal_error", "unavailable", *operation.problems}
    if isinstance(route, Route):
        found |= {"unauthorized"} if route.scope == "any" else {"unauthorized", "insufficient_scope"}
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
