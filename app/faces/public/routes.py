"""The table of what needs no key: booking pages, single-use links, and the links in mails."""

from collections.abc import Iterable
from dataclasses import replace

from app.domain.bookings.lifecycle import Action
from app.domain.identity.account_tokens import AccountPurpose
from app.faces.public import accounts, book, calendars, markdown, moves, offers, optouts, tokens, waitlist
from app.faces.public.calendar_routes import ROUTES as CALENDAR_ROUTES
from app.faces.public.shapes import (
    AccountShown,
    BookingPageShown,
    LinkedBookingShown,
    MoveIn,
    MovesQuery,
    OptoutIn,
    OptoutShown,
    PasswordIn,
    PasswordSet,
    PublicBookingIn,
    PublicBookingShown,
)
from app.faces.public.waitlist_shapes import OfferShown, PublicWaitlistIn, PublicWaitlistShown
from app.web.calendars import MEDIA, InviteQuery
from app.web.operation import Operation
from app.web.routing import ByToken, PublicRoute, Route
from app.web.shapes import OpenSlotsShown, ReasonIn, SlotsRange

_LINK = ("link_not_found", "link_expired")
_ASKED = (*_LINK, "invalid_transition", "method_not_allowed")
_BOOKED = ("slot_taken", "slot_unavailable", "routing_rejected")
_WAITED = ("event_type_not_found", "waitlist_closed", "slot_unavailable", "routing_rejected")


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


def _account(path: str, purpose: AccountPurpose, whose: str, word: str) -> tuple[PublicRoute, ...]:
    """The page of a link to somebody's own account, and its button."""
    return (
        PublicRoute(
            "GET",
            path,
            accounts.asked_to(purpose),
            Operation(f"Show {whose}", answer=AccountShown, problems=_LINK, page=True, name=f"get_{word}"),
        ),
        PublicRoute(
            "POST",
            path,
            accounts.decided(purpose),
            Operation(
                f"Set the password of {whose}",
                body=PasswordIn,
                answer=PasswordSet,
                problems=_LINK,
                page=True,
                name=f"set_password_by_{word}",
            ),
        ),
    )


_MARKDOWN = PublicRoute(
    "GET",
    "/{username}/{event_slug}.md",
    markdown.show,
    Operation(
        "Read a public page as text",
        media=markdown.MEDIA,
        problems=("event_type_not_found",),
        name="get_page_as_text",
    ),
)

_OFFERS = (
    PublicRoute(
        "POST",
        "/v1/book/{username}/{event_slug}/waitlist",
        waitlist.create,
        Operation(
            "Wait for what is taken on a public page",
            body=PublicWaitlistIn,
            answer=PublicWaitlistShown,
            status=201,
            problems=_WAITED,
            replays=True,
            name="join_page_waitlist",
        ),
    ),
    PublicRoute(
        "GET",
        "/v1/offers/{token}",
        offers.show,
        Operation(
            "Show the place that is held for whoever waited",
            answer=OfferShown,
            problems=_LINK,
            page=True,
            name="get_offer",
        ),
    ),
    PublicRoute(
        "POST",
        "/v1/offers/{token}/accept",
        offers.accept,
        Operation(
            "Take the place of an offer",
            answer=OfferShown,
            problems=(*_LINK, "invalid_transition", "slot_unavailable"),
            page=True,
            name="accept_offer",
        ),
    ),
    PublicRoute(
        "POST",
        "/v1/offers/{token}/leave",
        offers.leave,
        Operation(
            "Leave the place of an offer to the next in line",
            answer=OfferShown,
            problems=(*_LINK, "invalid_transition"),
            page=True,
            name="leave_offer",
        ),
    ),
)

ROUTES = (
    # before {username}, for which the word is reserved
    *_pages("/v1/book/link/{link_code}", "a single-use link's page", "link_page", _LINK),
    *_pages("/v1/book/{username}/{event_slug}", "a public page", "page", ()),
    *_OFFERS,
    _MARKDOWN,
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
        moves.show,
        Operation(
            "Show the booking of a reschedule link",
            query=MovesQuery,
            answer=LinkedBookingShown,
            problems=_LINK,
            page=True,
            name="get_reschedule_link",
        ),
    ),
    PublicRoute(
        "POST",
        "/v1/reschedule/{token}",
        moves.reschedule,
        Operation(
            "Move a booking by its link",
            body=MoveIn,
            answer=LinkedBookingShown,
            problems=(*_LINK, *_BOOKED, "invalid_transition", "event_type_not_found"),
            replays=True,
            page=True,
            name="reschedule_by_link",
        ),
    ),
    PublicRoute(
        "GET",
        "/v1/unsubscribe/{token}",
        optouts.show,
        Operation(
            "See whether reminders are wanted",
            answer=OptoutShown,
            problems=("link_not_found",),
            page=True,
            name="get_optout",
        ),
    ),
    PublicRoute(
        "POST",
        "/v1/unsubscribe/{token}",
        optouts.decide,
        Operation(
            "Stop reminders, or get them again",
            body=OptoutIn,
            answer=OptoutShown,
            problems=("link_not_found",),
            optional=True,
            page=True,
            name="stop_reminders",
        ),
    ),
    *_account("/invite/{token}", AccountPurpose.INVITATION, "the account of an invitation", "invitation"),
    *_account("/password/{token}", AccountPurpose.PASSWORD_RESET, "the account of a password link", "password_link"),
    PublicRoute(
        "GET",
        "/feeds/{token}.ics",
        calendars.feed,
        Operation("Subscribe to a host's bookings", media=MEDIA, problems=("link_not_found",), name="get_feed"),
    ),
    *CALENDAR_ROUTES,
)

_DECIDED = Operation(
    "Decide by a link",
    body=ReasonIn,
    answer=LinkedBookingShown,
    problems=(*_LINK, "invalid_transition"),
    optional=True,
    page=True,
)
_PUBLISHED = Operation(
    "Get the calendar entry of a link's booking", query=InviteQuery, media=MEDIA, problems=_LINK, page=True
)


def _decided(action: Action) -> ByToken:
    return ByToken(tokens.has_token, tokens.TOKEN_PATTERN, tokens.decided(action), _DECIDED)


# Routes of /v1 that a token opens too, and who answers then.
_BY_TOKEN = {
    ("POST", "/v1/bookings/{id}/confirm"): _decided(Action.CONFIRM),
    ("POST", "/v1/bookings/{id}/decline"): _decided(Action.DECLINE),
    ("GET", "/v1/bookings/{id}/invite.ics"): ByToken(
        calendars.has_token, calendars.TOKEN_PATTERN, calendars.invite, _PUBLISHED
    ),
}


def with_tokens(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes of /v1, of which some answer to a token too: the faces do not know each other, whoever puts them
    together does."""
    return tuple(replace(route, by_token=_BY_TOKEN.get((route.method, route.path))) for route in routes)
