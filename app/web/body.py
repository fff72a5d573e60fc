"""Bodies and queries into wire models, and pydantic's findings into our own field errors.

The one rule: whatever is wrong with what came in is a 400 that names the field. Nothing of the parser's wording or of
the offending value is echoed, since values hold attendees' data.
"""

import functools
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qs

import aiohttp
import orjson
from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.core.errors import FieldError, InvalidInput, TooLarge, UnsupportedMediaType

MAXIMUM_BODY_BYTES = 256 * 1024
_DEEPEST = 64
_MOST_FIELDS = 100
# a header, which stands under no name
_KEY = "Idempotency-Key"
# before a field that stands beside that name
_TOP = "/"

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: web.Request) -> bytes:
    """The raw body. Raises TooLarge over 256 KiB, whether or not its length was announced, and UnsupportedMediaType
    for a packed one: what it unpacks to could be of any size."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is, without a Content-Encoding.")
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(f"A body may have at most {MAXIMUM_BODY_BYTES // 1024} KiB.") from None
    except (aiohttp.ClientPayloadError, web.RequestPayloadError, ConnectionError):
        raise InvalidInput("The body ended before it was complete.", code="invalid_request") from None


def is_json(request: web.Request) -> bool:
    """Whether the body calls itself JSON."""
    media_type = request.content_type.lower()
    return media_type == "application/json" or media_type.endswith("+json")


def parse_json(request: web.Request, raw: bytes) -> Any:
    """Raises UnsupportedMediaType when the body does not call itself JSON, InvalidInput when it is not."""
    if not is_json(request):
        raise UnsupportedMediaType("Send the body with 'Content-Type: application/json'.")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise InvalidInput("The body is not valid JSON in UTF-8.", code="invalid_request") from None
    inspect(raw, value)
    return value


def parse_body(
    request: web.Request, raw: bytes, model: type[Model], nested: str = "", *, optional: bool = False
) -> Model:
    """nested: the one member that holds all fields, where the face wants one. optional: it may be missing."""
    value = parse_json(request, raw)
    if not isinstance(value, dict):
        raise InvalidInput("The body must be a JSON object.", code="invalid_request")
    if not nested:
        return validate(model, value)
    for name in value:
        if name != nested:
            raise InvalidInput.of(_TOP + name, f"is not a field of this request; all of it is '{nested}'", _UNKNOWN)
    if optional and not value:
        return validate(model, {})
    if not isinstance(value.get(nested), dict):
        fault = FieldError(nested, "missing", "is required, as an object")
        raise InvalidInput(f"{nested} {fault.message}", code="missing_field", errors=[fault])
    return validate(model, value[nested])


def parse_form(raw: bytes, model: type[Model]) -> Model:
    """What a page's button sends (`application/x-www-form-urlencoded`). Raises InvalidInput."""
    try:
        values = parse_qs(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidInput("The form cannot be read.", code="invalid_request") from None
    for name, given in values.items():
        if len(given) > 1:
            raise InvalidInput.of(name, "is given more than once", "repeated")
        if "\0" in given[0]:
            raise InvalidInput.of(name, "must not contain NUL characters", "nul_character")
    return validate(model, {name: given[0] for name, given in values.items()})


def parse_query(request: web.Request, model: type[Model]) -> Model:
    """The query as a model; a parameter given twice is a list where the model has one, else an error."""
    values: dict[str, Any] = {}
    for name in request.query:
        given = request.query.getall(name)
        try:
            "".join((name, *given)).encode()
        except UnicodeEncodeError:
            raise InvalidInput("The query is not valid UTF-8.", code="invalid_request") from None
        if any("\0" in each for each in given):
            raise InvalidInput.of(name, "must not contain NUL characters", "nul_character")
        many = name in _lists(model)
        if len(given) > 1 and not many:
            raise InvalidInput.of(name, "is given more than once", "repeated")
        values[name] = given if many else given[0]
    return validate(model, values)


@functools.cache
def _lists(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(name for name, field in model.model_fields.items() if "list" in str(field.annotation))


def named_within(error: InvalidInput, nested: str) -> InvalidInput:
    """The same error with the fields' whole paths, where the face keeps them under a name of their own."""
    if not nested or not error.errors:
        return error
    errors = [FieldError(_place(each.field, nested), each.code, each.message) for each in error.errors]
    first, named = error.errors[0], errors[0]
    detail = error.detail.replace(first.field, named.field, 1) if first.field else error.detail
    return InvalidInput(detail, code=error.error_code, errors=errors)


def _place(field: str, nested: str) -> str:
    if field in {nested, _KEY} or field.startswith(_TOP):
        return field.removeprefix(_TOP)
    return f"{nested}.{field}" if field else nested


def validate(model: type[Model], value: Mapping[str, Any]) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        each = error.errors(include_url=False, include_input=False)
        found = [fault for one in each for fault in _field_errors(one)]
    missing = all(each.code == "missing" for each in found)
    first = found[0]
    rest = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    raise InvalidInput(
        f"{first.field}: {first.message}{rest}" if first.field else first.message + rest,
        code="missing_field" if missing else "validation_failed",
        errors=found,
    )


_UNKNOWN = "unknown_field"
_CODES = {"extra_forbidden": _UNKNOWN, "value_error": "invalid_value", "string_too_short": "too_short"}
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
}


def _field_errors(error: ErrorDetails) -> list[FieldError]:
    """One for each field that it is about: a rule about several fields says itself which ones it means."""
    kind, context = error["type"], error.get("ctx", {})
    named = context.get("fields") or [context[name] for name in ("field",) if name in context] or [None]
    message = _MESSAGES.get(kind) or str(error["msg"]).removeprefix("Value error, ")
    places = [(*error["loc"], *([name] if name else [])) for name in named]
    return [FieldError(".".join(map(str, place)), _CODES.get(kind, kind), message) for place in places]


def inspect(raw: bytes, body: Any) -> None:
    """Raises InvalidInput for NUL characters, which PostgreSQL's text cannot hold, and for nesting that is deeper than
    anybody means. A loop and not a recursion, since depth is what it guards against; and only where there could be
    one of the two at all."""
    if b"\\u0000" not in raw and raw.count(b"[") + raw.count(b"{") <= _DEEPEST:
        return
    waiting: list[tuple[Any, str, int]] = [(body, "", 0)]
    while waiting:
        value, path, depth = waiting.pop()
        if depth > _DEEPEST:
            raise InvalidInput(f"The body is nested deeper than {_DEEPEST} levels.", code="invalid_request")
        if isinstance(value, str) and "\0" in value:
            raise InvalidInput.of(path or "body", "must not contain NUL characters", "nul_character")
        if isinstance(value, dict):
            waiting += [(name, path, depth) for name in value]
            waiting += [(member, f"{path}.{name}".lstrip("."), depth + 1) for name, member in value.items()]
        elif isinstance(value, list):
            waiting += [(member, f"{path}.{number}".lstrip("."), depth + 1) for number, member in enumerate(value)]
