"""What can be done next with what an operation has made: OpenAPI links, from the paths alone.

The one rule: a link is declared where the answer has the very value that the other path wants, and nowhere else.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from app.web.openapi.operations import KINDS, PARAMETER, name_of
from app.web.openapi.schemas import Schema
from app.web.operation import Data, DataList, DataPage, Many, One
from app.web.routing import AnyRoute, PublicRoute

# paths that want a value of an answer which is not called as their parameter is
_TOKENS = {"/v1/cancel/{token}": "cancel_token", "/v1/reschedule/{token}": "reschedule_token"}


def links_from(route: AnyRoute, routes: Sequence[AnyRoute]) -> Schema:
    """By the operationId of what comes next. What takes an Idempotency-Key makes something."""
    answer = route.operation.answer
    if not route.operation.replays or answer is None or isinstance(answer, Many | DataPage | DataList):
        return {}
    shown, place = _placed(answer)
    fields = set(shown.__annotations__)
    return {
        name_of(other): {
            "operationId": name_of(other),
            "parameters": {parameter: f"$response.body#{place}/{field}"},
        }
        for other in routes
        for parameter, field in _wanted(route, other)
        if field in fields
    }


def _placed(answer: Any) -> tuple[Any, str]:
    """The thing itself, and where in the body it stands."""
    if isinstance(answer, One):
        return answer.shown, f"/{answer.noun}"
    return (answer.shown, "/data") if isinstance(answer, Data) else (answer, "")


def _wanted(route: AnyRoute, other: AnyRoute) -> Iterator[tuple[str, str]]:
    """The parameter of the other path, and the field that has its value."""
    parameters = PARAMETER.findall(other.path)
    if len(parameters) != 1:
        return
    for path, field in _TOKENS.items():
        if other.path.startswith(path):
            yield parameters[0], field
    if parameters == ["link_code"]:
        yield "link_code", "link_code"
    nouns = route.path.rsplit("/", 1)[-1]
    made = route.operation.status == 201 and "{" not in route.path and nouns in {*KINDS, "event-types"}
    if made and not isinstance(other, PublicRoute) and other.path.startswith(f"{route.path}/{{"):
        yield parameters[0], parameters[0]
