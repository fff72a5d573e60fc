"""What a tool is: its name, what it takes and gives, what it does to the world, and who may call it.

The one rule: what is advertised is what is checked. Both schemas are made of the models that serve the call, and a key
sees exactly the tools that it may call.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from app.domain.identity.models import Principal
from app.web.call import Call
from app.web.fields import WireModel
from app.web.openapi.schemas import Untitled

Schema = dict[str, Any]


class NextCall(TypedDict):
    """A call that would help now. arguments: complete, or as far as they are known."""

    tool: str
    arguments: dict[str, Any]


class ProblemShown(TypedDict):
    """Why it did not happen: what `isError` results hold. Beside these the members of a problem document: `errors` of
    arguments, `reasons`, `alternatives`."""

    code: str
    detail: str
    next: NotRequired[NextCall]


@dataclass(frozen=True, slots=True)
class Tool:
    """needs: scopes that it takes besides `mcp`. writes, destroys, repeatable: of the annotations: whether it changes
    anything, whether it takes something away, and whether the same call again changes nothing more."""

    name: str
    title: str
    description: str
    given: type[WireModel]
    shown: Any
    handler: Callable[[Call, Any], Awaitable[Any]]
    needs: tuple[str, ...] = ()
    writes: bool = False
    destroys: bool = False
    repeatable: bool = True

    def is_for(self, principal: Principal) -> bool:
        """A key that is narrowed to tools may call those; but never more than its scopes allow of resources."""
        if not principal.may("mcp") or not all(map(principal.may, self.needs)):
            return False
        return principal.tools is None or self.name in principal.tools

    def advertised(self) -> Schema:
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": schema_of(self.given),
            "outputSchema": _answer_schema(self.shown),
            "annotations": {
                "title": self.title,
                "readOnlyHint": not self.writes,
                "destructiveHint": self.destroys,
                "idempotentHint": self.repeatable,
                "openWorldHint": False,
            },
        }


# what a client's own validators may know; of any other format some refuse the whole tool
_FORMATS = frozenset({"date", "date-time", "email", "uri"})
# no model reads a longer one
_LONGEST_PATTERN = 60
_TEXT = {"type": "string"}


def schema_of(kind: Any) -> Schema:
    """Whole and flat, since not every client follows references; and no wider than it has to be."""
    made = TypeAdapter(kind).json_schema(schema_generator=Untitled)
    flat = _flat(made, made.pop("$defs", {}))
    assert isinstance(flat, dict)  # noqa: S101 -- the schema of an object
    return flat


def _flat(value: Any, defined: Schema) -> Any:
    if isinstance(value, list):
        return [_flat(each, defined) for each in value]
    if not isinstance(value, dict):
        return value
    beside = {name: each for name, each in value.items() if not _says_nothing(name, each, value)}
    if "$ref" in beside:
        return _flat({**defined[beside.pop("$ref").rpartition("/")[2]], **beside}, defined)
    if "anyOf" in beside:
        return _flat({**_one_of(beside.pop("anyOf")), **beside}, defined)
    return {name: _flat(each, defined) for name, each in beside.items()}


def _one_of(options: list[Schema]) -> Schema:
    """What may be left out may be null as well, and a text may be written in several ways: to say so of each is too
    much."""
    rest = [each for each in options if each != {"type": "null"}]
    if all(each.get("type") == "string" for each in rest):
        return rest[0] if len(rest) == 1 else _TEXT
    return rest[0] if len(rest) == 1 else {"oneOf": rest}


def _says_nothing(name: str, value: Any, schema: Schema) -> bool:
    if name == "pattern":
        return isinstance(value, str) and len(value) > _LONGEST_PATTERN
    if name == "format":
        return value not in _FORMATS
    if name in {"title", "description"} and "properties" in schema:
        return isinstance(value, str)
    return (name == "additionalProperties" and value is True) or (name == "default" and value is None)


def _answer_schema(shown: Any) -> Schema:
    """What a call gives, or why it did not: clients check both against it. Without an `anyOf` of whole schemas, which
    readers of schemas pass over."""
    done, refused = schema_of(shown), schema_of(ProblemShown)
    return {
        "type": "object",
        "properties": {**done["properties"], **refused["properties"]},
        "anyOf": [{"required": done["required"]}, {"required": refused["required"]}],
    }
