"""What the service sends, for whoever receives it: the document's `webhooks`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.web.openapi.schemas import Schema, Schemas

_HEADERS = {
    "X-Signature": (
        "`t=<unix seconds>,v1=<hex>`: HMAC-SHA256 of `<t>.<body>` under the secret, as Stripe's libraries verify it; "
        "one `v1` for each secret while a rotation overlaps."
    ),
    "X-Event-Id": "The event's id; the same in every delivery of it.",
    "X-Event-Type": "The event's type.",
    "X-Delivery-Id": "The delivery's id.",
    "X-Delivery-Attempt": "Counted from 1.",
    "webhook-id": "The event's id, as Standard Webhooks name it.",
    "webhook-timestamp": "Unix seconds.",
    "webhook-signature": "`v1,<base64>`: HMAC-SHA256 of `<id>.<timestamp>.<body>`, as Standard Webhooks have it.",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """types: names of events. shown: the TypedDict of their body."""

    types: tuple[str, ...]
    shown: Any


def name_of_event(kind: str) -> str:
    return f"on_{kind.replace('.', '_')}"


def describe_webhooks(sent: Sent, schemas: Schemas, examples: Mapping[str, Mapping[str, Any]]) -> Schema:
    """By the event's type."""
    return {kind: {"post": _delivery(kind, sent, schemas, examples)} for kind in sent.types}


def _delivery(kind: str, sent: Sent, schemas: Schemas, examples: Mapping[str, Mapping[str, Any]]) -> Schema:
    content: Schema = {"schema": schemas.ref(sent.shown)}
    example = examples.get(name_of_event(kind), {}).get("request")
    if example is not None:
        content["example"] = example
    return {
        "operationId": name_of_event(kind),
        "tags": ["webhooks"],
        "summary": f"`{kind}`",
        "description": "Sent at least once, and again, later and later, until it is answered with 2xx. Verify a "
        "signature before you trust the body; the event's id tells a repeat.",
        "parameters": _parameters(_HEADERS.items()),
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "2XX": {"description": "Received."},
            "410": {"description": "Nobody listens here any more: the webhook is disabled."},
        },
        "security": [],
    }


def _parameters(headers: Iterable[tuple[str, str]]) -> list[Schema]:
    return [
        {"name": name, "in": "header", "required": True, "description": about, "schema": {"type": "string"}}
        for name, about in headers
    ]
