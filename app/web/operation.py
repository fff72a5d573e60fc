"""What a route does, reads and answers, beside its path: for the OpenAPI document, and so for every caller.

The one rule: the document speaks of what serves. A handler that reads another model than its operation names fails.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class One:
    """`{"success": true, "<noun>": {…}}`. shown: the TypedDict of the thing."""

    noun: str
    shown: Any

    def wrap(self, shown: Any) -> dict[str, Any]:
        return {"success": True, self.noun: shown}


@dataclass(frozen=True, slots=True)
class Many:
    """`{"success": true, "<nouns>": […], "pagination": {…}}`. numbered: pages may be asked for by number, too."""

    nouns: str
    shown: Any
    numbered: bool = False

    def wrap(self, shown: Any) -> dict[str, Any]:
        return {"success": True, self.nouns: shown}


@dataclass(frozen=True, slots=True)
class Data:
    """`{"data": {…}}`: one thing, as `/api` and `/api/v1` say it (seeds 000 and 002)."""

    shown: Any

    def wrap(self, shown: Any) -> dict[str, Any]:
        return {"data": shown}


@dataclass(frozen=True, slots=True)
class DataList(Data):
    """`{"data": […]}`: of a few things, all at once."""


@dataclass(frozen=True, slots=True)
class DataPage(Data):
    """`{"data": […], "pagination": {"page", "limit", "total", "has_more"}}`. more: what a face calls the last one."""

    more: ClassVar[str] = "has_more"


@dataclass(frozen=True, slots=True)
class BotPage(DataPage):
    """The same with seed 002's `hasMore`."""

    more: ClassVar[str] = "hasMore"


WRAPPED = (One, Many, Data)


@dataclass(frozen=True, slots=True)
class Besides:
    """Another success than the usual one, with a status of its own. answer, media: as of `Operation`."""

    status: int
    answer: Any = None
    media: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """nested: the name under which the body's fields stand, where a face wants one. answer: `One`, `Many`, `Data`,
    `DataPage` or the TypedDict of its JSON, or None where there is no body. problems: codes that it
    answers besides those which follow from the rest (credentials, scopes, ids in the path, bodies, limits). replays: it
    takes an Idempotency-Key. optional: no body at all is an empty one. page: a browser gets HTML instead. media: what
    the answer is, where it is no JSON. cookie: it sets the session cookie, or takes it away. name: the operationId,
    where the one made from method and path is not what a client library would call it. besides: its other successes."""

    summary: str
    body: type[BaseModel] | None = None
    nested: str = ""
    query: type[BaseModel] | None = None
    answer: Any = None
    status: int = 200
    problems: tuple[str, ...] = ()
    replays: bool = False
    optional: bool = False
    page: bool = False
    media: str = ""
    cookie: bool = False
    name: str = ""
    besides: tuple[Besides, ...] = ()
