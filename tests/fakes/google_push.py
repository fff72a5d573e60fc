"""The fake Google's push channels ("Push notifications": first `sync`, then `exists`, with growing numbers)."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp

from tests.fakes.google_store import ApiError, Calendar, Json

_LONGEST = timedelta(days=30)
_DEFAULT = timedelta(days=7)


@dataclass
class PushChannel:
    id: str
    resource_id: str
    calendar: str
    account: str
    address: str
    token: str
    expires_at: datetime
    number: int = 0


@dataclass(frozen=True)
class Push:
    """One that was sent. status: None where nobody answered."""

    headers: dict[str, str]
    status: int | None


class Pushes:
    """lose_pushes: nothing is sent. duplicate_pushes: everything twice. held: while it is a list, pushes wait in it for
    `release`, which may send them in another order."""

    def __init__(self) -> None:
        self.channels: dict[str, PushChannel] = {}
        self.lose_pushes = False
        self.duplicate_pushes = False
        self.held: list[tuple[str, dict[str, str]]] | None = None
        self.pushes: list[Push] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None

    def open_channel(self, account: str, calendar: Calendar, asked: Json) -> PushChannel:
        """Raises ApiError, with Google's reasons."""
        if asked.get("type") != "web_hook" or not asked.get("id") or not asked.get("address"):
            raise ApiError(400, "required", "Required: id, type, address")
        if asked["id"] in self.channels:
            raise ApiError(400, "channelIdNotUnique", "Channel id not unique")
        if not asked["address"].startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise ApiError(400, "push.webhookUrlNotHttps", "WebHook callback must be HTTPS")
        if calendar.role == "reader" and calendar.id.endswith("@group.v.calendar.google.com"):
            raise ApiError(400, "pushNotSupportedForRequestedResource", "Push notifications are not supported.")
        now = datetime.now(UTC)
        wanted = asked.get("expiration")
        until = datetime.fromtimestamp(int(wanted) / 1000, UTC) if wanted else now + _DEFAULT
        channel = PushChannel(
            asked["id"],
            f"res-{len(self.channels)}-{calendar.id}",
            calendar.id,
            account,
            asked["address"],
            asked.get("token", ""),
            min(until, now + _LONGEST),
        )
        self.channels[channel.id] = channel
        self._tell(channel, "sync")
        return channel

    def stop_channel(self, account: str, asked: Json) -> None:
        channel = self.channels.get(asked.get("id", ""))
        if channel is None or channel.account != account or channel.resource_id != asked.get("resourceId"):
            raise ApiError(404, "notFound", "Channel not found")
        del self.channels[channel.id]

    def expire_channels(self) -> None:
        """They have run out, and nobody is told."""
        for channel in self.channels.values():
            channel.expires_at = datetime.now(UTC)

    def changed(self, calendar: Calendar) -> None:
        for channel in list(self.channels.values()):
            if channel.calendar == calendar.id:
                self._tell(channel, "exists")

    def push_to(self, calendar: str) -> None:
        """A push although nothing has changed, as it happens."""
        for channel in list(self.channels.values()):
            if channel.calendar == calendar:
                self._tell(channel, "exists")

    def release(self, *, backwards: bool = False) -> None:
        """Send what was held, and hold no more."""
        held, self.held = self.held or [], None
        for address, headers in reversed(held) if backwards else held:
            self._send(address, headers)

    async def settled(self) -> None:
        """Once every push that was sent has been answered."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def stop_pushing(self) -> None:
        await _ended(self._tasks)
        if self._client is not None:
            await self._client.close()

    def _tell(self, channel: PushChannel, state: str) -> None:
        if channel.expires_at <= datetime.now(UTC):
            return
        channel.number += 1
        headers = {
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Channel-Expiration": format_datetime(channel.expires_at, usegmt=True),
            "X-Goog-Message-Number": str(channel.number),
            "X-Goog-Resource-ID": channel.resource_id,
            "X-Goog-Resource-State": state,
            "X-Goog-Resource-URI": f"https://www.googleapis.com/calendar/v3/calendars/{channel.calendar}/events?alt=json",
        }
        if channel.token:
            headers["X-Goog-Channel-Token"] = channel.token
        if self.lose_pushes:
            return
        for _ in range(2 if self.duplicate_pushes else 1):
            if self.held is None:
                self._send(channel.address, headers)
            else:
                self.held.append((channel.address, headers))

    def _send(self, address: str, headers: dict[str, str]) -> None:
        task = asyncio.create_task(self._post(address, headers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, address: str, headers: dict[str, str]) -> None:
        if self._client is None:
            self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        status = None
        try:
            async with self._client.post(address, headers=headers, data=b"") as response:
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            pass
        self.pushes.append(Push(headers, status))


async def _ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    left = list(tasks)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
