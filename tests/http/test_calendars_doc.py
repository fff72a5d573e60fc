"""docs/calendars.md, as it stands there: its calls work, its commands are known, and it names what there is."""

import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import pytest

from app.cli import main
from app.core.settings import Settings
from app.domain.calendars import oauth
from app.domain.calendars.choices import POLICIES, STATUSES, StalePolicy
from app.web.consents import PATH
from tests.connecting import connected, google_for
from tests.support import Answer, Api, Servers, settings_for

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "calendars.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", DOCUMENT, flags=re.DOTALL | re.MULTILINE)
CALLS = [each for block in BLOCKS for each in re.split(r"^(?=curl )", block, flags=re.MULTILINE) if each[:5] == "curl "]


@pytest.fixture
async def settings(migrated: Servers) -> AsyncIterator[Settings]:
    async with google_for(settings_for(migrated)) as (_, known):
        yield known


async def called(api: Api, line: str, calendar: str) -> Answer:
    """What a line of the document is answered."""
    words = shlex.split(line.replace("\\\n", " "))
    (address,) = [each for each in words if each.startswith("$BASE")]
    path = address.removeprefix("$BASE").replace("$CALENDAR", calendar)
    body = words[words.index("-d") + 1].encode() if "-d" in words else None
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if body else "GET"
    return await api.call(method, path, body)


async def test_its_calls_work(api: Api) -> None:
    (calendar,) = await connected(api)
    await api.event_type(code="intro")
    assert len(CALLS) == 9
    for line in CALLS:
        answer = await called(api, line, calendar["id"])
        if '"caldav"' in line:
            # nobody answers at that address here
            assert [each["field"] for each in answer.json["errors"]] == ["url"], answer.raw
        else:
            assert answer.status in {200, 201}, (line, answer.raw)
    (shown,) = (await api.get("/v1/calendars")).ok()["calendars"]
    assert shown["stale_policy"] == "warn"


@pytest.mark.parametrize("line", re.findall(r"^slotwire (calendars .*?)(?: +#.*)?$", DOCUMENT, flags=re.MULTILINE))
def test_its_commands_are_known(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*shlex.split(line), "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(each in told for each in re.findall(r"--[a-z]+", line))


def test_it_names_what_there_is() -> None:
    named = set(re.findall(r"`([^`\s]+)`", DOCUMENT))
    assert named >= {*POLICIES, *STATUSES, *get_args(StalePolicy)}
    assert PATH in DOCUMENT
    for client in (
        oauth.client_of(Settings(env="development", google_client_id="x"), "google"),
        oauth.client_of(Settings(env="development", microsoft_client_id="x"), "microsoft"),
    ):
        assert client is not None
        assert named >= set(client.scopes)


def test_every_setting_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    missing = [name for name in Settings.model_fields if f"`SLOTWIRE_{name.upper()}`" not in readme]
    assert missing == []
