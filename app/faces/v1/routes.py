"""The table of `/v1`: every route with the scope it needs."""

from app.faces.v1 import bookings, event_types, schedules, slots, users, webhooks
from app.web.routing import Route

ROUTES = (
    Route("GET", "/v1/users/me", users.me, "any"),
    Route("GET", "/v1/event-types", event_types.list_all, "event_types:read"),
    Route("POST", "/v1/event-types", event_types.create, "event_types:write"),
    Route("GET", "/v1/event-types/{code}", event_types.read, "event_types:read"),
    Route("PATCH", "/v1/event-types/{code}", event_types.update, "event_types:write"),
    Route("DELETE", "/v1/event-types/{code}", event_types.archive, "event_types:write"),
    Route("GET", "/v1/schedules", schedules.list_all, "event_types:read"),
    Route("POST", "/v1/schedules", schedules.create, "event_types:write"),
    Route("GET", "/v1/schedules/{id}", schedules.read, "event_types:read"),
    Route("PATCH", "/v1/schedules/{id}", schedules.update, "event_types:write"),
    Route("DELETE", "/v1/schedules/{id}", schedules.delete, "event_types:write"),
    Route("GET", "/v1/slots", slots.list_slots, "slots:read", proves_key=True),
    Route("POST", "/v1/bookings", bookings.create, "bookings:write", proves_key=True),
    Route("GET", "/v1/bookings/{id}", bookings.read, "bookings:read"),
    Route("DELETE", "/v1/bookings/{id}", bookings.cancel, "bookings:write"),
    Route("POST", "/v1/bookings/{id}/cancel", bookings.cancel, "bookings:write"),
    Route("GET", "/v1/webhooks", webhooks.list_all, "webhooks:read"),
    Route("POST", "/v1/webhooks", webhooks.create, "webhooks:write"),
    Route("GET", "/v1/webhooks/{id}", webhooks.read, "webhooks:read"),
    Route("DELETE", "/v1/webhooks/{id}", webhooks.delete, "webhooks:write"),
)
