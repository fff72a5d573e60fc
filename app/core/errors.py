"""What can go wrong in the domain, said without knowing HTTP.

    SlotwireError
    ├── InvalidInput              the caller's data; names each field
    ├── Unauthorized              no, unknown, revoked or expired credential
    │   └── LoggedOut             the same of a session
    ├── Forbidden                 known, but not allowed
    │   ├── InsufficientScope     the key lacks a scope
    │   ├── BudgetExceeded        more, further, other or for others than the key may book
    │   ├── ApprovalRequired      what the key asks for, a person decides
    │   └── RoutingRejected       a routing rule refuses the answers
    ├── NotFound                  missing, or another organization's: existence does not leak
    ├── Conflict                  the state says no
    │   ├── SlotTaken             somebody else got it first
    │   ├── SlotUnavailable       outside availability, notice, window or caps
    │   ├── InvalidTransition     the lifecycle has no such step from here
    │   ├── IdempotencyInProgress the first call with this key still runs
    │   └── IdempotencyKeyReused  same key, other request
    ├── LinkExpired               a link that was used up, revoked or is over
    ├── RateLimited               too much in too short a time
    ├── TooLarge, UnsupportedMediaType, MethodNotAllowed
    └── Unavailable               the database is away; try again

Each carries `code`, which is stable and documented, and `detail`, which tells a person what to do next.
`app.web.problems` is the only file that knows statuses.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its dotted path in the body or query, a stable code, and a sentence."""

    field: str
    code: str
    message: str


class SlotwireError(Exception):
    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, *, code: str | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.error_code = code or self.code
        self.extra = extra


class InvalidInput(SlotwireError):
    code = "validation_failed"
    title = "The request is not valid"

    def __init__(self, detail: str, *, code: str | None = None, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail, code=code)
        self.errors = tuple(errors)

    @classmethod
    def of(cls, field: str, message: str, code: str = "invalid_value") -> "InvalidInput":
        return cls(f"{field}: {message}", errors=[FieldError(field, code, message)])


_MOST_NAMED = 20


def listing(choices: Iterable[str], total: int | None = None) -> str:
    """`a, b, and 3 more`, or `none`: what a refusal names, so that whoever reads it can choose. total: how many there
    are, where not all of them are given."""
    texts = list(choices)
    shown = texts[:_MOST_NAMED]
    rest = (len(texts) if total is None else total) - len(shown)
    return ", ".join([*shown, *([f"and {rest} more"] if rest > 0 else [])]) or "none"


def unknown_cursor() -> InvalidInput:
    """For a cursor that no page of this list gave out."""
    return InvalidInput.of("cursor", "pass on the next_cursor of the page before, unchanged")


class Unauthorized(SlotwireError):
    code = "unauthorized"
    title = "A valid credential is needed"

    def __init__(self, detail: str, *, given: bool = True) -> None:
        super().__init__(detail)
        # whether there was a credential at all: the challenge names an error only then (RFC 6750, section 3)
        self.given = given


class LoggedOut(Unauthorized):
    """No session, one that is over, or a log-in that failed."""


class Forbidden(SlotwireError):
    code = "forbidden"
    title = "Not allowed"


class InsufficientScope(Forbidden):
    code = "insufficient_scope"
    title = "The key lacks a scope"


class BudgetExceeded(Forbidden):
    code = "budget_exceeded"
    title = "The key's limits do not allow this"


class ApprovalRequired(Forbidden):
    code = "approval_required"
    title = "A person decides this"


class RoutingRejected(Forbidden):
    code = "routing_rejected"
    title = "The answers cannot be booked"


class NotFound(SlotwireError):
    code = "not_found"
    title = "Not found"


class Conflict(SlotwireError):
    code = "conflict"
    title = "The present state does not allow this"


class SlotTaken(Conflict):
    code = "slot_taken"
    title = "Somebody else got this slot first"


class SlotUnavailable(Conflict):
    code = "slot_unavailable"
    title = "This slot cannot be booked"


class InvalidTransition(Conflict):
    code = "invalid_transition"
    title = "The booking's status does not allow this"


class IdempotencyInProgress(Conflict):
    code = "idempotency_in_progress"
    title = "The first request with this key is still running"


class IdempotencyKeyReused(SlotwireError):
    code = "idempotency_key_reused"
    title = "This key was used for another request"


class LinkExpired(SlotwireError):
    code = "link_expired"
    title = "This link has ended"


class RateLimited(SlotwireError):
    code = "rate_limited"
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after: int, policy: str) -> None:
        """retry_after: seconds. policy: the name of the limit that was passed."""
        super().__init__(detail)
        self.retry_after = retry_after
        self.extra["violated-policies"] = [policy]


class TooLarge(SlotwireError):
    code = "body_too_large"
    title = "The body is too large"


class UnsupportedMediaType(SlotwireError):
    code = "unsupported_media_type"
    title = "The content type is not JSON"


class MethodNotAllowed(SlotwireError):
    code = "method_not_allowed"
    title = "The path exists, the method does not"

    def __init__(self, detail: str, *, allowed: Sequence[str]) -> None:
        super().__init__(detail)
        self.allowed = tuple(sorted(allowed))


class Unavailable(SlotwireError):
    code = "unavailable"
    title = "The service cannot answer right now"
