"""Who is calling, and for which organization."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.errors import Forbidden, InsufficientScope
from app.domain.identity.budgets import Budget

OWNER, ADMIN, MEMBER = "owner", "admin", "member"
# from below
RANKS = (MEMBER, ADMIN, OWNER)

KEY_ENDED = "This API key is not valid (unknown, revoked or expired). POST /api/keys or `slotwire bootstrap` makes one."


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a statement runs. key_id: a key that the statement itself must prove to be alive; None where somebody
    else did."""

    org_id: UUID
    key_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever comes by a public page or by a link: an organization, and nobody in it. `secret` signs the organization's
    tokens; it never leaves the process."""

    org_id: UUID
    org_name: str
    secret: bytes

    @property
    def caller(self) -> Caller:
        return Caller(self.org_id)

    @property
    def known_user_id(self) -> UUID | None:
        return None

    @property
    def budget(self) -> Budget | None:
        """Of a key; nobody else has one."""
        return None


@dataclass(frozen=True, slots=True)
class Principal(Visitor):
    """A person, by a key or by a session. scopes: as they stand on the key, or are the role's. granted: what may really
    be done: `mcp` covers others, and a key may no more than the role of whoever made it. own_limit: a number of
    requests of the key's own, such as `600/m`, in the place of everybody's. tools: which of the MCP server's the key is
    narrowed to; None: those of its scopes. own_budget: what the key may do at most."""

    user_id: UUID
    role: str
    scopes: frozenset[str]
    granted: frozenset[str]
    key_id: UUID | None = None
    key_name: str = ""
    session_id: UUID | None = None
    own_limit: str | None = None
    tools: tuple[str, ...] | None = None
    own_budget: Budget | None = None

    @property
    def budget(self) -> Budget | None:
        return self.own_budget

    @property
    def caller(self) -> Caller:
        return Caller(self.org_id, self.key_id)

    @property
    def known_user_id(self) -> UUID | None:
        return self.user_id

    @property
    def only_own_user_id(self) -> UUID | None:
        """Of a member, also by a key of when they were more: the person to whose things they are kept. None for who
        manages."""
        return self.user_id if self.role == MEMBER else None

    def may(self, scope: str) -> bool:
        """`any` needs only a valid key, or session."""
        return scope == "any" or scope in self.granted

    def require(self, *scopes: str) -> None:
        """Any of them will do. Raises InsufficientScope naming what is missing; of a person, Forbidden."""
        if any(map(self.may, scopes)):
            return
        if self.session_id is not None:
            raise Forbidden(f"Your role ({self.role}) does not allow this; ask an owner or an admin.")
        raise InsufficientScope(
            f"This key lacks the scope {' or '.join(scopes)}. Use one that has it, or ask an administrator for it."
        )


@dataclass(frozen=True, slots=True)
class User:
    id: UUID
    subject_no: int
    email: str
    name: str
    username: str
    timezone: str
    # of the mails to them
    locale: str
    role: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Organization:
    """sender_name: what mails come from by name, in the place of the organization's. reply_to: where answers to them
    go. locale: of mails to whoever has no language of their own."""

    id: UUID
    name: str
    sender_name: str | None
    reply_to: str | None
    locale: str
