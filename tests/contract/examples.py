"""The seeds' own examples, as the files beside this one quote them, and what has to differ when they are sent: ids
exist here only, and their dates have passed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support import Api

_SEEDS = Path(__file__).parent / "seeds"


def seed(number: str) -> Any:
    return json.loads((_SEEDS / f"{number}.json").read_text())


def later(text: str) -> str:
    """The same time of day some weeks ahead, on the same day of the week."""
    then = datetime.fromisoformat(text)
    weeks = (datetime.now(UTC) - then).days // 7 + 3
    return (then + weeks * timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def half_hours(api: Api, **fields: Any) -> Any:
    """An event type as the seeds mean it: half an hour, at any time."""
    schedule = (await api.always_open())["id"]
    return await api.event_type(schedule_id=schedule, booking_window_days=None, **fields)


def served(routes: Any) -> set[str]:
    return {f"{route.method} {route.path}" for route in routes}
