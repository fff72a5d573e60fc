"""The way in: log-in, sign-up, asking for a new password.

The one rule: nobody learns here whether an account exists. A wrong e-mail and a wrong password are one answer, after
the same time; what only an existing account gets (a mail, a line in its audit log) comes after the answer. A sign-up
with a taken e-mail is refused (the API contract), and counted like a log-in.
"""

import hashlib
from uuid import UUID

from aiohttp import web

from app.core import db
from app.core.db import Connection
from app.core.errors import Forbidden, LoggedOut
from app.core.ids import Kind, encode
from app.core.quota import Quota
from app.domain.availability.schedules import create_default_schedule
from app.domain.identity import audit
from app.domain.identity.logins import Account, find_account, prove_password
from app.domain.identity.models import Principal
from app.domain.identity.organizations import NewOwner, create_organization, find_user_by_email, get_user
from app.domain.identity.passwords import make_hash
from app.domain.identity.sessions import authenticate_session, begin_session, find_device, log_out_here
from app.domain.notifications.accounts import send_password_reset
from app.faces.browser.shapes import LogInIn, PasswordResetIn, SignUpIn, me_out
from app.web.auditing import visitor
from app.web.call import POOL, Asked
from app.web.later import do_later
from app.web.limits import Limit
from app.web.routing import LIMITER
from app.web.sessions import remember, session_token, where_of

# each mail ends the link of the one before
_RESETS = Quota(3, 3600)


async def log_in(asked: Asked) -> web.Response:
    given, pool = asked.body(LogInIn), asked.request.app[POOL]
    async with db.acquire(pool) as conn:
        sought = await find_account(conn, given.email, asked.vault)
        device = await _known_device(conn, asked, sought.account)
    await _count(asked, "account", f"{sought.spelling} {device}", asked.settings.limit_login)
    try:
        proven = await prove_password(sought.account, given.password)
    except LoggedOut:
        if sought.account is not None:
            do_later(asked.request.app, _note_refusal(asked, sought.account))
        raise

    async def begin(conn: Connection) -> web.Response:
        return await _begin(conn, asked, proven)

    async with db.acquire(pool) as conn:
        return await db.run(conn, begin)


async def sign_up(asked: Asked) -> web.Response:
    """A session begins with it."""
    if asked.settings.signup == "closed":
        raise Forbidden("Nobody signs up here by themselves; ask an organization to invite you.")
    given = asked.body(SignUpIn)
    owner = NewOwner(
        organization=given.organization,
        email=given.email,
        name=given.name,
        username="",
        timezone=given.timezone,
        password_hash=await make_hash(given.password),
    )

    async def make(conn: Connection) -> web.Response:
        org_id, user_id = await create_organization(conn, owner, asked.vault, asked.now)
        await create_default_schedule(conn, org_id, user_id, owner.timezone, asked.now)
        doer = visitor(asked, user_id)
        target = encode(Kind.ORGANIZATION, org_id)
        await audit.note(conn, org_id, doer, "organization.created", target, {}, asked.now)
        sought = await find_account(conn, owner.email, asked.vault)
        assert sought.account is not None  # noqa: S101 -- it was made in this very transaction
        return await _begin(conn, asked, sought.account)

    async with db.acquire(asked.request.app[POOL]) as conn:
        return await db.run(conn, make)


async def ask_for_password(asked: Asked) -> web.Response:
    """Accepted, whoever it is: the mail is written after the answer, if there is anybody to write to."""
    given = asked.body(PasswordResetIn)
    async with db.acquire(asked.request.app[POOL]) as conn:
        sought = await find_account(conn, given.email, asked.vault)
    await _count(asked, "reset", sought.spelling, asked.settings.limit_login and _RESETS)
    if sought.account is not None:
        do_later(asked.request.app, _send_reset(asked, sought.account, given.email))
    return asked.answer({"email": given.email})


async def _known_device(conn: Connection, asked: Asked, account: Account | None) -> UUID | None:
    """Whoever was logged in here before is counted apart: strangers who guess must not lock them out."""
    token = await session_token(asked.request)
    if token is None or account is None:
        return None
    return await find_device(conn, account.visitor.org_id, account.user_id, token)


async def _count(asked: Asked, policy: str, who: str, quota: Quota | None) -> None:
    """Whoever tries many times on one account, from however many addresses, is slowed down; on one that does not exist
    just the same. By the e-mail as the database spells it: others take for one what it does not. Raises RateLimited."""
    counted = hashlib.sha256(who.encode()).hexdigest()[:32]
    await asked.request.app[LIMITER].check(asked.request, Limit(policy, counted, quota))


async def _begin(conn: Connection, asked: Asked, account: Account) -> web.Response:
    """A new session, in the place of the one that the browser has had."""
    request, org_id = asked.request, account.visitor.org_id
    where = where_of(request)
    before = await session_token(request)
    if before is not None:
        await log_out_here(conn, before, asked.now)
    session_id, token = await begin_session(conn, org_id, account.user_id, where, account.generation, asked.now)
    principal = await authenticate_session(conn, token, where, asked.vault, asked.now)
    target, doer = encode(Kind.SESSION, session_id), visitor(asked, account.user_id)
    await audit.note(conn, org_id, doer, "session.created", target, {"user_agent": where.user_agent}, asked.now)
    return await remember(request, asked.answer(await _me(conn, principal)), token)


async def _me(conn: Connection, principal: Principal) -> object:
    return me_out(principal, await get_user(conn, principal))


async def _note_refusal(asked: Asked, account: Account) -> None:
    target, doer = encode(Kind.USER, account.user_id), visitor(asked, None)
    async with db.acquire(asked.request.app[POOL]) as conn:
        await audit.note(conn, account.visitor.org_id, doer, "session.refused", target, {}, asked.now)


async def _send_reset(asked: Asked, account: Account, email: str) -> None:
    async def send(conn: Connection) -> None:
        found = await find_user_by_email(conn, email)
        if found is None:
            return
        _, user = found
        await send_password_reset(conn, account.visitor, user, asked.now)
        target, doer = encode(Kind.USER, user.id), visitor(asked, None)
        await audit.note(conn, account.visitor.org_id, doer, "password.reset_requested", target, {}, asked.now)

    async with db.acquire(asked.request.app[POOL]) as conn:
        await db.run(conn, send)
    asked.wake()
