"""Connected calendars: what `/v1` and `/api` take and give."""

from typing import Annotated, Any, Literal

from pydantic import StringConstraints, model_validator
from typing_extensions import TypedDict

from app.core.shown import Link
from app.domain.calendars.choices import ConnectedCalendar, StalePolicy
from app.faces.rest.shapes.webhooks import GivenUrl
from app.web.fields import Name, WireModel, missing, refusal

Return = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
# as it was typed: spaces at its ends are a part of it
Secret = Annotated[str, StringConstraints(strip_whitespace=False, min_length=1, max_length=1000)]

_OF_CALDAV = ("url", "username", "password")


class ConnectIn(WireModel):
    """google, microsoft: answered with the address of their consent page; redirect_to: where the person goes from
    there, a path of ours or an address of a site that the operator names, with `calendar=connected` or
    `calendar_error` in its query. caldav: url, username and password, which are tried at once; for most providers an
    app password."""

    provider: Literal["google", "microsoft", "caldav"]
    redirect_to: Return | None = None
    url: GivenUrl | None = None
    username: Name | None = None
    password: Secret | None = None

    @model_validator(mode="after")
    def _has_what_its_provider_takes(self) -> "ConnectIn":
        given = [name for name in _OF_CALDAV if getattr(self, name) is not None]
        if self.provider == "caldav":
            if len(given) < len(_OF_CALDAV):
                raise missing(*(name for name in _OF_CALDAV if name not in given))
            if self.redirect_to is not None:
                raise refusal("redirect_to", "nobody is sent anywhere: a CalDAV account is connected at once")
        elif given:
            raise refusal(given[0], f"is of CalDAV accounts; {self.provider} asks on its own page")
        return self


class CalendarPatch(WireModel):
    """read_busy: what it says is taken counts. is_write_target: bookings are entered here, and in no other calendar of
    the same person. stale_policy: what its host is while it could not be read: busy, free, or free with a warning."""

    read_busy: bool = False
    is_write_target: bool = False
    stale_policy: StalePolicy = "fail_closed"

    def changes(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class ConsentAsked(TypedDict):
    """authorization_url: of the provider's consent page, good for ten minutes and once."""

    authorization_url: Link


class ConsentShown(ConsentAsked):
    """The same as `/v1` says it."""

    success: Literal[True]


class CalendarsConnected(TypedDict):
    """The calendars of an account that was connected."""

    success: Literal[True]
    calendars: list[ConnectedCalendar]
