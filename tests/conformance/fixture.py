"""A server with what the suite wants to call (`test_simple_text` and so on), for behind our own door, bridge and
engine: what it proves is the way there and back, for every kind of message, also those that Slotwire has no use for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import mcp.types as t
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError

from tests.conformance.inputs import ASKING, ask_for_prompt

Context = ServerRequestContext[dict[str, Any], Any]
Result = dict[str, Any]
Tool = Callable[[Context, t.CallToolRequestParams], Awaitable[Result]]

NAME = "fixture"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
_NOTHING = {"type": "object", "properties": {}}
_BLINK = 0.02


def text(value: str) -> Result:
    return {"type": "text", "text": value}


def _image() -> Result:
    return {"type": "image", "data": PNG, "mimeType": "image/png"}


def _embedded(uri: str, kind: str, value: str) -> Result:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": value}}


CONTENT: dict[str, list[Result]] = {
    "test_simple_text": [text("This is a simple text response for testing.")],
    "test_image_content": [_image()],
    "test_audio_content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}],
    "test_embedded_resource": [
        _embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
    ],
    "test_multiple_content_types": [
        text("Multiple content types test:"),
        _image(),
        _embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ],
    "json_schema_2020_12_tool": [text("ok")],
    "test_custom_header": [text("ok")],
    "test_streaming_elicitation": [text("nothing was asked on the stream")],
}
_ADDRESS = {
    "$anchor": "addressDef",
    "type": "object",
    "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
}
SCHEMAS: dict[str, Any] = {
    "json_schema_2020_12_tool": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": _ADDRESS},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
    "test_custom_header": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
        "required": ["region"],
    },
}


async def _fail(_context: Context, _params: t.CallToolRequestParams) -> Result:
    return {"content": [text("This tool intentionally returns an error for testing")], "isError": True}


async def _log(context: Context, _params: t.CallToolRequestParams) -> Result:
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await context.session.send_log_message("info", line, related_request_id=context.request_id)
        await asyncio.sleep(_BLINK)
    return {"content": [text("logged")]}


async def _progress(context: Context, _params: t.CallToolRequestParams) -> Result:
    for done in (0, 50, 100):
        await context.session.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(_BLINK)
    return {"content": [text("done")]}


async def _need_sampling(context: Context, _params: t.CallToolRequestParams) -> Result:
    if not context.session.check_client_capability(t.ClientCapabilities(sampling=t.SamplingCapability())):
        needed: Result = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(t.MISSING_REQUIRED_CLIENT_CAPABILITY, "The client has to be able to sample.", needed)
    return {"content": [text("it can sample")]}


TOOLS: dict[str, Tool] = {
    "test_error_handling": _fail,
    "test_tool_with_logging": _log,
    "test_logging_tool": _log,
    "test_tool_with_progress": _progress,
    "test_missing_capability": _need_sampling,
    **ASKING,
}


async def list_tools(_context: Context, _params: t.PaginatedRequestParams) -> Result:
    return {
        "tools": [
            {"name": name, "description": name.replace("_", " "), "inputSchema": SCHEMAS.get(name, _NOTHING)}
            for name in (*CONTENT, *TOOLS)
        ]
    }


async def call_tool(context: Context, params: t.CallToolRequestParams) -> Result:
    if params.name in CONTENT:
        return {"content": CONTENT[params.name]}
    if params.name not in TOOLS:
        raise MCPError(t.INVALID_PARAMS, f"Unknown tool: {params.name}")
    return await TOOLS[params.name](context, params)


PROMPTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


async def list_prompts(_context: Context, _params: t.PaginatedRequestParams) -> Result:
    return {
        "prompts": [
            {
                "name": name,
                "description": name.replace("_", " "),
                "arguments": [{"name": each, "description": each, "required": True} for each in arguments],
            }
            for name, arguments in PROMPTS.items()
        ]
    }


async def get_prompt(context: Context, params: t.GetPromptRequestParams) -> Result:
    given = params.arguments or {}
    if params.name == "test_input_required_result_prompt":
        return ask_for_prompt(context)
    said = {
        "test_simple_prompt": lambda: [text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments": lambda: [
            text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")
        ],
        "test_prompt_with_embedded_resource": lambda: [
            _embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image": lambda: [_image(), text("Please analyze the image above.")],
    }
    return {"messages": [{"role": "user", "content": each} for each in said[params.name]()]}


_WATCHED = "test://watched-resource"
RESOURCES: dict[str, Result] = {
    "test://static-text": {
        "mimeType": "text/plain",
        "text": "This is the content of the static text resource.",
    },
    "test://static-binary": {"mimeType": "image/png", "blob": PNG},
    _WATCHED: {"mimeType": "text/plain", "text": "Watched."},
}


async def list_resources(_context: Context, _params: t.PaginatedRequestParams) -> Result:
    return {
        "resources": [
            {"uri": uri, "name": uri, "description": uri, "mimeType": each["mimeType"]}
            for uri, each in RESOURCES.items()
        ]
    }


async def list_templates(_context: Context, _params: t.PaginatedRequestParams) -> Result:
    template = {"uriTemplate": "test://template/{id}/data", "name": "template", "mimeType": "application/json"}
    return {"resourceTemplates": [template]}


async def read_resource(_context: Context, params: t.ReadResourceRequestParams) -> Result:
    uri = str(params.uri)
    if uri in RESOURCES:
        return {"contents": [{"uri": uri, **RESOURCES[uri]}]}
    if not uri.startswith("test://template/"):
        raise MCPError(t.INVALID_PARAMS, "Resource not found", {"uri": uri})
    number = uri.split("/")[3]
    filled = f'{{"id":"{number}","templateTest":true,"data":"Data for ID: {number}"}}'
    return {"contents": [{"uri": uri, "mimeType": "application/json", "text": filled}]}


async def complete(_context: Context, params: t.CompleteRequestParams) -> Result:
    return {"completion": {"values": [f"{params.argument.value}is"], "total": 1, "hasMore": False}}


async def accept(_context: Context, _params: t.RequestParams) -> t.EmptyResult:
    return t.EmptyResult()


def _complete(handler: Callable[[Context, Any], Awaitable[Result]]) -> Callable[[Context, Any], Awaitable[Result]]:
    """Says that nothing is missing, where the handler did not ask for more."""

    async def handle(context: Context, params: Any) -> Result:
        return {"resultType": "complete", **await handler(context, params)}

    return handle


_HINTS = dict.fromkeys(get_args(CacheableMethod), CacheHint(60_000, "private"))


def make_manager() -> StreamableHTTPSessionManager:
    """Stateless as ours is, but free to stream: where a tool tells of its progress, the answer is a stream."""
    server = Server(NAME, version="1", cache_hints=_HINTS)
    for method, params, handler in (
        ("tools/list", t.PaginatedRequestParams, list_tools),
        ("tools/call", t.CallToolRequestParams, call_tool),
        ("prompts/list", t.PaginatedRequestParams, list_prompts),
        ("prompts/get", t.GetPromptRequestParams, get_prompt),
        ("resources/list", t.PaginatedRequestParams, list_resources),
        ("resources/templates/list", t.PaginatedRequestParams, list_templates),
        ("resources/read", t.ReadResourceRequestParams, read_resource),
        ("completion/complete", t.CompleteRequestParams, complete),
    ):
        server.add_request_handler(method, params, _complete(handler))
    server.add_request_handler("resources/subscribe", t.SubscribeRequestParams, accept)
    server.add_request_handler("resources/unsubscribe", t.UnsubscribeRequestParams, accept)
    server.add_request_handler("logging/setLevel", t.SetLevelRequestParams, accept)
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=NAME))
    return StreamableHTTPSessionManager(
        server,
        stateless=True,
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
