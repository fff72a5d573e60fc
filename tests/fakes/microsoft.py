"""Microsoft Graph's calendars as a server: mailboxes, views, deltas, subscriptions, and whatever goes wrong with them.

Whatever is asked and answered is held against Microsoft's description; what breaks it stands in `violations`, and the
caller gets a 500.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiohttp import web

from tests.fakes import described_graph as described
from tests.fakes.faults import Call, Faults
from tests.fakes.graph_owner import Owner
from tests.fakes.graph_store import MAILBOX, Calendar, Json, as_text, graph_time
from tests.fakes.oauth import OAuth

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Delta:
    """A link that was given: what its holder has seen, and what is still to come."""

    calendar: str
    starts: str
    ends: str
    seen: dict[str, str]
    pages: list[list[Json]]


def failure(status: int, code: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {"error": {"code": code, "message": f"Told by the fake: {code}"}}
    return web.json_response(body, status=status, headers=headers)


class FakeMicrosoft(Faults, Owner):
    """Started on a free port of 127.0.0.1. Tests change what is in it as its owner would, in Outlook.

    accounts: their addresses; each has one calendar. page_limit: no page is larger, whatever was asked. duplicates: a
    second POST of one transactionId is refused ("conflict"), or answered with the event of the first ("existing").
    forgets_deleted: then the transactionId of an event that was deleted is free again.
    masters_alone: a changed series comes without its occurrences. drops_masters: deltas hold occurrences only.
    links_late: so many reads show no join link yet.
    """

    def __init__(self, accounts: Iterable[str] = (), *, oauth: OAuth | None = None) -> None:
        Faults.__init__(self)
        Owner.__init__(self)
        self.oauth = oauth or OAuth(
            authorize_path="/oauth2/v2.0/authorize",
            token_path="/oauth2/v2.0/token",
            revoke_path=None,
            offline_by_scope=True,
        )
        self.base_url = ""
        self.page_limit = 200
        self.duplicates = "conflict"
        self.forgets_deleted = False
        self.masters_alone = False
        self.drops_masters = False
        self.settings_forbidden = False
        self.no_mailbox = False
        self.links_late = 0
        self._links: dict[str, Delta] = {}
        self._runner: web.AppRunner | None = None
        for account in accounts:
            self.add_account(account)

    async def start(self, port: int = 0) -> str:
        """The address, without a slash at its end."""
        app = web.Application(middlewares=[self._guarded], client_max_size=10_000_000)
        self.oauth.add_routes(app)
        app.router.add_get("/v1.0/me", self._me)
        app.router.add_get("/v1.0/me/mailboxSettings", self._settings)
        app.router.add_get("/v1.0/me/calendars", self._calendars)
        calendar = "/v1.0/me/calendars/{calendar}"
        app.router.add_get(calendar, self._calendar)
        app.router.add_get(calendar + "/calendarView", self._view)
        app.router.add_get(calendar + "/calendarView/delta", self._delta)
        app.router.add_post(calendar + "/events", self._create)
        app.router.add_get(calendar + "/events/{event}", self._get)
        app.router.add_patch(calendar + "/events/{event}", self._patch)
        app.router.add_delete(calendar + "/events/{event}", self._delete)
        app.router.add_get(calendar + "/events/{event}/instances", self._instances)
        self.add_subscriptions(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        await self.start_pushing()
        return self.base_url

    async def stop(self) -> None:
        await self.stop_pushing()
        if self._runner is not None:
            await self._runner.cleanup()

    def expire_delta_tokens(self) -> None:
        self._links.clear()

    # Requests.

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/v1.0/"):
            return await handler(request)
        body = await request.json() if request.can_read_body else None
        await self.wait()
        fault = self.take(request.method, request.path)
        status = 0
        try:
            if fault is None or fault.after:
                response = await self._answer(request, handler)
            elif fault.status:
                code = {} if fault.body is not None else {"error": {"code": "serviceNotAvailable", "message": "Later."}}
                response = web.json_response(fault.body or code, status=fault.status, headers=fault.headers)
            if fault is not None and fault.status == 0:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            status = response.status
        except web.HTTPException as refusal:
            status = refusal.status
            raise
        finally:
            self.calls.append(Call(request.method, request.path, dict(request.query), body, status))
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.over_quota():
            return failure(429, "TooManyRequests", {"Retry-After": "7"})
        account = self.oauth.account_of(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if account is None:
            return failure(401, "InvalidAuthenticationToken")
        if self.no_mailbox:
            return failure(404, "MailboxNotEnabledForRESTAPI")
        request[MAILBOX] = self.store.mailboxes[account]
        said = len(self.violations)
        immutable = 'IdType="ImmutableId"' in request.headers.get("Prefer", "")
        if request.path.startswith("/v1.0/me/calendars") and not immutable:
            self.violations.append(f"{request.path}: ids would not be immutable")
        response = await handler(request)
        return failure(500, "violation") if len(self.violations) > said else response

    def _found(self, request: web.Request) -> Calendar:
        """Raises 404 as Graph does."""
        calendar = request[MAILBOX].calendars.get(request.match_info["calendar"])
        if calendar is None:
            raise _gone("ErrorItemNotFound")
        return calendar

    async def _me(self, request: web.Request) -> web.Response:
        account = request[MAILBOX].account
        return web.json_response({"id": account, "mail": account, "userPrincipalName": account})

    async def _settings(self, request: web.Request) -> web.Response:
        if self.settings_forbidden:
            return failure(403, "ErrorAccessDenied")
        shown = {"timeZone": request[MAILBOX].timezone}
        self.violations.extend(described.wrong_with("mailboxSettings", shown))
        return web.json_response(shown)

    async def _calendars(self, request: web.Request) -> web.Response:
        return self._listed(request, "calendars", "calendar", [c.shown() for c in request[MAILBOX].calendars.values()])

    async def _calendar(self, request: web.Request) -> web.Response:
        shown = self._found(request).shown()
        self.violations.extend(described.wrong_with("calendar", shown))
        return web.json_response(shown)

    async def _view(self, request: web.Request) -> web.Response:
        starts, ends = _period(request)
        found = self._found(request).visible(starts, ends, terse=False)
        return self._listed(request, "view", "event", [self._shown(request, event) for _, event in found.values()])

    async def _instances(self, request: web.Request) -> web.Response:
        starts, ends = _period(request)
        found = self._found(request)
        master_id = request.match_info["event"]
        if master_id not in found.series:
            raise _gone("ErrorItemNotFound")
        events = [
            self._shown(request, each)
            for each in found.occurrences(master_id)
            if each["start"]["dateTime"] < ends and each["end"]["dateTime"] > starts
        ]
        return self._listed(request, "instances", "event", events)

    def _listed(self, request: web.Request, operation: str, name: str, entries: list[Json]) -> web.Response:
        """A page of $top, from $skip on."""
        query = request.query
        self.violations.extend(described.wrong_with_parameters(operation, query))
        size = min(int(query.get("$top", "10")), self.page_limit)
        begin = int(query.get("$skip", "0"))
        page: Json = {"value": entries[begin : begin + size]}
        if begin + size < len(entries):
            page["@odata.nextLink"] = f"{self.base_url}{request.rel_url.update_query({'$skip': str(begin + size)})}"
        self.violations.extend(described.wrong_with_page(name, page))
        if selected := query.get("$select"):
            kept = {*selected.split(","), "id", "@odata.etag"}
            page["value"] = [{k: v for k, v in each.items() if k in kept} for each in page["value"]]
        return web.json_response(page)

    def _shown(self, request: web.Request, event: Json) -> Json:
        """With the body in the form that was preferred, and the join link once it is there."""
        shown = dict(event)
        if 'body-content-type="text"' in request.headers.get("Prefer", "") and "body" in shown:
            shown["body"] = {"contentType": "text", "content": as_text(event["body"]["content"])}
        if shown.get("onlineMeeting") and self.links_late > 0:
            self.links_late -= 1
            shown["onlineMeeting"] = None
        return shown

    async def _delta(self, request: web.Request) -> web.Response:
        query = request.query
        self.violations.extend(described.wrong_with_parameters("delta", query))
        calendar = self._found(request)
        token = query.get("$deltatoken") or query.get("$skiptoken")
        if token is None:
            starts, ends = _period(request)
            return self._delta_page(request, self._began(calendar, starts, ends, {}))
        link = self._links.get(token)
        if link is None:
            return failure(410, "SyncStateNotFound")
        if "$deltatoken" in query:
            link = self._began(calendar, link.starts, link.ends, link.seen)
        return self._delta_page(request, link)

    def _began(self, calendar: Calendar, starts: str, ends: str, seen: dict[str, str]) -> Delta:
        now = calendar.visible(starts, ends, terse=True)
        news = [entry for key, (version, entry) in now.items() if seen.get(key) != version]
        if self.masters_alone:
            news = [each for each in news if each["type"] != "occurrence"]
        if self.drops_masters:
            news = [each for each in news if each["type"] != "seriesMaster"]
        gone = [{"@removed": {"reason": "deleted"}, "id": key} for key in seen.keys() - now.keys()]
        entries = [*news, *gone]
        size = self.page_limit
        pages = [entries[at : at + size] for at in range(0, len(entries), size)] or [[]]
        return Delta(calendar.id, starts, ends, {key: version for key, (version, _) in now.items()}, pages)

    def _delta_page(self, request: web.Request, delta: Delta) -> web.Response:
        token = f"t{len(self._links) + 1}-{id(delta):x}"
        path = f"{self.base_url}{request.path}"
        page: Json = {"value": [self._shown(request, each) for each in delta.pages[0]]}
        rest = Delta(delta.calendar, delta.starts, delta.ends, delta.seen, delta.pages[1:])
        self._links[token] = rest
        page["@odata.nextLink" if rest.pages else "@odata.deltaLink"] = (
            f"{path}?${'skip' if rest.pages else 'delta'}token={token}"
        )
        self.violations.extend(described.wrong_with_page("event", page))
        return web.json_response(page)

    async def _create(self, request: web.Request) -> web.Response:
        calendar, given = self._found(request), await request.json()
        self.violations.extend(described.wrong_with_write("event", given))
        if not calendar.can_edit:
            return failure(403, "ErrorAccessDenied")
        if given["start"]["dateTime"] > given["end"]["dateTime"]:
            return failure(400, "ErrorPropertyValidationFailure")
        transaction, known = given.get("transactionId"), request[MAILBOX].transactions
        existing = calendar.find(known[transaction]) if transaction in known else None
        if transaction in known and self.duplicates == "conflict" and not (self.forgets_deleted and existing is None):
            return failure(409, "ErrorDuplicateTransactionId")
        if existing is not None:
            return self._answered(request, existing, 201)
        for name in {"start", "end"} & given.keys():
            given[name] = _normalised(given[name])
        event = self.store.put(calendar, given)
        if transaction is not None:
            known[transaction] = event["id"]
        self.tell(calendar.id, "created", event)
        return self._answered(request, event, 201)

    def _event(self, request: web.Request) -> tuple[Calendar, Json]:
        calendar = self._found(request)
        event = calendar.find(request.match_info["event"])
        if event is None:
            raise _gone("ErrorItemNotFound")
        return calendar, event

    async def _get(self, request: web.Request) -> web.Response:
        return self._answered(request, self._event(request)[1])

    async def _patch(self, request: web.Request) -> web.Response:
        (calendar, event), given = self._event(request), await request.json()
        self.violations.extend(described.wrong_with_write("event", given))
        if not calendar.can_edit:
            return failure(403, "ErrorAccessDenied")
        for name in {"start", "end"} & given.keys():
            given[name] = _normalised(given[name])
        self.store.change(event, given)
        self.tell(calendar.id, "updated", event)
        return self._answered(request, event)

    async def _delete(self, request: web.Request) -> web.Response:
        calendar, event = self._event(request)
        self.remove(calendar.id, event["id"])
        return web.Response(status=204)

    def _answered(self, request: web.Request, event: Json, status: int = 200) -> web.Response:
        shown = self._shown(request, event)
        self.violations.extend(described.wrong_with("event", shown))
        return web.json_response(shown, status=status)


def _gone(code: str) -> web.HTTPNotFound:
    answer = failure(404, code)
    return web.HTTPNotFound(text=answer.text, content_type="application/json")


def _period(request: web.Request) -> tuple[str, str]:
    try:
        starts, ends = (
            datetime.fromisoformat(request.query[name]).astimezone(UTC) for name in ("startDateTime", "endDateTime")
        )
    except (KeyError, ValueError):
        raise web.HTTPBadRequest(text='{"error": {"code": "ErrorInvalidParameter"}}') from None
    if ends - starts > timedelta(days=1825):
        raise web.HTTPBadRequest(text='{"error": {"code": "ErrorCalendarViewRangeTooBig"}}')
    return graph_time(starts)["dateTime"], graph_time(ends)["dateTime"]


def _normalised(value: Json) -> Json:
    return graph_time(datetime.fromisoformat(value["dateTime"]).replace(tzinfo=UTC))
