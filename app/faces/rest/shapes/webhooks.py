"""Webhooks: what `/v1` takes and gives."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from app.core.shown import Looks, one_of
from app.domain.webhooks.headers import MOST_HEADERS, check_header
from app.domain.webhooks.subscriptions import DEFAULT_EVENTS, EVENTS, WebhookShown
from app.web.fields import EventTypeId, WireModel, refusal


def _known(event: str) -> str:
    if event not in EVENTS:
        raise ValueError(f"is not an event; there are {', '.join(EVENTS)}")
    return event


def _sendable(headers: dict[str, str]) -> dict[str, str]:
    seen: set[str] = set()
    for name, value in headers.items():
        if obstacle := check_header(name, value):
            raise refusal(name[:60], obstacle)
        if name.lower() in seen:
            raise refusal(name, "stands there twice; capital letters make no difference")
        seen.add(name.lower())
    return headers


def _once(ids: list[Any]) -> list[Any]:
    return list(dict.fromkeys(ids))


GivenEvent = Annotated[str, AfterValidator(_known), one_of(*EVENTS)]
GivenUrl = Annotated[str, StringConstraints(min_length=8, max_length=2048), Looks({"format": "uri"})]
Description = Annotated[str, StringConstraints(max_length=500)]
# neither is trimmed: a secret may end with anything, and what may not stand there is refused with its name
HeaderText = Annotated[str, StringConstraints(strip_whitespace=False)]
GivenHeaders = Annotated[dict[HeaderText, HeaderText], Field(max_length=MOST_HEADERS), AfterValidator(_sendable)]
GivenEventTypes = Annotated[list[EventTypeId], Field(min_length=1, max_length=200), AfterValidator(_once)]


class WebhookIn(WireModel):
    """event_type_ids: only bookings of these, and what has no event type at all as long as it is about no booking;
    null: of all. headers: sent with every delivery, such as an `Authorization`; never shown again."""

    url: GivenUrl
    events: list[GivenEvent] = Field(default_factory=lambda: list(DEFAULT_EVENTS), min_length=1, max_length=50)
    event_type_ids: GivenEventTypes | None = None
    headers: GivenHeaders = Field(default_factory=dict)
    description: Description | None = None
    active: bool = True


class WebhookPatch(WireModel):
    """active: false pauses, true goes on, also after it was disabled for its failures. headers: all of them together;
    `{}` sends none any more."""

    url: GivenUrl = ""
    events: list[GivenEvent] = Field(default_factory=list, min_length=1, max_length=50)
    event_type_ids: GivenEventTypes | None = None
    headers: GivenHeaders = Field(default_factory=dict)
    description: Description | None = None
    active: bool = True

    def changes(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {
            name: tuple(dict.fromkeys(value)) if isinstance(value, list) else value for name, value in given.items()
        }


class NothingIn(WireModel):
    """For actions that take no arguments."""


class WebhookCreated(WebhookShown):
    """The only answer with the secret."""

    secret: Annotated[str, Looks({"pattern": "^whsec_"})]
