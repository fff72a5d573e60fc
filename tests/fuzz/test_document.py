"""The service against its own document: no 5xx, no status that is not documented, no answer off its schema.

`make test` sends some thousand requests, always the same ones as far as that goes; `make fuzz` sends as many as it has
time for, never the same.
"""

import asyncio
import os
import shlex
import sys
from datetime import datetime
from pathlib import Path

from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from tests.browsers import Browser
from tests.fuzz.world import build, configuration
from tests.support import Api, Tenant

HERE = Path(__file__).parent
# what `make fuzz` asks for; nothing: the short run
FUZZ = os.environ.get("FUZZ")
SHORT = ["--seed=1", "--max-examples=6", "--no-shrink"]
SECONDS = 24 * 3600 if FUZZ else 420


async def test_the_service_is_as_documented(
    api: Api,
    owner: Browser,
    conn: db.Connection,
    settings: Settings,
    vault: Vault,
    tenant: Tenant,
    soon: datetime,
    tmp_path: Path,
) -> None:
    world = await build(api, owner, conn, settings, vault, tenant, soon)
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        configuration((HERE / "schemathesis.toml").read_text(), world, api.key, owner.cookie, short=not FUZZ)
    )
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        f"--config-file={config}",
        "run",
        str(api.client.make_url("/openapi.json")),
        "--checks=all",
        "--no-color",
        *(shlex.split(FUZZ) if FUZZ else SHORT),
        cwd=HERE.parents[1],
        stdout=None if FUZZ else asyncio.subprocess.PIPE,
        stderr=None if FUZZ else asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), timeout=SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, said.decode()[-20_000:] if said else "see above"
