"""Graph's subscriptions: the handshake, notifications of changes, and what concerns a subscription itself.

Source: Microsoft Graph, "Receive change notifications through webhooks", "Reduce missing subscriptions and change
notifications", resource type subscription.
"""

import asyncio
import itertools
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web

from tests.fakes import described_graph as described
from tests.fakes.graph_store import MAILBOX, Json

LONGEST = timedelta(minutes=4230)
_PATIENCE = aiohttp.ClientTimeout(total=10)


@dataclass
class Subscription:
    id: str
    given: Json
    expires_at: datetime

    @property
    def shown(self) -> Json:
        """clientState is never told again."""
        told = {name: value for name, value in self.given.items() if name != "clientState"}
        expires = self.expires_at.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
        return {**told, "id": self.id, "applicationId": "slotwire", "expirationDateTime": expires, "clientState": None}


class Subscriptions:
    """lose_pushes: nobody is told. duplicate_pushes: each is told twice. held: while it is a list, pushes wait in it
    for `release`, which may send them in another order. answers: of whoever was told; 0: none."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.subscriptions: dict[str, Subscription] = {}
        self.pushes: list[tuple[str, Json]] = []
        self.answers: list[int] = []
        self.lose_pushes = False
        self.duplicate_pushes = False
        self.held: list[tuple[str, Json]] | None = None
        self._numbers = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def add_subscriptions(self, app: web.Application) -> None:
        app.router.add_post("/v1.0/subscriptions", self._create_subscription)
        app.router.add_get("/v1.0/subscriptions/{id}", self._get_subscription)
        app.router.add_patch("/v1.0/subscriptions/{id}", self._renew_subscription)
        app.router.add_delete("/v1.0/subscriptions/{id}", self._end_subscription)

    async def start_pushing(self) -> None:
        self._session = aiohttp.ClientSession(timeout=_PATIENCE)

    async def stop_pushing(self) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    # Its owner's and Microsoft's doings.

    def tell(self, calendar: str, change: str, event: Json) -> None:
        """Of a change, to whom it concerns."""
        for each in list(self.subscriptions.values()):
            if each.given["resource"] != f"/me/calendars/{calendar}/events" or each.expires_at < datetime.now(UTC):
                continue
            path = f"Users/u/Events/{event['id']}"
            data = {"@odata.type": "#Microsoft.Graph.Event", "@odata.id": path, "id": event["id"]}
            self._notify(each, each.given["notificationUrl"], {"changeType": change, "resourceData": data}, path)

    def tell_life(self, subscription_id: str, event: str) -> None:
        """reauthorizationRequired, subscriptionRemoved (which it then is) or missed."""
        each = self.subscriptions[subscription_id]
        if event == "subscriptionRemoved":
            del self.subscriptions[subscription_id]
        url = each.given.get("lifecycleNotificationUrl")
        if url:
            self._notify(each, url, {"lifecycleEvent": event}, each.given["resource"])

    def _notify(self, each: Subscription, url: str, said: Json, resource: str) -> None:
        notification = {
            "subscriptionId": each.id,
            "subscriptionExpirationDateTime": each.shown["expirationDateTime"],
            "clientState": each.given.get("clientState"),
            "tenantId": "8f2b6c1e-0000-4000-8000-000000000000",
            "resource": resource,
            **said,
        }
        body = {"value": [notification]}
        self.violations.extend(described.wrong_with("changeNotificationCollection", body))
        if self.lose_pushes:
            return
        for _ in range(2 if self.duplicate_pushes else 1):
            if self.held is None:
                self._send(url, body)
            else:
                self.held.append((url, body))

    def release(self, *, backwards: bool = False) -> None:
        """Send what was held, and hold no more."""
        held, self.held = self.held or [], None
        for url, body in reversed(held) if backwards else held:
            self._send(url, body)

    def expire_subscriptions(self) -> None:
        """They have run out, and nobody is told."""
        for each in self.subscriptions.values():
            each.expires_at = datetime.now(UTC)

    def _send(self, url: str, body: Json) -> None:
        task = asyncio.create_task(self._post(url, body))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _post(self, url: str, body: Json) -> None:
        assert self._session is not None
        self.pushes.append((url, body))
        try:
            async with self._session.post(url, json=body) as response:
                self.answers.append(response.status)
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.answers.append(0)

    async def settled(self) -> None:
        """Once all that is under way has been answered."""
        while self._sending:
            await asyncio.gather(*self._sending, return_exceptions=True)

    # Requests.

    async def _create_subscription(self, request: web.Request) -> web.Response:
        given = await request.json()
        self.violations.extend(described.wrong_with_write("subscription", given))
        expires_at = _expiry(given)
        if expires_at is None:
            return _refusal("Subscription expiration can only be 4230 minutes in the future.")
        calendar = str(given["resource"]).removeprefix("/me/calendars/").removesuffix("/events")
        if calendar not in request[MAILBOX].calendars:
            return _failed(404, "ResourceNotFound", "no such resource")
        if not await self._agreed(given["notificationUrl"]):
            return _refusal("Subscription validation request failed.")
        if given.get("lifecycleNotificationUrl") and not await self._agreed(given["lifecycleNotificationUrl"]):
            return _refusal("Subscription validation request failed.")
        subscription = Subscription(f"sub-{next(self._numbers)}", given, expires_at)
        self.subscriptions[subscription.id] = subscription
        return self._answered_subscription(subscription, 201)

    async def _agreed(self, url: str) -> bool:
        """The handshake: 200, text/plain, and the token as it was before it was encoded."""
        token = f"Validation: Testing client application & reachability+{secrets.token_hex(4)}"
        assert self._session is not None
        joint = "&" if "?" in url else "?"
        try:
            async with self._session.post(f"{url}{joint}validationToken={quote(token, safe='')}") as response:
                text = await response.text()
                return (response.status, response.content_type, text) == (200, "text/plain", token)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _known(self, request: web.Request) -> Subscription | None:
        each = self.subscriptions.get(request.match_info["id"])
        return each if each is not None and each.expires_at > datetime.now(UTC) else None

    async def _get_subscription(self, request: web.Request) -> web.Response:
        each = self._known(request)
        return _lost() if each is None else self._answered_subscription(each)

    async def _renew_subscription(self, request: web.Request) -> web.Response:
        given, each = await request.json(), self._known(request)
        if set(given) != {"expirationDateTime"}:
            self.violations.append(f"subscription: {sorted(given)} cannot all be changed later")
        if each is None:
            return _lost()
        expires_at = _expiry(given)
        if expires_at is None:
            return _refusal("Subscription expiration can only be 4230 minutes in the future.")
        each.expires_at = expires_at
        return self._answered_subscription(each)

    async def _end_subscription(self, request: web.Request) -> web.Response:
        if self._known(request) is None:
            return _lost()
        del self.subscriptions[request.match_info["id"]]
        return web.Response(status=204)

    def _answered_subscription(self, each: Subscription, status: int = 200) -> web.Response:
        self.violations.extend(described.wrong_with("subscription", each.shown))
        return web.json_response(each.shown, status=status)


def _expiry(given: Json) -> datetime | None:
    at, now = datetime.fromisoformat(given["expirationDateTime"]), datetime.now(UTC)
    return at if now < at <= now + LONGEST else None


def _lost() -> web.Response:
    return _failed(404, "ResourceNotFound", "The object was not found.")


def _refusal(message: str) -> web.Response:
    return _failed(400, "ValidationError", message)


def _failed(status: int, code: str, message: str) -> web.Response:
    told: dict[str, Any] = {"error": {"code": code, "message": message}}
    return web.json_response(told, status=status)
