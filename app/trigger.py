"""`slotwire trigger`: a sample of an event, for whoever listens and for a webhook that is being tried.

The one rule: nothing happens to anybody. The event says that it is a sample: its sequence is 0, and its booking's
metadata says `{"test": true}`.
"""

import asyncio
from collections.abc import Sequence

from app.core.settings import ConfigurationError
from app.domain.webhooks.subscriptions import EVENTS
from app.remote import Away, Server, Stranger, connect, printable

_SCOPE = "webhooks:write"


def run_trigger(server: Server, event: str, webhook: str | None) -> int:
    """Raises ConfigurationError for what the caller can mend."""
    print(asyncio.run(_trigger(server, event, webhook)))
    return 0


def list_events() -> int:
    print("\n".join(EVENTS))
    return 0


def check_events(option: str, events: Sequence[str]) -> tuple[str, ...]:
    """Raises ConfigurationError for what is no event."""
    for event in events:
        if event not in EVENTS:
            raise ConfigurationError(f"{option}: {event!r} is no event; there are {', '.join(EVENTS)}")
    return tuple(dict.fromkeys(events))


async def _trigger(server: Server, event: str, webhook: str | None) -> str:
    async with connect(server) as remote:
        await remote.greet(_SCOPE)
        body = {"event": event} if webhook is None else {"event": event, "webhook_id": webhook}
        try:
            answer = await remote.ask("POST", "/v1/events/test", body)
            made = answer["event"].get("id") if isinstance(answer.get("event"), dict) else None
            if not isinstance(made, str):
                raise Stranger(201)
        except Away as away:
            raise ConfigurationError(f"{server.url} does not answer ({away}); try again") from None
    heard = "`slotwire listen` hears it" + (f", and {webhook} gets it" if webhook else "")
    return f"{event} [{printable(made)}]: {heard}"
