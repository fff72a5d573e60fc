"""The part of `/v1`'s table that is about webhooks, what they were sent, and the event log."""

from app.domain.webhooks.subscriptions import WebhookShown
from app.faces.rest import deliveries, events, webhooks
from app.faces.rest.shapes.deliveries import DeliveriesQuery, DeliveryShown, ReplayIn, ReplayShown, SampleIn
from app.faces.rest.shapes.events import EventShown, EventsQuery, TriggerIn
from app.faces.rest.shapes.webhooks import NothingIn, WebhookCreated, WebhookIn, WebhookPatch
from app.web.operation import Many, One, Operation
from app.web.paging import Page
from app.web.routing import Route

_WEBHOOK = One("webhook", WebhookShown)
_DELIVERY = One("delivery", DeliveryShown)

ROUTES = (
    Route(
        "GET",
        "/v1/webhooks",
        webhooks.list_all,
        "webhooks:read",
        Operation("List webhooks", query=Page, answer=Many("webhooks", WebhookShown)),
    ),
    Route(
        "POST",
        "/v1/webhooks",
        webhooks.create,
        "webhooks:write",
        Operation(
            "Subscribe an address to events",
            body=WebhookIn,
            answer=One("webhook", WebhookCreated),
            status=201,
            problems=("conflict",),
            replays=True,
        ),
    ),
    Route("GET", "/v1/webhooks/{id}", webhooks.read, "webhooks:read", Operation("Read a webhook", answer=_WEBHOOK)),
    Route(
        "PATCH",
        "/v1/webhooks/{id}",
        webhooks.update,
        "webhooks:write",
        Operation("Change, pause or resume a webhook", body=WebhookPatch, answer=_WEBHOOK),
    ),
    Route("DELETE", "/v1/webhooks/{id}", webhooks.delete, "webhooks:write", Operation("Unsubscribe", status=204)),
    Route(
        "POST",
        "/v1/webhooks/{id}/rotate-secret",
        webhooks.rotate_secret,
        "webhooks:write",
        Operation(
            "Give a webhook a new secret",
            name="rotate_webhook_secret",
            body=NothingIn,
            answer=One("webhook", WebhookCreated),
            replays=True,
            optional=True,
        ),
    ),
    Route(
        "POST",
        "/v1/webhooks/{id}/test",
        deliveries.send_one_now,
        "webhooks:write",
        Operation("Send a sample", body=SampleIn, answer=_DELIVERY, problems=("conflict",), optional=True),
    ),
    Route(
        "POST",
        "/v1/webhooks/{id}/replay",
        deliveries.send_range_again,
        "webhooks:write",
        Operation("Send a period again", body=ReplayIn, answer=ReplayShown, status=202, problems=("conflict",)),
    ),
    Route(
        "GET",
        "/v1/webhooks/{id}/deliveries",
        deliveries.list_all,
        "webhooks:read",
        Operation("List what a webhook was sent", query=DeliveriesQuery, answer=Many("deliveries", DeliveryShown)),
    ),
    Route(
        "GET",
        "/v1/deliveries/{id}",
        deliveries.read,
        "webhooks:read",
        Operation("Read a delivery", answer=_DELIVERY),
    ),
    Route(
        "POST",
        "/v1/deliveries/{id}/redeliver",
        deliveries.send_again,
        "webhooks:write",
        Operation(
            "Send a delivery again",
            name="redeliver",
            body=NothingIn,
            answer=_DELIVERY,
            status=202,
            problems=("conflict",),
            optional=True,
        ),
    ),
    Route(
        "GET",
        "/v1/events",
        events.list_all,
        "webhooks:read",
        Operation("Read the event log", query=EventsQuery, answer=Many("events", EventShown)),
    ),
    Route(
        "POST",
        "/v1/events/test",
        events.trigger,
        "webhooks:write",
        Operation(
            "Record a sample of an event",
            name="trigger_event",
            body=TriggerIn,
            answer=One("event", EventShown),
            status=201,
            problems=("conflict",),
            replays=True,
        ),
    ),
    Route(
        "GET",
        "/v1/events/{id}",
        events.read,
        "webhooks:read",
        Operation("Read an event", answer=One("event", EventShown)),
    ),
)
