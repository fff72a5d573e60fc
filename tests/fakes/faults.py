"""What can go wrong between a client and a provider, at will: a slow line, a refusal, an answer that is lost."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """A request that came. status: 0 where the connection was dropped."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    status: int


@dataclass
class Fault:
    """status 0: the connection ends without an answer. after: what was asked for is done first."""

    pattern: re.Pattern[str]
    status: int
    times: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    after: bool = False


class Faults:
    """latency: seconds before every answer. quota: so many calls are left before 403 rateLimitExceeded; None: any."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.latency = 0.0
        self.quota: int | None = None
        self._faults: list[Fault] = []

    def fail_next(
        self, pattern: str, status: int, times: int = 1, headers: dict[str, str] | None = None, body: Any = None
    ) -> None:
        """pattern: a regular expression that is looked for in `METHOD path`."""
        self._faults.append(Fault(re.compile(pattern), status, times, headers or {}, body))

    def drop_next(self, pattern: str, times: int = 1, *, after: bool = True) -> None:
        """Answers are lost; after: what was asked for is done all the same."""
        self._faults.append(Fault(re.compile(pattern), 0, times, after=after))

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()
        self.quota, self.latency = None, 0.0

    def take(self, method: str, path: str) -> Fault | None:
        for fault in self._faults:
            if fault.times > 0 and fault.pattern.search(f"{method} {path}"):
                fault.times -= 1
                return fault
        return None

    def over_quota(self) -> bool:
        if self.quota is None:
            return False
        self.quota -= 1
        return self.quota < 0

    async def wait(self) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)

    def calls_of(self, pattern: str) -> list[Call]:
        return [call for call in self.calls if re.search(pattern, f"{call.method} {call.path}")]
