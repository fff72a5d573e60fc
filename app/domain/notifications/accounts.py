"""Mails about a person's own account, and about what belongs to the whole organization.

The one rule: a link that opens an account is in the mail and nowhere else. The mail that waits names the link's row,
and the link is made when the mail is.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.domain.identity.account_tokens import LIFETIMES, AccountPurpose, account_token, issue_account_token
from app.domain.identity.models import Principal, User, Visitor
from app.domain.identity.organizations import get_user
from app.domain.notifications.audience import Owed
from app.domain.notifications.letters import Kind, Role
from app.domain.notifications.queue import Mail, put_mails

# the name of the link in the letter, and where its page is
_PAGES = {Kind.INVITATION: ("accept", "/invite/"), Kind.PASSWORD_RESET: ("reset", "/password/")}
_PURPOSES = {Kind.INVITATION: AccountPurpose.INVITATION, Kind.PASSWORD_RESET: AccountPurpose.PASSWORD_RESET}


async def invite(conn: Connection, principal: Principal, user: User, now: datetime) -> None:
    """Invite a new person to log in, in the transaction that makes them."""
    inviter = await get_user(conn, principal)
    days = str(LIFETIMES[AccountPurpose.INVITATION].days)
    await _send(conn, principal, user, Kind.INVITATION, {"inviter": inviter.name, "days": days}, now)


async def send_password_reset(conn: Connection, visitor: Visitor, user: User, now: datetime) -> None:
    """Send a person the link that sets a new password; it ends the one before."""
    minutes = str(int(LIFETIMES[AccountPurpose.PASSWORD_RESET].total_seconds()) // 60)
    await _send(conn, visitor, user, Kind.PASSWORD_RESET, {"minutes": minutes}, now)


def account_link(kind: Kind, row: sql.Row, secret: bytes) -> Mapping[str, str]:
    """The link of a letter that is about no booking, by its name, as a path; none where it has none."""
    if kind in _PAGES:
        name, path = _PAGES[kind]
        token_id = UUID(row["data"]["token_id"])
        return {name: path + account_token(secret, _PURPOSES[kind], row["org_id"], token_id)}
    return dict(row["data"].get("links") or {})


async def _send(
    conn: Connection, visitor: Visitor, user: User, kind: Kind, facts: Mapping[str, str], now: datetime
) -> None:
    token_id = await issue_account_token(conn, visitor.secret, _PURPOSES[kind], visitor.org_id, user.id, now)
    owed = Owed(kind, Role.MEMBER, user.email, user_id=user.id)
    await put_mails(conn, [Mail(visitor.org_id, owed, now, data={**facts, "token_id": str(token_id)})], now)
