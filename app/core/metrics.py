"""What operators watch: counters and histograms for `/metrics` (prometheus-client).

The one rule: labels are route patterns, statuses and event types, never ids or addresses: the number of time series
must not grow with the number of customers.
"""

import os

from prometheus_client import REGISTRY as PROCESS_REGISTRY
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Counter("slotwire_http_requests", "Requests answered", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("slotwire_http_request_seconds", "Time to answer", ["method", "route"], buckets=_FAST)
BOOKINGS = Counter("slotwire_bookings", "Bookings made")
AGENT_CALLS = Counter("slotwire_mcp_calls", "Calls of MCP tools", ["tool", "outcome"])
DELIVERIES = Counter("slotwire_webhook_attempts", "Webhook attempts by outcome", ["outcome"])
CIRCUITS_OPEN = Gauge(
    "slotwire_webhook_circuits_open", "Webhooks that are left alone for a while", multiprocess_mode="livesum"
)
DELIVERY_SECONDS = Histogram("slotwire_webhook_attempt_seconds", "Time that a receiver took", buckets=_FAST)
DISPATCH_SECONDS = Histogram("slotwire_event_dispatch_seconds", "From an event's commit to its claim", buckets=_FAST)
MAILS = Counter("slotwire_mails", "Mails by outcome", ["outcome"])
WAKES_LOST = Counter("slotwire_wakes_lost", "Wake-ups that Redis did not take; the next sweep does the work")


def render() -> bytes:
    """The exposition text: of this process, or of all processes when they share a directory."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest(PROCESS_REGISTRY)
