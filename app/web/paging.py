"""Cursor pages: the cursor is the id of the last row shown, so a page is a range of the primary key.

The one rule: rows inserted or deleted meanwhile never make a page skip or repeat another row.
"""

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from app.core.errors import InvalidInput
from app.core.ids import Kind, decode, encode

MAXIMUM = 100


class HasId(Protocol):
    @property
    def id(self) -> UUID: ...


def cursor_id(kind: Kind, cursor: str | None) -> UUID | None:
    """Raises InvalidInput for a cursor that no page gave out."""
    if cursor is None:
        return None
    value = decode(kind, cursor)
    if value is None:
        raise InvalidInput.of("cursor", "pass on the next_cursor of the page before, unchanged")
    return value


def pagination(kind: Kind, rows: Sequence[HasId], limit: int) -> dict[str, Any]:
    """For up to limit + 1 rows: one more than the page has says that there is another page."""
    more = len(rows) > limit
    return {"next_cursor": encode(kind, rows[limit - 1].id) if more else None, "has_more": more}
