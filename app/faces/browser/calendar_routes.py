"""The part of `/api`'s table that is about connected calendars."""

from app.domain.calendars.choices import ConnectedCalendar
from app.domain.calendars.report import RepairShown, ReportShown
from app.faces.rest import calendars
from app.faces.rest.shapes.calendars import CalendarPatch, ConnectIn, ConsentAsked
from app.faces.rest.shapes.webhooks import NothingIn
from app.web.browser import route
from app.web.operation import Besides, Data, DataList, DataPage
from app.web.paging import Numbers

_CALENDAR = Data(ConnectedCalendar)
_READ, _WRITE = "calendars:read", "calendars:write"

ROUTES = (
    route(
        *("GET", "calendars", calendars.list_all, _READ, "List connected calendars; a member's own"),
        query=Numbers,
        answer=DataPage(ConnectedCalendar),
    ),
    route(
        *("POST", "calendars/connect", calendars.connect, _WRITE, "Connect an account's calendars, one's own"),
        body=ConnectIn,
        nested="calendar",
        answer=Data(ConsentAsked),
        besides=(Besides(201, DataList(ConnectedCalendar)),),
        problems=("conflict",),
        name="session_connect_calendar",
    ),
    route("GET", "calendars/{id}", calendars.read, _READ, "Read a calendar", answer=_CALENDAR),
    route(
        *("PATCH", "calendars/{id}", calendars.update, _WRITE, "Choose what a calendar is used for"),
        body=CalendarPatch,
        nested="calendar",
        answer=_CALENDAR,
    ),
    route(
        *("DELETE", "calendars/{id}", calendars.delete, _WRITE, "Disconnect the whole account it belongs to"),
        status=204,
    ),
    *(
        route(
            *("POST", f"calendars/{{id}}/{word}", handler, _WRITE, summary),
            body=NothingIn,
            nested="calendar",
            optional=True,
            answer=_CALENDAR,
            problems=("conflict",),
        )
        for word, handler, summary in (
            ("sync", calendars.sync, "Have a calendar read at once"),
            ("apply", calendars.apply, "Let the changes that are held back be followed"),
            ("restore", calendars.restore, "Undo the changes that are held back; the bookings stay"),
        )
    ),
    route(
        *("GET", "calendars/{id}/report", calendars.report, _READ, "Compare a calendar with the bookings"),
        answer=Data(ReportShown),
    ),
    route(
        *("POST", "calendars/{id}/repair", calendars.repair, _WRITE, "Make good what differs in a calendar"),
        body=NothingIn,
        nested="calendar",
        optional=True,
        answer=Data(RepairShown),
    ),
)
