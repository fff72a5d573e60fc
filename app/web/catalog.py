"""Every problem code in one place: what it means and what to do next, for the OpenAPI document and `/docs/errors`.

The one rule: a code that the source can raise stands here, and nothing else does. A test compares the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from app.core import errors
from app.web.problems import Unexpected, status_of


@dataclass(frozen=True, slots=True)
class Entry:
    """error: what carries the code. when: when it is answered. then: what a caller does next."""

    code: str
    error: type[errors.SlotwireError]
    when: str
    then: str

    @property
    def status(self) -> int:
        return status_of(self.error)

    @property
    def title(self) -> str:
        return self.error.title


_ENTRIES = (
    Entry(
        "missing_field",
        errors.InvalidInput,
        "The body or the query lacks fields that it needs; errors[] names each of them.",
        "Add the fields that errors[] names.",
    ),
    Entry(
        "validation_failed",
        errors.InvalidInput,
        "A field of the body, the query or a header is wrong or unknown; errors[] names each of them.",
        "Correct what errors[] names. Its codes say what is wrong, its messages what would be right.",
    ),
    Entry(
        "invalid_request",
        errors.InvalidInput,
        "The request could not be read: no JSON, no UTF-8, no object, nested too deeply, or cut off.",
        "Send one JSON object in UTF-8.",
    ),
    Entry(
        "unauthorized",
        errors.Unauthorized,
        "There is no API key or session, or it is unknown, mistyped, revoked, expired or ended.",
        "Send 'Authorization: Bearer <key>' with a live key; under /api, log in: POST /api/session. A key in the query "
        "string is not looked for.",
    ),
    Entry(
        "insufficient_scope",
        errors.InsufficientScope,
        "The key is good, but lacks the scope that the operation needs; detail names it.",
        "Use a key that has the scope, or ask for one.",
    ),
    Entry(
        "budget_exceeded",
        errors.BudgetExceeded,
        "The key has limits of its own, and this is beyond them; reasons names which: bookings_per_day, "
        "event_type_ids, max_lead_days, attendee_domains.",
        "Stay within what detail says, or ask a person: they can book it themselves, or make a key with other limits. "
        "A day of a key begins at midnight UTC.",
    ),
    Entry(
        "approval_required",
        errors.ApprovalRequired,
        "The key asks, and a person decides: it confirms and declines nothing, and changes no name, e-mail or phone "
        "that the person was told of.",
        "Wait. The hosts have a mail with links that confirm or decline, and the dashboard does it too; read the "
        "booking again later.",
    ),
    Entry(
        "forbidden",
        errors.Forbidden,
        "The person's role does not allow it, it is somebody else's, or the request came from another site's page.",
        "Ask an owner or an admin of the organization; call from the service's own pages.",
    ),
    Entry(
        "routing_rejected",
        errors.RoutingRejected,
        "A routing rule of the event type refuses these answers; rule is its number, counted from 0.",
        "Show detail to the person who answered; it is the rule's own message.",
    ),
    Entry(
        "not_found",
        errors.NotFound,
        "There is no such thing in the caller's organization, or no such path. Another organization's things are "
        "answered in the same way.",
        "Check the id, its prefix, and whose key or session it is.",
    ),
    Entry(
        "event_type_not_found",
        errors.NotFound,
        "No event type of the organization has this id, code or address.",
        "List the event types; an archived one is gone for new bookings.",
    ),
    Entry(
        "booking_link_not_found",
        errors.NotFound,
        "No booking link of the organization has this id, code or slug; detail names the slugs that there are.",
        "Use one of the slugs that detail names; an archived one is gone for new bookings.",
    ),
    Entry(
        "link_not_found",
        errors.NotFound,
        "There is no such link, or its token is mistyped.",
        "Check the address that was sent; copy all of it.",
    ),
    Entry(
        "method_not_allowed",
        errors.MethodNotAllowed,
        "The path exists, but not with this method.",
        "Use one of the methods that the Allow header names.",
    ),
    Entry(
        "conflict",
        errors.Conflict,
        "The present state does not allow it: a name is taken, a thing is in use, or something was removed meanwhile.",
        "Read detail, look at the present state, and decide again.",
    ),
    Entry(
        "waitlist_closed",
        errors.Conflict,
        "The event type has no waiting list.",
        "Offer one of the open slots. Whoever owns the event type can switch its waiting list on: waitlist.",
    ),
    Entry(
        "slot_taken",
        errors.SlotTaken,
        "The slot was open, and somebody else got it first; reasons says what is occupied.",
        "Offer another slot: one of alternatives where there are any, or list the slots again.",
    ),
    Entry(
        "slot_unavailable",
        errors.SlotUnavailable,
        "The slot lies outside the hours, the notice, the window or a cap, or its token is outdated; see reasons.",
        "Offer one of alternatives, which are the nearest open slots, or list the slots again.",
    ),
    Entry(
        "invalid_transition",
        errors.InvalidTransition,
        "The booking's status has no such step: a cancelled booking cannot be moved, for example.",
        "Read the booking, and do what its status allows. Repeating the same step is no error.",
    ),
    Entry(
        "already_cancelled",
        errors.InvalidTransition,
        "The booking is cancelled already, by this caller or by somebody else.",
        "Nothing; it is as you wanted it. Read the booking to see when and why.",
    ),
    Entry(
        "idempotency_in_progress",
        errors.IdempotencyInProgress,
        "The first request with this Idempotency-Key is still running.",
        "Wait a second and send the same request again.",
    ),
    Entry(
        "link_expired",
        errors.LinkExpired,
        "The link was used up, revoked, or is over.",
        "Ask whoever sent the link for another one.",
    ),
    Entry(
        "body_too_large",
        errors.TooLarge,
        "The body has more than 256 KiB.",
        "Send less; long texts belong elsewhere.",
    ),
    Entry(
        "unsupported_media_type",
        errors.UnsupportedMediaType,
        "The body does not call itself JSON, or is compressed.",
        "Send it as it is, with 'Content-Type: application/json'.",
    ),
    Entry(
        "idempotency_key_reused",
        errors.IdempotencyKeyReused,
        "This Idempotency-Key was used for another request within 24 hours.",
        "Use a new key for a new request, and the same key only for the same request.",
    ),
    Entry(
        "rate_limited",
        errors.RateLimited,
        "There were too many requests of this key, session or address.",
        "Wait as many seconds as Retry-After says. RateLimit tells in every answer how much is left.",
    ),
    Entry(
        "internal_error",
        Unexpected,
        "Something went wrong on our side. The log has more, under the request_id.",
        "Try again later; report the request_id if it stays.",
    ),
    Entry(
        "unavailable",
        errors.Unavailable,
        "The service cannot reach its database, or is overloaded.",
        "Try again after Retry-After seconds. With an Idempotency-Key a repeat is safe.",
    ),
)

CATALOG = {entry.code: entry for entry in _ENTRIES}


def by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    """The codes under the statuses that they are answered with, both in the catalog's order."""
    wanted, found = set(codes), dict[int, list[str]]()
    for entry in _ENTRIES:
        if entry.code in wanted:
            found.setdefault(entry.status, []).append(entry.code)
    return dict(sorted(found.items()))
