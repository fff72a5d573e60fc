"""`slotwire calendars reconcile` as an operator meets it, and what `slotwire doctor` says about calendars."""

import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from app.cli import main
from app.core import db
from app.core.settings import Settings
from app.doctor import Finding, examine
from tests.connecting import caldav_account
from tests.support import Api, Tenant, booking_body, environment_for


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def reconcile(settings: Settings, *arguments: str, **changes: str) -> Done:
    """The command in a thread of this process, which is a second faster than one of its own."""
    out, err = io.StringIO(), io.StringIO()

    def run() -> int:
        try:
            return main(["calendars", "reconcile", *arguments])
        except SystemExit as misuse:
            return int(misuse.code or 0)

    environment = patch.dict(os.environ, {**environment_for(settings), **changes})
    with environment, redirect_stdout(out), redirect_stderr(err), ThreadPoolExecutor(1) as thread:
        code = thread.submit(run).result()
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture
async def calendar(api: Api, soon: datetime) -> str:
    """One whose server is not there, with a booking that it has no entry of."""
    shown = await caldav_account(api)
    event_type = await api.event_type(booking_window_days=None)
    (await api.post("/v1/bookings", booking_body(event_type["code"], soon + timedelta(hours=9)))).ok(201)
    return shown


def test_what_differs_is_listed_and_mended(settings: Settings, calendar: str) -> None:
    found = reconcile(settings, "--calendar", calendar)
    assert (found.returncode, found.stderr) == (1, "")
    first, second = found.stdout.splitlines()
    assert first == f"{calendar} caldav ana@127.0.0.1:9: 1 not_written, not looked at (unreachable)"
    assert second.strip().startswith("not_written bkg_")
    mended = reconcile(settings, "--calendar", calendar, "--repair", "--json")
    (line,) = [json.loads(each) for each in mended.stdout.splitlines()]
    assert (line["calendar_id"], line["repaired"], line["in_step"]) == (calendar, 1, False)
    assert (line["provider"], line["account"], line["counts"]["not_written"]) == ("caldav", "ana@127.0.0.1:9", 1)
    after = reconcile(settings, "--calendar", calendar).stdout
    assert after == f"{calendar} caldav ana@127.0.0.1:9: 1 on their way, not looked at (unreachable)\n"


def test_all_of_them_are_looked_at(settings: Settings, calendar: str) -> None:
    found = reconcile(settings, "--all", "--json")
    assert calendar in {json.loads(line)["calendar_id"] for line in found.stdout.splitlines()}


@pytest.mark.parametrize("named", ["cal_x", "usr_01h2xcejqtf2nbrexx3vqjhp41", "cal_01h2xcejqtf2nbrexx3vqjhp41"])
def test_a_calendar_that_there_is_not_is_one_line(settings: Settings, named: str) -> None:
    done = reconcile(settings, "--calendar", named)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line == f"slotwire: No calendar {named}; look for its id (cal_…) in GET /v1/calendars, or use --all."


def test_one_has_to_say_which(settings: Settings) -> None:
    for arguments in ([], ["--all", "--calendar", "cal_x"]):
        assert reconcile(settings, *arguments).returncode == 2


async def found(settings: Settings, **changes: Any) -> list[Finding]:
    return [each async for each in examine(settings.model_copy(update=changes)) if each.subject == "calendars"]


@pytest.fixture
async def rows(conn: db.Connection) -> db.Connection:
    """Connections of this test's own are all that there are."""
    await conn.execute("update calendar_connections set status = 'disconnected', credentials_sealed = ''")
    return conn


async def test_doctor_says_what_can_be_connected(settings: Settings, rows: db.Connection) -> None:
    (nothing,) = await found(settings)
    assert (nothing.state, nothing.detail) == ("ok", "CalDAV can be connected; 0 accounts in use")
    (known,) = await found(settings, google_client_id="x", google_client_secret="y")
    assert known.detail.startswith("Google, CalDAV can be connected")
    half, _ = await found(settings, microsoft_client_id="x")
    assert (half.state, half.advice) == ("fail", "set SLOTWIRE_MICROSOFT_CLIENT_SECRET")


async def test_doctor_knows_accounts_that_cannot_be_used(
    settings: Settings, rows: db.Connection, tenant: Tenant, api: Api
) -> None:
    await caldav_account(api)
    for status, state, words in (
        ("needs_reauth", "warn", "1 account must be connected again"),
        ("paused", "warn", "changes of 1 account are held back"),
    ):
        await rows.execute("update calendar_connections set status = $2 where org_id = $1", tenant.org_id, status)
        first, last = await found(settings)
        assert (first.state, first.detail) == (state, words)
        assert first.advice
        assert last.state == "ok"
    other = "b3RoZXItc2xvdHdpcmUtdGVzdHMta2V5LW9ubHk9PT0="
    lost = [each for each in await found(settings, secret_keys=(other,)) if each.state == "fail"]
    assert [each.detail for each in lost] == ["the credentials of 1 account open with no key"]
    await rows.execute("update calendar_connections set provider = 'google' where org_id = $1", tenant.org_id)
    gone = [each for each in await found(settings) if each.state == "fail"]
    assert [each.detail for each in gone] == ["1 account of Google, which is not set up"]
    assert "SLOTWIRE_GOOGLE_CLIENT_ID" in gone[0].advice
