"""The guard through real attempts: a name server that changes its mind, receivers that listen, and traps that must
never hear of anything.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from app.domain.webhooks.addresses import AddressRefused, Guard, GuardedResolver
from app.domain.webhooks.deliver import Outcome, attempt, open_session
from app.domain.webhooks.names import NameNotResolved, Names
from app.main import build_app
from tests.guarding import LOOPBACK, NAME, PRIVATE, PUBLIC, delivery, guard
from tests.nameserver import NXDOMAIN, SERVFAIL, Nameserver, answering
from tests.processes import free_port
from tests.support import Api, Receiver, Servers, Tenant, eventually, settings_for
from tests.unit.test_addresses import DISGUISES, networks


class Listener:
    """An HTTP server on each of these addresses, all of one port; it keeps who was called."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.port = 0

    async def take(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.heard.append(request.transport.get_extra_info("sockname")[0])
        # the next attempt connects, and so resolves, anew
        return web.Response(headers={"Connection": "close"})

    def url(self, name: str) -> str:
        return f"http://{name}:{self.port}/hook"


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    """One that is public, and traps where nothing may be sent."""
    made, app = Listener(), web.Application()
    app.router.add_route("*", "/{path:.*}", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    for host in (PUBLIC, PRIVATE, *(["::1"] if has_ipv6() else [])):
        site = web.TCPSite(runner, host, made.port)
        await site.start()
        made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.fixture
async def names() -> AsyncIterator[Nameserver]:
    async with answering() as server:
        yield server


@asynccontextmanager
async def client(guard: Guard, seconds: float = 5.0) -> AsyncIterator[Callable[[str], Coroutine[None, None, Outcome]]]:
    """Makes attempts, as one worker does."""
    async with open_session(guard=guard, concurrency=100, timeout_seconds=seconds) as session:
        yield lambda url: attempt(session, delivery(url), guard=guard, now=datetime.now(UTC))


async def once(url: str, guard: Guard, seconds: float = 5.0) -> Outcome:
    async with client(guard, seconds) as send:
        return await send(url)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# Rebinding.


async def test_a_name_that_turns_private_after_it_was_checked(names: Nameserver, listener: Listener) -> None:
    """What was checked is what is connected to: the second answer of the name server is never asked for."""
    names.answer_in_turn(NAME, [PUBLIC], [PRIVATE])
    async with client(guard(names)) as send:
        outcomes = [await send(listener.url(NAME)) for _ in range(3)]
    assert [each.error for each in outcomes] == [None, None, None]
    assert listener.heard == [PUBLIC] * 3
    assert names.asked(NAME) == 1


async def test_a_name_that_turned_private_is_refused_once_it_is_asked_for_again(
    names: Nameserver, listener: Listener
) -> None:
    names.answer_in_turn(NAME, [PUBLIC], [PRIVATE])
    rules = guard(names)
    async with open_session(guard=rules, concurrency=1, timeout_seconds=5) as session:
        assert await sent(session, rules, listener) is None
        forget(session)
        assert await sent(session, rules, listener) == "address_not_allowed"
        assert await sent(session, rules, listener) == "address_not_allowed"
    assert listener.heard == [PUBLIC]
    assert names.asked(NAME) == 3, "a refusal is not remembered: the next attempt may find the name in order"


async def test_a_name_that_turns_public_again(names: Nameserver, listener: Listener) -> None:
    names.answer_in_turn(NAME, [PRIVATE], [PUBLIC])
    async with client(guard(names)) as send:
        outcomes = [await send(listener.url(NAME)) for _ in range(2)]
    assert [each.error for each in outcomes] == ["address_not_allowed", None]
    assert listener.heard == [PUBLIC]


async def sent(session: ClientSession, rules: Guard, listener: Listener) -> str | None:
    return (await attempt(session, delivery(listener.url(NAME)), guard=rules, now=datetime.now(UTC))).error


def forget(session: ClientSession) -> None:
    """As if the ten seconds were over."""
    session.connector.clear_dns_cache()  # type: ignore[union-attr]


@pytest.mark.parametrize("order", [[PUBLIC, PRIVATE], [PRIVATE, PUBLIC], ["::1", PRIVATE, "fe80::1", PUBLIC]])
async def test_of_several_addresses_only_the_public_ones_are_connected_to(
    names: Nameserver, listener: Listener, order: list[str]
) -> None:
    names.answer(NAME, *order)
    for _ in range(4):
        assert (await once(listener.url(NAME), guard(names))).delivered
    assert listener.heard == [PUBLIC] * 4


async def test_a_public_address_that_is_dead_is_no_reason_to_try_a_private_one(
    names: Nameserver, listener: Listener
) -> None:
    names.answer(NAME, "127.0.0.3", PRIVATE)
    outcome = await once(listener.url(NAME), guard(names, allowed=networks("127.0.0.3/32")))
    assert (outcome.error, listener.heard) == ("connection_refused", [])


PRIVATE_ANSWERS = [
    (PRIVATE,), ("10.0.0.1",), ("169.254.169.254",), ("0.0.0.1",), ("::1",), ("::",), ("::ffff:127.0.0.1",),
    ("64:ff9b::7f00:1",), ("fd00:ec2::254",), ("2002:7f00:1::",), ("::127.0.0.1",), (PRIVATE, "::1", "10.0.0.1"),
]  # fmt: skip


@pytest.mark.parametrize("addresses", PRIVATE_ANSWERS, ids=",".join)
async def test_names_of_private_addresses_are_refused(
    names: Nameserver, listener: Listener, addresses: tuple[str, ...]
) -> None:
    names.answer(NAME, *addresses)
    outcome = await once(listener.url(NAME), guard(names))
    assert (outcome.error, outcome.status_code, listener.heard) == ("address_not_allowed", None, [])


@pytest.mark.parametrize("url", [*DISGUISES, "https://localhost/", "https://127.0.0.1/", "https://[::1]/"])
async def test_no_spelling_reaches_a_private_address(names: Nameserver, listener: Listener, url: str) -> None:
    url = f"http{url.removeprefix('https').rstrip('/')}:{listener.port}/"
    assert (await once(url, guard(names))).error == "address_not_allowed"
    assert (listener.heard, names.questions) == ([], [])


async def test_ports_are_judged_at_the_attempt_too(names: Nameserver, listener: Listener) -> None:
    """The operator may have named them after the webhook was made."""
    names.answer(NAME, PUBLIC)
    refused = await once(listener.url(NAME), guard(names, ports=(443,)))
    assert (refused.error, listener.heard, names.questions) == ("address_not_allowed", [], [])
    implied = await once(f"http://{NAME}/hook", guard(names, ports=(listener.port,)))
    assert (implied.error, names.questions) == ("address_not_allowed", [])
    assert (await once(listener.url(NAME), guard(names, ports=(443, listener.port)))).delivered


# Name servers.


@pytest.mark.parametrize("code", [NXDOMAIN, SERVFAIL])
async def test_a_name_that_does_not_resolve(names: Nameserver, listener: Listener, code: int) -> None:
    names.fail(NAME, code)
    outcome = await once(listener.url(NAME), guard(names))
    assert (outcome.error, outcome.status_code) == ("dns_failed", None)


async def test_a_name_without_an_address(names: Nameserver, listener: Listener) -> None:
    names.answer(NAME)
    assert (await once(listener.url(NAME), guard(names))).error == "dns_failed"


async def test_a_silent_name_server_costs_an_attempt_its_time_and_no_more(
    names: Nameserver, listener: Listener
) -> None:
    names.be_silent(NAME)
    began = time.monotonic()
    outcome = await once(listener.url(NAME), guard(names), seconds=1.0)
    assert outcome.error == "timeout"
    assert 0.9 < time.monotonic() - began < 3.0
    assert outcome.duration_ms < 3000


async def test_slow_names_delay_nobody_else(names: Nameserver, listener: Listener) -> None:
    """Far more of them than there are threads in which a getaddrinfo could wait."""
    silent = [f"silent{number}.test" for number in range(60)]
    slow = [f"slow{number}.test" for number in range(20)]
    for name in silent:
        names.be_silent(name)
    for name in slow:
        names.answer(name, PUBLIC, delay_seconds=0.6)
    async with client(guard(names), seconds=4.0) as send:
        held = [asyncio.create_task(send(listener.url(name))) for name in silent]
        late = [asyncio.create_task(send(listener.url(name))) for name in slow]
        await asyncio.sleep(0.1)
        for number in range(10):
            names.answer(f"quick{number}.test", PUBLIC)
            began = time.monotonic()
            assert (await send(listener.url(f"quick{number}.test"))).delivered
            assert time.monotonic() - began < 0.5
        assert {each.error for each in await asyncio.gather(*late)} == {None}
        assert {each.error for each in await asyncio.gather(*held)} == {"timeout"}


async def test_many_attempts_for_one_slow_name_ask_once(names: Nameserver, listener: Listener) -> None:
    names.answer(NAME, PUBLIC, delay_seconds=0.3)
    async with client(guard(names)) as send:
        outcomes = await asyncio.gather(*(send(listener.url(NAME)) for _ in range(10)))
    assert [each.error for each in outcomes] == [None] * 10
    assert names.asked(NAME) == 1


async def test_the_next_name_server_answers_for_a_dead_one(names: Nameserver, listener: Listener) -> None:
    names.answer(NAME, PUBLIC)
    dead = f"127.0.0.1:{free_port()}"
    assert (await once(listener.url(NAME), guard(dead, names), seconds=10.0)).delivered


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_ipv6_from_the_name_server_to_the_receiver(listener: Listener) -> None:
    async with answering("::1") as names:
        names.answer(NAME, "::1")
        outcome = await once(listener.url(NAME), guard(names, allowed=networks("::1/128")))
    assert (outcome.error, listener.heard) == (None, ["::1"])


async def test_the_hosts_file_goes_first(names: Nameserver, listener: Listener) -> None:
    """`localhost` is there on every machine; containers get their names there."""
    names.answer("localhost", "10.0.0.1")
    assert (await once(listener.url("localhost"), guard(names, allowed=LOOPBACK))).delivered
    listed = hosts_of(PRIVATE) - {"localhost"}
    for name in listed:
        assert (await once(listener.url(name), guard(names, allowed=LOOPBACK))).delivered
    assert names.questions == []


def hosts_of(address: str) -> set[str]:
    lines = [line.partition("#")[0].split() for line in Path("/etc/hosts").read_text().splitlines()]
    return {name for each in lines if each and each[0] == address for name in each[1:]}


async def test_without_name_servers_the_systems_are_asked() -> None:
    resolver = GuardedResolver(Guard())
    try:
        with pytest.raises(AddressRefused):
            await resolver.resolve("localhost", 80)
    finally:
        await resolver.close()
    open_to_us = GuardedResolver(Guard(allowed=LOOPBACK))
    try:
        found = await open_to_us.resolve("localhost", 80)
    finally:
        await open_to_us.close()
    assert {each["host"] for each in found} <= {"127.0.0.1", "::1"}
    assert {each["port"] for each in found} == {80}


async def test_a_look_up_that_nobody_waits_for_any_more_harms_nobody(names: Nameserver) -> None:
    names.be_silent(NAME)
    names.answer("quick.test", PUBLIC)
    looking = Names((names.address,))
    try:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(looking.look_up(NAME), timeout=0.1)
        assert await looking.look_up("quick.test") == [(socket.AF_INET, PUBLIC)]
        with pytest.raises(NameNotResolved):
            await looking.look_up("a" * 64 + ".test")
        waiting = asyncio.create_task(looking.look_up(NAME))
        await asyncio.sleep(0.05)
    finally:
        looking.close()
        looking.close()
    with pytest.raises(NameNotResolved):
        await waiting
    with pytest.raises(NameNotResolved, match="closed"):
        await looking.look_up("quick.test")


async def test_closing_ends_what_is_being_looked_up(names: Nameserver, listener: Listener) -> None:
    names.be_silent(NAME)
    rules = guard(names)

    async def asked() -> bool:
        return bool(names.questions)

    session = open_session(guard=rules, concurrency=10, timeout_seconds=30)
    task = asyncio.create_task(attempt(session, delivery(listener.url(NAME)), guard=rules, now=datetime.now(UTC)))
    await eventually(asked)
    began = time.monotonic()
    await session.close()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 1.0


# When subscribing.


async def test_a_port_that_the_operator_does_not_let_through_cannot_be_subscribed(
    aiohttp_client: Callable[[web.Application], Awaitable[object]], servers: Servers, tenant: Tenant
) -> None:
    settings = settings_for(servers, webhook_ports="443,8443")
    api = Api(await aiohttp_client(build_app(settings)), tenant.api_key)  # type: ignore[arg-type]
    for url in ("https://example.com:9443/", "http://example.com/"):
        refused = (await api.post("/v1/webhooks", {"url": url})).ok(400)
        (told,) = refused["errors"]
        assert told["field"] == "url"
        assert "443, 8443" in told["message"]
    made = (await api.post("/v1/webhooks", {"url": "https://example.com:8443/"})).ok(201)["webhook"]
    changed = await api.call("PATCH", f"/v1/webhooks/{made['id']}", {"url": "https://example.com:444/"})
    assert changed.status == 400
    assert (await api.get(f"/v1/webhooks/{made['id']}")).ok()["webhook"]["url"] == "https://example.com:8443/"


async def test_a_worker_asks_the_name_servers_of_its_settings(names: Nameserver, servers: Servers) -> None:
    settings = settings_for(servers, webhook_nameservers=names.address)
    receiver = Receiver()
    names.answer(NAME, PRIVATE)
    try:
        url = (await receiver.start()).replace("127.0.0.1", NAME)
        assert (await once(url, Guard.of(settings))).delivered
        assert names.asked(NAME) == 1
    finally:
        await receiver.stop()
