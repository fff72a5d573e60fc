"""The fixture's tools that need something from their caller first: they answer with what they ask for, and are called
again with it (2026-07-28, "input_required")."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import mcp.types as t
from mcp.server.context import ServerRequestContext

Context = ServerRequestContext[dict[str, Any], Any]
Result = dict[str, Any]
Asked = dict[str, Result]
Asking = Callable[[Context, t.CallToolRequestParams], Awaitable[Result]]


def _form(message: str, field: str, kind: str = "string") -> Result:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def _sample(question: str, most: int) -> Result:
    message = {"role": "user", "content": {"type": "text", "text": question}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": most}}


_NAME = {"user_name": _form("What is your name?", "name")}
_CAPITAL = {"capital_question": _sample("What is the capital of France?", 100)}
_ROOTS: Asked = {"client_roots": {"method": "roots/list", "params": {}}}
_CONFIRM = {"confirm": _form("Please confirm", "ok", "boolean")}


def _given(context: Context, asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the caller brings, where it is all that was asked for."""
    responses = (context.params or {}).get("inputResponses")
    if not isinstance(responses, Mapping) or not all(isinstance(responses.get(name), Mapping) for name in asked):
        return None
    return responses


def _ask(asked: Asked, state: str | None = None) -> Result:
    return {
        "resultType": "input_required",
        "inputRequests": asked,
        **({} if state is None else {"requestState": state}),
    }


def _done(said: str) -> Result:
    return {"content": [{"type": "text", "text": said}]}


def _asking(asked: Asked, state: str | None = None) -> Asking:
    async def call(context: Context, _params: t.CallToolRequestParams) -> Result:
        given = _given(context, asked)
        if given is None:
            return _ask(asked, state)
        kept = (context.params or {}).get("requestState")
        if kept != state:
            return _ask(asked, state)
        return _done(f"{'state-ok' if state else 'thanks'}: {dict(given)}")

    return call


async def _in_rounds(context: Context, _params: t.CallToolRequestParams) -> Result:
    state = (context.params or {}).get("requestState")
    first = {"step1": _form("Step 1: What is your name?", "name")}
    second = {"step2": _form("Step 2: What is your favorite color?", "color")}
    if state == "first" and _given(context, first) is not None:
        return _ask(second, "second")
    if state == "second" and _given(context, second) is not None:
        return _done("both are known")
    return _ask(first, "first")


async def _as_able(context: Context, _params: t.CallToolRequestParams) -> Result:
    """Asks for what this caller is able to answer only."""
    able = context.session.client_capabilities or t.ClientCapabilities()
    asked = {
        **(_CAPITAL if able.sampling is not None else {}),
        **(_NAME if able.elicitation is not None else {}),
    }
    given = _given(context, asked)
    return _ask(asked) if asked and given is None else _done("nothing more is needed")


def ask_for_prompt(context: Context) -> Result:
    asked = {"user_context": _form("What context should the prompt use?", "context")}
    given = _given(context, asked)
    if given is None:
        return _ask(asked)
    return {"messages": [{"role": "user", "content": {"type": "text", "text": f"In context: {dict(given)}"}}]}


_PREFIX = "test_input_required_result_"
ASKING: dict[str, Asking] = {
    f"{_PREFIX}elicitation": _asking(_NAME),
    f"{_PREFIX}sampling": _asking(_CAPITAL),
    f"{_PREFIX}list_roots": _asking(_ROOTS),
    f"{_PREFIX}request_state": _asking(_CONFIRM, "confirming"),
    f"{_PREFIX}tampered_state": _asking(_CONFIRM, "confirming"),
    f"{_PREFIX}multiple_inputs": _asking(
        {**_NAME, "greeting": _sample("Generate a greeting", 50), **_ROOTS}, "all three"
    ),
    f"{_PREFIX}multi_round": _in_rounds,
    f"{_PREFIX}capabilities": _as_able,
}
