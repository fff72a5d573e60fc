"""What is sealed under the key ring, which of its keys it needs, and how it comes under the first one.

The one rule: a value changes its seal, and nothing else. It is replaced only where it is still the one that was read,
so that whatever runs beside this loses nothing.
"""

import functools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.core import db, sql
from app.core.db import Connection, affected
from app.core.vault import Vault

SQL = sql.load("rotation")

_NIL = UUID(int=0)


@dataclass(frozen=True, slots=True)
class SealedTable:
    """columns: one sealed value each, or a list of them. before: a key that stands before every one of the table.
    listing: (key…) to rows, the key's own columns first. reseal: (key…, new values…, old values…)."""

    name: str
    columns: tuple[str, ...]
    before: tuple[object, ...]
    listing: str
    reseal: str


TABLES = (
    SealedTable("organizations", ("secret_sealed",), (_NIL,), SQL.list_organizations, SQL.reseal_organization),
    SealedTable(
        "webhooks",
        ("secret_sealed", "headers_sealed", "old_secret_sealed", "old_secrets_sealed"),
        (_NIL, _NIL),
        SQL.list_sealed_webhooks,
        SQL.reseal_webhook,
    ),
    SealedTable("event_links", ("code_sealed",), (_NIL, _NIL), SQL.list_sealed_links, SQL.reseal_link),
    SealedTable("idempotency_keys", ("body_sealed",), (_NIL, ""), SQL.list_sealed_answers, SQL.reseal_answer),
    SealedTable(
        "calendar_connections",
        ("credentials_sealed",),
        (_NIL, _NIL),
        SQL.list_sealed_connections,
        SQL.reseal_connection,
    ),
)


@dataclass(slots=True)
class Tally:
    """opened_by: values by the number of the key that opens them, counted from 0. lost: values that none opens. moved:
    values that were sealed anew."""

    opened_by: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    moved: int = 0

    @property
    def older(self) -> int:
        """Values that need another key than the first."""
        return self.opened_by.total() - self.opened_by[0]

    @property
    def total(self) -> int:
        return self.opened_by.total() + self.lost

    def add(self, other: "Tally") -> None:
        self.opened_by += other.opened_by
        self.lost += other.lost
        self.moved += other.moved


async def count_seals(conn: Connection, vault: Vault) -> dict[str, Tally]:
    """By table, which keys its values need. It only looks."""
    found = {table.name: Tally() for table in TABLES}
    for table in TABLES:
        async for rows in _batches(conn, table):
            for row in rows:
                found[table.name].add(_tally(table, row, vault))
    return found


async def reseal(conn: Connection, vault: Vault) -> dict[str, Tally]:
    """Seal with the first key what another one opens, a batch in a transaction; by table, how it was before. What no
    key opens is left as it is."""
    found = {table.name: Tally() for table in TABLES}
    for table in TABLES:
        tally = found[table.name]
        async for rows in _batches(conn, table):
            told = [(row, _tally(table, row, vault)) for row in rows]
            for _, each in told:
                tally.add(each)
            outdated = [(row, each.older) for row, each in told if each.older]
            if outdated:
                tally.moved += await db.run(conn, functools.partial(_reseal, table=table, rows=outdated, vault=vault))
    return found


async def _reseal(conn: Connection, table: SealedTable, rows: Sequence[tuple[sql.Row, int]], vault: Vault) -> int:
    """How many values were sealed anew, of rows with as many that need an older key. A row that somebody else has
    changed since is theirs."""
    moved, width = 0, len(table.before)
    for row, older in rows:
        old = [row[column] for column in table.columns]
        new = [_resealed(value, vault) for value in old]
        if affected(await conn.execute(table.reseal, *row[:width], *new, *old)):
            moved += older
    return moved


async def _batches(conn: Connection, table: SealedTable) -> AsyncIterator[Sequence[sql.Row]]:
    after = table.before
    while rows := await conn.fetch(table.listing, *after):
        yield rows
        after = rows[-1][: len(table.before)]


def _tally(table: SealedTable, row: sql.Row, vault: Vault) -> Tally:
    tally = Tally()
    for column in table.columns:
        value = row[column]
        # nothing holds no secret
        for sealed in filter(None, value if isinstance(value, list) else [value]):
            number = vault.opener(sealed)
            if number is None:
                tally.lost += 1
            else:
                tally.opened_by[number] += 1
    return tally


def _resealed(value: Any, vault: Vault) -> Any:
    if isinstance(value, list):
        return [_resealed(each, vault) for each in value]
    # 0 is the first key already, None none at all
    return vault.reseal(value) if value and vault.opener(value) else value
