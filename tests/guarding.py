"""What tests of the guard share: rules, and a delivery to wherever.

In these tests 127.0.0.2 is a public address, as the operator allows it, and 127.0.0.1 a private one.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.domain.webhooks.addresses import Guard
from app.domain.webhooks.deliver import Delivery
from app.domain.webhooks.signing import new_signing_secret
from tests.nameserver import Nameserver
from tests.unit.test_addresses import networks

PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"
LOOPBACK = networks("127.0.0.0/8", "::1/128")
NAME = "hooks.example.test"


def guard(*nameservers: Nameserver | str, **changes: Any) -> Guard:
    asked = tuple(each.address if isinstance(each, Nameserver) else each for each in nameservers)
    values: dict[str, Any] = {"development": True, "allowed": networks(f"{PUBLIC}/32"), "nameservers": asked}
    return Guard(**values | changes)


def delivery(url: str) -> Delivery:
    return Delivery(
        org_id=UUID(int=1), id=UUID(int=2), event_id=UUID(int=3), webhook_id=UUID(int=4), event_type="booking.created",
        body=b"{}", url=url, secrets=(new_signing_secret(),), attempts=0, retry_no=0, event_at=datetime.now(UTC),
    )  # fmt: skip
