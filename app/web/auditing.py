"""Entries of the audit log from requests: who called, by what, from where."""

from typing import Any

from app.core.db import Connection
from app.domain.identity import audit
from app.domain.identity.audit import Doer
from app.web.call import Asked, Call
from app.web.sessions import where_of


def doer_of(call: Call) -> Doer:
    principal, address = call.principal, where_of(call.request).address
    if principal.key_id is not None:
        return Doer("api_key", principal.key_id, address)
    return Doer("user", principal.user_id, address)


def visitor(asked: Asked, user_id: Any) -> Doer:
    """Somebody who proves, or fails to prove, to be this person."""
    return Doer("user", user_id, where_of(asked.request).address)


async def note(conn: Connection, call: Call, action: str, target: str, **details: Any) -> None:
    """In the transaction of what it tells. action: `key.created`; target: the thing's id on the wire."""
    await audit.note(conn, call.principal.org_id, doer_of(call), action, target, details, call.now)
