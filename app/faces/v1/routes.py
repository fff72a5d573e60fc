"""The table of `/v1`: every route with the scope it needs, and what it reads and answers."""

from app.faces.rest import (
    event_types,
    links,
    locations,
    resources,
    schedules,
)
from app.faces.rest.shapes.event_types import DuplicateIn, EventTypeIn, EventTypePatch, EventTypeShown
from app.faces.rest.shapes.links import LinkIn, LinkShown
from app.faces.rest.shapes.locations import LocationIn, LocationPatch, LocationShown
from app.faces.rest.shapes.resources import (
    ResourceIn,
    ResourcePatch,
    ResourceShown,
    ResourcesQuery,
    VacanciesQuery,
    VacancyShown,
)
from app.faces.rest.shapes.schedules import ScheduleIn, SchedulePatch, ScheduleShown
from app.faces.v1.booking_routes import ROUTES as BOOKING_ROUTES
from app.faces.v1.calendar_routes import ROUTES as CALENDAR_ROUTES
from app.faces.v1.people_routes import ROUTES as PEOPLE_ROUTES
from app.faces.v1.waitlist_routes import ROUTES as WAITLIST_ROUTES
from app.faces.v1.webhook_routes import ROUTES as WEBHOOK_ROUTES
from app.web.operation import Many, One, Operation
from app.web.paging import Page
from app.web.routing import Route

_EVENT_TYPE = One("event_type", EventTypeShown)
_SCHEDULE = One("schedule", ScheduleShown)
_LOCATION = One("location", LocationShown)
_RESOURCE = One("resource", ResourceShown)

_NO_EVENT_TYPE = ("event_type_not_found",)

ROUTES = (
    *PEOPLE_ROUTES,
    Route(
        "GET",
        "/v1/event-types",
        event_types.list_all,
        "event_types:read",
        Operation("List event types", query=Page, answer=Many("event_types", EventTypeShown)),
    ),
    Route(
        "POST",
        "/v1/event-types",
        event_types.create,
        "event_types:write",
        Operation("Make an event type", body=EventTypeIn, answer=_EVENT_TYPE, status=201, replays=True),
    ),
    Route(
        "GET",
        "/v1/event-types/{code}",
        event_types.read,
        "event_types:read",
        Operation("Read an event type", answer=_EVENT_TYPE, problems=_NO_EVENT_TYPE),
    ),
    Route(
        "PATCH",
        "/v1/event-types/{code}",
        event_types.update,
        "event_types:write",
        Operation("Change an event type", body=EventTypePatch, answer=_EVENT_TYPE, problems=_NO_EVENT_TYPE),
    ),
    Route(
        "DELETE",
        "/v1/event-types/{code}",
        event_types.archive,
        "event_types:write",
        Operation("Archive an event type", status=204, problems=_NO_EVENT_TYPE),
    ),
    Route(
        "POST",
        "/v1/event-types/{code}/duplicate",
        event_types.duplicate,
        "event_types:write",
        Operation(
            "Copy an event type",
            name="duplicate_event_type",
            body=DuplicateIn,
            answer=_EVENT_TYPE,
            status=201,
            problems=_NO_EVENT_TYPE,
            replays=True,
            optional=True,
        ),
    ),
    Route(
        "GET",
        "/v1/event-types/{code}/links",
        links.list_all,
        "event_types:read",
        Operation("List an event type's links", query=Page, answer=Many("links", LinkShown), problems=_NO_EVENT_TYPE),
    ),
    Route(
        "POST",
        "/v1/event-types/{code}/links",
        links.create,
        "event_types:write",
        Operation(
            "Make a link that books an event type once",
            body=LinkIn,
            answer=One("link", LinkShown),
            status=201,
            problems=_NO_EVENT_TYPE,
            replays=True,
            optional=True,
        ),
    ),
    Route(
        "DELETE",
        "/v1/event-links/{link_code}",
        links.revoke,
        "event_types:write",
        Operation("Revoke a link", status=204, problems=("link_not_found",)),
    ),
    Route(
        "GET",
        "/v1/schedules",
        schedules.list_all,
        "event_types:read",
        Operation("List schedules", query=Page, answer=Many("schedules", ScheduleShown)),
    ),
    Route(
        "POST",
        "/v1/schedules",
        schedules.create,
        "event_types:write",
        Operation("Make a schedule", body=ScheduleIn, answer=_SCHEDULE, status=201, replays=True),
    ),
    Route(
        "GET", "/v1/schedules/{id}", schedules.read, "event_types:read", Operation("Read a schedule", answer=_SCHEDULE)
    ),
    Route(
        "PATCH",
        "/v1/schedules/{id}",
        schedules.update,
        "event_types:write",
        Operation("Change a schedule", body=SchedulePatch, answer=_SCHEDULE),
    ),
    Route(
        "DELETE",
        "/v1/schedules/{id}",
        schedules.delete,
        "event_types:write",
        Operation("Remove a schedule", status=204),
    ),
    Route(
        "GET",
        "/v1/locations",
        locations.list_all,
        "resources:read",
        Operation("List locations", query=Page, answer=Many("locations", LocationShown)),
    ),
    Route(
        "POST",
        "/v1/locations",
        locations.create,
        "resources:write",
        Operation("Make a location", body=LocationIn, answer=_LOCATION, status=201, replays=True),
    ),
    Route(
        "GET", "/v1/locations/{id}", locations.read, "resources:read", Operation("Read a location", answer=_LOCATION)
    ),
    Route(
        "PATCH",
        "/v1/locations/{id}",
        locations.update,
        "resources:write",
        Operation("Change a location", body=LocationPatch, answer=_LOCATION),
    ),
    Route(
        "DELETE",
        "/v1/locations/{id}",
        locations.archive,
        "resources:write",
        Operation("Archive a location", status=204),
    ),
    Route(
        "GET",
        "/v1/resources",
        resources.list_all,
        "resources:read",
        Operation("List resources", query=ResourcesQuery, answer=Many("resources", ResourceShown)),
    ),
    Route(
        "POST",
        "/v1/resources",
        resources.create,
        "resources:write",
        Operation("Make a resource", body=ResourceIn, answer=_RESOURCE, status=201, replays=True),
    ),
    # before {id}, which would take the word for an id
    Route(
        "GET",
        "/v1/resources/availability",
        resources.availability,
        "resources:read",
        Operation(
            "See which resources are free",
            query=VacanciesQuery,
            answer=Many("resources", VacancyShown),
            name="list_available_resources",
        ),
    ),
    Route(
        "GET", "/v1/resources/{id}", resources.read, "resources:read", Operation("Read a resource", answer=_RESOURCE)
    ),
    Route(
        "PATCH",
        "/v1/resources/{id}",
        resources.update,
        "resources:write",
        Operation("Change a resource", body=ResourcePatch, answer=_RESOURCE),
    ),
    Route(
        "DELETE",
        "/v1/resources/{id}",
        resources.archive,
        "resources:write",
        Operation("Archive a resource", status=204),
    ),
    *BOOKING_ROUTES,
    *WAITLIST_ROUTES,
    *CALENDAR_ROUTES,
    *WEBHOOK_ROUTES,
)
