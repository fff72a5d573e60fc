"""Partial responses of the fake Google: `fields` names what an answer is to have ("Performance tips")."""

import functools
import re
from pathlib import Path
from typing import Any

import orjson

from tests.fakes.google_store import ApiError

Mask = dict[str, Any]

_DOCUMENT = Path(__file__).parents[1] / "data" / "google-calendar-v3.discovery.json"
_TOKEN = re.compile(r"[A-Za-z]+|[(),/]")


@functools.cache
def mask_of(fields: str, schema: str) -> Mask:
    """By name what is wanted of each member; nothing: all of it. schema: what the answer is. A name that it does not
    have is refused, as Google does."""
    tokens = _TOKEN.findall(fields)
    if "".join(tokens) != fields:
        raise _refused(fields)
    mask = _listed(tokens)
    if tokens:
        raise _refused(fields)
    _check(mask, {"$ref": schema})
    return mask


def picked(value: Any, mask: Mask) -> Any:
    if not mask:
        return value
    if isinstance(value, list):
        return [picked(each, mask) for each in value]
    return {name: picked(value[name], inner) for name, inner in mask.items() if name in value}


def _listed(tokens: list[str]) -> Mask:
    mask: Mask = {}
    while tokens and tokens[0] not in "(),/":
        inner = mask.setdefault(tokens.pop(0), {})
        while tokens and tokens[0] == "/":
            tokens.pop(0)
            inner = inner.setdefault(tokens.pop(0), {})
        if tokens and tokens[0] == "(":
            tokens.pop(0)
            inner.update(_listed(tokens))
            if not tokens or tokens.pop(0) != ")":
                raise _refused("(")
        if not tokens or tokens[0] != ",":
            break
        tokens.pop(0)
    return mask


def _check(mask: Mask, schema: Any) -> None:
    if "$ref" in schema:
        schema = _schemas()[schema["$ref"]]
    if schema.get("type") == "array":
        _check(mask, schema["items"])
        return
    for name, inner in mask.items():
        if name not in schema.get("properties", {}):
            raise _refused(name)
        _check(inner, schema["properties"][name])


@functools.cache
def _schemas() -> Any:
    return orjson.loads(_DOCUMENT.read_bytes())["schemas"]


def _refused(what: str) -> ApiError:
    return ApiError(400, "invalidParameter", f"Invalid field selection {what}")
