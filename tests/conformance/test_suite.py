"""The official conformance suite against `/mcp`: the product as it is, and a fixture with all that the suite can ask
for behind the same door, bridge and engine; both revisions."""

from pathlib import Path

import pytest

from app.core.settings import Settings
from app.faces.mcp.engine import ENGINE, Engine
from app.main import build_app
from tests.agents import HANDSHAKE, MODERN
from tests.conformance.expected import FIXTURE, PRODUCT, Exceptions, unexpected
from tests.conformance.fixture import make_manager
from tests.conformance.gate import gate
from tests.conformance.suite import PASSED, SHOWN, Check, run
from tests.conftest import AiohttpClient
from tests.support import Api, Tenant

# how many of the suite's checks pass: fewer would mean that it no longer looks
PASSING = {
    ("product", MODERN): 96,
    ("product", HANDSHAKE): 35,
    ("fixture", MODERN): 159,
    ("fixture", HANDSHAKE): 63,
}


@pytest.mark.parametrize("revision", [MODERN, HANDSHAKE])
async def test_the_product(api: Api, revision: str, tmp_path: Path) -> None:
    """With a key for everything: every tool is listed, and each of their schemas is looked at."""
    async with gate(api.key, str(api.client.make_url("/mcp"))) as url:
        checks = await run(url, revision, tmp_path)
    judge("product", revision, checks, PRODUCT[revision])


@pytest.mark.parametrize("revision", [MODERN, HANDSHAKE])
# of what the older revision has and the newer one is about to lose
@pytest.mark.filterwarnings("ignore:The logging capability is deprecated")
async def test_the_fixture(
    aiohttp_client: AiohttpClient, settings: Settings, tenant: Tenant, revision: str, tmp_path: Path
) -> None:
    app = build_app(settings)
    app[ENGINE] = Engine(make_manager)
    client = await aiohttp_client(app)
    async with gate(tenant.api_key, str(client.make_url("/mcp"))) as url:
        checks = await run(url, revision, tmp_path)
    judge("fixture", revision, checks, FIXTURE[revision])


def judge(target: str, revision: str, checks: list[Check], exceptions: Exceptions) -> None:
    faults, passed = unexpected(checks, exceptions), sum(check.status == PASSED for check in checks)
    if SHOWN:
        print(f"The {target}, {revision}: {passed} checks passed, {len(faults)} faults. Expected not to pass:")
        for reason in dict.fromkeys(exceptions.values()):
            print(f"- {reason}", *(f"    {name}" for name, why in exceptions.items() if why == reason), sep="\n")
    assert faults == []
    assert passed == PASSING[target, revision]


def test_an_exception_excuses_what_it_names_and_nothing_else() -> None:
    good, bad = Check("a", "x", PASSED, ""), Check("a", "y", "FAILURE", "no")
    assert unexpected([good, bad], {}) == ["a:y FAILURE no"]
    assert unexpected([good, bad], {"a:y": "known"}) == []
    assert unexpected([good, bad], {"a": "known"}) == []
    assert unexpected([good, bad], {"a:x": "known"}) == ["a:y FAILURE no", "a:x passes by now: take it out"]
    assert unexpected([good], {"a": "known"}) == ["a passes by now: take it out"]
    assert unexpected([Check("a", "z", "SKIPPED", ""), Check("b", "w", "WARNING", "")], {}) == [
        "a:z SKIPPED",
        "b:w WARNING",
    ]


def test_the_suite_is_installed_from_whatever_registry_there_is() -> None:
    """The lock names versions and hashes; which registry has them is for whoever installs."""
    lock = (Path(__file__).parent / "package-lock.json").read_text()
    assert '"integrity"' in lock
    assert '"resolved"' not in lock
    assert "registry" not in lock
