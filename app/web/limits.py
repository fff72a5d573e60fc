"""How often somebody may call: counted in windows, told in every answer, refused with a time to come back.

The one rule: a limit never makes a request fail that it does not mean to refuse. Counts are shared through Redis, in
portions, so that most requests ask nobody; while Redis is away each process counts for itself.

Source: draft-ietf-httpapi-ratelimit-headers (two fields, policy names are Structured Fields strings).
"""

import asyncio
import ipaddress
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import hdrs, web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.core.errors import RateLimited
from app.core.quota import Quota
from app.core.settings import type_network
from app.web.call import HEADERS

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTIONS = 100
_MOST_WINDOWS = 50_000
_PATIENCE_SECONDS = 0.25
_PAUSE_SECONDS = 1.0

# Takes up to ARGV[1] of what a window of ARGV[3] ms has left of ARGV[2]: [granted, taken in all, ms left].
_TAKE = """
local taken = tonumber(redis.call('GET', KEYS[1]) or '0')
local granted = math.max(0, math.min(tonumber(ARGV[1]), tonumber(ARGV[2]) - taken))
if granted > 0 then
    taken = redis.call('INCRBY', KEYS[1], granted)
    if taken == granted then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
end
return {granted, taken, redis.call('PTTL', KEYS[1])}
"""


@dataclass(slots=True)
class _Window:
    """ends_at: of the monotonic clock. ours: what this process may still hand out. taken: by all, as last heard."""

    ends_at: float
    ours: int
    taken: int


@dataclass(frozen=True, slots=True)
class Limit:
    """One of the limits that a request is under. policy: its name in the headers; who: what is counted by it."""

    policy: str
    who: str
    quota: Quota | None


class Limiter:
    """Counts requests. redis: shared counts; without it, or while it is away, this process has its own."""

    def __init__(self, redis: Redis | None) -> None:
        self._script = redis.register_script(_TAKE) if redis is not None else None
        self._windows: dict[tuple[str, str], _Window] = {}
        self._asking: dict[tuple[str, str], asyncio.Lock] = {}
        self._silent_until = 0.0

    async def check(self, request: web.Request, *limits: Limit) -> None:
        """Count the request under each limit, and say so in the answer's headers. Raises RateLimited."""
        counted = [(limit, limit.quota) for limit in limits if limit.quota is not None]
        if not counted:
            return
        told: list[tuple[str, Quota, int, int]] = []
        refused: RateLimited | None = None
        for limit, quota in counted:
            window = self._of_memory(limit, quota) or await self._ask(limit, quota)
            allowed = window.ours > 0
            window.ours -= allowed
            reset = max(1, math.ceil(window.ends_at - time.monotonic()))
            left = max(0, quota.count - window.taken + window.ours)
            told.append((limit.policy, quota, left, reset))
            if not allowed and refused is None:
                refused = RateLimited(
                    f"At most {quota.count} requests in {quota.seconds} seconds; try again in {reset} seconds.",
                    retry_after=reset,
                    policy=limit.policy,
                )
        _tell(request[HEADERS], told)
        if refused is not None:
            raise refused

    def _of_memory(self, limit: Limit, quota: Quota) -> _Window | None:
        """The window as far as this process knows it; None where others have to be asked."""
        window = self._windows.get((limit.policy, limit.who))
        if window is None or window.ends_at <= time.monotonic() or (window.ours <= 0 and window.taken < quota.count):
            return None
        return window

    async def _ask(self, limit: Limit, quota: Quota) -> _Window:
        """One at a time for each count: whoever comes meanwhile finds what the first one brought."""
        key = (limit.policy, limit.who)
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                while (window := self._of_memory(limit, quota)) is None:
                    await self._open(limit, quota)
                return window
        finally:
            if not lock.locked():
                self._asking.pop(key, None)

    async def _open(self, limit: Limit, quota: Quota) -> None:
        """Take the next portion: of everybody's count, or all of it where nobody else can be asked."""
        at = time.monotonic()
        taken = await self._take(limit, quota) if at >= self._silent_until else None
        known = self._windows.get((limit.policy, limit.who))
        if known is None or known.ends_at <= at:
            known = _Window(at + quota.seconds, 0, 0)
        if taken is None:
            window = _Window(known.ends_at, known.ours + quota.count - known.taken, quota.count)
        else:
            granted, total, left_ms = taken
            # with what is left of another portion, if two were asked for after all
            window = _Window(at + max(left_ms, 1) / 1000, granted + known.ours, total)
        if len(self._windows) >= _MOST_WINDOWS:
            self._forget(at)
        self._windows[limit.policy, limit.who] = window

    async def _take(self, limit: Limit, quota: Quota) -> tuple[int, int, int] | None:
        if self._script is None:
            return None
        portion = max(1, quota.count // _PORTIONS)
        key = f"slotwire:limit:{limit.policy}:{limit.who}"
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                granted, total, left = await self._script([key], [portion, quota.count, quota.seconds * 1000])
        except (RedisError, OSError, TimeoutError):
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            return None
        return int(granted), int(total), int(left)

    def _forget(self, at: float) -> None:
        """Windows that are over; all of them where that is not enough, so that memory has a bound."""
        self._windows = {key: window for key, window in self._windows.items() if window.ends_at > at}
        if len(self._windows) >= _MOST_WINDOWS:
            self._windows.clear()


def _tell(headers: dict[str, str], told: Iterable[tuple[str, Quota, int, int]]) -> None:
    policies = [f'"{policy}";q={quota.count};w={quota.seconds}' for policy, quota, _, _ in told]
    states = [f'"{policy}";r={left};t={reset}' for policy, _, left, reset in told]
    for name, values in (("RateLimit-Policy", policies), ("RateLimit", states)):
        headers[name] = ", ".join([*([headers[name]] if name in headers else []), *values])


def caller_of(request: web.Request, trusted: Iterable[type_network]) -> Address | None:
    """Who calls. X-Forwarded-For is believed from the trusted networks only, and from right to left: what stands before
    the first stranger anybody could have written. None: no address at all (a socket of this machine's)."""
    hops = [request.remote or ""]
    hops += reversed(",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, [])).split(","))
    found: Address | None = None
    for hop in hops:
        try:
            address = ipaddress.ip_address(hop.strip())
        except ValueError:
            break
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        found = mapped or address
        if not any(found in network for network in trusted):
            break
    return found


def address_of(request: web.Request, trusted: Iterable[type_network]) -> str:
    """Who calls, for counting: an IPv4 address or an IPv6 network of 64 bits."""
    found = caller_of(request, trusted)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found) if found is not None else "unknown"
