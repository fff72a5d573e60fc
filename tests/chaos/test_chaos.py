"""Whatever is killed: nothing that was acknowledged is lost, nothing is booked twice, and every receiver that lives
gets every event.

`make test` breaks everything once or twice; `make chaos` goes on for five minutes, each time in another order.
"""

import logging
import os
from pathlib import Path

import pytest

from tests.chaos.scenario import options, run

# what `make chaos` asks for; nothing: the short run
CHAOS = os.environ.get("CHAOS")


async def test_nothing_is_lost_whatever_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # the suite's own pool hears of each death of the database, too
    caplog.set_level(logging.ERROR, "asyncpg.pool")
    wanted = options(CHAOS)
    print(f"\nseed {wanted.seed}; the same order and victims again: make chaos ARGS='{wanted.again}'\n")
    outcome = await run(tmp_path, wanted)
    print(outcome.text)
    if wanted.report:
        wanted.report.write_text(outcome.text + "\n")
    wrong = {check: complaints[:20] for check, complaints in outcome.audit.complaints.items() if complaints}
    assert wrong == {}
