"""The OpenAPI 3.1 document of the routes and wire models that serve.

The one rule: nothing is written here that a route, a model or the catalog of problems says already; so the document
cannot fall behind. It is made once, of nothing that differs between two starts of one version.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from typing_extensions import TypedDict

from app.web.openapi.answers import HEADERS, PROBLEMS
from app.web.openapi.credentials import schemes
from app.web.openapi.links import links_from
from app.web.openapi.operations import describe, name_of
from app.web.openapi.schemas import Schema, Schemas, refs
from app.web.openapi.webhooks import Sent, describe_webhooks
from app.web.operation import Data, Many, One
from app.web.routing import AnyRoute, Route


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


class BotPagination(TypedDict):
    """Of a page of `/api/v1`."""

    page: int
    limit: int
    total: int
    hasMore: bool


Examples = Mapping[str, Mapping[str, Any]]
"""`request` and `response` bodies by operationId."""

Tags = Mapping[str, Mapping[str, tuple[str, str]]]
"""By face, in the order of the pages: what each noun is called, and is."""

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
    routes: Sequence[AnyRoute], sent: Sent, *, description: str, tags: Tags, examples: Examples
) -> Schema:
    """The document. sent: what webhooks carry."""
    schemas = Schemas([*_types(routes), sent.shown, Pagination, NumberedPagination, BotPagination])
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
        "tags": [
            {"name": name, "x-displayName": shown, "description": about}
            for group in tags.values()
            for name, (shown, about) in group.items()
        ],
        # which faces there are, for the renderer
        "x-tagGroups": [{"name": face, "tags": list(group)} for face, group in tags.items()],
        "paths": paths,
        "webhooks": webhooks,
        "components": {
            "schemas": {**PROBLEMS, **schemas.components(used)},
            "responses": dict(sorted(responses.items())),
            "parameters": _PARAMETERS,
            "headers": dict(HEADERS),
            "securitySchemes": schemes(),
        },
    }


def _types(routes: Sequence[AnyRoute]) -> Iterator[Any]:
    for route in routes:
        operation = route.operation
        shown = operation.answer
        yield from filter(None, (operation.body, operation.query))
        if isinstance(route, Route) and route.by_token and route.by_token.operation.answer:
            yield route.by_token.operation.answer
        for each in filter(None, (shown, *(other.answer for other in operation.besides))):
            yield each.shown if isinstance(each, One | Many | Data) else each
