"""Links to a person's own account, sent by mail: to accept an invitation, or to set a new password.

The one rule: what is stored opens nothing. A link names its organization and its row and proves itself under the
organization's secret; the row holds a hash of it, until when it is good, and whether it was used.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.core import link_tokens, sql
from app.core.db import Connection
from app.core.ids import new_id
from app.core.vault import digest

SQL = sql.load("identity")


class AccountPurpose(StrEnum):
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 -- the name of a purpose


LIFETIMES = {AccountPurpose.INVITATION: timedelta(days=7), AccountPurpose.PASSWORD_RESET: timedelta(hours=1)}


def account_token(secret: bytes, purpose: AccountPurpose, org_id: UUID, token_id: UUID) -> str:
    proof = link_tokens.prove(secret, f"account token: {purpose}", token_id.bytes)
    return link_tokens.write(org_id, token_id, proof)


async def issue_account_token(
    conn: Connection, secret: bytes, purpose: AccountPurpose, org_id: UUID, user_id: UUID, now: datetime
) -> UUID:
    """The id of a new token, which ends the older ones of its purpose; `account_token` makes the link of it."""
    token_id = new_id()
    proof = digest(account_token(secret, purpose, org_id, token_id))
    await conn.execute(SQL.end_account_tokens, org_id, user_id, purpose.value, now)
    await conn.execute(
        SQL.insert_account_token, org_id, token_id, user_id, purpose.value, proof, now, now + LIFETIMES[purpose]
    )
    return token_id
