"""Cursor pages: the cursor is the id of the last row shown, so a page is a range of an index.

The one rule: rows inserted or deleted meanwhile never make a page skip or repeat another row. (Numbered pages, where a
seed has them, count from the beginning each time and cannot promise that.)
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

import orjson
from aiohttp import web
from pydantic import Field, model_validator

from app.core.db import Connection
from app.core.errors import unknown_cursor
from app.core.ids import Kind, decode, encode
from app.web.call import Call, json_response
from app.web.fields import AskedNumber, QueryModel, refusal
from app.web.operation import DataPage


class Page(QueryModel):
    limit: AskedNumber = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=100)


class HasId(Protocol):
    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=HasId)


class Numbers(QueryModel):
    """The faces that know no cursors ask for pages by their numbers."""

    page: AskedNumber = Field(default=1, ge=1, le=1_000_000)
    limit: AskedNumber = Field(default=50, ge=1, le=100)

    @property
    def skipped(self) -> int:
        return (self.page - 1) * self.limit


# Nouns that come in dozens are counted by reading them; where an organization had more, the total would stop here.
_MOST_COUNTED = 10_000


async def list_page(
    call: Call,
    kind: Kind,
    fetch: Callable[[Connection, UUID, UUID | None, int], Awaitable[Sequence[Row]]],
    show: Callable[[Row], Mapping[str, Any]],
) -> web.Response:
    """The page of an organization's rows that the query asks for, by cursor or by number as the face has it. fetch:
    (conn, org_id, after, limit) to rows."""
    org_id = call.principal.org_id
    if isinstance(call.operation.answer, DataPage):
        numbers = call.query(Numbers)
        everything = await fetch(call.conn, org_id, None, _MOST_COUNTED)
        rows = everything[numbers.skipped : numbers.skipped + numbers.limit]
        return numbered_response(call, [show(row) for row in rows], numbers, len(everything))
    page = call.query(Page)
    rows = await fetch(call.conn, org_id, cursor_id(kind, page.cursor), page.limit + 1)
    return page_response(call, kind, rows, page.limit, show)


def numbered_response(call: Call, shown: Sequence[Any], numbers: Numbers, total: int) -> web.Response:
    """The page with its number, and how many rows there are on all of them."""
    answer = call.operation.answer
    place = {"page": numbers.page, "limit": numbers.limit, "total": total}
    place[answer.more] = numbers.skipped + len(shown) < total
    return json_response({**answer.wrap(shown), "pagination": place})


class NumberedPage(Page):
    """Either way to go on: by the cursor of the page before, or by the number of the page (seed 003)."""

    page: AskedNumber | None = Field(default=None, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "NumberedPage":
        if self.page is not None and self.cursor is not None:
            raise refusal("page", "give either page or cursor")
        return self

    @property
    def skipped(self) -> int:
        return 0 if self.page is None else (self.page - 1) * self.limit


def page_response(
    call: Call, kind: Kind, rows: Sequence[Row], limit: int, show: Callable[[Row], Mapping[str, Any] | orjson.Fragment]
) -> web.Response:
    """The page that these rows make: up to limit + 1 of them, as `pagination` takes them."""
    shown = [show(row) for row in rows[:limit]]
    return json_response({**call.envelope(shown), "pagination": pagination(kind, rows, limit)})


def cursor_id(kind: Kind, cursor: str | None) -> UUID | None:
    """Raises InvalidInput for a cursor that no page gave out."""
    if cursor is None:
        return None
    value = decode(kind, cursor)
    if value is None:
        raise unknown_cursor()
    return value


def pagination(kind: Kind, rows: Sequence[HasId], limit: int) -> dict[str, Any]:
    """For up to limit + 1 rows: one more than the page has says that there is another page."""
    more = len(rows) > limit
    return {"next_cursor": encode(kind, rows[limit - 1].id) if more else None, "has_more": more}
