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


class Page(QueryModel):
    limit: AskedNumber = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=100)


class HasId(Protocol):
    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=HasId)


async def list_page(
    call: Call,
    kind: Kind,
    nouns: str,
    fetch: Callable[[Connection, UUID, UUID | None, int], Awaitable[Sequence[Row]]],
    show: Callable[[Row], Mapping[str, Any]],
) -> web.Response:
    """The page of an organization's rows that the query asks for. fetch: (conn, org_id, after, limit) to rows."""
    page = call.query(Page)
    rows = await fetch(call.conn, call.principal.org_id, cursor_id(kind, page.cursor), page.limit + 1)
    return page_response(kind, nouns, rows, page.limit, show)


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
    kind: Kind, nouns: str, rows: Sequence[Row], limit: int, show: Callable[[Row], Mapping[str, Any] | orjson.Fragment]
) -> web.Response:
    """The page that these rows make: up to limit + 1 of them, as `pagination` takes them."""
    shown = [show(row) for row in rows[:limit]]
    return json_response({"success": True, nouns: shown, "pagination": pagination(kind, rows, limit)})


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
