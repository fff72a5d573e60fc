"""What people are owed: mails and reminders.

The one rule: the database decides who sends what. Notices are taken, reminders fired and mails claimed by statements
that skip what another worker has, so any number of workers share the work, and a killed one's mails come back when
their lease runs out.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import asyncpg

from app.core import db, metrics, sql
from app.core.db import AWAY, Connection
from app.core.errors import Unavailable
from app.core.logs import logger
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.bookings.lifecycle import Status
from app.domain.notifications import outgoing
from app.domain.notifications.compose import compose, to_bytes
from app.domain.notifications.facts import Desk, letter_of
from app.domain.notifications.letters import Kind
from app.domain.notifications.queue import remind, take_notices
from app.domain.notifications.retry import GIVE_UP_AFTER, next_attempt
from app.domain.notifications.transport import MailRefused, MailServerAway, NotOurs, Packed, Transport, opened

SWEEP_SECONDS = 1.0
# under load so many commits share one look
_GATHER_SECONDS = 0.05
_BATCH = 200
_SENDERS = 4
_CLAIM = 8
# longer than a whole batch takes with a server that answers; what a slow one leaves over is given back
_LEASE = timedelta(seconds=60)
_SPARE = timedelta(seconds=5)
_TAKES_PLACE = frozenset({Status.SCHEDULED, Status.RESCHEDULED})
_AWAY_SECONDS = (1.0, 5.0, 15.0, 30.0)
_MAILS = metrics.MAILS
_log = logger("notices")


class Notices:
    """One worker's share. `run` ends after `stop`, when the mails under way are done."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, settings: Settings) -> None:
        self._pool = pool
        self._desk = Desk(vault, settings.sender, settings.public_url)
        self._new_transport = opened(settings)
        self._sender = settings.sender if self._new_transport else None
        self._attention = asyncio.Event()
        self._mail = asyncio.Event()
        self._stopped = asyncio.Event()

    def wake(self) -> None:
        """Something may be owed."""
        self._attention.set()

    def stop(self) -> None:
        self._stopped.set()
        self._attention.set()
        self._mail.set()

    async def run(self) -> None:
        senders = []
        if self._new_transport is None:
            _log.warning("nobody_gets_mail", advice="set SLOTWIRE_SMTP_URL")
        else:
            senders = [asyncio.create_task(self._send_for_ever(self._new_transport())) for _ in range(_SENDERS)]
        tasks = [asyncio.create_task(self._take_for_ever()), asyncio.create_task(self._remind_for_ever()), *senders]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_for_ever(self) -> None:
        while not self._stopped.is_set():
            self._attention.clear()
            if not await self._insist(take_notices):
                await _wait(self._attention, SWEEP_SECONDS)
                await _wait(self._stopped, _GATHER_SECONDS)

    async def _remind_for_ever(self) -> None:
        while not self._stopped.is_set():
            if not await self._insist(remind):
                await _wait(self._stopped, SWEEP_SECONDS)

    async def _insist(self, take: Callable[[Connection, int, str | None, datetime], Awaitable[int]]) -> int:
        """Take a batch of what is owed; how much it was."""
        now = datetime.now(UTC)
        try:
            async with db.acquire(self._pool) as conn:
                taken = await db.run(conn, lambda conn: take(conn, _BATCH, self._sender, now))
                if taken:
                    self._mail.set()
                return taken
        except (*AWAY, Unavailable, asyncpg.PostgresError) as error:
            _log.warning("notices_untaken", error=type(error).__name__)
        except Exception:  # noqa: BLE001 -- a loop that ends tells nobody, and nobody would get mail any more
            _log.exception("notices_untaken")
        await _wait(self._stopped, SWEEP_SECONDS)
        return 0

    # Sending: each sender has a way out of its own.

    async def _send_for_ever(self, transport: Transport) -> None:
        failures = 0
        try:
            while not self._stopped.is_set():
                self._mail.clear()
                try:
                    sent = await self._send_some(transport)
                    failures = 0
                    if not sent:
                        await transport.close()
                        await _wait(self._mail, SWEEP_SECONDS)
                except MailServerAway as error:
                    _log.warning("mail_server_away", error=str(error))
                    pause = _AWAY_SECONDS[min(failures, len(_AWAY_SECONDS) - 1)]
                    failures += 1
                    await _wait(self._stopped, pause)
                except (*AWAY, Unavailable, asyncpg.PostgresError) as error:
                    _log.warning("mails_unsent", error=type(error).__name__)
                    await _wait(self._stopped, SWEEP_SECONDS)
                except Exception:  # noqa: BLE001 -- see `_insist`
                    _log.exception("mails_unsent")
                    await _wait(self._stopped, SWEEP_SECONDS)
        finally:
            await transport.close()

    async def _send_some(self, transport: Transport) -> int:
        """Claim a few mails and send them one after the other; how many there were. Raises MailServerAway."""
        now = datetime.now(UTC)
        async with db.acquire(self._pool) as conn:
            mails = list(await outgoing.claim(conn, _CLAIM, now + _LEASE, now))
        left = list(reversed(mails))
        try:
            while left and not self._stopped.is_set() and datetime.now(UTC) + _SPARE < left[-1]["leased_until"]:
                await self._send_one(transport, left.pop())
        finally:
            # what was not tried is somebody else's, or ours again later
            async with db.acquire(self._pool) as conn:
                await outgoing.release(conn, left, datetime.now(UTC))
        return len(mails)

    async def _send_one(self, transport: Transport, mail: sql.Row) -> None:
        now = datetime.now(UTC)
        outcome = _not_to_be_sent(mail, now)
        if outcome is not None:
            await self._do(lambda conn: outgoing.end(conn, mail, outcome, None, now))
            return
        packed = await self._packed(mail, now)
        if packed is None:
            return

        async def settle() -> bool:
            async with db.acquire(self._pool) as conn:
                return await outgoing.settle(conn, mail, now)

        try:
            await transport.send(packed, settle)
            _MAILS.labels(outgoing.SENT).inc()
        except NotOurs:
            _log.warning("mail_lease_lost", mail_id=str(mail["id"]))
        except MailRefused as error:
            words, final = str(error), error.final
            await self._do(lambda conn: _refused(conn, mail, words, final, now))
        except MailServerAway as error:
            words = str(error)
            await self._do(lambda conn: _given_back(conn, mail, now, words))
            raise

    async def _packed(self, mail: sql.Row, now: datetime) -> Packed | None:
        """None: a fault of ours keeps this mail from being made. It must keep no other from being sent."""
        try:
            letter = letter_of(mail, self._desk, now)
            return Packed(letter.id, letter.sender.address, letter.to.address, to_bytes(compose(letter)), now)
        except Exception as error:  # noqa: BLE001 -- see above
            _log.exception("mail_unmade", mail_id=str(mail["id"]), kind=mail["kind"])
            at, words = next_attempt(mail["attempts"] + 1, mail["created_at"], now), type(error).__name__
            await self._do(lambda conn: _later(conn, mail, at, words, now))
            return None

    async def _do(self, work: Callable[[Connection], Awaitable[None]]) -> None:
        async with db.acquire(self._pool) as conn:
            await db.run(conn, work)


def _not_to_be_sent(mail: sql.Row, now: datetime) -> str | None:
    """Why nobody should get this mail any more; None: they should."""
    if mail["superseded"]:
        return outgoing.SUPERSEDED
    if mail["unwanted"]:
        return outgoing.UNWANTED
    if mail["kind"] == Kind.REMINDER and (mail["status"] not in _TAKES_PLACE or mail["starts_at"] <= now):
        return outgoing.SUPERSEDED
    if now - mail["created_at"] > GIVE_UP_AFTER:
        return outgoing.GIVEN_UP
    return None


async def _refused(conn: Connection, mail: sql.Row, words: str, final: bool, now: datetime) -> None:
    if final:
        _MAILS.labels(outgoing.BOUNCED).inc()
        _log.info("mail_bounced", mail_id=str(mail["id"]), code=words[:3])
        await outgoing.bounce(conn, mail, words, now)
        return
    await _later(conn, mail, next_attempt(mail["attempts"] + 1, mail["created_at"], now), words, now)


async def _given_back(conn: Connection, mail: sql.Row, settled_at: datetime, words: str) -> None:
    """Whether it was settled already or not: nobody knows that it arrived."""
    now = datetime.now(UTC)
    await outgoing.reopen(conn, mail, settled_at, words, now)
    await outgoing.release(conn, [mail], now)


async def _later(conn: Connection, mail: sql.Row, at: datetime | None, words: str, now: datetime) -> None:
    if at is None:
        _MAILS.labels(outgoing.GIVEN_UP).inc()
        await outgoing.end(conn, mail, outgoing.GIVEN_UP, words, now)
    else:
        await outgoing.retry(conn, mail, at, words, now)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout=seconds)
