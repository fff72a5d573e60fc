"""The OpenAPI document: complete, valid, honest about scopes and problems, and the same wherever it is asked for."""

import ast
import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
from aiohttp import hdrs, web
from openapi_spec_validator import validate

from app.core import errors
from app.core.settings import Settings
from app.domain.identity.scopes import SCOPES
from app.faces.mcp.door import McpRoute
from app.faces.rest.shapes.locations import LocationIn, LocationPatch
from app.main import ROUTES, build_app, openapi
from app.web import problems
from app.web.browser import EntryRoute, SessionRoute
from app.web.call import Visit
from app.web.catalog import CATALOG
from app.web.openapi.operations import name_of
from app.web.operation import DataList, DataPage, Operation
from app.web.routing import AnyRoute, PublicRoute, Route, add_routes
from tests.conftest import AiohttpClient
from tests.contract.examples import seed
from tests.support import Api

DOCUMENT: Any = json.loads(openapi())
NAMES = [f"{route.method} {route.path}" for route in ROUTES]
ROOT = Path(__file__).parents[2]

# what is served beside the API: for operators, and the documentation itself
PAGES = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/errors", "/llms.txt"}
PAGES |= {"/.well-known/api-catalog"}
# in development only
PAGES |= {"/dev/mail", "/dev/mail/{name}", "/dev/mail/{name}/html", "/dev/mail/{name}/source"}


def operation(route: AnyRoute) -> Any:
    return DOCUMENT["paths"][route.path][route.method.lower()]


def resolved(value: Any) -> Any:
    while "$ref" in value:
        place: Any = DOCUMENT
        for part in value["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        value = place
    return value


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1.")


async def test_it_is_served_as_the_command_prints_it(api: Api) -> None:
    command = [str(Path(sys.executable).with_name("slotwire")), "openapi"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env={}, cwd="/")
    printed, _ = await process.communicate()
    served = await api.call("GET", "/openapi.json", Authorization="")
    assert served.raw == printed == openapi()
    assert served.headers["Content-Type"].startswith("application/json")
    assert (await api.call("GET", "/openapi.json", If_None_Match=served.headers["ETag"])).status == 304
    anywhere = await api.call("GET", "/openapi.json", Origin="https://editor.example.com")
    assert anywhere.headers["Access-Control-Allow-Origin"] == "*"


def test_names_are_short() -> None:
    """Two classes of one name would make pydantic spell out their modules."""
    names = list(DOCUMENT["components"]["schemas"])
    assert [name for name in names if not name.isalnum()] == []


def test_every_route_is_documented_and_nothing_else() -> None:
    described = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in ROUTES}
    assert len({name_of(route) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_every_operation_says_what_it_answers_and_needs(route: AnyRoute) -> None:
    described = operation(route)
    answer = described["responses"][str(route.operation.status)]
    assert ("content" in answer) == (route.operation.status != 204), "an answer without a schema"
    assert set(described["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    codes = {
        code for code in CATALOG if f"#{code}" in json.dumps([resolved(r) for r in described["responses"].values()])
    }
    assert {"rate_limited", "internal_error", "unavailable", *route.operation.problems} <= codes
    if isinstance(route, PublicRoute | EntryRoute):
        assert described["security"] == []
        assert ("401" in described["responses"]) == ("unauthorized" in route.operation.problems)
        return
    if not isinstance(route, Route):
        return
    assert route.scope in {*SCOPES, "any"}
    needed = [{"bearer": [] if scope == "any" else [scope]} for scope in route.scopes]
    assert described["security"] == [*needed, *([{}] if route.by_token else [])]
    assert described["x-required-scope"] == route.scope
    assert "unauthorized" in codes
    assert ("insufficient_scope" in codes) == (route.scope != "any")


SESSION_ROUTES = [route for route in ROUTES if isinstance(route, SessionRoute)]
OF_BROWSERS = [route for route in ROUTES if isinstance(route, SessionRoute | EntryRoute)]


@pytest.mark.parametrize("route", SESSION_ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_session_operation_says_who_may_call_it_and_from_where(route: SessionRoute) -> None:
    described, free = operation(route), route.scope == "any"
    assert described["security"] == [{"session": [] if free else [route.scope]}]
    assert described["x-required-permission"] == route.scope
    assert described["description"].startswith("For everybody" if free else "For ")
    answers = {status: resolved(each) for status, each in described["responses"].items()}
    challenge = resolved(answers["401"]["headers"]["WWW-Authenticate"])
    assert challenge["schema"]["pattern"] == "^Cookie "
    writes = route.method != "GET"
    assert ("#forbidden" in json.dumps(answers.get("403"))) == (writes or not free)
    assert ("#unsupported_media_type" in json.dumps(answers.get("415"))) == writes
    assert "insufficient_scope" not in json.dumps(described)


def test_roles_are_named_where_they_differ() -> None:
    found = {each.path: operation(each)["description"] for each in SESSION_ROUTES if each.method == "GET"}
    assert found["/api/keys"].startswith("For owners and admins (`keys:read`).")
    assert found["/api/bookings"].startswith("For every role (`bookings:read`).")
    assert found["/api/session"] == "For everybody who is logged in."


@pytest.mark.parametrize("route", OF_BROWSERS, ids=lambda route: f"{route.method} {route.path}")
def test_bodies_stand_under_their_noun_and_answers_under_data(route: SessionRoute | EntryRoute) -> None:
    """Seed 000."""
    described, asked = operation(route), route.operation
    if asked.body is not None:
        body = described["requestBody"]
        schema = body["content"]["application/json"]["schema"]
        assert (list(schema["properties"]), schema["additionalProperties"]) == ([asked.nested], False)
        assert body["required"] == ("required" in schema) == (not asked.optional)
    if asked.answer is not None:
        answer = described["responses"][str(asked.status)]["content"]["application/json"]["schema"]
        pages = ["pagination"] if isinstance(asked.answer, DataPage) else []
        assert [name for name in answer["properties"] if name != "idempotent_replay"] == ["data", *pages]
        listed = answer["properties"]["data"].get("type") == "array"
        assert listed == isinstance(asked.answer, DataPage | DataList)


def test_the_cookie_is_documented_where_it_is_set_and_nowhere_else() -> None:
    found = {
        f"{route.method} {route.path}"
        for route in ROUTES
        if "Set-Cookie" in operation(route)["responses"][str(route.operation.status)]["headers"]
    }
    begin = {"POST /api/session", "POST /api/signup", "PATCH /api/password"}
    assert found == begin | {"DELETE /api/session", "DELETE /api/sessions"}
    scheme = DOCUMENT["components"]["securitySchemes"]["session"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "cookie", "slotwire_session")
    assert "`__Host-slotwire_session`" in scheme["description"]


def test_every_tag_is_shown_under_one_face() -> None:
    """A renderer that knows groups shows no others."""
    grouped = [name for group in DOCUMENT["x-tagGroups"] for name in group["tags"]]
    assert grouped == [tag["name"] for tag in DOCUMENT["tags"]]
    assert len(set(grouped)) == len(grouped)
    used = {tag for item in DOCUMENT["paths"].values() for each in item.values() for tag in each["tags"]}
    assert used <= set(grouped)


def test_every_address_is_documented_or_known_to_need_nothing(settings: Settings) -> None:
    """Walks the router itself, so that a route which came in by another door shows."""
    documented = {route.path for route in ROUTES}
    strays = {
        route.resource.canonical
        for route in build_app(settings).router.routes()
        if route.resource is not None and route.resource.canonical not in documented | PAGES | {McpRoute.path}
    }
    assert {path for path in strays if not path.startswith("/docs/static/")} == set()


def test_every_scope_is_described() -> None:
    assert tuple(DOCUMENT["components"]["securitySchemes"]["bearer"]["x-scopes"]) == SCOPES


def raised(path: Path) -> Iterator[str]:
    """The codes of the errors that a file makes."""
    kinds = {**vars(errors), "Unexpected": problems.Unexpected}
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        named = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        kind = kinds.get(getattr(named, "id", getattr(named, "attr", "")))
        if not (isinstance(kind, type) and issubclass(kind, errors.SlotwireError)):
            continue
        given = [each.value for each in node.keywords if each.arg == "code"]
        texts = [each for value in given for each in ast.walk(value) if isinstance(each, ast.Constant)]
        yield from [str(each.value) for each in texts] or [kind.code]


def test_the_catalog_has_every_code_that_can_be_raised_and_no_other() -> None:
    found = {code for path in (ROOT / "app").rglob("*.py") for code in raised(path)}
    assert found == set(CATALOG)
    for entry in CATALOG.values():
        assert entry.status == problems.status_of(entry.error)
        assert entry.when.endswith(".")
        assert entry.then.endswith(".")


def examples(value: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where, schema and example, for every media type that has one."""
    if isinstance(value, dict):
        if "schema" in value and "example" in value:
            yield path, value["schema"], value["example"]
        if "schema" in value and isinstance(value.get("examples"), dict):
            for name, each in value["examples"].items():
                yield f"{path}/{name}", value["schema"], each["value"]
        for name, each in value.items():
            yield from examples(each, f"{path}/{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from examples(each, f"{path}/{number}")


@pytest.mark.parametrize("example", [pytest.param(each[1:], id=each[0]) for each in examples(DOCUMENT)])
def test_every_example_fits_its_schema(example: tuple[Any, Any]) -> None:
    schema, value = example
    validator = jsonschema_rs.Draft202012Validator(
        {"components": DOCUMENT["components"], **schema}, validate_formats=True
    )
    assert [error.message for error in validator.iter_errors(value)] == []


def test_the_examples_are_those_of_the_seeds() -> None:
    def request(method: str, path: str) -> Any:
        return DOCUMENT["paths"][path][method]["requestBody"]["content"]["application/json"]["example"]

    first, second, third, fourth = (seed(number) for number in ("001", "002", "003", "004"))
    assert request("post", "/v1/bookings") == first["POST /v1/bookings"]
    assert request("patch", "/v1/bookings/{id}") == first["PATCH /v1/bookings/{id}"]
    moved = "/v1/bookings/{id}/reschedule"
    assert request("post", moved) == third[f"POST {moved}"]
    page = "/v1/book/{username}/{event_slug}"
    assert request("post", page) == third[f"POST {page}"]["body"]
    assert request("post", "/v1/webhooks")["events"] == fourth["events"]
    assert request("post", "/api/v1/bookings") == second["POST /api/v1/bookings"]["body"]
    assert request("patch", "/api/v1/bookings/{id}/cancel") == second["PATCH /api/v1/bookings/{id}/cancel"]["body"]
    zeroth = seed("000")
    assert set(request("post", "/api/bookings")["booking"]) == set(zeroth["POST /api/bookings"]["body"]["booking"])
    key = DOCUMENT["components"]["parameters"]["Idempotency-Key"]
    assert key["example"] == first["Idempotency-Key"]
    assert set(fourth["events"]) <= set(DOCUMENT["webhooks"])


def test_schemas_are_closed_but_where_json_is_free() -> None:
    free = {"custom_fields", "metadata", "attributes", "routing_trace", "previous", "reasons", "details"}

    def opened(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if isinstance(value, dict):
            if value.get("type") == "object" and value.get("additionalProperties", True) is True:
                yield path
            for name, each in value.items():
                yield from opened(each, (*path, name))
        elif isinstance(value, list):
            for each in value:
                yield from opened(each, path)

    schemas = DOCUMENT["components"]["schemas"]
    assert [path for path in opened(schemas, ()) if not free.intersection(path)] == []


async def test_a_handler_that_reads_what_is_not_documented_fails(
    aiohttp_client: AiohttpClient, settings: Settings
) -> None:
    async def read(visit: Visit) -> web.Response:
        visit.body(LocationIn)
        return web.Response()

    app = build_app(settings)
    add_routes(app, [PublicRoute("POST", "/v1/odd", read, Operation("Odd", body=LocationPatch))])
    client = await aiohttp_client(app)
    response = await client.post("/v1/odd", json={"name": "x", "timezone": "UTC"})
    assert response.status == 500


def test_every_route_takes_the_conditional_request_that_it_documents() -> None:
    for route in ROUTES:
        if route.method == hdrs.METH_GET:
            assert {"200", "304"} <= set(operation(route)["responses"])
        elif route.operation.replays:
            names = [resolved(each)["name"] for each in operation(route)["parameters"]]
            assert "Idempotency-Key" in names


async def test_an_expectation_that_nobody_knows_is_no_refusal(api: Api) -> None:
    """The framework would answer 417, which no operation documents, and in plain text."""
    assert (await api.get("/v1/users/me", Expect="a miracle")).status == 200
    assert (await api.call("PUT", "/v1/users/me", Expect="a miracle")).status == 405
    body = {"name": "Berlin", "timezone": "Europe/Berlin"}
    assert (await api.post("/v1/locations", body, Expect="100-continue")).status == 201


@pytest.mark.parametrize("limit", ["1_0", " 5", "1.0", "+5", "05", "5 ", "-1", "9" * 30])
async def test_a_number_in_a_query_is_written_as_the_document_has_it(api: Api, limit: str) -> None:
    answer = await api.get(f"/v1/users?limit={quote(limit)}")
    assert answer.ok(400)["errors"][0]["field"] == "limit"
    flag = await api.get("/v1/slots?event_type=x&start=2030-01-01&end=2030-01-01&explain=yes")
    assert flag.ok(400)["errors"] == [{"field": "explain", "code": "invalid_value", "message": "must be true or false"}]
