"""Google's own description of its API (the discovery document in tests/data), as closed JSON Schemas: a member or a
parameter that it does not name is an error, in requests and in answers."""

import functools
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator, FormatChecker

_DOCUMENT = Path(__file__).parents[1] / "data" / "google-calendar-v3.discovery.json"
_KEPT = ("type", "enum", "pattern", "format")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_formats = FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or bool(_DATE_TIME.fullmatch(value) and datetime.fromisoformat(value))


@_formats.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or (len(value) == 10 and bool(datetime.fromisoformat(value)))


@_formats.checks("int64", raises=ValueError)
def _is_int64(value: object) -> bool:
    return not isinstance(value, str) or abs(int(value)) < 2**63


@functools.cache
def _document() -> Any:
    return orjson.loads(_DOCUMENT.read_bytes())


@functools.cache
def _methods() -> dict[str, Any]:
    """By id, such as `calendar.events.list`."""
    return {method["id"]: method for each in _document()["resources"].values() for method in each["methods"].values()}


def _closed(schema: Any, *, nullable: bool) -> Any:
    """A discovery schema as a JSON Schema. nullable: of a patch, in which null takes a member away."""
    if "$ref" in schema:
        made: dict[str, Any] = {"$ref": f"#/$defs/{schema['$ref']}"}
    else:
        made = {key: schema[key] for key in _KEPT if key in schema and schema[key] != "any"}
    if schema.get("type") == "object":
        inner = {name: _closed(each, nullable=nullable) for name, each in schema.get("properties", {}).items()}
        made["properties"] = inner
        made["additionalProperties"] = (
            _closed(schema["additionalProperties"], nullable=nullable) if "additionalProperties" in schema else False
        )
    if "items" in schema:
        made["items"] = _closed(schema["items"], nullable=False)
    return {"anyOf": [made, {"type": "null"}]} if nullable else made


@functools.cache
def _validator(name: str, nullable: bool, required: tuple[str, ...] = ()) -> Draft202012Validator:
    defs = {}
    for key, schema in _document()["schemas"].items():
        made = _closed(schema, nullable=nullable)
        defs[key] = made
    return Draft202012Validator(
        {"$ref": f"#/$defs/{name}", "required": list(required), "$defs": defs}, format_checker=_formats
    )


def problems_of_answer(method: str, value: Any) -> list[str]:
    """value: None where there was no body."""
    expected = _methods()[method].get("response")
    if expected is None:
        return [] if value is None else [f"{method}: answered a body"]
    return _problems(f"{method} answered", _validator(expected["$ref"], nullable=False), value)


def problems_of_request(method: str, query: Iterable[tuple[str, str]], value: Any) -> list[str]:
    """query: every pair, as it came."""
    described = _methods()[method]
    found = _problems_of_query(method, list(query))
    expected = described.get("request")
    if expected is None:
        return found if value is None else [*found, f"{method}: asked with a body"]
    patch = described["httpMethod"] == "PATCH"
    required = tuple(_required(expected["$ref"], method))
    return found + _problems(f"{method} asked", _validator(expected["$ref"], patch, required), value)


def _required(schema: str, method: str) -> list[str]:
    members = _document()["schemas"][schema].get("properties", {})
    return [name for name, each in members.items() if method in each.get("annotations", {}).get("required", ())]


def _problems(where: str, validator: Draft202012Validator, value: Any) -> list[str]:
    if validator.is_valid(value):
        return []
    return [f"{where}: {error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def _problems_of_query(method: str, query: list[tuple[str, str]]) -> list[str]:
    described = {**_document()["parameters"], **_methods()[method].get("parameters", {})}
    found = []
    for name, value in query:
        parameter = described.get(name)
        if parameter is None or parameter["location"] != "query":
            found.append(f"{method}: no parameter {name!r}")
        elif not _fits(parameter, value):
            found.append(f"{method}: {name}={value!r}")
        elif not parameter.get("repeated") and sum(each == name for each, _ in query) > 1:
            found.append(f"{method}: {name} is given twice")
    needed = [name for name, each in described.items() if each.get("required") and each["location"] == "query"]
    return found + [f"{method}: {name} is missing" for name in needed if name not in dict(query)]


def _fits(parameter: Any, value: str) -> bool:
    if parameter["type"] == "boolean":
        return value in {"true", "false"}
    if parameter["type"] == "integer":
        least, most = int(parameter.get("minimum", -(2**31))), int(parameter.get("maximum", 2**31 - 1))
        return bool(re.fullmatch(r"-?\d{1,10}", value)) and least <= int(value) <= most
    if "enum" in parameter:
        return value in parameter["enum"]
    return parameter.get("format") != "date-time" or bool(_DATE_TIME.fullmatch(value))
