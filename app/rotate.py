"""`slotwire rotate-keys`: bring everything that is sealed under the first key of the ring, and say which keys may go.

The one rule: what it advises was looked up after the work was done. Another process may have sealed something since.
"""

import asyncio
import sys
from collections.abc import Iterable, Mapping

from app.core import db
from app.core.migrate import pending
from app.core.rotation import Tally, count_seals, reseal
from app.core.settings import ConfigurationError, Settings
from app.core.vault import Vault

_RING = "SLOTWIRE_SECRET_KEYS"


def run_rotation(settings: Settings, *, check: bool) -> int:
    """Print what is sealed, and what to do next; 1 when something opens with no key. check: only look."""
    return asyncio.run(_rotate(settings, check=check))


async def _rotate(settings: Settings, *, check: bool) -> int:
    vault = Vault(settings.secret_keys)
    async with db.open_pool(settings.database_url, size=1, name="slotwire-rotate") as pool, db.acquire(pool) as conn:
        if await pending(conn):
            raise ConfigurationError("the database is not up to date; run `slotwire migrate` first")
        moved = {} if check else await reseal(conn, vault)
        found = await count_seals(conn, vault)
    for name, tally in found.items():
        print(_line(name, tally, moved.get(name)))
    print(advice(found, len(settings.secret_keys)))
    lost = {name: tally.lost for name, tally in found.items() if tally.lost}
    if lost:
        print(f"slotwire: {lost_line(lost)}", file=sys.stderr)
    return 1 if lost else 0


def advice(found: Mapping[str, Tally], keys: int) -> str:
    """What an operator does next, with a ring of so many keys. Keys are counted from 1, as people do."""
    if keys == 1:
        return (
            f"There is one key, so nothing can move. To replace it: put a new one in front of it in {_RING} (new,old), "
            "restart every process, and run this again."
        )
    needed = {number for tally in found.values() for number, count in tally.opened_by.items() if count and number}
    free = [number for number in range(1, keys) if number not in needed]
    said = []
    if needed:
        said.append(
            f"Still needed: {_keys(needed)}. When every process runs with this {_RING}, the new key first, run "
            "`slotwire rotate-keys` (again)."
        )
    if free and not any(tally.lost for tally in found.values()):
        said.append(
            f"Not needed any more: {_keys(free)}. When every process runs with this {_RING}, take out of it what "
            "is not needed and restart them; whoever logged in before the new key came logs in again."
        )
    return "\n".join(said)


def lost_line(lost: Mapping[str, int]) -> str:
    each = ", ".join(f"{count} in {name}" for name, count in lost.items())
    return (
        f"{sum(lost.values())} sealed values open with no key ({each}): put the key that sealed them back into "
        f"{_RING}, behind the others, and run this again"
    )


def _keys(numbers: Iterable[int]) -> str:
    texts = [str(number + 1) for number in sorted(numbers)]
    return f"key {texts[0]}" if len(texts) == 1 else f"keys {', '.join(texts)}"


def _line(name: str, tally: Tally, moved: Tally | None) -> str:
    parts = [f"{tally.opened_by[0]:,} under the first key"]
    parts += [
        f"{count:,} under key {number + 1}" for number, count in sorted(tally.opened_by.items()) if number and count
    ]
    parts += [f"{tally.lost:,} under none"] if tally.lost else []
    parts += [f"{moved.moved:,} moved now"] if moved is not None else []
    return f"{name:21} {tally.total:>7,} sealed: {', '.join(parts)}"
