"""What an operation can answer: bodies, headers and problems, from what its route says.

The one rule: a status that is not here is a bug, of the document or of the service; the tests look for both.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from app.web.catalog import CATALOG, by_status
from app.web.openapi.schemas import Schema, Schemas
from app.web.operation import Many, One, Operation

_JSON = "application/json"
_PAGE = {"text/html": {"schema": {"type": "string"}}}
_EXAMPLE_ID = "req_01938f2c6b5a7c3e9d1f0a2b4c6d8e0f"

HEADERS: Mapping[str, Schema] = {
    "X-Request-Id": {
        "description": "The caller's own X-Request-Id, if it is a sane one, or one that was made. It is in the logs.",
        "required": True,
        "schema": {"type": "string"},
        "example": _EXAMPLE_ID,
    },
    "RateLimit": {
        "description": "What is left of each limit, and when it begins anew (seconds), as a Structured Field.",
        "schema": {"type": "string"},
        "example": '"key";r=599;t=60',
    },
    "RateLimit-Policy": {
        "description": "The limits: their names, quotas and windows (seconds), as a Structured Field.",
        "schema": {"type": "string"},
        "example": '"key";q=600;w=60',
    },
    "ETag": {
        "description": "Send it as If-None-Match, and an unchanged answer comes as 304 without a body.",
        "required": True,
        "schema": {"type": "string", "pattern": '^W/"'},
    },
    "Retry-After": {
        "description": "Seconds to wait before the next try.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate, and what was wrong (RFC 6750).",
        "required": True,
        "schema": {"type": "string", "pattern": "^Bearer "},
    },
    "Idempotent-Replayed": {
        "description": "This is the first answer of the same Idempotency-Key once more; nothing happened again.",
        "schema": {"const": "true"},
    },
}
_ALWAYS = ("X-Request-Id", "RateLimit", "RateLimit-Policy")
_OF_PROBLEMS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}

_SLOT = {
    "type": "object",
    "properties": {each: {"type": "string", "format": "date-time"} for each in ("start", "end")},
    "required": ["start", "end"],
    "additionalProperties": False,
}
_FIELD_ERROR = {
    "type": "object",
    "properties": {
        "field": {"type": "string", "description": "The field's dotted path in the body, or its name in the query."},
        "code": {"type": "string", "description": "Stable: missing, unknown_field, invalid_value, too_short, …"},
        "message": {"type": "string", "description": "What would be right, for a person."},
    },
    "required": ["field", "code", "message"],
    "additionalProperties": False,
}
PROBLEM: Schema = {
    "type": "object",
    "description": "What went wrong, as RFC 9457 has it. `code` is for programs, `detail` for people.",
    "properties": {
        "success": {"const": False},
        "type": {"type": "string", "format": "uri-reference", "description": "The page that explains the code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "enum": list(CATALOG)},
        "detail": {"type": "string", "description": "What to do next."},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": _FIELD_ERROR, "description": "Which fields are wrong."},
        "reasons": {"type": "array", "items": {"type": "string"}, "description": "Why the slot is not open."},
        "alternatives": {"type": "array", "maxItems": 3, "items": _SLOT, "description": "The nearest open slots."},
        "rule": {"type": ["integer", "null"], "description": "The routing rule that refused, counted from 0."},
        "violated-policies": {"type": "array", "items": {"type": "string"}, "description": "The limits passed."},
    },
    "required": ["success", "type", "title", "status", "code", "detail", "request_id"],
    "additionalProperties": False,
}


def headers(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_ALWAYS, *names)}


def body_schema(operation: Operation, schemas: Schemas, *, replayed: bool) -> Schema:
    """replayed: of the answer that a repeat gets, which says so in its first member."""
    shown = operation.answer
    if isinstance(shown, One):
        schema = _envelope({shown.noun: schemas.ref(shown.shown)})
    elif isinstance(shown, Many):
        page: Schema = {"$ref": "#/components/schemas/Pagination"}
        if shown.numbered:
            page = {"anyOf": [page, {"$ref": "#/components/schemas/NumberedPagination"}]}
        schema = _envelope({shown.nouns: {"type": "array", "items": schemas.ref(shown.shown)}, "pagination": page})
    else:
        schema = schemas.inline(shown) if replayed else schemas.ref(shown)
    if replayed:
        schema = {**schema, "properties": {"idempotent_replay": {"const": True}, **schema["properties"]}}
        if operation.status != 200:
            schema["required"] = ["idempotent_replay", *schema["required"]]
    return schema


def _envelope(members: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {"success": {"const": True}, **members},
        "required": ["success", *members],
        "additionalProperties": False,
    }


def successes(
    operation: Operation, schemas: Schemas, *, reads: bool, links: Schema, example: Any, other: Operation | None
) -> Schema:
    """The 2xx and 304 answers, by status. other: what answers instead, with the same status, to a token."""
    own = headers("ETag") if reads else headers()
    if operation.answer is None and not operation.media:
        return {str(operation.status): {"description": "Done; there is nothing more to say.", "headers": own}}
    first: Schema = {"description": _DESCRIPTIONS[operation.status], "headers": own, "content": {}}
    schema = _shown(operation, schemas, other)
    media = operation.media or _JSON
    first["content"][media] = {"schema": schema, **({} if example is None else {"example": example})}
    if not operation.media and (operation.page or (other is not None and other.page)):
        first["content"] |= _PAGE
    if links:
        first["links"] = links
    found = {str(operation.status): first}
    if operation.replays:
        first["headers"] = headers("Idempotent-Replayed") if operation.status == 200 else own
    if operation.replays and operation.status != 200:
        schema = body_schema(operation, schemas, replayed=True)
        found["200"] = {
            "description": "The first answer to this Idempotency-Key once more; take `idempotent_replay` out, and it "
            "is the same to the byte.",
            "headers": headers("Idempotent-Replayed"),
            "content": {_JSON: {"schema": schema}},
        }
    if reads:
        found["304"] = {"description": "Unchanged since the ETag that If-None-Match names.", "headers": own}
    return dict(sorted(found.items()))


def _shown(operation: Operation, schemas: Schemas, other: Operation | None) -> Schema:
    if operation.media:
        return {"type": "string"}
    schema = body_schema(operation, schemas, replayed=operation.replays and operation.status == 200)
    return schema if other is None else {"anyOf": [schema, body_schema(other, schemas, replayed=False)]}


_DESCRIPTIONS = {200: "As it is now.", 201: "Made.", 202: "Accepted; it will be done in a moment."}


def problem_responses(codes: Iterable[str], *, page: bool) -> tuple[Schema, Schema]:
    """By status: references, and the components that they refer to. page: a browser gets HTML instead."""
    references, components = {}, {}
    for status, found in by_status(codes).items():
        name = ".".join([str(status), *found, *["page"][: int(page)]])
        references[str(status)] = {"$ref": f"#/components/responses/{name}"}
        components[name] = _problem_response(status, found)
        if page:
            components[name]["content"] |= _PAGE
    return references, components


def _problem_response(status: int, codes: list[str]) -> Schema:
    narrowed = {"properties": {"status": {"const": status}, "code": {"enum": codes}}}
    return {
        "description": " ".join(f"`{code}`: {CATALOG[code].when}" for code in codes),
        "headers": headers(*_OF_PROBLEMS.get(status, ())),
        "content": {
            "application/problem+json": {
                "schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]},
                "examples": {code: {"value": _example(code)} for code in codes},
            }
        },
    }


def _example(code: str) -> Schema:
    entry = CATALOG[code]
    more: Schema = {}
    if entry.status == 400:
        fault = {"field": "attendee.email", "code": "missing", "message": "is required"}
        more = {"errors": [] if code == "invalid_request" else [fault]}
    return {
        "success": False,
        "type": f"/docs/errors#{code}",
        "title": entry.title,
        "status": entry.status,
        "code": code,
        "detail": entry.then,
        "request_id": _EXAMPLE_ID,
        **more,
    }
