"""The demo organization of a first `slotwire up`: something to look at, and one line that books it.

The one rule: development only. Its password and key are kept in the data directory, so that every later start can
print them again; a production installation has no such file.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from app.bootstrap import Wanted, bootstrap
from app.core import db
from app.core.db import Connection
from app.core.settings import Settings
from app.core.times import iso_epoch
from app.core.vault import Vault
from app.domain.availability.service import find_open_slots
from app.domain.event_types.models import EventTypeFields, HostRef
from app.domain.event_types.service import create_event_type, list_event_types
from app.domain.identity.models import Caller
from app.domain.identity.organizations import find_user_by_email

_EMAIL = "demo@example.com"
_CODE = "intro"
# whoever tries it out with `slotwire torture` is welcome to
_LIMIT = "60000/m"
_LOOK_AHEAD = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Demo:
    """What the terminal shows: the log-in, the key, and a `curl` line that books the next open slot."""

    email: str
    password: str
    api_key: str
    curl: str


@dataclass(frozen=True, slots=True)
class _Credentials:
    email: str
    password: str
    api_key: str


async def prepare_demo(settings: Settings) -> Demo:
    """Make the demo organization if it is not there, and a fresh `curl` line in any case."""
    kept = settings.data_dir / "demo.json"
    async with db.open_pool(settings.database_url, size=1, name="slotwire-demo") as pool, db.acquire(pool) as conn:
        now = datetime.now(UTC)
        known = _read(kept)
        credentials = await db.run(conn, lambda conn: _ensure(conn, settings, known, now))
        if credentials != known:
            _write(kept, credentials)
        curl = await _curl(conn, settings, credentials.api_key, now)
    return Demo(credentials.email, credentials.password, credentials.api_key, curl)


def _read(kept: Path) -> _Credentials | None:
    return _Credentials(**json.loads(kept.read_text())) if kept.exists() else None


def _write(kept: Path, credentials: _Credentials) -> None:
    descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(credentials), file)


async def _ensure(conn: Connection, settings: Settings, known: _Credentials | None, now: datetime) -> _Credentials:
    """The file and the database may have lost each other (a deleted directory, another database): then a new key is
    made for the same organization, and a new organization for the same file."""
    password = known.password if known else secrets.token_urlsafe(12)
    wanted = Wanted("Demo", _EMAIL, password, username="demo", new_key=known is None, limit=_LIMIT)
    made = await bootstrap(conn, wanted, Vault(settings.secret_keys), now)
    if not await list_event_types(conn, made.org_id, None, 1):
        await create_event_type(conn, made.org_id, _intro(HostRef(made.user_id)), now)
    if made.api_key is None and known is not None:
        return known
    return _Credentials(_EMAIL, password, made.api_key or "")


def _intro(host: HostRef) -> EventTypeFields:
    return EventTypeFields(
        code=_CODE,
        slug=_CODE,
        title="Introduction",
        description="Half an hour to get to know each other.",
        hosts=(host,),
    )


async def _curl(conn: Connection, settings: Settings, api_key: str, now: datetime) -> str:
    owner = await find_user_by_email(conn, _EMAIL)
    assert owner is not None, "the demo's owner was made a moment ago"  # noqa: S101
    # whoever plays with it may have archived the first one
    code = (await list_event_types(conn, owner[0], None, 1))[0].code
    found = await find_open_slots(
        conn, Caller(owner[0]), code, now, now + _LOOK_AHEAD, duration=None, host_id=None, now=now
    )
    # the second one: the first may begin before it is pasted
    start = found.starts[1] if len(found.starts) > 1 else int((now + _LOOK_AHEAD).timestamp())
    body = {
        "event_type": code,
        "requested_time": iso_epoch(start),
        "attendee": {"name": "Jane Smith", "email": "jane@example.com", "timezone": "Europe/Berlin"},
    }
    return (
        f"curl -sS {settings.public_url}/v1/bookings -H 'Authorization: Bearer {api_key}' "
        f"-H 'Content-Type: application/json' -d '{orjson.dumps(body).decode()}'"
    )
