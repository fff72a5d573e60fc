"""The part of `/v1`'s table that is about connected calendars."""

from app.domain.calendars.choices import ConnectedCalendar
from app.domain.calendars.report import RepairShown, ReportShown
from app.faces.rest import calendars
from app.faces.rest.shapes.calendars import CalendarPatch, CalendarsConnected, ConnectIn, ConsentShown
from app.faces.rest.shapes.webhooks import NothingIn
from app.web.operation import Besides, Many, One, Operation
from app.web.paging import Page
from app.web.routing import Route

_CALENDAR = One("calendar", ConnectedCalendar)
_READ, _WRITE = "calendars:read", "calendars:write"

ROUTES = (
    Route(
        "GET",
        "/v1/calendars",
        calendars.list_all,
        _READ,
        Operation("List connected calendars", query=Page, answer=Many("calendars", ConnectedCalendar)),
    ),
    Route(
        "POST",
        "/v1/calendars/connect",
        calendars.connect,
        _WRITE,
        Operation(
            "Connect an account's calendars: for Google and Microsoft by the address that is answered, for CalDAV at "
            "once; a repeat connects it again",
            body=ConnectIn,
            answer=ConsentShown,
            besides=(Besides(201, CalendarsConnected),),
            problems=("conflict",),
            name="connect_calendar",
        ),
    ),
    Route("GET", "/v1/calendars/{id}", calendars.read, _READ, Operation("Read a calendar", answer=_CALENDAR)),
    Route(
        "PATCH",
        "/v1/calendars/{id}",
        calendars.update,
        _WRITE,
        Operation("Choose what a calendar is used for", body=CalendarPatch, answer=_CALENDAR),
    ),
    Route(
        "DELETE",
        "/v1/calendars/{id}",
        calendars.delete,
        _WRITE,
        Operation("Disconnect the whole account that a calendar belongs to; what stands there stays", status=204),
    ),
    Route(
        "POST",
        "/v1/calendars/{id}/sync",
        calendars.sync,
        _WRITE,
        Operation(
            "Have a calendar read at once", body=NothingIn, answer=_CALENDAR, problems=("conflict",), optional=True
        ),
    ),
    Route(
        "POST",
        "/v1/calendars/{id}/apply",
        calendars.apply,
        _WRITE,
        Operation(
            "Let the changes that are held back of an account's calendars be followed",
            body=NothingIn,
            answer=_CALENDAR,
            problems=("conflict",),
            optional=True,
            name="apply_calendar_changes",
        ),
    ),
    Route(
        "POST",
        "/v1/calendars/{id}/restore",
        calendars.restore,
        _WRITE,
        Operation(
            "Undo the changes that are held back in an account's calendars; the bookings stay",
            body=NothingIn,
            answer=_CALENDAR,
            problems=("conflict",),
            optional=True,
            name="restore_calendar_events",
        ),
    ),
    Route(
        "GET",
        "/v1/calendars/{id}/report",
        calendars.report,
        _READ,
        Operation("Compare a calendar with the bookings", answer=One("report", ReportShown)),
    ),
    Route(
        "POST",
        "/v1/calendars/{id}/repair",
        calendars.repair,
        _WRITE,
        Operation(
            "Make good what differs in a calendar; no booking is moved or cancelled by it",
            body=NothingIn,
            answer=One("report", RepairShown),
            optional=True,
        ),
    ),
)
