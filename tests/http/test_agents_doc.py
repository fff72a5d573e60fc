"""docs/agents.md, as it stands there: the plain client, the message by hand, the key, and the table of tools."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from app.faces.mcp.tools import TOOLS
from tests.browsers import Browser
from tests.offers import offer
from tests.support import Api

DOCUMENT = (Path(__file__).parents[2] / "docs" / "agents.md").read_text()


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, flags=re.DOTALL | re.MULTILINE)
    return str(found)


async def run(api: Api, *command: str) -> str:
    """What it prints. Nothing of the test's own environment but what the document names."""
    url = str(api.client.make_url("")).rstrip("/")
    environment = {"PATH": os.environ["PATH"], "SLOTWIRE_URL": url, "SLOTWIRE_KEY": api.key}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    told, complained = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complained.decode()
    return told.decode()


async def test_the_plain_client_books(api: Api) -> None:
    await offer(api, title="Intro")
    told = await run(api, sys.executable, "-c", block("python"))
    assert re.fullmatch(r"Is (\w{3} \d{4}-\d\d-\d\d \d\d:\d\d) fine\?\nSCHEDULED \1\n", told), told
    assert len((await api.get("/v1/bookings")).ok()["bookings"]) == 1


async def test_a_message_by_hand_is_answered(api: Api) -> None:
    await offer(api, title="Intro")
    told = json.loads(await run(api, "sh", "-c", block("sh")))
    assert told["result"]["structuredContent"]["event_types"][0]["title"] == "Intro"


async def test_the_documented_key_is_made(owner: Browser) -> None:
    (given,) = re.findall(r"/api/keys .* -d '(\{.*?\n    \})'", DOCUMENT, flags=re.DOTALL)
    made = (await owner.post("/api/keys", json.loads(given))).ok(201)["data"]
    assert (made["requires_approval"], made["limits"]["bookings_per_day"]) == (True, 20)
    assert made["tools"] == ["list_event_types", "list_slots", "create_booking", "cancel_booking", "get_booking"]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_tool_is_documented_with_its_arguments(tool: object) -> None:
    (known,) = [each for each in TOOLS if each is tool]
    row = re.search(rf"^\| `{known.name}` \| (yes)? ?\| (.*) \|$", DOCUMENT, flags=re.MULTILINE)
    assert row is not None
    assert bool(row[1]) is known.writes
    required, _, optional = row[2].partition("[")
    schema = known.advertised()["inputSchema"]
    named = set(re.findall(r"[a-z_]{2,}", required.split("(")[0]))
    assert named == set(schema.get("required", ()))
    assert named | set(re.findall(r"[a-z_]+", optional)) == set(schema["properties"])
