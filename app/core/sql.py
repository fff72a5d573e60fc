"""SQL lives in files: blocks headed `-- name: verb_noun` in `sql/queries/<room>.sql`, loaded once at import.

The one rule: no SQL is ever built from values. A statement that is the same text on every call is prepared once per
connection; changing its text per call was measured to cost four times as much.
"""

import re
from importlib import resources

import asyncpg

Row = asyncpg.Record

_BLOCK = re.compile(r"^-- name: ([a-z][a-z0-9_]*)[ \t]*$", flags=re.MULTILINE)


class Queries:
    """The statements of one room, as attributes: `SQL.create_booking`."""

    def __init__(self, room: str, blocks: dict[str, str]) -> None:
        self.room = room
        self.blocks = blocks

    def __getattr__(self, name: str) -> str:
        try:
            return self.blocks[name]
        except KeyError:
            raise AttributeError(f"sql/queries/{self.room}.sql has no block named {name}") from None


def parse(text: str) -> dict[str, str]:
    """Split a file into its blocks. Raises ValueError on a name that stands twice."""
    parts = _BLOCK.split(text)
    blocks: dict[str, str] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in blocks:
            raise ValueError(f"two blocks are named {name}")
        blocks[name] = body.strip().rstrip(";")
    return blocks


def load(room: str) -> Queries:
    return Queries(room, parse(resources.files("sql").joinpath("queries", f"{room}.sql").read_text("utf-8")))


def rooms() -> list[str]:
    """Every file of queries, for the test that prepares each block on the migrated schema."""
    return sorted(
        entry.name.removesuffix(".sql")
        for entry in resources.files("sql").joinpath("queries").iterdir()
        if entry.name.endswith(".sql")
    )
