"""What tests of the public face share: somebody without a key, public addresses, links in mails, time that passes."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from aiohttp import web
from aiohttp.test_utils import TestClient

from app.core import db
from app.core.ids import Kind, decode, new_id
from app.core.vault import Vault
from app.domain.bookings.tokens import Purpose, mint
from tests.support import Answer, Api, Tenant

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PROGRAM = {"Accept": "application/json"}


@dataclass
class Anybody:
    """A caller without a key."""

    client: TestClient[web.Request, web.Application]

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        response = await self.client.request(method, path, data=data, headers=given)
        return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.call("POST", path, body, **headers)

    async def press(self, path: str) -> Answer:
        """What a browser sends when the button of a page is pressed."""
        return await self.call("POST", path, b"", Content_Type="application/x-www-form-urlencoded", **BROWSER)


def address(event_type: Any) -> str:
    """Where an event type can be booked by anybody."""
    return f"/v1/book{urlsplit(event_type['booking_url']).path}"


def visit_body(start: datetime, **changes: Any) -> dict[str, Any]:
    """Seed 003's."""
    return {
        "attendee_name": "Jason Johnson",
        "attendee_email": "jason@example.com",
        "start_time": start.isoformat(),
        "timezone": "America/Chicago",
        **changes,
    }


async def confirm_token(conn: db.Connection, vault: Vault, tenant: Tenant, booking_id: str) -> str:
    """What the mail to the host holds."""
    sealed = await conn.fetchval("select secret_sealed from organizations where id = $1", tenant.org_id)
    return mint(vault.unseal(sealed), Purpose.CONFIRM, tenant.org_id, uuid_of(booking_id), 0)


async def events(conn: db.Connection, tenant: Tenant) -> list[str]:
    rows = await conn.fetch("select type from events where org_id = $1 order by at, id", tenant.org_id)
    return [row["type"].removeprefix("booking.") for row in rows]


async def reminder(conn: db.Connection, org_id: UUID, address: str = "Jane.Smith@Example.com") -> UUID:
    """A mail that was sent, with a link to end such mails."""
    mail_id = new_id()
    await conn.execute(
        """
        insert into mails (org_id, id, kind, role, recipient, happened_at, created_at, outcome, settled_at)
        values ($1, $2, 'reminder', 'attendee', $3, $4, $4, 'sent', $4)
        """,
        *(org_id, mail_id, address, datetime.now(UTC)),
    )
    return mail_id


async def let_it_be_over(conn: db.Connection, booking_id: str) -> None:
    """As if the booking had ended a second ago."""
    await conn.execute(
        """
        update bookings set starts_at = now() - interval '1 hour', ends_at = now() - interval '1 second' where id = $1
        """,
        uuid_of(booking_id),
    )


async def status_of(api: Api, booking_id: str) -> str:
    return str((await api.get(f"/v1/bookings/{booking_id}")).ok()["booking"]["status"])


def uuid_of(booking_id: str) -> UUID:
    found = decode(Kind.BOOKING, booking_id)
    assert found is not None
    return found
