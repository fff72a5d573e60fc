"""Webhooks: what `/v1` takes and gives."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import Link, Looks, Time, WebhookRef, one_of
from app.core.times import iso
from app.domain.webhooks.subscriptions import DEFAULT_EVENTS, EVENTS, Webhook
from app.web.fields import (
    WireModel,
)


def _known(event: str) -> str:
    if event not in EVENTS:
        raise ValueError(f"is not an event; there are {', '.join(EVENTS)}")
    return event


EventName = Annotated[str, one_of(*EVENTS)]
GivenEvent = Annotated[str, AfterValidator(_known), one_of(*EVENTS)]
GivenUrl = Annotated[str, StringConstraints(min_length=8, max_length=2048), Looks({"format": "uri"})]
Description = Annotated[str, StringConstraints(max_length=500)]


class WebhookIn(WireModel):
    url: GivenUrl
    events: list[GivenEvent] = Field(default_factory=lambda: list(DEFAULT_EVENTS), min_length=1, max_length=50)
    description: Description | None = None
    active: bool = True


class WebhookPatch(WireModel):
    """active: false pauses, true goes on, also after it was disabled for its failures."""

    url: GivenUrl = ""
    events: list[GivenEvent] = Field(default_factory=list, min_length=1, max_length=50)
    description: Description | None = None
    active: bool = True

    def changes(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: tuple(dict.fromkeys(value)) if name == "events" else value for name, value in given.items()}


class NothingIn(WireModel):
    """For actions that take no arguments."""


class WebhookShown(TypedDict):
    id: WebhookRef
    url: Link
    events: list[EventName]
    description: str | None
    active: bool
    failing_since: Time | None
    disabled_reason: str | None
    created_at: Time
    updated_at: Time


class WebhookCreated(WebhookShown):
    """The only answer with the secret."""

    secret: Annotated[str, Looks({"pattern": "^whsec_"})]


def webhook_out(webhook: Webhook) -> WebhookShown:
    return {
        "id": encode(Kind.WEBHOOK, webhook.id),
        "url": webhook.url,
        "events": list(webhook.events),
        "description": webhook.description,
        "active": webhook.active,
        "failing_since": iso(webhook.failing_since) if webhook.failing_since else None,
        "disabled_reason": webhook.disabled_reason,
        "created_at": iso(webhook.created_at),
        "updated_at": iso(webhook.updated_at),
    }
