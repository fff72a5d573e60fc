"""Deliveries: what `/v1` takes and gives."""

from typing import Annotated, Literal

from pydantic import model_validator
from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import DeliveryRef, EventRef, Time, WebhookRef, one_of
from app.core.times import iso
from app.domain.webhooks.journal import STATUSES, LoggedDelivery
from app.web.fields import Instant, WireModel, refusal
from app.web.paging import Page

DeliveryStatus = Literal["pending", "delivered", "failed", "exhausted"]


class DeliveriesQuery(Page):
    """status may be given several times."""

    status: list[DeliveryStatus] | None = None


class SampleIn(WireModel):
    """event: the first one that the webhook is subscribed to, unless another is named."""

    event: str | None = None


class ReplayIn(WireModel):
    """What happened in [since, until); failed_only: only what never arrived."""

    since: Instant
    until: Instant | None = None
    failed_only: bool = False

    @model_validator(mode="after")
    def _runs_forward(self) -> "ReplayIn":
        if self.until is not None and self.until <= self.since:
            raise refusal("until", "must lie after since")
        return self


class AttemptShown(TypedDict):
    at: Time
    status_code: int | None
    duration_ms: int
    error: str | None
    response: str | None


class DeliveryShown(TypedDict):
    id: DeliveryRef
    event_id: EventRef
    event_type: str
    webhook_id: WebhookRef
    status: Annotated[str, one_of(*STATUSES)]
    attempts: list[AttemptShown]
    next_attempt_at: Time | None
    created_at: Time
    updated_at: Time


class CountShown(TypedDict):
    count: int


class ReplayShown(CountShown):
    success: Literal[True]


def delivery_out(delivery: LoggedDelivery) -> DeliveryShown:
    return {
        "id": encode(Kind.DELIVERY, delivery.id),
        "event_id": encode(Kind.EVENT, delivery.event_id),
        "event_type": delivery.event_type,
        "webhook_id": encode(Kind.WEBHOOK, delivery.webhook_id),
        "status": delivery.status,
        "attempts": [
            {
                "at": iso(attempt.at),
                "status_code": attempt.status_code,
                "duration_ms": attempt.duration_ms,
                "error": attempt.error,
                "response": attempt.response,
            }
            for attempt in delivery.attempts
        ],
        "next_attempt_at": iso(delivery.next_attempt_at) if delivery.next_attempt_at else None,
        "created_at": iso(delivery.created_at),
        "updated_at": iso(delivery.updated_at),
    }
