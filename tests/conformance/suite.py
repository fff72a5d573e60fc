"""The official conformance suite as a program: what it checked, and how that ended."""

import asyncio
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.test_verifiers import node

PACKAGES = Path(__file__).parent / "node_modules"
PROGRAM = PACKAGES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
# what `make conformance` sets: the suite's own report, for a reader
SHOWN = bool(os.environ.get("CONFORMANCE"))
PASSED, INFORMATION = "SUCCESS", "INFO"
_SECONDS = 120
_FOLDER = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z")
_LINE = re.compile(r"^[✓✗] ([\w/-]+): \d+ passed", re.MULTILINE)


@dataclass(frozen=True)
class Check:
    scenario: str
    name: str
    status: str
    message: str

    def __str__(self) -> str:
        return f"{self.scenario}:{self.name} {self.status} {self.message}".rstrip()


async def run(url: str, revision: str, folder: Path) -> list[Check]:
    """Everything that the suite has for servers of this revision, required by it or not. What it only notes is left
    out; every scenario that it names left its checks."""
    assert PROGRAM.exists(), "the suite is not installed: run make test, or make conformance, which install it"
    process = await asyncio.create_subprocess_exec(
        *(node(), str(PROGRAM), "server", "--url", url, "--requirements", revision, "--output-dir", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), timeout=_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    if SHOWN:
        print(said.decode())
    checks = _checks(folder)
    assert {check.scenario for check in checks} == set(_LINE.findall(said.decode())), said.decode()[-5000:]
    return [check for check in checks if check.status != INFORMATION]


def _checks(folder: Path) -> list[Check]:
    return [check for path in sorted(folder.rglob("checks.json")) for check in _checks_of(path)]


def _checks_of(path: Path) -> list[Check]:
    found = _FOLDER.fullmatch(path.parent.name)
    assert found, path
    return [
        Check(found[1], each["id"], each["status"], each.get("errorMessage") or "")
        for each in json.loads(path.read_text())
    ]
