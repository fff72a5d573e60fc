"""What tests of keys with limits share: such keys, and what they are refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.core import db
from app.core.ids import Kind, decode
from app.core.vault import Vault
from app.domain.bookings.models import Actor, Booking
from app.domain.bookings.reserve import Reservation, reserve
from app.domain.identity.keys import authenticate
from app.domain.identity.organizations import get_user
from tests.browsers import Browser
from tests.support import Answer, Api, Tenant

BOOKING = ("bookings:read", "bookings:write", "slots:read")


async def make_key(owner: Browser, *scopes: str, **fields: Any) -> Any:
    """A key for bookings, unless it is said what for; limits, requires_approval: as `/api/keys` takes them."""
    key = {"name": "Agent", "scopes": list(scopes or BOOKING), **fields}
    return (await owner.post("/api/keys", {"key": key})).ok(201)["data"]


async def with_limits(api: Api, owner: Browser, *, requires_approval: bool = False, **limits: Any) -> Api:
    """The service as a key with these limits sees it."""
    made = await make_key(owner, limits=limits or None, requires_approval=requires_approval)
    return Api(api.client, made["secret"])


def beyond(answer: Answer, *reasons: str) -> str:
    """It was refused for these limits of the key; what the refusal tells."""
    problem = answer.ok(403)
    assert (problem["code"], problem["reasons"]) == ("budget_exceeded", list(reasons)), problem
    assert problem["detail"].endswith("For anything else, ask a person of the organization.")
    detail: str = problem["detail"]
    return detail


async def counted(conn: db.Connection, tenant: Tenant) -> list[int]:
    """How often each key of the organization has booked on its last day."""
    rows = await conn.fetch("select bookings from key_days where org_id = $1 order by key_id", tenant.org_id)
    return [row["bookings"] for row in rows]


async def reserved(
    conn: db.Connection, vault: Vault, key: str, resource: Any, start: datetime, hours: float = 1
) -> Booking:
    """A reservation by a key, as the MCP server makes one."""
    now, resource_id = datetime.now(UTC), decode(Kind.RESOURCE, resource["id"])
    assert resource_id is not None
    principal = await authenticate(conn, key, vault, now)
    wanted = Reservation(resource_id, start, start + timedelta(hours=hours))
    async with conn.transaction():
        user = await get_user(conn, principal)
        made = await reserve(conn, principal, wanted, user, Actor("api", principal.key_id), now)
    return made.booking
