"""The table of what needs no key: booking pages, single-use links, and the links in mails."""

from collections.abc import Iterable
from dataclasses import replace

from app.domain.bookings.lifecycle import Action
from app.faces.public import book, tokens
from app.faces.public.shapes import BookingPageShown, LinkedBookingShown, MoveIn, PublicBookingIn, PublicBookingShown
from app.web.operation import Operation
from app.web.routing import PublicHandler, PublicRoute, Route
from app.web.shapes import OpenSlotsShown, ReasonIn, SlotsRange

_LINK = ("link_not_found", "link_expired")
_ASKED = (*_LINK, "invalid_transition", "method_not_allowed")
_BOOKED = ("slot_taken", "slot_unavailable", "routing_rejected")


def _pages(path: str, what: str, word: str, problems: tuple[str, ...]) -> tuple[PublicRoute, ...]:
    """The three forms of a page."""
    unknown = ("event_type_not_found", *problems)
    return (
        PublicRoute(
            "GET",
            path,
            book.show,
            Operation(f"Show {what}", answer=BookingPageShown, problems=unknown, name=f"get_{word}"),
        ),
        PublicRoute(
            "GET",
            f"{path}/slots",
            book.list_slots,
            Operation(
                f"List the open slots of {what}",
                query=SlotsRange,
                answer=OpenSlotsShown,
                problems=(*unknown, "routing_rejected"),
                name=f"list_{word}_slots",
            ),
        ),
        PublicRoute(
            "POST",
            path,
            book.create,
            Operation(
                f"Book on {what}",
                body=PublicBookingIn,
                answer=PublicBookingShown,
                status=201,
                problems=(*unknown, *_BOOKED),
                replays=True,
                name=f"book_{word}",
            ),
        ),
    )


ROUTES = (
    # before {username}, for which the word is reserved
    *_pages("/v1/book/link/{link_code}", "a single-use link's page", "link_page", _LINK),
    *_pages("/v1/book/{username}/{event_slug}", "a public page", "page", ()),
    PublicRoute(
        "GET",
        "/v1/bookings/{id}/confirm",
        tokens.asked_to(Action.CONFIRM),
        Operation(
            "Confirm a booking by its link",
            answer=LinkedBookingShown,
            problems=_ASKED,
            page=True,
            name="confirm_by_link",
        ),
    ),
    PublicRoute(
        "GET",
        "/v1/bookings/{id}/decline",
        tokens.asked_to(Action.DECLINE),
        Operation(
            "Decline a booking by its link",
            answer=LinkedBookingShown,
            problems=_ASKED,
            page=True,
            name="decline_by_link",
        ),
    ),
    PublicRoute(
        "GET",
        "/v1/cancel/{token}",
        tokens.show_cancel,
        Operation(
            "Show the booking of a cancel link",
            answer=LinkedBookingShown,
            problems=_LINK,
            page=True,
            name="get_cancel_link",
        ),
    ),
    PublicRoute(
        "POST",
        "/v1/cancel/{token}/confirm",
        tokens.cancel,
        Operation(
            "Cancel a booking by its link",
            body=ReasonIn,
            answer=LinkedBookingShown,
            problems=(*_LINK, "invalid_transition"),
            optional=True,
            page=True,
            name="cancel_by_link",
        ),
    ),
    PublicRoute(
        "GET",
        "/v1/reschedule/{token}",
        tokens.show_reschedule,
        Operation(
            "Show the booking of a reschedule link",
            answer=LinkedBookingShown,
            problems=_LINK,
            name="get_reschedule_link",
        ),
    ),
    PublicRoute(
        "POST",
        "/v1/reschedule/{token}",
        tokens.reschedule,
        Operation(
            "Move a booking by its link",
            body=MoveIn,
            answer=LinkedBookingShown,
            problems=(*_LINK, *_BOOKED, "invalid_transition", "event_type_not_found"),
            replays=True,
            name="reschedule_by_link",
        ),
    ),
)

_DECIDED = Operation(
    "Decide by a link",
    body=ReasonIn,
    answer=LinkedBookingShown,
    problems=(*_LINK, "invalid_transition"),
    optional=True,
    page=True,
)
# Routes of /v1 whose id may be a token instead, and who answers then.
_BY_TOKEN: dict[tuple[str, str], PublicHandler] = {
    ("POST", "/v1/bookings/{id}/confirm"): tokens.decided(Action.CONFIRM),
    ("POST", "/v1/bookings/{id}/decline"): tokens.decided(Action.DECLINE),
}


def with_tokens(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes of /v1, of which some answer to a token too: the faces do not know each other, whoever puts them
    together does."""
    return tuple(
        replace(route, by_token=(tokens.PREFIX, _BY_TOKEN[route.method, route.path], _DECIDED))
        if (route.method, route.path) in _BY_TOKEN
        else route
        for route in routes
    )
