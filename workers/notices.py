"""What people are owed: mails and reminders.

The one rule: the database decides who sends what. Notices are taken, reminders fired and mails claimed by statements
that skip what another worker has, so any number of workers share the work, and a killed one's mails come back when
their lease runs out.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import asyncpg

from app.core import db, metrics, sql
from app.core.db import AWAY, Connection
from app.core.errors import Unavailable
from app.core.logs import logger
from app.core.settings import Settings
from app.core.times import parse_instant
from app.core.vault import Vault
from app.domain.bookings.lifecycle import AGREED, Status
from app.domain.notifications import outgoing
from app.domain.notifications.compose import compose, to_bytes
from app.domain.notifications.facts import Desk, letter_of
from app.domain.notifications.letters import Kind, Role
from app.domain.notifications.queue import remind, take_notices
from app.domain.notifications.retry import GIVE_UP_AFTER
from app.domain.notifications.transport import (
    MailBroken,
    MailRefused,
    MailServerAway,
    NotOurs,
    Packed,
    Transport,
    opened,
)

Result = TypeVar("Result")

SWEEP_SECONDS = 1.0
# under load so many commits share one look
_GATHER_SECONDS = 0.05
# so many times longer than it took, the next batch waits
_EASE = 8
_SENDERS = 4
# longer than a whole batch takes with a server that answers; what a slow one leaves over is given back
_LEASE = timedelta(seconds=60)
_SPARE = timedelta(seconds=5)
_AWAY_SECONDS = (1.0, 5.0, 15.0, 30.0)
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
        # Held by whoever computes, and between a mail's settling and its last line: a worker that is killed there loses
        # the mail, so nothing else may take its time.
        self._quiet = asyncio.Lock()

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
            began = time.monotonic()
            if not await self._insist(take_notices):
                await _wait(self._attention, SWEEP_SECONDS)
                began = time.monotonic()
            # a backlog of ours must not take the worker from the webhooks
            pause = _EASE * (time.monotonic() - began)
            await _wait(self._stopped, min(max(_GATHER_SECONDS, pause), SWEEP_SECONDS))

    async def _remind_for_ever(self) -> None:
        while not self._stopped.is_set():
            if not await self._insist(remind):
                await _wait(self._stopped, SWEEP_SECONDS)

    async def _insist(self, take: Callable[[Connection, str | None, datetime], Awaitable[int]]) -> int:
        """Take a batch of what is owed; how much it was."""
        now = datetime.now(UTC)
        try:
            async with db.acquire(self._pool) as conn, self._quiet:
                taken = await db.run(conn, lambda conn: take(conn, self._sender, now))
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
                    if not await self._send_some(transport):
                        await transport.close()
                        await _wait(self._mail, SWEEP_SECONDS)
                    failures = 0
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
            left = await outgoing.claim(conn, now + _LEASE, now)
        count = len(left)
        left.reverse()
        try:
            while left and not self._stopped.is_set() and datetime.now(UTC) + _SPARE < left[-1]["leased_until"]:
                await self._try_one(transport, left[-1])
                left.pop()
        finally:
            # what was not tried is somebody else's, or ours again later
            async with db.acquire(self._pool) as conn:
                await outgoing.release(conn, left)
        return count

    async def _try_one(self, transport: Transport, mail: sql.Row) -> None:
        """Whatever else is wrong with one mail costs it an attempt, and keeps no other from being sent."""
        try:
            await self._send_one(transport, mail)
        except (MailServerAway, *AWAY, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 -- see above
            _log.exception("mail_unsent", mail_id=str(mail["id"]))
            fault, now = type(error).__name__, datetime.now(UTC)
            await self._write(lambda conn: outgoing.later(conn, mail, fault, at_last=outgoing.GIVEN_UP, now=now))

    async def _send_one(self, transport: Transport, mail: sql.Row) -> None:
        """Raises MailServerAway, and what the database raises, with the mail as it was."""
        now = datetime.now(UTC)
        outcome = _not_to_be_sent(mail, now)
        if outcome is not None:
            await self._write(lambda conn: outgoing.end(conn, mail, outcome, None, now))
            return
        packed = await self._packed(mail, now)
        if packed is not None:
            await self._hand_over(transport, mail, packed, now)

    async def _hand_over(self, transport: Transport, mail: sql.Row, packed: Packed, now: datetime) -> None:
        settled = False

        @asynccontextmanager
        async def settle() -> AsyncIterator[bool]:
            nonlocal settled
            async with db.acquire(self._pool) as conn, self._quiet:
                taken = await outgoing.settle(conn, mail, now)
                yield taken
                settled = taken

        try:
            await transport.send(packed, settle)
            _count(outgoing.SENT)
        except NotOurs:
            _log.warning("mail_lease_lost", mail_id=str(mail["id"]))
        except MailServerAway:
            raise
        except MailRefused as error:
            refusal = error
            _log.info("mail_refused", mail_id=str(mail["id"]), code=str(error)[:3], bounced=error.bounced)
            _count(await self._write(lambda conn: outgoing.refused(conn, mail, refusal, now)))
        except MailBroken as error:
            breach = error
            _log.warning("mail_broken", mail_id=str(mail["id"]), error=str(error), handed_over=error.handed_over)
            _count(await self._write(lambda conn: outgoing.broken(conn, mail, breach, now)))
        except BaseException:
            if not settled:
                # the server does not have it, and nobody knows whether the database took the note that it does
                await asyncio.shield(self._write(lambda conn: outgoing.reopen(conn, mail, now)))
            raise

    async def _packed(self, mail: sql.Row, now: datetime) -> Packed | None:
        """None: a fault of ours keeps this mail from being made. It must keep no other from being sent."""
        try:
            async with self._quiet:
                letter = letter_of(mail, self._desk, now)
                return Packed(letter.id, letter.sender.address, letter.to.address, to_bytes(compose(letter)), now)
        except Exception as error:  # noqa: BLE001 -- see above
            _log.exception("mail_unmade", mail_id=str(mail["id"]), kind=mail["kind"])
            fault = type(error).__name__
            await self._write(lambda conn: outgoing.later(conn, mail, fault, at_last=outgoing.GIVEN_UP, now=now))
            return None

    async def _write(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Write down what became of a mail, however long the database is away: nobody else knows it."""
        while True:
            try:
                async with db.acquire(self._pool) as conn:
                    return await db.run(conn, work)
            except (*AWAY, Unavailable) as error:
                _log.warning("mail_unrecorded", error=type(error).__name__)
                await asyncio.sleep(SWEEP_SECONDS)


def _not_to_be_sent(mail: sql.Row, now: datetime) -> str | None:
    """Why nobody should get this mail any more; None: they should."""
    if mail["superseded"]:
        return outgoing.SUPERSEDED
    if mail["unwanted"]:
        return outgoing.UNWANTED
    if mail["kind"] == Kind.REMINDER and not _is_worth_reminding(mail, now):
        return outgoing.SUPERSEDED
    if mail["kind"] == Kind.WAITLIST_OFFER and not _is_still_offered(mail, now):
        return outgoing.SUPERSEDED
    return outgoing.GIVEN_UP if now - mail["created_at"] > GIVE_UP_AFTER else None


def _is_worth_reminding(mail: sql.Row, now: datetime) -> bool:
    """The booking takes place, has not begun, and is still theirs."""
    theirs = mail["role"] != Role.ATTENDEE or mail["recipient"].lower() == (mail["attendee_email"] or "").lower()
    return theirs and mail["status"] in AGREED and mail["starts_at"] > now


def _is_still_offered(mail: sql.Row, now: datetime) -> bool:
    """The place is held, and nobody has taken it or left it."""
    if mail["booking_id"] is None:
        return True
    return bool(mail["status"] == Status.DRAFT and parse_instant(mail["data"]["until"]) > now)


def _count(outcome: str | None) -> None:
    if outcome is not None:
        metrics.MAILS.labels(outcome).inc()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout=seconds)
