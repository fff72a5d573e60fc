"""The OpenAPI 3.1 document of the routes and wire models that serve.

The one rule: nothing is written here that a route, a model or the catalog of problems says already; so the document
cannot fall behind. It is made once, of nothing that differs between two starts of one version.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from typing_extensions import TypedDict

from app.domain.identity.scopes import GRANTS
from app.web.openapi.answers import HEADERS, PROBLEM
from app.web.openapi.links import links_from
from app.web.openapi.operations import AnyRoute, describe, name_of
from app.web.openapi.schemas import Schema, Schemas, refs
from app.web.openapi.webhooks import Sent, describe_webhooks
from app.web.operation import Many, One
from app.web.routing import Route


class Pagination(TypedDict):
    """Pass next_cursor on as `cursor`; the last page has none."""

    next_cursor: str | None
    has_more: bool


class NumberedPagination(TypedDict):
    """Of a page that was asked for by `page`."""

    page: int
    limit: int
    total: int
    has_more: bool


Examples = Mapping[str, Mapping[str, Any]]
"""`request` and `response` bodies by operationId."""

_PARAMETERS: Schema = {
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "1 to 255 visible characters of the caller's choice. The same key gives the same answer, to the "
        "byte, for 24 hours, however often it is sent.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "example": "order_12345_attempt_1",
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "ETags that the caller has answers of.",
        "schema": {"type": "string"},
    },
}


def build_document(
    routes: Sequence[AnyRoute], sent: Sent, *, description: str, tags: Mapping[str, tuple[str, str]], examples: Examples
) -> Schema:
    """The document. sent: what webhooks carry. tags: what each noun is called and is, in the order of the pages."""
    schemas = Schemas([*_types(routes), sent.shown, Pagination, NumberedPagination])
    tokens = {each.path: each.by_token.pattern for each in routes if isinstance(each, Route) and each.by_token}
    paths: Schema = {}
    responses: Schema = {}
    for route in routes:
        example = examples.get(name_of(route), {})
        described, found = describe(route, tokens.get(route.path, ""), schemas, links_from(route, routes), example)
        paths.setdefault(route.path, {})[route.method.lower()] = described
        responses |= found
    webhooks = describe_webhooks(sent, schemas, examples)
    used = [*refs(paths), *refs(webhooks)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Slotwire",
            "version": version("slotwire"),
            "summary": "Booking for people, rooms and things, on your own machine, webhook-first.",
            "description": description,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "x-displayName": shown, "description": about} for name, (shown, about) in tags.items()],
        "paths": paths,
        "webhooks": webhooks,
        "components": {
            "schemas": {"Problem": PROBLEM, **schemas.components(used)},
            "responses": dict(sorted(responses.items())),
            "parameters": _PARAMETERS,
            "headers": dict(HEADERS),
            "securitySchemes": {"bearer": _bearer()},
        },
    }


def _bearer() -> Schema:
    """OpenAPI 3.1 lets an operation name roles of any scheme; what they are it leaves to us."""
    scopes = "\n".join(f"- `{scope}`: {about}" for scope, about in GRANTS.items())
    return {
        "type": "http",
        "scheme": "bearer",
        "description": f"An API key (`slw_live_…`). Each carries some of these scopes:\n\n{scopes}",
        "x-scopes": GRANTS,
    }


def _types(routes: Sequence[AnyRoute]) -> Iterator[Any]:
    for route in routes:
        operation = route.operation
        shown = operation.answer
        yield from filter(None, (operation.body, operation.query))
        if isinstance(route, Route) and route.by_token and route.by_token.operation.answer:
            yield route.by_token.operation.answer
        if shown is not None:
            yield shown.shown if isinstance(shown, One | Many) else shown
