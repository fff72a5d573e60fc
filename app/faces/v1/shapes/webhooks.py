"""Webhooks: what `/v1` takes and gives."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from app.core.ids import Kind, encode
from app.core.times import iso
from app.domain.webhooks.subscriptions import DEFAULT_EVENTS, Webhook
from app.web.fields import (
    WireModel,
)


class WebhookIn(WireModel):
    url: Annotated[str, StringConstraints(min_length=8, max_length=2048)]
    events: list[str] = Field(default_factory=lambda: list(DEFAULT_EVENTS), min_length=1, max_length=50)
    description: Annotated[str, StringConstraints(max_length=500)] | None = None
    active: bool = True


def webhook_out(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": encode(Kind.WEBHOOK, webhook.id),
        "url": webhook.url,
        "events": list(webhook.events),
        "description": webhook.description,
        "active": webhook.active,
        "failing_since": webhook.failing_since and iso(webhook.failing_since),
        "disabled_reason": webhook.disabled_reason,
        "created_at": iso(webhook.created_at),
        "updated_at": iso(webhook.updated_at),
    }
