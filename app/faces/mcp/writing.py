"""How a tool writes: for real, once for each idempotency key, or only for show.

The one rule: a dry run is the real thing, taken back. It is decided by the same statements, under the same locks, and
ends as a transaction that never was; so what it says is what would have happened.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from app.core import db, idempotency
from app.core.db import Connection
from app.faces.mcp.shapes import WritingIn
from app.web.call import Call

Make = Callable[[Connection], Awaitable[dict[str, Any]]]

_WORDS = idempotency.Words(
    running="The first call with this idempotency_key is still running; repeat it in a second.",
    reused="This idempotency_key was used for another call within 24 hours. A new action needs a new key; a retry "
    "repeats the first call's arguments unchanged.",
)


class _Undone(Exception):
    def __init__(self, shown: dict[str, Any]) -> None:
        super().__init__()
        self.shown = shown


async def write(call: Call, tool: str, given: WritingIn, make: Make) -> dict[str, Any]:
    """What `make` returns: now, or as it was for the first call with this key, or with `dry_run` as it would be."""
    if given.dry_run:
        return await _rehearse(call, make)
    if given.idempotency_key is None:
        return await call.write(make)
    # an agent makes up its keys, and two make up the same: they meet nobody else's
    key = f"mcp {call.principal.key_id} {given.idempotency_key}"
    asked = given.model_dump(mode="json", exclude={"idempotency_key"})
    fingerprint = hashlib.sha256(orjson.dumps([tool, asked], option=orjson.OPT_SORT_KEYS)).digest()

    async def write_once(conn: Connection) -> dict[str, Any]:
        async def body(conn: Connection) -> bytes:
            return orjson.dumps(await make(conn))

        about = (call.principal.org_id, key, fingerprint, body, call.vault)
        kept, is_replay = await idempotency.once(conn, *about, words=_WORDS, now=call.now)
        shown: dict[str, Any] = orjson.loads(kept)
        return {"idempotent_replay": True, **shown} if is_replay else shown

    return await call.write(write_once)


def is_new(shown: dict[str, Any]) -> bool:
    """Whether something was made: it is neither for show, nor shown again."""
    return not {"dry_run", "idempotent_replay"} & shown.keys()


async def _rehearse(call: Call, make: Make) -> dict[str, Any]:
    async def take_back(conn: Connection) -> None:
        raise _Undone(await make(conn))

    try:
        await db.run(call.conn, take_back)
    except _Undone as undone:
        return {"dry_run": True, **undone.shown}
    raise AssertionError("a rehearsal ends by being taken back")
