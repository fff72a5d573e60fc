"""CalDAV answers of many parts, some of which are missing, broken or elsewhere."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from app.domain.calendars.dav import Dav as Requests
from app.domain.calendars.provider import Block, Refused, TryLater
from tests.fakes.between import Said
from tests.fakes.radicale import PASSWORD, USER, Radicale
from tests.workers.daving import ETAG, HOURS, Dav, part, parts, trying
from tests.workers.graph_account import HOUR, NINE
from tests.workers.test_guard_tls import certificates


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radicale]:
    radicale = Radicale(tmp_path_factory.mktemp("radicale"))
    radicale.start()
    try:
        yield radicale
    finally:
        radicale.stop()


@pytest.fixture
async def dav(server: Radicale) -> AsyncIterator[Dav]:
    async with trying(server) as made:
        yield made


async def test_a_part_of_an_answer_is_not_all_of_it(dav: Dav) -> None:
    dav.server.put(f"{dav.path}a.ics", *HOURS)
    _, token = await dav.sync()
    one, two = f"{dav.path}a.ics", f"{dav.path}b.ics"
    for said in (
        parts(part(one, 200, ETAG), part(two, 500)),
        # all are listed, and then one has no content, or is not told of
        parts(part(one, 200, ETAG)),
        parts(part(one, 200, ETAG), part(two, 403), token="next"),
        parts(part(one, 200, ETAG), part(two, 507), token="next"),
        parts(part(one, 404), part(dav.path, 503), token="next"),
        Said(207, parts(part(one, 404), token="next").text.replace("404 Said", "odd")),
    ):
        dav.between.answers[("REPORT", dav.path)] = said
        with pytest.raises(TryLater):
            await dav.sync()
        if "next" in said.text:
            with pytest.raises(TryLater):
                await dav.sync(token)
    # every request answers too little, however short the time
    dav.between.calls.clear()
    dav.between.answers[("REPORT", dav.path)] = parts(part(one, 200, ETAG), part(dav.path, 507))
    with pytest.raises(TryLater, match="incomplete"):
        await dav.sync()
    assert 3 < len(dav.between.calls) < 20


async def test_a_server_that_tells_only_some_is_asked_by_halves(dav: Dav) -> None:
    for day in range(3):
        dav.server.put(f"{dav.path}{day}.ics", f"DTSTART:2026060{4 + day}T090000Z", "DURATION:PT1H")
    dav.between.answers[("REPORT", dav.path)] = parts(part(dav.path, 507))
    dav.between.before += [("REPORT", lambda: None), ("REPORT", dav.between.answers.clear)]
    assert (await dav.sync())[0].keys() == {"0.ics", "1.ics", "2.ics"}


async def test_several_are_told_gone_at_once(dav: Dav) -> None:
    """RFC 4918, section 14.24."""
    dav.server.put(f"{dav.path}a.ics", *HOURS)
    _, token = await dav.sync()
    both = part(f"{dav.path}a.ics</d:href><d:href>{dav.path}b.ics", 404)
    dav.between.answers[("REPORT", dav.path)] = parts(both, token="next")
    found, _ = await dav.sync(token)
    assert {name: event.deleted for name, event in found.items()} == {"a.ics": True, "b.ics": True}


async def test_an_object_that_cannot_be_read_stalls_nothing(dav: Dav) -> None:
    dav.server.put(f"{dav.path}a.ics", *HOURS)
    broken = f"<c:calendar-data>BEGIN:VCALENDAR\nBEGIN:VEVENT\n{HOURS[0]}\n{HOURS[1]}\n</c:calendar-data>"
    lost = "<c:calendar-data>nothing</c:calendar-data>"
    dav.between.answers[("REPORT", dav.path)] = parts(
        part(f"{dav.path}a.ics", 200, ETAG + broken), part(f"{dav.path}b.ics", 200, ETAG + lost)
    )
    found, _ = await dav.sync()
    assert {name: event.blocks for name, event in found.items()} == {
        "a.ics": (Block(NINE, NINE + HOUR),),
        "b.ics": (),
    }


@pytest.mark.parametrize(
    ("inbox", "named", "primary"),
    [(True, "b", "b"), (True, "tasks", "personal"), (True, "", "personal"), (False, "b", "personal")],
)
async def test_the_primary_calendar(dav: Dav, inbox: bool, named: str, primary: str) -> None:
    def calendar(name: str, writable: bool = True) -> str:
        may = f"<d:privilege><d:{'write' if writable else 'read'}/></d:privilege>"
        kinds = "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>"
        return part(f"/home/{name}/", 200, f"{kinds}<d:current-user-privilege-set>{may}</d:current-user-privilege-set>")

    where = "<c:schedule-inbox-URL><d:href>/inbox/</d:href></c:schedule-inbox-URL>" if inbox else ""
    home = "<c:calendar-home-set><d:href>/home/</d:href></c:calendar-home-set>"
    default = f"<c:schedule-default-calendar-URL><d:href>/home/{named}/</d:href></c:schedule-default-calendar-URL>"
    dav.between.answers |= {
        ("PROPFIND", "/"): parts(part("/", 200, home + where)),
        ("PROPFIND", "/inbox/"): parts(part("/inbox/", 200, default)) if named else Said(404),
        ("PROPFIND", "/home/"): parts(
            calendar("default", writable=False), calendar("z"), calendar("b"), calendar("personal"), calendar("a")
        ),
    }
    found = await dav.at("/").list_calendars()
    assert [each.remote_id for each in found if each.primary] == [f"{dav.between.url}/home/{primary}/"]
    assert (await dav.at("/home/").list_calendars())[0].remote_id.endswith("/default/")
    dav.between.answers[("PROPFIND", "/home/")] = parts(calendar("a"), part("/home/b/", 500))
    with pytest.raises(TryLater, match="incomplete"):
        await dav.at("/").list_calendars()


class Here(AbstractResolver):
    """Every name is this machine's."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        return None


async def test_a_redirect_stays_on_its_host_even_where_calendars_may_be_beside_it(tmp_path: Path) -> None:
    _, context = certificates(tmp_path, "caldav.example.test")
    heard: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        heard.append(request.host.partition(":")[0])
        beside = request.url.with_host("p34.example.test" if request.path == "/away" else "caldav.example.test")
        return web.Response(status=301, headers={"Location": str(beside.with_path("/there"))})

    async def there(request: web.Request) -> web.Response:
        heard.append(request.host.partition(":")[0])
        return web.Response()

    app = web.Application()
    app.router.add_get("/there", there)
    app.router.add_get("/{path}", redirect)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    base = f"https://caldav.example.test:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False, resolver=Here())) as session:
            requests = Requests(session, base, USER, PASSWORD)
            with pytest.raises(Refused, match="foreign_address"):
                await requests.request("GET", f"{base}/away")
            assert heard == ["caldav.example.test"]
            # the host itself may say that calendars are there
            beside = base.replace("caldav", "p34")
            assert requests.joined(base, f"{beside}/there") == f"{beside}/there"
            answer, where = await requests.request("GET", f"{base}/near")
            assert (answer.status, where) == (200, f"{base}/there")
    finally:
        await runner.cleanup()
