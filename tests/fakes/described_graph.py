"""Microsoft's own description of its calendars, as JSON Schemas that allow no member which it does not name.

The description (tests/data/graph-calendar.schema.json) is cut from the CSDL of Graph v1.0. It is silent on what may be
written, on parameters and on headers; those are listed here, from the pages of "Microsoft Graph REST API v1.0".
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_PATH = Path(__file__).parents[1] / "data" / "graph-calendar.schema.json"
# so many entries of a page are looked at: all come out of one function, and a sync of 10,000 has to be quick
_SAMPLE = 10

_READ_ONLY = {
    "event": frozenset(
        {
            "id",
            "changeKey",
            "createdDateTime",
            "lastModifiedDateTime",
            "iCalUId",
            "webLink",
            "isCancelled",
            "isOrganizer",
        }
        | {"bodyPreview", "onlineMeeting", "organizer", "originalStart", "responseStatus"}
        | {"seriesMasterId", "type"}
    ),
    "subscription": frozenset({"id", "applicationId", "creatorId"}),
}
_VIEW = frozenset({"startDateTime", "endDateTime", "$select", "$top", "$skip", "$skiptoken"})
_PARAMETERS = {
    "calendars": frozenset({"$top", "$skip", "$skiptoken"}),
    "view": _VIEW,
    "instances": _VIEW,
    "delta": frozenset({"startDateTime", "endDateTime", "$deltatoken", "$skiptoken"}),
}


@cache
def _validator(name: str, listed: bool) -> Draft202012Validator:
    whole = json.loads(_PATH.read_text())
    # an open type in the CSDL, which the cut has lost; documented: `id` and OData's own
    whole["$defs"]["resourceData"]["properties"]["id"] = {"type": "string"}
    schema: dict[str, Any] = {"$ref": f"#/$defs/{name}"}
    if listed:
        schema = {
            "type": "object",
            "required": ["value"],
            "properties": {"value": {"type": "array", "items": schema}},
            "patternProperties": {"^@odata\\.": {"type": "string"}},
            "additionalProperties": False,
        }
    return Draft202012Validator({**schema, "$defs": whole["$defs"]})


def wrong_with(name: str, given: Any) -> list[str]:
    """What the description does not allow; `name` is one of its definitions."""
    return _told(_validator(name, False), name, given)


def wrong_with_page(name: str, page: Mapping[str, Any]) -> list[str]:
    sample = {**page, "value": page["value"][:_SAMPLE]}
    return _told(_validator(name, True), name, sample)


def wrong_with_write(name: str, given: Any) -> list[str]:
    """As `wrong_with`, and nothing that only the server may say."""
    found = wrong_with(name, given)
    if isinstance(given, dict):
        found += [f"{name}: {each} is read-only" for each in sorted(given.keys() & _READ_ONLY[name])]
    return found


def wrong_with_parameters(operation: str, query: Mapping[str, str]) -> list[str]:
    allowed = _PARAMETERS.get(operation, frozenset())
    return [f"{operation}: no parameter {each}" for each in sorted(query.keys() - allowed)]


def _told(validator: Draft202012Validator, name: str, given: Any) -> list[str]:
    return [f"{name}: {error.json_path}: {error.message[:200]}" for error in validator.iter_errors(given)]
