"""What an operation can answer: bodies, headers and problems, from what its route says.

The one rule: a status that is not here is a bug, of the document or of the service; the tests look for both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.web.catalog import CATALOG, by_status
from app.web.openapi.schemas import Schema, Schemas
from app.web.operation import Data, DataList, DataPage, Many, One, Operation

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
    "Cookie-Challenge": {
        "description": "Where one logs in (draft-broyer-http-cookie-auth).",
        "required": True,
        "schema": {"type": "string", "pattern": "^Cookie "},
    },
    "Set-Cookie": {
        "description": "The session cookie: a new one, or, where a session ends, an empty one that is over.",
        "required": True,
        "schema": {"type": "string", "pattern": "slotwire_session="},
    },
    "Idempotent-Replayed": {
        "description": "This is the first answer of the same Idempotency-Key once more; nothing happened again.",
        "schema": {"const": "true"},
    },
}
_ALWAYS = ("X-Request-Id", "RateLimit", "RateLimit-Policy")
_OF_PROBLEMS = {429: ("Retry-After",), 503: ("Retry-After",)}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a face refuses. name: begins the names of its responses. problem: the schema. field: of an example.
    challenge: which of the headers its 401 has as WWW-Authenticate."""

    name: str
    problem: str
    field: str
    challenge: str = "WWW-Authenticate"

    @property
    def says_success(self) -> bool:
        return self.problem == "Problem"


OURS = Dialect("", "Problem", "attendee.email")
BOTS = Dialect("plain", "PlainProblem", "contact_email")
SESSION = Dialect("session", "PlainProblem", "booking.starts_at", "Cookie-Challenge")

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
_PLAIN_PROBLEM: Schema = {
    "type": "object",
    "description": "What went wrong, as RFC 9457 has it. `code` is for programs, `detail` for people.",
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "The page that explains the code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "enum": list(CATALOG)},
        "detail": {"type": "string", "description": "What to do next."},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": _FIELD_ERROR, "description": "Which fields are wrong."},
        "reasons": {"type": "array", "items": {"type": "string"}, "description": "Why it cannot be had."},
        "alternatives": {"type": "array", "maxItems": 3, "items": _SLOT, "description": "The nearest open slots."},
        "rule": {"type": ["integer", "null"], "description": "The routing rule that refused, counted from 0."},
        "violated-policies": {"type": "array", "items": {"type": "string"}, "description": "The limits passed."},
    },
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "additionalProperties": False,
}
# of the faces whose every answer says whether it is a success, and of the others
PROBLEMS: Mapping[str, Schema] = {
    "Problem": {
        **_PLAIN_PROBLEM,
        "properties": {"success": {"const": False}, **_PLAIN_PROBLEM["properties"]},
        "required": ["success", *_PLAIN_PROBLEM["required"]],
    },
    "PlainProblem": _PLAIN_PROBLEM,
}


def headers(*names: str) -> Schema:
    return {name: _header(name) for name in (*_ALWAYS, *names)}


def _header(name: str) -> Schema:
    return {"$ref": f"#/components/headers/{name}"}


def body_schema(operation: Operation, schemas: Schemas, *, replayed: bool) -> Schema:
    """replayed: of the answer that a repeat gets, which says so in its first member."""
    shown = operation.answer
    if isinstance(shown, One):
        schema = _envelope({"success": _TRUE, shown.noun: schemas.ref(shown.shown)})
    elif isinstance(shown, Many):
        page = _component("Pagination")
        if shown.numbered:
            page = {"anyOf": [page, _component("NumberedPagination")]}
        schema = _envelope({"success": _TRUE, shown.nouns: _list(schemas, shown.shown), "pagination": page})
    elif isinstance(shown, DataPage):
        page = _component(_PAGES[shown.more])
        schema = _envelope({"data": _list(schemas, shown.shown), "pagination": page})
    elif isinstance(shown, DataList):
        schema = _envelope({"data": _list(schemas, shown.shown)})
    elif isinstance(shown, Data):
        schema = _envelope({"data": schemas.ref(shown.shown)})
    else:
        schema = schemas.inline(shown) if replayed else schemas.ref(shown)
    if replayed:
        schema = {**schema, "properties": {"idempotent_replay": {"const": True}, **schema["properties"]}}
        if operation.status != 200:
            schema["required"] = ["idempotent_replay", *schema["required"]]
    return schema


_TRUE: Schema = {"const": True}
# the pages of a face, by what it calls it that there are more
_PAGES = {"has_more": "NumberedPagination", "hasMore": "BotPagination"}


def _component(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(schemas: Schemas, shown: Any) -> Schema:
    return {"type": "array", "items": schemas.ref(shown)}


def _envelope(members: Schema) -> Schema:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def successes(
    operation: Operation, schemas: Schemas, *, reads: bool, links: Schema, example: Any, other: Operation | None
) -> Schema:
    """The 2xx and 304 answers, by status. other: what answers instead, with the same status, to a token."""
    own = headers(*["ETag"][: int(reads)], *["Set-Cookie"][: int(operation.cookie)])
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
    for each in operation.besides:
        more = replace(operation, answer=each.answer, media=each.media, status=each.status)
        found[str(each.status)] = _besides(more, schemas)
    if reads:
        found["304"] = {"description": "Unchanged since the ETag that If-None-Match names.", "headers": own}
    return dict(sorted(found.items()))


def _besides(operation: Operation, schemas: Schemas) -> Schema:
    described: Schema = {"description": _DESCRIPTIONS[operation.status], "headers": headers()}
    if operation.answer is not None or operation.media:
        media = operation.media or _JSON
        described["content"] = {media: {"schema": _shown(operation, schemas, None)}}
    return described


def _shown(operation: Operation, schemas: Schemas, other: Operation | None) -> Schema:
    if operation.media:
        return {"type": "string"}
    schema = body_schema(operation, schemas, replayed=operation.replays and operation.status == 200)
    return schema if other is None else {"anyOf": [schema, body_schema(other, schemas, replayed=False)]}


_DESCRIPTIONS = {
    200: "As it is now.",
    201: "Made.",
    202: "Accepted; it will be done in a moment.",
    303: "The way goes on at Location.",
}


def problem_responses(codes: Iterable[str], dialect: Dialect, *, page: bool) -> tuple[Schema, Schema]:
    """By status: references, and the components that they refer to. page: a browser gets HTML instead."""
    references, components = {}, {}
    for status, found in by_status(codes).items():
        name = ".".join(filter(None, [dialect.name, str(status), *found, "page" if page else ""]))
        references[str(status)] = {"$ref": f"#/components/responses/{name}"}
        components[name] = _problem_response(status, found, dialect)
        if page:
            components[name]["content"] |= _PAGE
    return references, components


def _problem_response(status: int, codes: list[str], dialect: Dialect) -> Schema:
    narrowed = {"properties": {"status": {"const": status}, "code": {"enum": codes}}}
    own = headers(*_OF_PROBLEMS.get(status, ()))
    if status == 401:
        own |= {"WWW-Authenticate": _header(dialect.challenge)}
    return {
        "description": " ".join(f"`{code}`: {CATALOG[code].when}" for code in codes),
        "headers": own,
        "content": {
            "application/problem+json": {
                "schema": {"allOf": [_component(dialect.problem), narrowed]},
                "examples": {code: {"value": _example(code, dialect)} for code in codes},
            }
        },
    }


def _example(code: str, dialect: Dialect) -> Schema:
    entry = CATALOG[code]
    more: Schema = {}
    if entry.status == 400:
        fault = {"field": dialect.field, "code": "missing", "message": "is required"}
        more = {"errors": [] if code == "invalid_request" else [fault]}
    return {
        **({"success": False} if dialect.says_success else {}),
        "type": f"/docs/errors#{code}",
        "title": entry.title,
        "status": entry.status,
        "code": code,
        "detail": entry.then,
        "request_id": _EXAMPLE_ID,
        **more,
    }
