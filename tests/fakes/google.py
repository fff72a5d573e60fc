"""Google Calendar API v3 as a small server of its own, with its accounts and calendars in memory.

Every request and every answer is held against Google's own description; what does not fit is answered 500 and kept in
`violations`, which a test expects to be empty.
"""

from collections.abc import Iterable
from copy import deepcopy
from datetime import date, datetime
from typing import Any

from aiohttp import web

from tests.fakes.google_api import Api, Asked
from tests.fakes.google_store import ApiError, Calendar, Json
from tests.fakes.oauth import OAuth


class FakeGoogle(Api):
    """accounts: their addresses; each has a primary calendar of that id. page_limit: no page is larger, whatever was
    asked. conference_reads: so many times a conference is read as pending; None: it fails."""

    def __init__(self, accounts: Iterable[str] = ("host@example.com",), *, oauth: OAuth | None = None) -> None:
        super().__init__(oauth or OAuth())
        self.base_url = ""
        self.conference_reads: int | None = 1
        self._pending: dict[str, int] = {}
        self._runner: web.AppRunner | None = None
        for account in accounts:
            self.add_account(account)

    async def start(self, port: int = 0) -> str:
        """The base URL, of the API and of the authorization server."""
        app = web.Application()
        self.oauth.add_routes(app)
        root = "/calendar/v3"
        events = root + "/calendars/{calendar}/events"
        for method, path, name, handler in (
            ("GET", root + "/users/me/calendarList", "calendarList.list", self.serve_calendar_list),
            ("GET", root + "/calendars/{calendar}", "calendars.get", self.serve_calendar_get),
            ("GET", events, "events.list", self.serve_list),
            ("POST", events, "events.insert", self._insert),
            ("POST", events + "/watch", "events.watch", self._watch),
            ("GET", events + "/{event}", "events.get", self._get),
            ("PATCH", events + "/{event}", "events.patch", self._patch),
            ("PUT", events + "/{event}", "events.update", self._update),
            ("DELETE", events + "/{event}", "events.delete", self._delete),
            ("POST", events + "/{event}/move", "events.move", self._move),
            ("POST", root + "/channels/stop", "channels.stop", self._stop),
        ):
            app.router.add_route(method, path, self.served(f"calendar.{name}", handler))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self.base_url

    async def stop(self) -> None:
        await self.stop_pushing()
        if self._runner is not None:
            await self._runner.cleanup()

    # What a test does there, as the account's owner.

    def add_account(self, account: str, timezone: str = "UTC") -> None:
        if account not in self.oauth.accounts:
            self.oauth.accounts.append(account)
        self.calendars[account] = Calendar(account, account, account, timezone, primary=True)

    def add_calendar(self, account: str, calendar: str, timezone: str = "UTC", **fields: Any) -> Calendar:
        """fields: of Calendar."""
        self.calendars[calendar] = Calendar(calendar, account, fields.pop("summary", calendar), timezone, **fields)
        return self.calendars[calendar]

    def add_event(self, calendar: str, start: datetime | date, end: datetime | date, **fields: Any) -> Json:
        """start, end: aware datetimes, or dates of whole days, the end exclusive. fields: of the resource."""
        there = self.calendars[calendar]
        event = there.new({"summary": "Busy", "start": _edge(start), "end": _edge(end), **fields})
        self.changed(there)
        return event

    def edit(self, calendar: str, event_id: str, **fields: Any) -> Json:
        """fields: of the resource; start and end as in `add_event`. An occurrence's id makes an exception."""
        for name in ("start", "end"):
            if isinstance(fields.get(name), date):
                fields[name] = {"date": None, "dateTime": None, **_edge(fields[name])}
        event = self.calendars[calendar].patch(event_id, fields)
        self.changed(self.calendars[calendar])
        return event

    def remove(self, calendar: str, event_id: str) -> None:
        self.calendars[calendar].cancel(event_id)
        self.changed(self.calendars[calendar])

    def move_to_calendar(self, calendar: str, event_id: str, destination: str) -> Json:
        """It keeps its id, and leaves a cancelled event behind."""
        source, target = self.calendars[calendar], self.calendars[destination]
        event = dict(source.find(event_id))
        if event["status"] == "cancelled" or event.get("recurringEventId"):
            raise ApiError(400, "cannotChangeOrganizerOfInstance", "The event cannot be moved.")
        source.cancel(event_id)
        moved = target.put({**event, "organizer": {"email": destination, "self": True}})
        self.changed(source)
        self.changed(target)
        return moved

    def event(self, calendar: str, event_id: str) -> Json:
        return self.calendars[calendar].find(event_id)

    # Serving: events one by one.

    async def _get(self, asked: Asked) -> Json:
        calendar = self.calendar_for(asked)
        event = calendar.find(asked.event_id)
        if event["id"] in self._pending:
            self._pending[event["id"]] -= 1
            if self._pending[event["id"]] < 0:
                del self._pending[event["id"]]
                event = calendar.put(_with_conference({**event}, "success"))
                self.changed(calendar)
        return event

    async def _insert(self, asked: Asked) -> Json:
        calendar = self.calendar_for(asked, "writer")
        event = calendar.new(self._arranged(calendar, asked, {}))
        self._note_conference(event)
        self.changed(calendar)
        return event

    async def _patch(self, asked: Asked) -> Json:
        calendar = self.calendar_for(asked, "writer")
        before = calendar.find(asked.event_id)
        _check_match(asked, before)
        event = calendar.patch(asked.event_id, self._arranged(calendar, asked, before))
        self._note_conference(event)
        self.changed(calendar)
        return event

    async def _update(self, asked: Asked) -> Json:
        """Whatever is not in the body and can be written is gone."""
        calendar = self.calendar_for(asked, "writer")
        before = calendar.find(asked.event_id)
        _check_match(asked, before)
        kept = ("id", "created", "creator", "organizer", "iCalUID", "sequence", "eventType", "recurringEventId")
        fields = self._arranged(calendar, asked, before)
        event = calendar.put({"status": "confirmed", **fields, **{key: before[key] for key in kept if key in before}})
        self._note_conference(event)
        self.changed(calendar)
        return event

    async def _delete(self, asked: Asked) -> None:
        calendar = self.calendar_for(asked, "writer")
        _check_match(asked, calendar.find(asked.event_id))
        calendar.cancel(asked.event_id)
        self.changed(calendar)

    async def _move(self, asked: Asked) -> Json:
        calendar = self.calendar_for(asked, "writer")
        return self.move_to_calendar(calendar.id, asked.event_id, asked.query["destination"])

    async def _watch(self, asked: Asked) -> Json:
        channel = self.open_channel(asked.account, self.calendar_for(asked), asked.body)
        return {
            "kind": "api#channel",
            "id": channel.id,
            "resourceId": channel.resource_id,
            "resourceUri": f"https://www.googleapis.com/calendar/v3/calendars/{channel.calendar}/events?alt=json",
            "token": channel.token,
            "expiration": str(int(channel.expires_at.timestamp() * 1000)),
        }

    async def _stop(self, asked: Asked) -> None:
        self.stop_channel(asked.account, asked.body)

    def _arranged(self, calendar: Calendar, asked: Asked, before: Json) -> Json:
        """What is to be written. Without conferenceDataVersion=1 a conference is neither made nor changed."""
        fields: Json = deepcopy(asked.body)
        conference = fields.pop("conferenceData", None)
        request = (conference or {}).get("createRequest")
        if request is None or asked.query.get("conferenceDataVersion") != "1":
            return fields
        if not calendar.meets or request["conferenceSolutionKey"]["type"] != "hangoutsMeet":
            raise ApiError(400, "invalid", "Invalid conference type value.")
        known = before.get("conferenceData", {}).get("createRequest", {}).get("requestId")
        if known != request["requestId"]:
            status = "failure" if self.conference_reads is None else "pending" if self.conference_reads else "success"
            fields["conferenceData"] = {"createRequest": request}
            _with_conference(fields, status)
        return fields

    def _note_conference(self, event: Json) -> None:
        status = event.get("conferenceData", {}).get("createRequest", {}).get("status", {}).get("statusCode")
        if status == "pending" and self.conference_reads:
            self._pending.setdefault(event["id"], self.conference_reads)


def _with_conference(event: Json, status: str) -> Json:
    request = {**event["conferenceData"]["createRequest"], "status": {"statusCode": status}}
    event["conferenceData"] = {"createRequest": request}
    if status == "success":
        code = f"{request['requestId'][:3]}-{request['requestId'][3:7]}-{request['requestId'][7:10]}"
        link = f"https://meet.google.com/{code}"
        event["hangoutLink"] = link
        event["conferenceData"] |= {
            "conferenceId": code,
            "conferenceSolution": {"key": {"type": "hangoutsMeet"}, "name": "Google Meet"},
            "entryPoints": [{"entryPointType": "video", "uri": link, "label": link.removeprefix("https://")}],
        }
    return event


def _check_match(asked: Asked, event: Json) -> None:
    if asked.request.headers.get("If-Match", event["etag"]) not in {event["etag"], "*"}:
        raise ApiError(412, "conditionNotMet", "Precondition Failed")


def _edge(at: datetime | date) -> Json:
    if isinstance(at, datetime):
        assert at.tzinfo is not None
        zone = str(at.tzinfo)
        return {"dateTime": at.isoformat(), **({"timeZone": zone} if "/" in zone or zone == "UTC" else {})}
    return {"date": at.isoformat()}
