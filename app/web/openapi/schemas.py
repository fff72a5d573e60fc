"""JSON Schemas of wire models and answers, by pydantic, under the names that the document shows.

The one rule: everything is closed that is not free JSON, as the service refuses unknown fields and sends none.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from app.web.fields import QueryModel

Schema = dict[str, Any]

_REF = "#/components/schemas/"


class Untitled(GenerateJsonSchema):
    """Without titles, which only repeat names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 -- pydantic's signature
        return False


class _Generator(Untitled):
    """Of the document, whose schemas have names and are closed."""

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        return {**_untitled(super().typed_dict_schema(schema)), "additionalProperties": False}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return _untitled(super().model_schema(schema))

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """An empty text stands for what was not given, and nobody could give it."""
        found = super().default_schema(schema)
        return {name: value for name, value in found.items() if (name, value) != ("default", "")}

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        return _untitled(super().enum_schema(schema))


def _untitled(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {name: value for name, value in schema.items() if name != "title"}


class Schemas:
    """The schemas of these types, and of everything that they are made of."""

    def __init__(self, types: Iterable[type]) -> None:
        wanted = list(dict.fromkeys(types))
        made, rest = TypeAdapter.json_schemas(
            [(each, "validation", TypeAdapter(each)) for each in wanted],
            ref_template=_REF + "{model}",
            schema_generator=_Generator,
        )
        # a query is no schema of its own, and must not take a name from one
        queries = {refs(made[each, "validation"])[0] for each in wanted if issubclass(each, QueryModel)}
        names = {name: f"query:{name}" if name in queries else name.removesuffix("Shown") for name in rest["$defs"]}
        if len(set(names.values())) < len(names):
            raise LookupError(f"two schemas of one name: {sorted(names)}")
        self._all: dict[str, Schema] = {names[name]: _renamed(schema, names) for name, schema in rest["$defs"].items()}
        self._of: dict[Any, Schema] = {each: _renamed(made[each, "validation"], names) for each in wanted}

    def ref(self, kind: Any) -> Schema:
        """A reference to the type's schema."""
        return dict(self._of[kind])

    def inline(self, kind: Any) -> Schema:
        """The type's own schema, for whoever adds to it."""
        schema = self._of[kind]
        return dict(self._all[schema["$ref"].removeprefix(_REF)] if "$ref" in schema else schema)

    def components(self, used: Iterable[str]) -> dict[str, Schema]:
        """The named schemas that are referred to from these, however far."""
        found, waiting = set[str](), list(used)
        while waiting:
            name = waiting.pop()
            if name not in found and name in self._all:
                found.add(name)
                waiting += refs(self._all[name])
        return {name: self._all[name] for name in sorted(found)}


def refs(value: Any) -> list[str]:
    """The names of all schemas that a piece of the document refers to."""
    if isinstance(value, Mapping):
        target = value.get("$ref")
        here = [target.removeprefix(_REF)] if isinstance(target, str) and target.startswith(_REF) else []
        return here + [name for each in value.values() for name in refs(each)]
    return [name for each in value for name in refs(each)] if isinstance(value, list) else []


def query_parameters(schema: Schema, model: type[BaseModel]) -> list[Schema]:
    """A query model as parameters. A query has no null: what is not given is left out."""
    required = schema.get("required", [])
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            **({"description": about} if (about := fields[name].description) else {}),
            **_carried(without_null(each)),
        }
        for name, each in schema["properties"].items()
    ]


def _carried(schema: Schema) -> Schema:
    """A list of objects comes as JSON, a list of texts as a repeated parameter."""
    if schema.get("type") == "array" and "$ref" in schema["items"]:
        return {"content": {"application/json": {"schema": schema}}}
    return {"schema": schema}


def without_null(schema: Schema) -> Schema:
    kept = {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    options = [each for each in kept.pop("anyOf", []) if each != {"type": "null"}]
    if len(options) == 1:
        return {**options[0], **kept}
    return {**kept, "anyOf": options} if options else kept


def patch_of(schema: Schema) -> Schema:
    """The body of a PATCH: what is left out stays as it is, so there are no defaults and nothing is required."""
    fields = {name: {k: v for k, v in each.items() if k != "default"} for name, each in schema["properties"].items()}
    return {**{name: value for name, value in schema.items() if name != "required"}, "properties": fields}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """With references by public names."""
    if isinstance(value, dict):
        return {
            name: _REF + names[each.removeprefix(_REF)] if name == "$ref" else _renamed(each, names)
            for name, each in value.items()
        }
    return [_renamed(each, names) for each in value] if isinstance(value, list) else value
